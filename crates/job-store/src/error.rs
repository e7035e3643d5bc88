//! What a database error means to a caller. The only place that reads error codes.

use std::path::PathBuf;

use sqlx::Error;
use training::ports::StoreError;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Only `postgres`, `postgresql` and `sqlite` are known.
    #[error("the database URL has the scheme `{scheme}`; use `postgres` or `sqlite`")]
    UnknownScheme {
        /// What came before the first colon.
        scheme: String,
    },
    /// The rest of the URL is wrong. The cause is left out: it may quote a password.
    #[error("the database URL is malformed")]
    MalformedUrl,
    /// Nobody answers, or not in time, or not to this user.
    #[error("the database cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// SQLite serves one process only.
    #[error("another process uses this database: it holds the lock file `{}`", path.display())]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// The database file, its folder or its lock file cannot be made.
    #[error("`{}` cannot be made or opened", path.display())]
    File {
        /// What was tried.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A migration failed; nothing of it remains.
    #[error("the database schema cannot be brought up to date")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// A newer program has changed the schema in a way that this one cannot work with.
    #[error("the database needs a program that knows migration {needed}; this one knows {known}")]
    SchemaTooNew {
        /// The oldest migration level that may still work on this schema.
        needed: i64,
        /// The newest migration of this program.
        known: i64,
    },
}

impl ConnectError {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::InUse { .. } => true,
            Self::Migration(sqlx::migrate::MigrateError::Execute(error)) => unavailable(error),
            _ => false,
        }
    }

    pub(crate) fn unreachable(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Unreachable(Box::new(error))
    }
}

/// Sorts an error of a statement or of the pool.
pub(crate) fn store(error: Error) -> StoreError {
    if unavailable(&error) {
        StoreError::Unavailable(Box::new(error))
    } else {
        StoreError::Internal(Box::new(error))
    }
}

/// The store was closed, or its writer is overloaded or gone.
pub(crate) fn not_accepting(why: &'static str) -> StoreError {
    StoreError::Unavailable(why.into())
}

/// A value that no column can hold.
pub(crate) fn unstorable(what: &'static str) -> StoreError {
    StoreError::Internal(what.into())
}

/// Whether the transaction lost against another one and is worth running again.
pub(crate) fn lost_race(error: &StoreError) -> bool {
    let (StoreError::Unavailable(source) | StoreError::Internal(source)) = error else {
        return false;
    };
    let Some(Error::Database(error)) = source.downcast_ref::<Error>() else { return false };
    // Serialization failure, deadlock; and two claimers that chose intents of one job.
    matches!(error.code().as_deref(), Some("40001" | "40P01"))
        || error.constraint() == Some("intents_one_lease_per_job")
}

fn unavailable(error: &Error) -> bool {
    match error {
        Error::Io(_)
        | Error::Tls(_)
        | Error::Protocol(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed => true,
        Error::Database(error) => {
            error.code().is_some_and(|code| match code.parse::<u32>() {
                // All SQLite codes are small numbers, all of PostgreSQL's have five places.
                Ok(number) if code.len() < 5 => sqlite_unavailable(number),
                _ => postgres_unavailable(&code),
            })
        }
        _ => false,
    }
}

/// <https://www.sqlite.org/rescode.html>: BUSY, LOCKED, NOMEM, READONLY, IOERR, FULL, CANTOPEN.
/// The low byte is the primary code of an extended one.
fn sqlite_unavailable(code: u32) -> bool {
    matches!(code & 0xff, 5 | 6 | 7 | 8 | 10 | 13 | 14)
}

/// Classes: 08 connection, 28 a login that is refused, 3D a database that is not there (restored or
/// moved right now), 40 rollback, 53 resources, 57 operator (also the statement timeout), 58
/// system; codes: lock timeout, idle in transaction, and a server that became read-only.
fn postgres_unavailable(code: &str) -> bool {
    ["08", "28", "3D", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class))
        || matches!(code, "55P03" | "25P03" | "25006")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted() {
        for code in [5, 13, 10, 266, 522, 14] {
            assert!(sqlite_unavailable(code), "{code}");
        }
        for code in [1, 11, 19, 2067, 1555] {
            assert!(!sqlite_unavailable(code), "{code}");
        }
        for code in [
            "08006", "28P01", "3D000", "53100", "53300", "57P01", "57014", "55P03", "40001",
            "25006",
        ] {
            assert!(postgres_unavailable(code), "{code}");
        }
        for code in ["23505", "42P01", "22021", "P0001"] {
            assert!(!postgres_unavailable(code), "{code}");
        }
    }

    #[test]
    fn pool_and_io_errors_are_temporary() {
        assert!(store(Error::PoolTimedOut).retryable());
        assert!(store(Error::Io(std::io::Error::other("gone"))).retryable());
        assert!(!store(Error::RowNotFound).retryable());
    }
}
