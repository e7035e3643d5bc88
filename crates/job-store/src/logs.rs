//! Logs that outlive their pods, and which jobs' logs are still to be fetched.

use std::io::{BufRead, BufReader, Cursor, Write as _};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use conditional_trait_gen::trait_gen;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use sqlx::{Database, FromRow, Postgres, Sqlite};
use tokio::sync::Notify;
use training::ports::{ArchiveState, ArchiveTask, ArchivedLog, LogArchive, LogKey, StoreError};
use training::{JobId, Timestamp};

use crate::backend::postgres::PostgresBackend;
use crate::backend::sqlite::SqliteBackend;
use crate::backend::{Backend, Outcome, Write};
use crate::error;
use crate::rows::{self, JobRow, Origin, Stored, free_text, row};
use crate::store::SqlStore;

row!(
    /// A job whose logs are due.
    TaskRow of "log_archives" {
        job_id: String,
        attempts: i64,
        requested_at: i64,
    }
);

row!(
    /// How far the archive of a job is.
    StateRow of "log_archives" {
        job_id: String,
        attempts: i64,
        closed_at: Option<i64>,
    }
);

row!(
    /// What is known of a log without its text.
    LogRow of "archived_logs" {
        job_id: String,
        cluster: String,
        role: String,
        pod: String,
        container: String,
        previous: bool,
        main: bool,
        ended: bool,
        first_at: Option<i64>,
        last_at: Option<i64>,
        read_at: i64,
        original_bytes: i64,
        kept_bytes: i64,
        head_bytes: i64,
        omitted_lines: i64,
        problem: String,
    }
);

/// Everything but the text.
macro_rules! log_columns {
    () => {
        "job_id, cluster, role, pod, container, previous, main, ended, first_at, last_at, read_at, \
         original_bytes, kept_bytes, head_bytes, omitted_lines, problem"
    };
}

fn attempts(row: &Origin<'_>, attempts: i64) -> Result<u32, StoreError> {
    row.get("attempts", u32::try_from(attempts).ok())
}

impl TaskRow {
    fn into_task(self) -> Result<ArchiveTask, StoreError> {
        let row = Origin { table: Self::TABLE, id: &self.job_id };
        Ok(ArchiveTask {
            attempts: attempts(&row, self.attempts)?,
            requested_at: row.time("requested_at", self.requested_at)?,
            job_id: row.get("job_id", JobId::parse(self.job_id.as_str()).ok())?,
        })
    }
}

impl LogRow {
    fn new(job: &JobId, log: &ArchivedLog) -> Self {
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Self {
            job_id: job.to_string(),
            cluster: free_text(&log.key.cluster),
            role: free_text(&log.key.role),
            pod: free_text(&log.key.pod),
            container: free_text(&log.key.container),
            previous: log.key.previous,
            main: log.main,
            ended: log.ended,
            first_at: log.first_at.map(Timestamp::as_microsecond),
            last_at: log.last_at.map(Timestamp::as_microsecond),
            read_at: log.read_at.as_microsecond(),
            original_bytes: signed(log.original_bytes),
            kept_bytes: signed(log.kept_bytes),
            head_bytes: signed(log.head_bytes),
            omitted_lines: signed(log.omitted_lines),
            problem: free_text(&log.problem),
        }
    }

    fn into_log(self) -> Result<ArchivedLog, StoreError> {
        let row = Origin { table: Self::TABLE, id: &self.job_id };
        let count = |column, number: i64| row.get(column, u64::try_from(number).ok());
        let time = |column, at: Option<i64>| at.map(|at| row.time(column, at)).transpose();
        Ok(ArchivedLog {
            key: LogKey {
                cluster: self.cluster,
                role: self.role,
                pod: self.pod,
                container: self.container,
                previous: self.previous,
            },
            main: self.main,
            ended: self.ended,
            first_at: time("first_at", self.first_at)?,
            last_at: time("last_at", self.last_at)?,
            read_at: row.time("read_at", self.read_at)?,
            original_bytes: count("original_bytes", self.original_bytes)?,
            kept_bytes: count("kept_bytes", self.kept_bytes)?,
            head_bytes: count("head_bytes", self.head_bytes)?,
            omitted_lines: count("omitted_lines", self.omitted_lines)?,
            problem: self.problem,
        })
    }
}

