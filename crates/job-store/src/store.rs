//! [`JobStore`] on one of the databases: hands reads to the pool and writes to the backend, and
//! rings the hint.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use conditional_trait_gen::trait_gen;
use tokio::sync::Notify;
use training::clock::Clock;
use training::intent::{Claimed, IntentKind};
use training::job::{Event, Job, NewEvent};
use training::manifest::{Bundle, ObjectRef};
use training::ports::{
    Effects, Idempotency, Inserted, JobStore, ListQuery, Moved, NewJob, StoreError,
};
use training::{ClusterName, IdSource, JobId, Timestamp};

use crate::backend::Backend;
use crate::backend::postgres::PostgresBackend;
use crate::backend::sqlite::SqliteBackend;
use crate::clock::StoreClock;
use crate::intents::{Claim, Postpone, Settle, Wake};
use crate::jobs::Insert;
use crate::transition::Transition;
use crate::{ConnectError, error, migrate};

/// Ends a store, whichever it is.
#[async_trait]
pub(crate) trait Close: Send + Sync {
    async fn close(&self);

    /// Tells the time of the database.
    fn clock(&self) -> Arc<dyn Clock>;
}

/// A store on the database of `B`.
pub(crate) struct SqlStore<B> {
    pub(crate) backend: B,
    hint: Arc<Notify>,
    pub(crate) archive_hint: Arc<Notify>,
    /// Dates kept components: who compiles one has no clock.
    pub(crate) clock: Arc<StoreClock>,
}

impl<B> SqlStore<B> {
    /// Wakes whoever listens, or the next one who does: a hint is not lost to a listener that is
    /// busy. PostgreSQL's NOTIFY is left out on purpose: it makes all commits that use it wait for
    /// each other, and another host's timer finds the intent too.
    fn ring(&self) {
        self.hint.notify_waiters();
        self.hint.notify_one();
    }

    /// The same for whoever fetches logs.
    pub(crate) fn ring_archive(&self) {
        self.archive_hint.notify_waiters();
        self.archive_hint.notify_one();
    }
}

#[async_trait]
impl<B: Backend> Close for SqlStore<B> {
    async fn close(&self) {
        self.backend.close().await;
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }
}

#[trait_gen(B -> PostgresBackend, SqliteBackend)]
impl SqlStore<B> {
    /// Takes the migrated database into use.
    pub(crate) async fn open(backend: B, ids: &dyn IdSource) -> Result<Self, ConnectError> {
        let store = Self {
            backend,
            hint: Arc::default(),
            archive_hint: Arc::default(),
            clock: Arc::default(),
        };
        store.adopt(ids).await.inspect_err(|_| {
            tracing::debug!("The database answers but cannot be used");
        })?;
        Ok(store)
    }

    async fn adopt(&self, ids: &dyn IdSource) -> Result<(), ConnectError> {
        let origin = format!("{:08x}{:08x}", ids.next(), ids.next());
        self.backend
            .write(crate::store::Adopt { origin })
            .await
            .map_err(ConnectError::unreachable)?;
        let needed: i64 = sqlx::query_scalar("SELECT schema_floor FROM installation WHERE id = 1")
            .fetch_one(self.backend.reading())
            .await
            .map_err(ConnectError::unreachable)?;
        let known = migrate::newest::<<<B as Backend>::Db as sqlx::Database>::Connection>();
        if needed > known {
            return Err(ConnectError::SchemaTooNew { needed, known });
        }
        self.ask_time().await.map_err(ConnectError::unreachable)
    }
}

/// Gives a new installation its identity.
struct Adopt {
    origin: String,
}

#[trait_gen(Db -> sqlx::Postgres, sqlx::Sqlite)]
#[async_trait]
impl crate::backend::Write<Db> for Adopt {
    type Answer = ();

    async fn run(
        &self,
        connection: &mut <Db as sqlx::Database>::Connection,
    ) -> Result<crate::backend::Outcome<()>, StoreError> {
        sqlx::query(
            "INSERT INTO installation (id, origin) VALUES (1, $1) ON CONFLICT (id) DO NOTHING",
        )
        .bind(&self.origin)
        .execute(connection)
        .await
        .map_err(error::store)?;
        Ok(crate::backend::Outcome::Keep(()))
    }
}

