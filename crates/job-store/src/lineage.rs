//! Jobs that belong together: attempts of the same work, and those that had a name before.

use conditional_trait_gen::trait_gen;
use training::JobId;
use training::job::Job;
use training::ports::StoreError;

use crate::backend::Backend as _;
use crate::backend::postgres::PostgresBackend;
use crate::backend::sqlite::SqliteBackend;
use crate::error;
use crate::rows::{self, JobRow, job_columns};
use crate::store::SqlStore;

#[trait_gen(B -> PostgresBackend, SqliteBackend)]
impl SqlStore<B> {
    pub(crate) async fn list_attempts(&self, first: &JobId) -> Result<Vec<Job>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            job_columns!(),
            " FROM jobs WHERE id = $1 OR first_attempt = $1 ORDER BY attempt, id"
        ))
        .bind(first.as_str())
        .fetch_all(self.backend.reading())
        .await
        .map_err(error::store)?;
        rows.iter().map(|row| rows::read::<JobRow, _>(row)?.into_job()).collect()
    }

    pub(crate) async fn list_predecessors(
        &self,
        job: &Job,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            job_columns!(),
            " FROM jobs WHERE namespace = $1 AND name = $2 AND placement IS NOT NULL \
             AND (created_at, id) < ($3, $4) \
             ORDER BY created_at DESC, id DESC LIMIT $5"
        ))
        .bind(job.namespace.as_str())
        .bind(job.name.as_str())
        .bind(job.created_at.as_microsecond())
        .bind(job.id.as_str())
        .bind(i64::from(limit))
        .fetch_all(self.backend.reading())
        .await
        .map_err(error::store)?;
        rows.iter().map(|row| rows::read::<JobRow, _>(row)?.into_job()).collect()
    }
}