/// [`LogArchive::request`], also as a part of other writes.
pub(crate) struct Request {
    job_id: String,
    now: i64,
}

impl Request {
    /// What a change of a job asks for: the logs of a run that was applied and is over now.
    pub(crate) fn of_change(after: &JobRow) -> Option<Self> {
        // Only the change that ends the run dates its end; a later one finds the row there.
        let over = after.finished_at.is_some() && after.submitted_at.is_some();
        over.then(|| Self { job_id: after.id.clone(), now: after.updated_at })
    }
}

#[trait_gen(Db -> Postgres, Sqlite)]
#[async_trait]
impl Write<Db> for Request {
    type Answer = ();

    async fn run(
        &self,
        connection: &mut <Db as Database>::Connection,
    ) -> Result<Outcome<()>, StoreError> {
        sqlx::query(
            "INSERT INTO log_archives (job_id, requested_at, not_before) \
             VALUES ($1, $2, $2) \
             ON CONFLICT (job_id) DO NOTHING",
        )
        .bind(&self.job_id)
        .bind(self.now)
        .execute(connection)
        .await
        .map_err(error::store)?;
        Ok(Outcome::Keep(()))
    }
}

/// [`LogArchive::due`].
struct Due {
    owner: String,
    now: i64,
    until: i64,
    limit: u32,
}

#[trait_gen(Db -> Postgres, Sqlite)]
#[async_trait]
impl Write<Db> for Due {
    type Answer = Vec<ArchiveTask>;

    async fn run(
        &self,
        connection: &mut <Db as Database>::Connection,
    ) -> Result<Outcome<Vec<ArchiveTask>>, StoreError> {
        // The lease is asked for in the outer WHERE too, as in the claim of intents: the second of
        // two claimers that chose the same rows checks only that again.
        let rows = sqlx::query(
            "UPDATE log_archives SET leased_by = $1, leased_until = $2 \
             WHERE job_id IN ( \
                 SELECT job_id FROM log_archives \
                 WHERE closed_at IS NULL AND not_before <= $3 \
                 AND (leased_by IS NULL OR leased_until <= $3) \
                 ORDER BY attempts, requested_at, job_id \
                 LIMIT $4) \
             AND closed_at IS NULL \
             AND (leased_by IS NULL OR leased_until <= $3) \
             RETURNING job_id, attempts, requested_at",
        )
        .bind(&self.owner)
        .bind(self.until)
        .bind(self.now)
        .bind(i64::from(self.limit))
        .fetch_all(connection)
        .await
        .map_err(error::store)?;
        let tasks = rows.iter().map(|row| rows::read::<TaskRow, _>(row)?.into_task());
        let mut tasks = tasks.collect::<Result<Vec<_>, _>>()?;
        // RETURNING promises no order.
        tasks.sort_by(|a, b| {
            let order = |task: &ArchiveTask| (task.attempts, task.requested_at);
            order(a).cmp(&order(b)).then_with(|| a.job_id.cmp(&b.job_id))
        });
        Ok(Outcome::Keep(tasks))
    }
}

/// [`LogArchive::put_off`].
struct PutOff {
    job_id: String,
    owner: String,
    not_before: i64,
    error: String,
}

#[trait_gen(Db -> Postgres, Sqlite)]
#[async_trait]
impl Write<Db> for PutOff {
    type Answer = ();

    async fn run(
        &self,
        connection: &mut <Db as Database>::Connection,
    ) -> Result<Outcome<()>, StoreError> {
        sqlx::query(
            "UPDATE log_archives SET \
             attempts = attempts + 1, not_before = $3, error = $4, \
             leased_by = NULL, leased_until = NULL \
             WHERE job_id = $1 AND leased_by = $2",
        )
        .bind(&self.job_id)
        .bind(&self.owner)
        .bind(self.not_before)
        .bind(&self.error)
        .execute(connection)
        .await
        .map_err(error::store)?;
        Ok(Outcome::Keep(()))
    }
}

