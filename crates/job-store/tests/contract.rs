//! The store contract on SQLite, and on PostgreSQL if `TRAINYARD_TEST_POSTGRES_URL` names a server
//! that lets its user create databases.

#[path = "contract/databases.rs"]
mod databases;

#[path = "contract/adapter.rs"]
mod adapter;

#[cfg(test)]
#[path = "contract/looking_back.rs"]
mod looking_back;

use databases::{postgres, sqlite};
use training::testing::{contract, log_contract, registry_contract};

macro_rules! on_sqlite {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let database = super::sqlite();
                let connected = database.connect().await;
                super::contract::$name(std::sync::Arc::clone(&connected.store)).await;
                connected.close().await;
            })+
        }
    };
}

macro_rules! on_postgres {
    ($($name:ident),+ $(,)?) => {
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(database) = super::postgres().await else { return };
                let connected = database.connect().await;
                super::contract::$name(std::sync::Arc::clone(&connected.store)).await;
                connected.close().await;
                database.drop().await;
            })+
        }
    };
}

training::for_each_store_case!(on_sqlite);
training::for_each_store_case!(on_postgres);

macro_rules! registry_on_sqlite {
    ($($name:ident),+ $(,)?) => {
        mod registry_on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let database = super::sqlite();
                let connected = database.connect().await;
                let registry = std::sync::Arc::clone(&connected.registry);
                super::registry_contract::$name(registry).await;
                connected.close().await;
            })+
        }
    };
}

macro_rules! registry_on_postgres {
    ($($name:ident),+ $(,)?) => {
        mod registry_on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(database) = super::postgres().await else { return };
                let connected = database.connect().await;
                let registry = std::sync::Arc::clone(&connected.registry);
                super::registry_contract::$name(registry).await;
                connected.close().await;
                database.drop().await;
            })+
        }
    };
}

training::for_each_registry_case!(registry_on_sqlite);
training::for_each_registry_case!(registry_on_postgres);

macro_rules! logs_on_sqlite {
    ($($name:ident),+ $(,)?) => {
        mod logs_on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let database = super::sqlite();
                let connected = database.connect().await;
                let store = std::sync::Arc::clone(&connected.store);
                let archive = std::sync::Arc::clone(&connected.archive);
                super::log_contract::$name(store, archive).await;
                connected.close().await;
            })+
        }
    };
}

macro_rules! logs_on_postgres {
    ($($name:ident),+ $(,)?) => {
        mod logs_on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(database) = super::postgres().await else { return };
                let connected = database.connect().await;
                let store = std::sync::Arc::clone(&connected.store);
                let archive = std::sync::Arc::clone(&connected.archive);
                super::log_contract::$name(store, archive).await;
                connected.close().await;
                database.drop().await;
            })+
        }
    };
}

training::for_each_log_case!(logs_on_sqlite);
training::for_each_log_case!(logs_on_postgres);
