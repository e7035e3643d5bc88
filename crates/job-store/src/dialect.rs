//! The little that differs between the two databases.

use sqlx::{Database, Postgres, Sqlite};

/// A database that the store can work on.
pub(crate) trait Dialect: Database {
    /// Opens a writing transaction. SQLite must take its write lock at once: a transaction that
    /// reads first and then finds the lock taken cannot be retried in place.
    const BEGIN: &'static str;
}

impl Dialect for Postgres {
    const BEGIN: &'static str = "BEGIN";
}

impl Dialect for Sqlite {
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
}
