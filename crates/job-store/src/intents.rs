//! The outbox: what has to be done to the control plane, claimed under a lease.

use std::marker::PhantomData;

use async_trait::async_trait;
use conditional_trait_gen::trait_gen;
use sqlx::{Database, Postgres, Sqlite};
use tokio::time::Instant;
use training::Timestamp;
use training::clock::SignedDuration;
use training::intent::{Claimed, IntentKind};
use training::ports::StoreError;

use crate::backend::postgres::PostgresBackend;
use crate::backend::sqlite::SqliteBackend;
use crate::backend::{Backend, Outcome, Write};
use crate::dialect::Dialect;
use crate::error;
use crate::rows::{self, IntentRow, JobRow, free_text};
use crate::store::SqlStore;

/// What frees a cluster goes before what fills it. The column exists so that SQL can sort by it.
fn urgency(kind: IntentKind) -> i32 {
    match kind {
        IntentKind::Delete => 0,
        IntentKind::Stop => 1,
        IntentKind::Apply => 2,
    }
}

/// The statements on `intents` that run inside other writes.
pub(crate) struct Queue<DB>(PhantomData<DB>);

#[trait_gen(Db -> Postgres, Sqlite)]
impl Queue<Db> {
    /// Records an intent of the job, due now. One that is there already becomes due now; if it is
    /// leased, it is carried out once more after the lease, because its holder may have looked
    /// at the job before this change.
    pub(crate) async fn enqueue(
        connection: &mut <Db as Database>::Connection,
        job: &JobRow,
        kind: IntentKind,
    ) -> Result<(), StoreError> {
        let now = job.updated_at;
        if kind != IntentKind::Apply {
            // What is about to be removed need not be written. A leased one stays: its holder may
            // be writing at this moment, and while it holds the lease nothing else of the job is
            // claimed, so the removal comes after the write.
            sqlx::query(
                "DELETE FROM intents \
                 WHERE job_id = $1 AND kind = 'apply' \
                 AND (leased_by IS NULL OR leased_until <= $2)",
            )
            .bind(&job.id)
            .bind(now)
            .execute(&mut *connection)
            .await
            .map_err(error::store)?;
        }
        sqlx::query(
            "INSERT INTO intents (job_id, kind, urgency, priority, not_before, created_at) \
             VALUES ($1, $2, $3, $4, $5, $5) \
             ON CONFLICT (job_id, kind) DO UPDATE SET \
             not_before = CASE WHEN intents.not_before < excluded.not_before \
             THEN intents.not_before ELSE excluded.not_before END, \
             rearmed = (intents.leased_by IS NOT NULL)",
        )
        .bind(&job.id)
        .bind(kind.as_str())
        .bind(urgency(kind))
        .bind(job.priority)
        .bind(now)
        .execute(connection)
        .await
        .map(drop)
        .map_err(error::store)
    }

    /// Ends an intent together with a change of its job. The version of the job decides, not the
    /// lease: whoever saw the latest state has done what the intent asked for.
    pub(crate) async fn settle_of_job(
        connection: &mut <Db as Database>::Connection,
        id: i64,
        job_id: &str,
    ) -> Result<(), StoreError> {
        let released = sqlx::query(
            "UPDATE intents SET leased_by = NULL, leased_until = NULL, rearmed = FALSE \
             WHERE id = $1 AND job_id = $2 AND rearmed",
        )
        .bind(id)
        .bind(job_id)
        .execute(&mut *connection)
        .await
        .map_err(error::store)?;
        if released.rows_affected() == 0 {
            sqlx::query("DELETE FROM intents WHERE id = $1 AND job_id = $2")
                .bind(id)
                .bind(job_id)
                .execute(connection)
                .await
                .map_err(error::store)?;
        }
        Ok(())
    }
}

/// [`training::ports::JobStore::claim`].
pub(crate) struct Claim {
    pub(crate) owner: String,
    pub(crate) now: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) limit: u32,
}

#[trait_gen(Db -> Postgres, Sqlite)]
#[async_trait]
impl Write<Db> for Claim {
    type Answer = Vec<Claimed>;

    async fn run(
        &self,
        connection: &mut <Db as Database>::Connection,
    ) -> Result<Outcome<Vec<Claimed>>, StoreError> {
        let now = self.now.as_microsecond();
        // Expired leases end here and nowhere else, so that below a lease is simply an owner and
        // a partial unique index can promise one per job. One was a try, and nobody knows how far
        // it came.
        sqlx::query(
            "UPDATE intents SET leased_by = NULL, leased_until = NULL, rearmed = FALSE, \
             attempts = attempts + 1 WHERE leased_by IS NOT NULL AND leased_until <= $1",
        )
        .bind(now)
        .execute(&mut *connection)
        .await
        .map_err(error::store)?;
        // The lease is asked for in the outer WHERE too. On PostgreSQL two claimers may choose
        // the same rows; the second waits for the first and then checks only the outer condition
        // again. Without it, six workers claimed a tenth of 400 rows twice.
        let rows = sqlx::query(
            "UPDATE intents SET leased_by = $1, leased_until = $2, rearmed = FALSE \
             WHERE id IN ( \
                 SELECT mine.id FROM intents AS mine \
                 WHERE mine.not_before <= $3 \
                 AND mine.leased_by IS NULL \
                 AND NOT EXISTS ( \
                     SELECT 1 FROM intents AS other \
                     WHERE other.job_id = mine.job_id \
                     AND other.id <> mine.id \
                     AND (other.leased_by IS NOT NULL \
                         OR (other.not_before <= $3 AND other.urgency < mine.urgency))) \
                 ORDER BY mine.urgency, mine.priority DESC, mine.not_before, mine.id \
                 LIMIT $4) \
             AND leased_by IS NULL \
             RETURNING job_id, id, kind, urgency, priority, not_before, attempts, created_at",
        )
        .bind(&self.owner)
        .bind(self.until.as_microsecond())
        .bind(now)
        .bind(i64::from(self.limit))
        .fetch_all(connection)
        .await
        .map_err(error::store)?;
        let mut claimed =
            rows.iter().map(rows::read::<IntentRow, _>).collect::<Result<Vec<_>, _>>()?;
        // RETURNING promises no order.
        claimed.sort_by_key(|row| {
            (row.urgency, std::cmp::Reverse(row.priority), row.not_before, row.id)
        });
        let claimed = claimed.into_iter().map(IntentRow::into_claimed);
        Ok(Outcome::Keep(claimed.collect::<Result<_, _>>()?))
    }
}

