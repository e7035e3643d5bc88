//! Counts of jobs, for displays.

use std::collections::BTreeMap;

use conditional_trait_gen::trait_gen;
use training::ports::StoreError;
use training::{ClusterName, JobId};

use crate::backend::Backend;
use crate::backend::postgres::PostgresBackend;
use crate::backend::sqlite::SqliteBackend;
use crate::dialect::Dialect;
use crate::error;
use crate::store::SqlStore;

#[trait_gen(B -> PostgresBackend, SqliteBackend)]
impl SqlStore<B> {
    pub(crate) async fn count_jobs_by_cluster(
        &self,
    ) -> Result<Vec<(ClusterName, u64)>, StoreError> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as(<<B as Backend>::Db as Dialect>::COUNT_BY_CLUSTERS)
                .fetch_all(self.backend.reading())
                .await
                .map_err(error::store)?;
        summed(rows)
    }

    pub(crate) async fn count_ahead(&self, id: &JobId) -> Result<Option<u64>, StoreError> {
        // Also what already runs may have an intent to be applied: to be held back.
        let ahead: Option<i64> = sqlx::query_scalar(
            "SELECT ( \
                 SELECT COUNT(*) FROM intents AS other \
                 JOIN jobs ON jobs.id = other.job_id AND jobs.phase = 'Queued' \
                 WHERE other.kind = 'apply' AND (other.priority > mine.priority \
                     OR (other.priority = mine.priority AND other.id < mine.id))) \
             FROM intents AS mine JOIN jobs ON jobs.id = mine.job_id AND jobs.phase = 'Queued' \
             WHERE mine.job_id = $1 AND mine.kind = 'apply'",
        )
        .bind(id.as_str())
        .fetch_optional(self.backend.reading())
        .await
        .map_err(error::store)?;
        Ok(ahead.map(|count| u64::try_from(count).unwrap_or_default()))
    }
}

/// A job on several clusters counts on each of them.
fn summed(rows: Vec<(String, i64)>) -> Result<Vec<(ClusterName, u64)>, StoreError> {
    let mut counts: BTreeMap<ClusterName, u64> = BTreeMap::new();
    for (clusters, jobs) in rows {
        let unreadable =
            || StoreError::Corrupt { table: "jobs", column: "placement", id: clusters.clone() };
        let names: Vec<String> = serde_json::from_str(&clusters).map_err(|_| unreadable())?;
        for name in names {
            let name = ClusterName::parse(name).map_err(|_| unreadable())?;
            let count = counts.entry(name).or_default();
            *count = count.saturating_add(u64::try_from(jobs).unwrap_or_default());
        }
    }
    Ok(counts.into_iter().collect())
}
