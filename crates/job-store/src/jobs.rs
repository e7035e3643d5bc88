//! Jobs and their bundles: submission, and the reads.

use async_trait::async_trait;
use conditional_trait_gen::trait_gen;
use sqlx::{Database, Postgres, QueryBuilder, Sqlite};
use training::intent::IntentKind;
use training::job::Job;
use training::manifest::{Bundle, ObjectRef};
use training::phase::Lifecycle;
use training::ports::{Idempotency, Inserted, ListQuery, NewJob, StoreError};
use training::{JobId, Timestamp};

use crate::backend::postgres::PostgresBackend;
use crate::backend::sqlite::SqliteBackend;
use crate::backend::{Backend, Outcome, Write};
use crate::dialect::Dialect;
use crate::error;
use crate::events::{self, Line};
use crate::intents;
use crate::rows::{self, BundleRow, JobRow, KeyRow, job_columns};
use crate::store::SqlStore;

/// How long a key is kept at least, in microseconds: 24 hours. It is kept longer for a job that
/// is not proven gone, so a late duplicate can never make a second run of it.
const KEY_LIFE: i64 = 24 * 3600 * 1_000_000;

/// Places that are looked for in one statement.
const PLACES: usize = 256;

/// [`training::ports::JobStore::insert`].
pub(crate) struct Insert {
    id: JobId,
    row: JobRow,
    bundle: String,
    bundle_digest: String,
    line: Line,
    idempotency: Option<Idempotency>,
}

impl Insert {
    pub(crate) fn new(new: &NewJob) -> Result<Self, StoreError> {
        Ok(Self {
            id: new.job.id.clone(),
            row: JobRow::from_job(&new.job)?,
            bundle: new.bundle.to_text(),
            bundle_digest: new.bundle.digest().to_string(),
            line: Line::new(&new.event),
            idempotency: new.idempotency.clone(),
        })
    }
}

/// The places of [`job_columns`] in a query.
macro_rules! job_values {
    () => {
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, \
         $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, \
         $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51"
    };
}
pub(crate) use job_values;

/// Binds `$1` to `$51` to the columns of a [`JobRow`].
macro_rules! bind_job {
    ($query:expr, $row:expr) => {
        $query
            .bind(&$row.id)
            .bind(&$row.namespace)
            .bind(&$row.name)
            .bind(&$row.algorithm)
            .bind($row.priority)
            .bind(&$row.request)
            .bind(&$row.target_clusters)
            .bind(&$row.spread)
            .bind($row.max_runtime_seconds)
            .bind($row.demand_cpu_millis)
            .bind($row.demand_memory_bytes)
            .bind($row.demand_gpus)
            .bind(&$row.workload_api_version)
            .bind(&$row.workload_kind)
            .bind(&$row.plugin_name)
            .bind(&$row.plugin_version)
            .bind(&$row.plugin_digest)
            .bind(&$row.schema_digest)
            .bind(&$row.bundle_digest)
            .bind(&$row.host_version)
            .bind($row.created_at)
            .bind($row.version)
            .bind(&$row.phase)
            .bind(&$row.lifecycle)
            .bind(&$row.desired)
            .bind(&$row.reason)
            .bind(&$row.message)
            .bind(&$row.failure)
            .bind($row.progress)
            .bind(&$row.last_known)
            .bind($row.stale_since)
            .bind(&$row.placement)
            .bind(&$row.workload_uid)
            .bind($row.missing_since)
            .bind($row.delete_volumes)
            .bind($row.updated_at)
            .bind($row.submitted_at)
            .bind($row.started_at)
            .bind($row.finished_at)
            .bind($row.deleted_at)
            .bind(&$row.settings)
            .bind(&$row.input_digest)
            .bind(&$row.plan_digest)
            .bind($row.max_pending_seconds)
            .bind($row.attempt)
            .bind(&$row.first_attempt)
            .bind($row.suspend)
            .bind(&$row.abandoned)
            .bind($row.pending_since)
            .bind($row.run_began)
            .bind($row.restarts)
    };
}

#[trait_gen(Db -> Postgres, Sqlite)]
#[async_trait]
impl Write<Db> for Insert {
    type Answer = Inserted;

