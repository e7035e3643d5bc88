//! A database for one test: a SQLite file, or a PostgreSQL database made on the server of the run.

use sqlx::{Connection as _, Executor as _};
use training::IdSource as _;
use training::clock::RandomIds;

/// Where the host keeps its jobs.
#[derive(Clone)]
pub(crate) enum Database {
    /// A file in the test's directory.
    Sqlite,
    /// A database of its own on a shared server.
    Postgres {
        /// The database.
        url: String,
        /// A database to connect to when the own one is dropped.
        admin: String,
        /// Its name.
        name: String,
    },
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite
    }

    /// Makes a database. On a build machine a missing server is an error.
    pub(crate) async fn postgres() -> Option<Self> {
        let Ok(admin) = std::env::var("TRAINYARD_TEST_POSTGRES_URL") else {
            assert!(std::env::var_os("CI").is_none(), "TRAINYARD_TEST_POSTGRES_URL is not set");
            eprintln!("SKIPPED: no PostgreSQL; run `cargo xtask test`, which starts one");
            return None;
        };
        let name = format!("it_{:08x}{:08x}", RandomIds.next(), RandomIds.next());
        let mut connection = sqlx::PgConnection::connect(&admin).await.expect("the test server");
        let statement = format!("CREATE DATABASE {name}");
        connection.execute(sqlx::AssertSqlSafe(statement)).await.expect("a new database");
        let (server, _) = admin.rsplit_once('/').expect("a URL with a database");
        Some(Self::Postgres { url: format!("{server}/{name}"), admin, name })
    }

    /// The URL that the host is given.
    pub(crate) fn url(&self, dir: &std::path::Path) -> String {
        match self {
            Self::Sqlite => format!("sqlite://{}", dir.join("trainyard.db").display()),
            Self::Postgres { url, .. } => url.clone(),
        }
    }

    /// Makes the database again after [`Database::lose`].
    pub(crate) async fn restore(&self) {
        let Self::Postgres { admin, name, .. } = self else {
            panic!("only PostgreSQL can be lost")
        };
        let mut connection = sqlx::PgConnection::connect(admin).await.expect("the test server");
        let statement = format!("CREATE DATABASE {name}");
        connection.execute(sqlx::AssertSqlSafe(statement)).await.expect("it is made");
    }

    /// Takes the database away from under the host.
    pub(crate) async fn lose(&self) {
        let Self::Postgres { admin, name, .. } = self else {
            panic!("only PostgreSQL can be lost")
        };
        let mut connection = sqlx::PgConnection::connect(admin).await.expect("the test server");
        let statement = format!("DROP DATABASE {name} WITH (FORCE)");
        connection.execute(sqlx::AssertSqlSafe(statement)).await.expect("it is dropped");
    }
}
