//! Connections, and how a write becomes durable on each database.

pub(crate) mod postgres;
pub(crate) mod sqlite;

use async_trait::async_trait;
use sqlx::Pool;
use training::ports::StoreError;

use crate::dialect::Dialect;

/// What becomes of the statements of a [`Write`].
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    /// They stay.
    Keep(T),
    /// They are undone: the answer is a refusal.
    Undo(T),
}

/// One write: statements that stay or go together.
///
/// It is a value, not a future, because it may run several times: a transaction that lost against
/// another one starts anew.
#[async_trait]
pub(crate) trait Write<DB: Dialect>: Send + Sync + 'static {
    /// What the caller learns.
    type Answer: Send + 'static;

    /// Runs the statements inside a transaction or savepoint that the caller ends.
    async fn run(
        &self,
        connection: &mut DB::Connection,
    ) -> Result<Outcome<Self::Answer>, StoreError>;

    /// Whether [`Write::run_at_once`] does anything.
    const SHORT_WAY: bool = false;

    /// Leads to the usual answer in one trip to the database, all or nothing. After an error of
    /// the database the caller takes the long way, which knows the other answers.
    async fn run_at_once(
        &self,
        _connection: &mut DB::Connection,
    ) -> Result<Self::Answer, sqlx::Error> {
        Err(sqlx::Error::RowNotFound)
    }

    /// Looks, on another connection, whether a commit that ended in an error took place.
    /// `None` if it did not, or if there is no telling.
    async fn confirm(&self, _connection: &mut DB::Connection) -> Option<Self::Answer> {
        None
    }
}

/// How one database runs reads and writes.
#[async_trait]
pub(crate) trait Backend: Send + Sync + 'static {
    /// The database.
    type Db: Dialect;

    /// For statements that only read.
    fn reading(&self) -> &Pool<Self::Db>;

    /// Runs the write; after `Ok` it is durable.
    async fn write<W: Write<Self::Db>>(&self, write: W) -> Result<W::Answer, StoreError>;

    /// Ends accepted writes and closes everything.
    async fn close(&self);
}