    const SHORT_WAY: bool = true;

    async fn run(
        &self,
        connection: &mut <Db as Database>::Connection,
    ) -> Result<Outcome<Inserted>, StoreError> {
        // The key comes first: the answer to a repeated request is its job, although that job
        // holds the name too.
        if let Some(idempotency) = &self.idempotency {
            let taken = crate::jobs::Keys::<Db>::take(
                &mut *connection,
                idempotency,
                self.id.as_str(),
                self.row.created_at,
            )
            .await?;
            if let Some(answer) = taken {
                return Ok(Outcome::Undo(answer));
            }
        }
        let row = &self.row;
        // No error on a taken name: an error would end the whole transaction on PostgreSQL.
        let insert = concat!(
            "INSERT INTO jobs (",
            job_columns!(),
            ") VALUES (",
            job_values!(),
            ") ON CONFLICT (namespace, name) WHERE lifecycle <> 'Deleted' DO NOTHING"
        );
        let inserted = bind_job!(sqlx::query(insert), row)
            .execute(&mut *connection)
            .await
            .map_err(error::store)?;
        if inserted.rows_affected() == 0 {
            let holder: Option<String> = sqlx::query_scalar(
                "SELECT id FROM jobs \
                 WHERE namespace = $1 AND name = $2 AND lifecycle <> 'Deleted'",
            )
            .bind(&row.namespace)
            .bind(&row.name)
            .fetch_optional(&mut *connection)
            .await
            .map_err(error::store)?;
            return match holder.and_then(|id| JobId::parse(id).ok()) {
                Some(id) => Ok(Outcome::Undo(Inserted::NameTaken(id))),
                // The holder went between the two statements.
                None => Err(error::not_accepting("the name has just become free")),
            };
        }
        sqlx::query("INSERT INTO bundles (job_id, digest, body) VALUES ($1, $2, $3)")
            .bind(&row.id)
            .bind(&self.bundle_digest)
            .bind(&self.bundle)
            .execute(&mut *connection)
            .await
            .map_err(error::store)?;
        events::Events::<Db>::first(&mut *connection, row, &self.line).await?;
        intents::Queue::<Db>::enqueue(&mut *connection, row, IntentKind::Apply).await?;
        Ok(Outcome::Keep(Inserted::New))
    }

    async fn run_at_once(
        &self,
        connection: &mut <Db as Database>::Connection,
    ) -> Result<Inserted, sqlx::Error> {
        let row = &self.row;
        let key = self.idempotency.as_ref();
        let query = sqlx::query(<Db as Dialect>::INSERT);
        let query = bind_job!(query, row)
            .bind(&self.bundle_digest)
            .bind(&self.bundle)
            .bind(self.line.kind())
            .bind(self.line.actor())
            .bind(self.line.evidence())
            .bind(key.map(|each| each.key.as_str()))
            .bind(key.map(|each| each.fingerprint.to_string()));
        query.execute(connection).await.map(|_| Inserted::New)
    }

    async fn confirm(&self, connection: &mut <Db as Database>::Connection) -> Option<Inserted> {
        // The id is ours alone: a row under it is our commit.
        sqlx::query_scalar::<_, String>("SELECT id FROM jobs WHERE id = $1")
            .bind(&self.row.id)
            .fetch_optional(connection)
            .await
            .ok()
            .flatten()
            .map(|_| Inserted::New)
    }
}

/// The statements on `idempotency_keys` for one database.
struct Keys<DB>(std::marker::PhantomData<DB>);

