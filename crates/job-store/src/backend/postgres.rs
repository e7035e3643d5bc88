//! PostgreSQL: one pool; every write is a transaction of its own.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgPool, Postgres};
use training::ports::StoreError;

use super::{Backend, Outcome, Write};
use crate::dialect::Dialect;
use crate::{Config, ConnectError, error, migrate};

/// A first connection takes at most so long; sqlx itself would wait for the system's TCP timeout.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a transaction that lost against another one runs in all.
const TRIES: u32 = 3;

/// A connection that was idle for longer is asked whether it still works before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

pub(crate) struct PostgresBackend {
    pool: PgPool,
}

/// Opens the pool and migrates.
pub(crate) async fn open(config: &Config) -> Result<PostgresBackend, ConnectError> {
    let options = PgConnectOptions::from_str(&config.url.0)
        .map_err(|_| ConnectError::MalformedUrl)?
        .application_name("trainyard");
    // Apart from the pool: a migration may run longer than a statement of ours ever should, and
    // wait for the one of another process.
    let mut connection = tokio::time::timeout(CONNECT_TIMEOUT, options.connect())
        .await
        .map_err(ConnectError::unreachable)?
        .map_err(ConnectError::unreachable)?;
    migrate::run(&mut connection).await?;
    // The schema is in place; how the connection ends does not matter.
    let _ = connection.close().await;

    let pool = PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(config.acquire_timeout)
        // Asking before every use would double the trips; one that just worked still works.
        .test_before_acquire(false)
        .before_acquire(|connection, usage| {
            Box::pin(async move {
                if usage.idle_for > TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options.options([
            // No statement of ours takes a hundredth of it; what does is stuck.
            ("statement_timeout", "5s"),
            ("lock_timeout", "2s"),
            ("idle_in_transaction_session_timeout", "10s"),
        ]));
    Ok(PostgresBackend { pool })
}

/// Waits up to 50 ms times the number of the try, so that those who met do not meet again.
async fn pause(tried: u32) {
    // The standard library's only source of chance; nothing depends on its quality.
    let chance = RandomState::new().build_hasher().finish() % 50;
    tokio::time::sleep(Duration::from_millis(chance * u64::from(tried))).await;
}

impl PostgresBackend {
    /// Takes the short way; `None` if it is barred.
    async fn at_once<W: Write<Postgres>>(
        &self,
        write: &W,
    ) -> Option<Result<W::Answer, StoreError>> {
        let mut connection = match self.pool.acquire().await {
            Ok(connection) => connection,
            Err(failed) => return Some(Err(error::store(failed))),
        };
        let failed = match write.run_at_once(&mut connection).await {
            Ok(answer) => return Some(Ok(answer)),
            Err(failed) => error::store(failed),
        };
        drop(connection);
        if error::lost_race(&failed) || !failed.retryable() {
            return None;
        }
        // Lost on the way there or on the way back.
        match self.pool.acquire().await {
            Ok(mut other) => Some(write.confirm(&mut other).await.ok_or(failed)),
            Err(_) => Some(Err(failed)),
        }
    }

    async fn try_once<W: Write<Postgres>>(&self, write: &W) -> Result<W::Answer, StoreError> {
        let mut lent = Lent::new(self.pool.acquire().await.map_err(error::store)?);
        let ended = transact(&mut lent, write).await;
        lent.give_back();
        let failed = match ended? {
            Ok(answer) => return Ok(answer),
            Err(failed) => failed,
        };
        // A lost race is known to be undone; after a lost connection nobody knows.
        if !error::lost_race(&failed)
            && let Ok(mut connection) = self.pool.acquire().await
            && let Some(answer) = write.confirm(&mut connection).await
        {
            return Ok(answer);
        }
        Err(failed)
    }
}

/// A connection while a transaction is under way on it. The caller may go away at any await: the
/// client hung up, a step ran out of time. sqlx forgets a BEGIN that was cut off so, and gives the
/// connection to the next one, whose writes are then part of a transaction that nobody commits. A
/// connection that was not given back is closed instead.
struct Lent {
    connection: PoolConnection<Postgres>,
    whole: bool,
}

impl Lent {
    fn new(connection: PoolConnection<Postgres>) -> Self {
        Self { connection, whole: false }
    }

    /// Returns it to the pool: whatever was begun has ended, or is known to sqlx.
    fn give_back(mut self) {
        self.whole = true;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.whole {
            self.connection.close_on_drop();
        }
    }
}

/// Runs one transaction. The inner error is that of the commit.
async fn transact<W: Write<Postgres>>(
    lent: &mut Lent,
    write: &W,
) -> Result<Result<W::Answer, StoreError>, StoreError> {
    let mut transaction = Connection::begin_with(&mut *lent.connection, Postgres::BEGIN)
        .await
        .map_err(error::store)?;
    match write.run(&mut transaction).await? {
        Outcome::Undo(answer) => {
            transaction.rollback().await.map_err(error::store)?;
            Ok(Ok(answer))
        }
        Outcome::Keep(answer) => {
            Ok(transaction.commit().await.map_err(error::store).map(|()| answer))
        }
    }
}

#[async_trait]
impl Backend for PostgresBackend {
    type Db = Postgres;

    fn reading(&self) -> &PgPool {
        &self.pool
    }

    async fn write<W: Write<Postgres>>(&self, write: W) -> Result<W::Answer, StoreError> {
        if W::SHORT_WAY
            && let Some(result) = self.at_once(&write).await
        {
            return result;
        }
        let mut tried = 0;
        loop {
            tried += 1;
            match self.try_once(&write).await {
                Err(failed) if tried < TRIES && error::lost_race(&failed) => {
                    pause(tried).await;
                }
                result => return result,
            }
        }
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