/// [`LogArchive::close`].
struct Close {
    job_id: String,
    now: i64,
}

#[trait_gen(Db -> Postgres, Sqlite)]
#[async_trait]
impl Write<Db> for Close {
    type Answer = ();

    async fn run(
        &self,
        connection: &mut <Db as Database>::Connection,
    ) -> Result<Outcome<()>, StoreError> {
        sqlx::query(
            "UPDATE log_archives SET closed_at = $2, leased_by = NULL, leased_until = NULL \
             WHERE job_id = $1 AND closed_at IS NULL",
        )
        .bind(&self.job_id)
        .bind(self.now)
        .execute(connection)
        .await
        .map_err(error::store)?;
        Ok(Outcome::Keep(()))
    }
}

/// [`LogArchive::keep`].
struct Keep {
    row: LogRow,
    body: Vec<u8>,
}

#[trait_gen(Db -> Postgres, Sqlite)]
#[async_trait]
impl Write<Db> for Keep {
    type Answer = ();

    async fn run(
        &self,
        connection: &mut <Db as Database>::Connection,
    ) -> Result<Outcome<()>, StoreError> {
        let row = &self.row;
        sqlx::query(concat!(
            "INSERT INTO archived_logs (",
            log_columns!(),
            ", body) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) \
             ON CONFLICT (job_id, cluster, role, pod, container, previous) DO UPDATE SET \
             main = excluded.main, ended = excluded.ended, first_at = excluded.first_at, \
             last_at = excluded.last_at, read_at = excluded.read_at, \
             original_bytes = excluded.original_bytes, kept_bytes = excluded.kept_bytes, \
             head_bytes = excluded.head_bytes, omitted_lines = excluded.omitted_lines, \
             problem = excluded.problem, body = excluded.body \
             WHERE excluded.original_bytes >= archived_logs.original_bytes"
        ))
        .bind(&row.job_id)
        .bind(&row.cluster)
        .bind(&row.role)
        .bind(&row.pod)
        .bind(&row.container)
        .bind(row.previous)
        .bind(row.main)
        .bind(row.ended)
        .bind(row.first_at)
        .bind(row.last_at)
        .bind(row.read_at)
        .bind(row.original_bytes)
        .bind(row.kept_bytes)
        .bind(row.head_bytes)
        .bind(row.omitted_lines)
        .bind(&row.problem)
        .bind(&self.body)
        .execute(connection)
        .await
        .map_err(error::store)?;
        Ok(Outcome::Keep(()))
    }
}

/// [`LogArchive::forget`].
struct Forget {
    before: i64,
    limit: u32,
}

#[trait_gen(Db -> Postgres, Sqlite)]
#[async_trait]
impl Write<Db> for Forget {
    type Answer = u64;

    async fn run(
        &self,
        connection: &mut <Db as Database>::Connection,
    ) -> Result<Outcome<u64>, StoreError> {
        // Whole times, because rows have no single key: those that were read at the last of them go
        // together, and those are few.
        let deleted = sqlx::query(
            "DELETE FROM archived_logs \
             WHERE read_at <= ( \
                 SELECT MAX(read_at) FROM ( \
                     SELECT read_at FROM archived_logs \
                     WHERE read_at < $1 \
                     ORDER BY read_at \
                     LIMIT $2) AS oldest)",
        )
        .bind(self.before)
        .bind(i64::from(self.limit))
        .execute(connection)
        .await
        .map_err(error::store)?;
        Ok(Outcome::Keep(deleted.rows_affected()))
    }
}

/// Packs a text. Logs are packed to a tenth; more effort gains little.
fn pack(text: &[u8]) -> Result<Vec<u8>, StoreError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let packed = encoder.write_all(text).and_then(|()| encoder.finish());
    packed.map_err(|error| StoreError::Internal(Box::new(error)))
}

#[trait_gen(B -> PostgresBackend, SqliteBackend)]
#[async_trait]
impl LogArchive for SqlStore<B> {
    async fn request(&self, job: &JobId, now: Timestamp) -> Result<(), StoreError> {
        let (job_id, now) = (job.to_string(), now.as_microsecond());
        self.backend.write(Request { job_id, now }).await?;
        self.ring_archive();
        Ok(())
    }