#[trait_gen(Db -> Postgres, Sqlite)]
impl Keys<Db> {
    /// Takes the key for a new job, or says what became of the request that has it.
    async fn take(
        connection: &mut <Db as Database>::Connection,
        idempotency: &Idempotency,
        job_id: &str,
        now: i64,
    ) -> Result<Option<Inserted>, StoreError> {
        sqlx::query(
            "DELETE FROM idempotency_keys \
             WHERE key = $1 AND created_at <= $2 \
             AND job_id IN (SELECT id FROM jobs WHERE lifecycle = 'Deleted')",
        )
        .bind(&idempotency.key)
        .bind(now - KEY_LIFE)
        .execute(&mut *connection)
        .await
        .map_err(error::store)?;
        let fingerprint = idempotency.fingerprint.to_string();
        // Waits for another transaction that is taking the same key.
        let taken = sqlx::query(
            "INSERT INTO idempotency_keys (key, fingerprint, job_id, created_at) \
             VALUES ($1, $2, $3, $4) \
             ON CONFLICT (key) DO NOTHING",
        )
        .bind(&idempotency.key)
        .bind(&fingerprint)
        .bind(job_id)
        .bind(now)
        .execute(&mut *connection)
        .await
        .map_err(error::store)?;
        if taken.rows_affected() == 1 {
            return Ok(None);
        }
        let row =
            sqlx::query("SELECT key, fingerprint, job_id FROM idempotency_keys WHERE key = $1")
                .bind(&idempotency.key)
                .fetch_optional(&mut *connection)
                .await
                .map_err(error::store)?
                .ok_or_else(|| error::not_accepting("the key has just become free"))?;
        let key: KeyRow = rows::read(&row)?;
        if key.fingerprint == fingerprint {
            Ok(Some(Inserted::SameAs(key.job_id()?)))
        } else {
            Ok(Some(Inserted::KeyReused))
        }
    }
}

#[trait_gen(B -> PostgresBackend, SqliteBackend)]
impl SqlStore<B> {
    pub(crate) async fn find_job(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", job_columns!(), " FROM jobs WHERE id = $1"))
            .bind(id.as_str())
            .fetch_optional(self.backend.reading())
            .await
            .map_err(error::store)?;
        row.map(|row| rows::read::<JobRow, _>(&row)?.into_job()).transpose()
    }

    pub(crate) async fn find_repeated_job(
        &self,
        key: &Idempotency,
        now: Timestamp,
    ) -> Result<Option<Job>, StoreError> {
        let id: Option<String> = sqlx::query_scalar(
            "SELECT job_id FROM idempotency_keys \
             WHERE key = $1 AND fingerprint = $2 AND (created_at > $3 \
             OR job_id IN (SELECT id FROM jobs WHERE lifecycle <> 'Deleted'))",
        )
        .bind(&key.key)
        .bind(key.fingerprint.to_string())
        .bind(now.as_microsecond() - KEY_LIFE)
        .fetch_optional(self.backend.reading())
        .await
        .map_err(error::store)?;
        match id.and_then(|id| JobId::parse(id).ok()) {
            Some(id) => self.find_job(&id).await,
            None => Ok(None),
        }
    }

    pub(crate) async fn list_jobs(&self, query: &ListQuery) -> Result<Vec<Job>, StoreError> {
        let rows = list_query::<<B as Backend>::Db>(query)
            .build()
            .fetch_all(self.backend.reading())
            .await
            .map_err(error::store)?;
        rows.iter().map(|row| rows::read::<JobRow, _>(row)?.into_job()).collect()
    }

    pub(crate) async fn observed_jobs(
        &self,
        after: Option<&(Timestamp, JobId)>,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        // Every id is greater than the empty text.
        let (at, id) = after.map_or((i64::MIN, ""), |(at, id)| (at.as_microsecond(), id.as_str()));
        let rows = sqlx::query(concat!(
            "SELECT ",
            job_columns!(),
            " FROM jobs \
             WHERE lifecycle = 'Active' \
             AND phase IN ('Submitted', 'Running', 'Suspended', 'Unknown') \
             AND (created_at, id) > ($1, $2) ORDER BY created_at, id LIMIT $3"
        ))
        .bind(at)
        .bind(id)
        .bind(i64::from(limit))
        .fetch_all(self.backend.reading())
        .await
        .map_err(error::store)?;
        rows.iter().map(|row| rows::read::<JobRow, _>(row)?.into_job()).collect()
    }

    pub(crate) async fn observed_jobs_among(
        &self,
        workloads: &[ObjectRef],
    ) -> Result<Vec<Job>, StoreError> {
        let which = "phase IN ('Submitted', 'Running', 'Suspended', 'Unknown')";
        self.active_jobs_among(which, workloads).await
    }

