//! Jobs in PostgreSQL or SQLite: the only source of truth, behind [`training::ports::JobStore`] and,
//! for what is kept about plugins, [`training::ports::PluginRegistry`]; for logs,
//! [`training::ports::LogArchive`].
//!
//! | module | what it holds |
//! |---|---|
//! | [`backend`] | connections, and how a write becomes durable on each database |
//! | [`jobs`], [`lineage`], [`intents`], [`events`], [`plugins`], [`logs`] | one SQL text for both databases |
//! | [`clock`] | the database's time |
//! | [`counts`] | sums for displays |
//! | [`history`] | a session for programs that only look back |
//! | [`dialect`] | the little that differs |
//! | [`rows`] | between rows and values; the mirror types of stored JSON |
//! | [`migrate`] | the schema |
//! | [`error`] | what a database error means to a caller |
//!
//! A write is a value that implements [`backend::Write`]. On PostgreSQL it gets a transaction of
//! its own; on SQLite one task runs all that wait in one transaction, so that they share a flush.

mod backend;
mod clock;
mod counts;
mod dialect;
mod error;
mod events;
mod history;
mod intents;
mod jobs;
mod lineage;
mod logs;
mod migrate;
mod plugins;
mod rows;
mod store;
mod transition;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use training::IdSource;
use training::clock::Clock;
use training::ports::{JobStore, LogArchive, PluginRegistry};

pub use error::ConnectError;
pub use history::{History, HistoryQuery, StoredJob};

use backend::postgres::PostgresBackend;
use backend::sqlite::SqliteBackend;
use store::SqlStore;

/// How to reach the database.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it is. The scheme chooses between PostgreSQL and SQLite.
    pub url: DatabaseUrl,
    /// Most connections at a time. SQLite has one more, for writing.
    pub max_connections: u32,
    /// Longest wait for a free connection before a call fails as unavailable.
    pub acquire_timeout: Duration,
}

impl Config {
    /// The usual: ten connections, one second.
    ///
    /// A request that has waited a second is better refused and tried again than queued.
    pub fn new(url: DatabaseUrl) -> Self {
        Self { url, max_connections: 10, acquire_timeout: Duration::from_secs(1) }
    }
}

/// `postgres://user:password@host/name` or `sqlite://path`; `sqlite::memory:` for tests. May hold
/// a password, so it prints only its scheme.
#[derive(Clone)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Wraps the text; whether it is a URL shows when it is used.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({}:…)", self.scheme())
    }
}

/// An open store, and the way to end it.
pub struct Connected {
    /// To be shared as widely as needed.
    pub store: Arc<dyn JobStore>,
    /// What is kept about plugins, in the same database.
    pub registry: Arc<dyn PluginRegistry>,
    /// Logs that outlive their pods, in the same database.
    pub archive: Arc<dyn LogArchive>,
    /// Tells the time of the database, so that all who share it agree on when a lease ends however
    /// wrong the clocks of their machines are; with SQLite, whose file one process has, the time of
    /// this machine.
    pub clock: Arc<dyn Clock>,
    closing: Arc<dyn store::Close>,
}

impl Connected {
    /// Ends the store: accepted writes become durable, the writer task ends, every connection is
    /// closed and the lock of an SQLite file is released. Calls made afterwards are unavailable.
    pub async fn close(self) {
        self.closing.close().await;
    }
}

/// Opens the store, and brings its schema up to date.
///
/// Fails at once if the database does not answer; trying again is up to the caller, who asks
/// [`ConnectError::retryable`]. `ids` makes the identity of a new installation.
pub async fn connect(config: &Config, ids: &dyn IdSource) -> Result<Connected, ConnectError> {
    match config.url.scheme() {
        "postgres" | "postgresql" => {
            let backend = backend::postgres::open(config).await?;
            Ok(connected(SqlStore::<PostgresBackend>::open(backend, ids).await?))
        }
        "sqlite" => {
            let backend = backend::sqlite::open(config).await?;
            Ok(connected(SqlStore::<SqliteBackend>::open(backend, ids).await?))
        }
        scheme => Err(ConnectError::UnknownScheme { scheme: scheme.to_owned() }),
    }
}

fn connected<S>(store: S) -> Connected
where
    S: JobStore + PluginRegistry + LogArchive + store::Close + 'static,
{
    let store = Arc::new(store);
    Connected {
        clock: store.clock(),
        closing: Arc::clone(&store) as Arc<dyn store::Close>,
        registry: Arc::clone(&store) as Arc<dyn PluginRegistry>,
        archive: Arc::clone(&store) as Arc<dyn LogArchive>,
        store,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let config = Config::new(DatabaseUrl::new("postgres://ada:secret@db/trainyard"));
        let printed = format!("{config:?}");
        assert!(printed.contains("postgres") && !printed.contains("secret"), "{printed}");
        assert!(!printed.contains("ada"), "{printed}");
    }
}