    async fn due(
        &self,
        owner: &str,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<ArchiveTask>, StoreError> {
        // A host at rest asks often and must not write.
        let any: bool = sqlx::query_scalar(
            "SELECT EXISTS ( \
                 SELECT 1 FROM log_archives \
                 WHERE closed_at IS NULL AND not_before <= $1 \
                 AND (leased_by IS NULL OR leased_until <= $1))",
        )
        .bind(now.as_microsecond())
        .fetch_one(self.backend.reading())
        .await
        .map_err(error::store)?;
        if !any {
            return Ok(Vec::new());
        }
        let until = (now + lease).as_microsecond();
        let (owner, now) = (owner.to_owned(), now.as_microsecond());
        self.backend.write(Due { owner, now, until, limit }).await
    }

    async fn put_off(
        &self,
        job: &JobId,
        owner: &str,
        not_before: Timestamp,
        error: &str,
    ) -> Result<(), StoreError> {
        let not_before = not_before.as_microsecond();
        let (job_id, owner, error) = (job.to_string(), owner.to_owned(), free_text(error));
        self.backend.write(PutOff { job_id, owner, not_before, error }).await
    }

    async fn close(&self, job: &JobId, now: Timestamp) -> Result<(), StoreError> {
        let (job_id, now) = (job.to_string(), now.as_microsecond());
        self.backend.write(Close { job_id, now }).await
    }

    async fn state(&self, job: &JobId) -> Result<ArchiveState, StoreError> {
        let row =
            sqlx::query("SELECT job_id, attempts, closed_at FROM log_archives WHERE job_id = $1")
                .bind(job.as_str())
                .fetch_optional(self.backend.reading())
                .await
                .map_err(error::store)?;
        let Some(row) = row else { return Ok(ArchiveState::Absent) };
        let row = rows::read::<StateRow, _>(&row)?;
        let origin = Origin { table: StateRow::TABLE, id: &row.job_id };
        Ok(match row.closed_at {
            Some(_) => ArchiveState::Closed,
            None => ArchiveState::Open { attempts: attempts(&origin, row.attempts)? },
        })
    }

    async fn keep(&self, job: &JobId, log: &ArchivedLog, text: &[u8]) -> Result<(), StoreError> {
        let row = LogRow::new(job, log);
        self.backend.write(Keep { row, body: pack(text)? }).await
    }

    async fn kept(&self, job: &JobId) -> Result<Vec<ArchivedLog>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            log_columns!(),
            " FROM archived_logs \
             WHERE job_id = $1 \
             ORDER BY cluster, role, pod, container, previous"
        ))
        .bind(job.as_str())
        .fetch_all(self.backend.reading())
        .await
        .map_err(error::store)?;
        rows.iter().map(|row| rows::read::<LogRow, _>(row)?.into_log()).collect()
    }

    async fn text(
        &self,
        job: &JobId,
        key: &LogKey,
    ) -> Result<Option<Box<dyn BufRead + Send>>, StoreError> {
        let body: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT body FROM archived_logs \
             WHERE job_id = $1 AND cluster = $2 AND role = $3 AND pod = $4 AND container = $5 \
             AND previous = $6 AND kept_bytes > 0",
        )
        .bind(job.as_str())
        .bind(free_text(&key.cluster))
        .bind(free_text(&key.role))
        .bind(free_text(&key.pod))
        .bind(free_text(&key.container))
        .bind(key.previous)
        .fetch_optional(self.backend.reading())
        .await
        .map_err(error::store)?;
        Ok(body.map(|body| -> Box<dyn BufRead + Send> {
            Box::new(BufReader::new(MultiGzDecoder::new(Cursor::new(body))))
        }))
    }

    async fn forget(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let before = before.as_microsecond();
        let any: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM archived_logs WHERE read_at < $1)")
                .bind(before)
                .fetch_one(self.backend.reading())
                .await
                .map_err(error::store)?;
        if any { self.backend.write(Forget { before, limit }).await } else { Ok(0) }
    }

    fn archive_hint(&self) -> Arc<Notify> {
        Arc::clone(&self.archive_hint)
    }
}