    pub(crate) async fn jobs_at_rest_among(
        &self,
        workloads: &[ObjectRef],
    ) -> Result<Vec<Job>, StoreError> {
        let which = "phase IN ('Succeeded', 'Failed', 'TimedOut') AND desired = 'Run' \
                     AND workload_uid IS NOT NULL";
        self.active_jobs_among(which, workloads).await
    }

    async fn active_jobs_among(
        &self,
        which: &'static str,
        workloads: &[ObjectRef],
    ) -> Result<Vec<Job>, StoreError> {
        let mut places: Vec<(&str, &str)> =
            workloads.iter().map(|object| (&*object.namespace, &*object.name)).collect();
        places.sort_unstable();
        places.dedup();
        let mut jobs = Vec::new();
        for part in places.chunks(PLACES) {
            let mut sql = QueryBuilder::<<B as Backend>::Db>::new(concat!(
                "SELECT ",
                job_columns!(),
                " FROM jobs WHERE lifecycle <> 'Deleted' AND lifecycle = 'Active' AND "
            ));
            sql.push(which).push(" AND (namespace, name) IN ");
            sql.push_tuples(part, |mut tuple, (namespace, name)| {
                tuple.push_bind((*namespace).to_owned()).push_bind((*name).to_owned());
            });
            let rows = sql.build().fetch_all(self.backend.reading()).await.map_err(error::store)?;
            for row in &rows {
                jobs.push(rows::read::<JobRow, _>(row)?.into_job()?);
            }
        }
        Ok(jobs)
    }

    pub(crate) async fn finished_jobs(
        &self,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<JobId>, StoreError> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM jobs \
             WHERE lifecycle = 'Active' AND finished_at IS NOT NULL AND finished_at <= $1 \
             ORDER BY finished_at LIMIT $2",
        )
        .bind(until.as_microsecond())
        .bind(i64::from(limit))
        .fetch_all(self.backend.reading())
        .await
        .map_err(error::store)?;
        let corrupt =
            |id: &String| StoreError::Corrupt { table: "jobs", column: "id", id: id.clone() };
        ids.into_iter().map(|id| JobId::parse(id.clone()).map_err(|_| corrupt(&id))).collect()
    }

    pub(crate) async fn find_bundle(&self, id: &JobId) -> Result<Option<Bundle>, StoreError> {
        let row = sqlx::query("SELECT job_id, digest, body FROM bundles WHERE job_id = $1")
            .bind(id.as_str())
            .fetch_optional(self.backend.reading())
            .await
            .map_err(error::store)?;
        row.map(|row| rows::read::<BundleRow, _>(&row)?.into_bundle()).transpose()
    }
}

/// The text of [`training::ports::JobStore::list`] for these filters.
fn list_query<DB: Database>(query: &ListQuery) -> QueryBuilder<DB>
where
    for<'q> String: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
    for<'q> i64: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
    for<'q> &'static str: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
{
    debug_assert_eq!(Lifecycle::Deleted.as_str(), "Deleted", "the index has the word too");
    let mut sql = QueryBuilder::<DB>::new(concat!(
        "SELECT ",
        job_columns!(),
        " FROM jobs WHERE lifecycle <> 'Deleted'"
    ));
    if let Some(namespace) = &query.namespace {
        sql.push(" AND namespace = ").push_bind(namespace.clone());
    }
    if let Some(name) = &query.name {
        sql.push(" AND name = ").push_bind(name.clone());
    }
    if let Some(algorithm) = &query.algorithm {
        sql.push(" AND algorithm = ").push_bind(algorithm.clone());
    }
    if !query.phases.is_empty() {
        sql.push(" AND phase IN (");
        let mut phases = sql.separated(", ");
        for phase in &query.phases {
            phases.push_bind(phase.as_str());
        }
        sql.push(")");
    }
    if let Some((created_at, id)) = &query.after {
        sql.push(" AND (created_at, id) < (")
            .push_bind(created_at.as_microsecond())
            .push(", ")
            .push_bind(id.as_str().to_owned())
            .push(")");
    }
    sql.push(" ORDER BY created_at DESC, id DESC");
    if let Some(limit) = query.limit {
        sql.push(" LIMIT ").push_bind(i64::from(limit));
    }
    sql
}
