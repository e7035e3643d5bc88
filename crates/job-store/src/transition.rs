//! A guarded change of a job, with its event and what follows from it.

use async_trait::async_trait;
use conditional_trait_gen::trait_gen;
use sqlx::{Database, Postgres, Sqlite};
use training::job::{Job, NewEvent};
use training::ports::{Effects, Moved, StoreError};

use crate::backend::{Outcome, Write};
use crate::error;
use crate::events::{self, Line};
use crate::intents;
use crate::logs;
use crate::rows::JobRow;

/// [`training::ports::JobStore::transition`].
pub(crate) struct Transition {
    row: JobRow,
    line: Line,
    effects: Effects,
}

impl Transition {
    pub(crate) fn new(
        after: &Job,
        event: &NewEvent,
        effects: &Effects,
    ) -> Result<Self, StoreError> {
        Ok(Self { row: JobRow::from_job(after)?, line: Line::new(event), effects: effects.clone() })
    }
}

#[trait_gen(Db -> Postgres, Sqlite)]
#[async_trait]
impl Write<Db> for Transition {
    type Answer = Moved;

    async fn run(
        &self,
        connection: &mut <Db as Database>::Connection,
    ) -> Result<Outcome<Moved>, StoreError> {
        let row = &self.row;
        // The event comes first because it takes the phase before the change from the row. Its
        // key makes one of two concurrent changes wait and then find the number taken.
        if !events::Events::<Db>::next(&mut *connection, row, &self.line).await? {
            return Ok(Outcome::Undo(Moved::Stale));
        }
        let updated = sqlx::query(
            "UPDATE jobs SET \
             version = version + 1, phase = $3, lifecycle = $4, desired = $5, reason = $6, \
             message = $7, failure = $8, progress = $9, last_known = $10, stale_since = $11, \
             placement = $12, workload_uid = $13, missing_since = $14, delete_volumes = $15, \
             updated_at = $16, submitted_at = $17, started_at = $18, finished_at = $19, \
             deleted_at = $20, suspend = $21, abandoned = $22, pending_since = $23, \
             run_began = $24, restarts = $25 \
             WHERE id = $1 AND version = $2",
        )
        .bind(&row.id)
        .bind(row.version)
        .bind(&row.phase)
        .bind(&row.lifecycle)
        .bind(&row.desired)
        .bind(&row.reason)
        .bind(&row.message)
        .bind(&row.failure)
        .bind(row.progress)
        .bind(&row.last_known)
        .bind(row.stale_since)
        .bind(&row.placement)
        .bind(&row.workload_uid)
        .bind(row.missing_since)
        .bind(row.delete_volumes)
        .bind(row.updated_at)
        .bind(row.submitted_at)
        .bind(row.started_at)
        .bind(row.finished_at)
        .bind(row.deleted_at)
        .bind(row.suspend)
        .bind(&row.abandoned)
        .bind(row.pending_since)
        .bind(row.run_began)
        .bind(row.restarts)
        .execute(&mut *connection)
        .await
        .map_err(error::store)?;
        if updated.rows_affected() == 0 {
            return Ok(Outcome::Undo(Moved::Stale));
        }
        // Settled before enqueued: a kind that replaces itself starts afresh.
        if let Some(id) = self.effects.settle {
            intents::Queue::<Db>::settle_of_job(&mut *connection, id, &row.id).await?;
        }
        for kind in &self.effects.enqueue {
            intents::Queue::<Db>::enqueue(&mut *connection, row, *kind).await?;
        }
        if let Some(request) = logs::Request::of_change(row) {
            Write::<Db>::run(&request, connection).await?;
        }
        Ok(Outcome::Keep(Moved::Done))
    }
}