#[trait_gen(B -> PostgresBackend, SqliteBackend)]
#[async_trait]
impl JobStore for SqlStore<B> {
    async fn ping(&self) -> Result<(), StoreError> {
        self.ask_time().await?;
        self.origin().await.map(drop)
    }

    async fn origin(&self) -> Result<String, StoreError> {
        sqlx::query_scalar("SELECT origin FROM installation WHERE id = 1")
            .fetch_one(self.backend.reading())
            .await
            .map_err(error::store)
    }

    async fn insert(&self, new: &NewJob) -> Result<Inserted, StoreError> {
        let inserted = self.backend.write(Insert::new(new)?).await?;
        if inserted == Inserted::New {
            self.ring();
        }
        Ok(inserted)
    }

    async fn find_repeated(
        &self,
        key: &Idempotency,
        now: Timestamp,
    ) -> Result<Option<Job>, StoreError> {
        self.find_repeated_job(key, now).await
    }

    async fn find(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        self.find_job(id).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Vec<Job>, StoreError> {
        self.list_jobs(query).await
    }

    async fn observed(
        &self,
        after: Option<&(Timestamp, JobId)>,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        self.observed_jobs(after, limit).await
    }

    async fn observed_among(&self, workloads: &[ObjectRef]) -> Result<Vec<Job>, StoreError> {
        self.observed_jobs_among(workloads).await
    }

    async fn at_rest_among(&self, workloads: &[ObjectRef]) -> Result<Vec<Job>, StoreError> {
        self.jobs_at_rest_among(workloads).await
    }

    async fn count_by_cluster(&self) -> Result<Vec<(ClusterName, u64)>, StoreError> {
        self.count_jobs_by_cluster().await
    }

    async fn attempts(&self, first: &JobId) -> Result<Vec<Job>, StoreError> {
        self.list_attempts(first).await
    }

    async fn predecessors(&self, job: &Job, limit: u32) -> Result<Vec<Job>, StoreError> {
        self.list_predecessors(job, limit).await
    }

    async fn finished(&self, until: Timestamp, limit: u32) -> Result<Vec<JobId>, StoreError> {
        self.finished_jobs(until, limit).await
    }

    async fn ahead(&self, id: &JobId) -> Result<Option<u64>, StoreError> {
        self.count_ahead(id).await
    }

    async fn bundle(&self, id: &JobId) -> Result<Option<Bundle>, StoreError> {
        self.find_bundle(id).await
    }

    async fn events(&self, id: &JobId) -> Result<Vec<Event>, StoreError> {
        self.list_events(id).await
    }

    async fn transition(
        &self,
        after: &Job,
        event: &NewEvent,
        effects: &Effects,
    ) -> Result<Moved, StoreError> {
        let moved = self.backend.write(Transition::new(after, event, effects)?).await?;
        if moved == Moved::Done && !effects.enqueue.is_empty() {
            self.ring();
        }
        if moved == Moved::Done && after.finished_at.is_some() {
            self.ring_archive();
        }
        Ok(moved)
    }

    async fn claim(
        &self,
        owner: &str,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<Claimed>, StoreError> {
        let (due, correction) = self.any_due(now).await?;
        if !due && correction.is_zero() {
            return Ok(Vec::new());
        }
        let now = now + correction;
        let owner = owner.to_owned();
        self.backend.write(Claim { owner, now, until: now + lease, limit }).await
    }

    async fn postpone(
        &self,
        id: i64,
        owner: &str,
        not_before: Timestamp,
        error: &str,
    ) -> Result<(), StoreError> {
        self.backend.write(Postpone::new(id, owner, not_before, error)).await
    }

    async fn settle(&self, id: i64, owner: &str) -> Result<(), StoreError> {
        self.backend.write(Settle { id, owner: owner.to_owned() }).await
    }

    async fn wake_intents(
        &self,
        kind: IntentKind,
        now: Timestamp,
        limit: u32,
    ) -> Result<(), StoreError> {
        self.backend.write(Wake { kind, now, limit }).await?;
        self.ring();
        Ok(())
    }

    fn hint(&self) -> Arc<Notify> {
        Arc::clone(&self.hint)
    }
}