/// [`training::ports::JobStore::postpone`].
pub(crate) struct Postpone {
    id: i64,
    owner: String,
    not_before: i64,
    error: String,
}

impl Postpone {
    pub(crate) fn new(id: i64, owner: &str, not_before: Timestamp, error: &str) -> Self {
        let not_before = not_before.as_microsecond();
        Self { id, owner: owner.to_owned(), not_before, error: free_text(error) }
    }
}

#[trait_gen(Db -> Postgres, Sqlite)]
#[async_trait]
impl Write<Db> for Postpone {
    type Answer = ();

    async fn run(
        &self,
        connection: &mut <Db as Database>::Connection,
    ) -> Result<Outcome<()>, StoreError> {
        // Enqueued again under the lease: due at once, whatever the holder thought.
        sqlx::query(
            "UPDATE intents SET attempts = attempts + 1, error = $4, \
             not_before = CASE WHEN rearmed THEN not_before ELSE $3 END, \
             leased_by = NULL, leased_until = NULL, rearmed = FALSE \
             WHERE id = $1 AND leased_by = $2",
        )
        .bind(self.id)
        .bind(&self.owner)
        .bind(self.not_before)
        .bind(&self.error)
        .execute(connection)
        .await
        .map_err(error::store)?;
        Ok(Outcome::Keep(()))
    }
}

/// [`training::ports::JobStore::settle`].
pub(crate) struct Settle {
    pub(crate) id: i64,
    pub(crate) owner: String,
}

#[trait_gen(Db -> Postgres, Sqlite)]
#[async_trait]
impl Write<Db> for Settle {
    type Answer = ();

    async fn run(
        &self,
        connection: &mut <Db as Database>::Connection,
    ) -> Result<Outcome<()>, StoreError> {
        let deleted =
            sqlx::query("DELETE FROM intents WHERE id = $1 AND leased_by = $2 AND NOT rearmed")
                .bind(self.id)
                .bind(&self.owner)
                .execute(&mut *connection)
                .await
                .map_err(error::store)?;
        if deleted.rows_affected() == 0 {
            sqlx::query(
                "UPDATE intents SET leased_by = NULL, leased_until = NULL, rearmed = FALSE \
                 WHERE id = $1 AND leased_by = $2",
            )
            .bind(self.id)
            .bind(&self.owner)
            .execute(connection)
            .await
            .map_err(error::store)?;
        }
        Ok(Outcome::Keep(()))
    }
}

/// [`training::ports::JobStore::wake_intents`].
pub(crate) struct Wake {
    pub(crate) kind: IntentKind,
    pub(crate) now: Timestamp,
    pub(crate) limit: u32,
}

#[trait_gen(Db -> Postgres, Sqlite)]
#[async_trait]
impl Write<Db> for Wake {
    type Answer = ();

    async fn run(
        &self,
        connection: &mut <Db as Database>::Connection,
    ) -> Result<Outcome<()>, StoreError> {
        sqlx::query(
            "UPDATE intents SET not_before = $2 WHERE id IN ( \
             SELECT id FROM intents WHERE kind = $1 AND not_before > $2 \
             ORDER BY priority DESC, id LIMIT $3)",
        )
        .bind(self.kind.as_str())
        .bind(self.now.as_microsecond())
        .bind(i64::from(self.limit))
        .execute(connection)
        .await
        .map_err(error::store)?;
        Ok(Outcome::Keep(()))
    }
}

#[trait_gen(B -> PostgresBackend, SqliteBackend)]
impl SqlStore<B> {
    /// Whether a claim could find anything, and by how much `now` was wrong, as the database then
    /// says. A host at rest asks often and must not write.
    pub(crate) async fn any_due(
        &self,
        now: Timestamp,
    ) -> Result<(bool, SignedDuration), StoreError> {
        let asked = Instant::now();
        let (due, time): (bool, Option<i64>) = sqlx::query_as(<<B as Backend>::Db as Dialect>::DUE)
            .bind(now.as_microsecond())
            .fetch_one(self.backend.reading())
            .await
            .map_err(error::store)?;
        Ok((due, self.clock.learn(asked, time)))
    }

    /// Learns the time of the database.
    pub(crate) async fn ask_time(&self) -> Result<(), StoreError> {
        let asked = Instant::now();
        let time: Option<i64> = sqlx::query_scalar(<<B as Backend>::Db as Dialect>::TIME)
            .fetch_one(self.backend.reading())
            .await
            .map_err(error::store)?;
        self.clock.learn(asked, time);
        Ok(())
    }
}
