//! Stored jobs for programs that look back: a session that cannot write, never migrates, takes no
//! lock, and works beside a host that serves. Reads deleted jobs, too: their rows are the history.

use std::str::FromStr;
use std::time::Duration;

use conditional_trait_gen::trait_gen;
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Database, Pool, Postgres, QueryBuilder, Row as _, Sqlite};
use training::JobId;
use training::clock::Timestamp;
use training::job::Job;
use training::manifest::Bundle;
use training::ports::StoreError;

use crate::rows::{self, BundleRow, JobRow};
use crate::{ConnectError, DatabaseUrl, error};

/// Longest wait for the database. Nobody waits for an answer but the one who asked.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// One stored job with what was made of it.
#[derive(Debug, Clone)]
pub struct StoredJob {
    /// Its row.
    pub job: Job,
    /// Its frozen manifests.
    pub bundle: Bundle,
    /// The operator's settings it was converted with; `None` for rows of releases that did not
    /// keep them.
    pub settings: Option<Value>,
}

/// Which jobs to read.
#[derive(Debug, Clone, Default)]
pub struct HistoryQuery {
    /// Only this namespace.
    pub namespace: Option<String>,
    /// Only these algorithms; empty for all.
    pub algorithms: Vec<String>,
    /// Only jobs after this one in the order of reading: its creation time and id.
    pub after: Option<(Timestamp, JobId)>,
    /// At most so many.
    pub limit: u32,
}

/// An open read-only session.
#[derive(Debug)]
pub struct History(Session);

#[derive(Debug)]
enum Session {
    Postgres(Reader<Postgres>),
    Sqlite(Reader<Sqlite>),
}

#[derive(Debug)]
struct Reader<DB: Database> {
    pool: Pool<DB>,
    /// Whether `jobs` has a column with the settings of each job.
    has_settings: bool,
}

impl History {
    /// Opens the database. An SQLite file must exist.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, ConnectError> {
        let session = match url.scheme() {
            "postgres" | "postgresql" => Session::Postgres(Reader::from(postgres(url).await?)),
            "sqlite" => Session::Sqlite(Reader::from(sqlite(url).await?)),
            scheme => return Err(ConnectError::UnknownScheme { scheme: scheme.to_owned() }),
        };
        let session = match session {
            Session::Postgres(reader) => Session::Postgres(reader.probed().await),
            Session::Sqlite(reader) => Session::Sqlite(reader.probed().await),
        };
        Ok(Self(session))
    }

    /// Reads jobs, newest first by creation time, then by id descending.
    pub async fn jobs(&self, query: &HistoryQuery) -> Result<Vec<StoredJob>, StoreError> {
        match &self.0 {
            Session::Postgres(reader) => reader.jobs(query).await,
            Session::Sqlite(reader) => reader.jobs(query).await,
        }
    }

    /// Ends the session.
    pub async fn close(self) {
        match self.0 {
            Session::Postgres(reader) => reader.pool.close().await,
            Session::Sqlite(reader) => reader.pool.close().await,
        }
    }
}

impl<DB: Database> From<Pool<DB>> for Reader<DB> {
    fn from(pool: Pool<DB>) -> Self {
        Self { pool, has_settings: false }
    }
}

async fn postgres(url: &DatabaseUrl) -> Result<Pool<Postgres>, ConnectError> {
    let options = PgConnectOptions::from_str(&url.0)
        .map_err(|_| ConnectError::MalformedUrl)?
        .application_name("trainyard-history")
        // The server refuses every write of this session.
        .options([("default_transaction_read_only", "on"), ("statement_timeout", "60s")]);
    PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(CONNECT_TIMEOUT)
        .connect_with(options)
        .await
        .map_err(ConnectError::unreachable)
}

async fn sqlite(url: &DatabaseUrl) -> Result<Pool<Sqlite>, ConnectError> {
    let options = SqliteConnectOptions::from_str(&url.0)
        .map_err(|_| ConnectError::MalformedUrl)?
        .read_only(true)
        .create_if_missing(false)
        .pragma("query_only", "ON");
    SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(CONNECT_TIMEOUT)
        .connect_with(options)
        .await
        .map_err(ConnectError::unreachable)
}

/// The query for the rows of `jobs`, whichever columns it has.
fn select<DB: Database>(query: &HistoryQuery) -> QueryBuilder<DB>
where
    for<'q> String: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
    for<'q> i64: sqlx::Encode<'q, DB> + sqlx::Type<DB>,
{
    // Every column there is: what an older schema lacks takes its default.
    let mut sql = QueryBuilder::<DB>::new("SELECT * FROM jobs WHERE 1 = 1");
    if let Some(namespace) = &query.namespace {
        sql.push(" AND namespace = ").push_bind(namespace.clone());
    }
    if !query.algorithms.is_empty() {
        sql.push(" AND algorithm IN (");
        let mut names = sql.separated(", ");
        for name in &query.algorithms {
            names.push_bind(name.clone());
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
    sql.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(i64::from(query.limit));
    sql
}

#[trait_gen(Db -> Postgres, Sqlite)]
impl Reader<Db> {
    /// Looks whether the schema keeps settings. A session must not migrate, so older schemas are
    /// read as they are.
    async fn probed(self) -> Self {
        let probe = sqlx::query("SELECT settings FROM jobs LIMIT 0").execute(&self.pool).await;
        Self { has_settings: probe.is_ok(), ..self }
    }

    async fn jobs(&self, query: &HistoryQuery) -> Result<Vec<StoredJob>, StoreError> {
        let rows = select::<Db>(query).build().fetch_all(&self.pool).await.map_err(error::store)?;
        let mut stored = Vec::with_capacity(rows.len());
        for row in &rows {
            let job = rows::read::<JobRow, _>(row)?.into_job()?;
            let corrupt = |table, column| StoreError::Corrupt {
                table,
                column,
                id: job.id.as_str().to_owned(),
            };
            let bundle = sqlx::query("SELECT job_id, digest, body FROM bundles WHERE job_id = $1")
                .bind(job.id.as_str())
                .fetch_optional(&self.pool)
                .await
                .map_err(error::store)?
                .ok_or_else(|| corrupt("bundles", "job_id"))?;
            let bundle = rows::read::<BundleRow, _>(&bundle)?.into_bundle()?;
            let settings = self.settings(&job.id).await?;
            stored.push(StoredJob { job, bundle, settings });
        }
        Ok(stored)
    }

    async fn settings(&self, id: &JobId) -> Result<Option<Value>, StoreError> {
        if !self.has_settings {
            return Ok(None);
        }
        let row = sqlx::query("SELECT settings FROM jobs WHERE id = $1")
            .bind(id.as_str())
            .fetch_one(&self.pool)
            .await
            .map_err(error::store)?;
        let unreadable = || StoreError::Corrupt {
            table: "jobs",
            column: "settings",
            id: id.as_str().to_owned(),
        };
        let text: Option<String> = row.try_get(0).map_err(|_| unreadable())?;
        text.filter(|text| !text.is_empty())
            .map(|text| serde_json::from_str(&text).map_err(|_| unreadable()))
            .transpose()
    }
}
