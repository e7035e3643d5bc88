//! The history of a job: written in the transaction of each change, never rewritten.

use std::marker::PhantomData;

use conditional_trait_gen::trait_gen;
use sqlx::{Database, Postgres, Sqlite};
use training::JobId;
use training::job::{Event, NewEvent};
use training::ports::StoreError;

use crate::backend::Backend as _;
use crate::backend::postgres::PostgresBackend;
use crate::backend::sqlite::SqliteBackend;
use crate::error;
use crate::rows::{self, EventRow, JobRow};
use crate::store::SqlStore;

/// What a caller adds to a change. The rest of an event is taken from the job.
pub(crate) struct Line {
    kind: &'static str,
    actor: &'static str,
    evidence: String,
}

impl Line {
    pub(crate) fn new(event: &NewEvent) -> Self {
        Self { kind: event.kind, actor: event.actor, evidence: event.evidence.to_string() }
    }

    pub(crate) fn kind(&self) -> &str {
        self.kind
    }

    pub(crate) fn actor(&self) -> &str {
        self.actor
    }

    pub(crate) fn evidence(&self) -> &str {
        &self.evidence
    }
}

/// The statements on `job_events` for one database.
pub(crate) struct Events<DB>(PhantomData<DB>);

#[trait_gen(Db -> Postgres, Sqlite)]
impl Events<Db> {
    /// Writes the first event of a new job.
    pub(crate) async fn first(
        connection: &mut <Db as Database>::Connection,
        job: &JobRow,
        line: &Line,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO job_events \
             (job_id, seq, at, kind, from_phase, to_phase, actor, reason, message, evidence) \
             VALUES ($1, $2, $3, $4, NULL, $5, $6, $7, $8, $9)",
        )
        .bind(&job.id)
        .bind(job.version)
        .bind(job.updated_at)
        .bind(line.kind)
        .bind(&job.phase)
        .bind(line.actor)
        .bind(&job.reason)
        .bind(&job.message)
        .bind(&line.evidence)
        .execute(connection)
        .await
        .map(drop)
        .map_err(error::store)
    }

    /// Writes the event of a change; `false` if the job has another version by now.
    pub(crate) async fn next(
        connection: &mut <Db as Database>::Connection,
        after: &JobRow,
        line: &Line,
    ) -> Result<bool, StoreError> {
        let written = sqlx::query(
            "INSERT INTO job_events \
             (job_id, seq, at, kind, from_phase, to_phase, actor, reason, message, evidence) \
             SELECT id, version + 1, $3, $4, phase, $5, $6, $7, $8, $9 \
             FROM jobs \
             WHERE id = $1 AND version = $2 \
             ON CONFLICT (job_id, seq) DO NOTHING",
        )
        .bind(&after.id)
        .bind(after.version)
        .bind(after.updated_at)
        .bind(line.kind)
        .bind(&after.phase)
        .bind(line.actor)
        .bind(&after.reason)
        .bind(&after.message)
        .bind(&line.evidence)
        .execute(connection)
        .await
        .map_err(error::store)?;
        Ok(written.rows_affected() == 1)
    }
}

#[trait_gen(B -> PostgresBackend, SqliteBackend)]
impl SqlStore<B> {
    pub(crate) async fn list_events(&self, id: &JobId) -> Result<Vec<Event>, StoreError> {
        let rows = sqlx::query(
            "SELECT job_id, seq, at, kind, from_phase, to_phase, actor, reason, message, \
             evidence \
             FROM job_events \
             WHERE job_id = $1 \
             ORDER BY seq",
        )
        .bind(id.as_str())
        .fetch_all(self.backend.reading())
        .await
        .map_err(error::store)?;
        rows.iter().map(|row| rows::read::<EventRow, _>(row)?.into_event()).collect()
    }
}
