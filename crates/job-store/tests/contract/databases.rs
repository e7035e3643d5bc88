//! A database of its own for each test.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::str::FromStr;

use job_store::{Config, Connected, DatabaseUrl, connect};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};
use tempfile::TempDir;
use training::IdSource;
use training::clock::RandomIds;

/// The server to use; each test makes a database on it.
const SERVER: &str = "TRAINYARD_TEST_POSTGRES_URL";

/// An SQLite file in a folder that goes with it.
pub(crate) struct SqliteFile {
    folder: TempDir,
}

/// A file that does not exist yet, in a folder that does not exist yet.
pub(crate) fn sqlite() -> SqliteFile {
    SqliteFile { folder: tempfile::tempdir().unwrap() }
}

impl SqliteFile {
    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("sqlite://{}/data/jobs.db", self.folder.path().display())
    }

    /// Opens it as the product does.
    pub(crate) async fn connect(&self) -> Connected {
        connect(&Config::new(DatabaseUrl::new(self.url())), &RandomIds).await.unwrap()
    }
}

/// A database on the server.
pub(crate) struct PostgresDatabase {
    server: PgConnectOptions,
    name: String,
}

/// A new empty database; `None` if there is no server, which only a developer's machine may lack.
pub(crate) async fn postgres() -> Option<PostgresDatabase> {
    let Ok(url) = std::env::var(SERVER) else {
        let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!in_ci, "{SERVER} must be set in CI");
        eprintln!("SKIPPED: {SERVER} is not set, so nothing was tested on PostgreSQL");
        return None;
    };
    let server = PgConnectOptions::from_str(&url).unwrap().disable_statement_logging();
    let name = format!("t_{:08x}{:08x}", RandomIds.next(), RandomIds.next());
    let mut connection = server.connect().await.unwrap();
    let sql = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    connection.execute(sqlx::raw_sql(sql)).await.unwrap();
    connection.close().await.unwrap();
    Some(PostgresDatabase { server, name })
}

impl PostgresDatabase {
    /// Where it is.
    pub(crate) fn url(&self) -> String {
        self.server.clone().database(&self.name).to_url_lossy().to_string()
    }

    /// Opens it as the product does.
    pub(crate) async fn connect(&self) -> Connected {
        connect(&Config::new(DatabaseUrl::new(self.url())), &RandomIds).await.unwrap()
    }

    /// Removes it.
    pub(crate) async fn drop(self) {
        let mut connection = self.server.connect().await.unwrap();
        let sql = sqlx::AssertSqlSafe(format!("DROP DATABASE {} WITH (FORCE)", self.name));
        connection.execute(sqlx::raw_sql(sql)).await.unwrap();
        connection.close().await.unwrap();
    }
}
