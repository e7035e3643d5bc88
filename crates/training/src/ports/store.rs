//! Where jobs are kept.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::clock::Timestamp;
use crate::id::{ClusterName, JobId, Sha256Digest};
use crate::intent::{Claimed, IntentKind};
use crate::job::{Event, Job, NewEvent};
use crate::manifest::{Bundle, ObjectRef};

/// Why the store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer, is full, or was too slow. Nothing is known to have happened.
    #[error("the job store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A row holds something that this version cannot read.
    #[error("row `{id}` of table `{table}` is unreadable in column `{column}`")]
    Corrupt {
        /// Name of the table.
        table: &'static str,
        /// Name of the column.
        column: &'static str,
        /// Key of the row.
        id: String,
    },
    /// A statement failed in a way that only a programming error explains.
    #[error("the job store refused a statement")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Everything that one submission writes, in one transaction.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// The row, at version 1.
    pub job: Job,
    /// What will be applied.
    pub bundle: Bundle,
    /// The first line of its history.
    pub event: NewEvent,
    /// The client's key, and the hash of what it sent under it.
    pub idempotency: Option<Idempotency>,
}

/// A client's promise that two requests are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The header's value, at most 255 characters.
    pub key: String,
    /// Hash of the request body.
    pub fingerprint: Sha256Digest,
}

/// How an insert ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Inserted {
    /// It is new and durable.
    New,
    /// The same key came with the same body before: this is the job it made then.
    SameAs(JobId),
    /// The same key came with another body before.
    KeyReused,
    /// Another job holds the name in this namespace and is not proven gone.
    NameTaken(JobId),
}

/// How a guarded change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// It is durable.
    Done,
    /// Somebody else changed the job first; read it again.
    Stale,
}

/// What happens to the intents of a job in the transaction of a change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effects {
    /// Intents to record, due at once.
    pub enqueue: Vec<IntentKind>,
    /// A claimed intent that is carried out and goes away.
    pub settle: Option<i64>,
}

/// Which jobs to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListQuery {
    /// Only this namespace.
    pub namespace: Option<String>,
    /// Only jobs of this name; of a namespace that is one at most.
    pub name: Option<String>,
    /// Only these phases; empty for all.
    pub phases: Vec<crate::phase::Phase>,
    /// Only this algorithm.
    pub algorithm: Option<String>,
    /// Only jobs after this one in the list's order: its creation time and id.
    pub after: Option<(Timestamp, JobId)>,
    /// At most so many; `None` for all of them.
    pub limit: Option<u32>,
}

/// Keeps jobs. The only source of truth.
///
/// Every method is one transaction. No method may be called while a control-plane or plugin call
/// of the same task is under way; none holds a connection after it returned.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Whether the database answers and has the schema. Called by the readiness probe.
    async fn ping(&self) -> Result<(), StoreError>;

    /// The identity of this installation, made on first use. Marks every object of ours.
    async fn origin(&self) -> Result<String, StoreError>;

    /// Stores a new job with its bundle, first event, [`IntentKind::Apply`] and idempotency key.
    /// After `Ok(New)` all of it is durable; after an error, nothing or all of it is.
    async fn insert(&self, new: &NewJob) -> Result<Inserted, StoreError>;

    /// The job that the same request made before: same key, same body; also a deleted one, until
    /// the key is forgotten, a day after it came. Answers a repetition without doing its work again;
    /// [`JobStore::insert`] remains the judge.
    async fn find_repeated(
        &self,
        key: &Idempotency,
        now: Timestamp,
    ) -> Result<Option<Job>, StoreError>;

    /// The job with this id, also a deleted one.
    async fn find(&self, id: &JobId) -> Result<Option<Job>, StoreError>;

    /// Jobs that are not deleted, newest first by creation time, then by id descending.
    async fn list(&self, query: &ListQuery) -> Result<Vec<Job>, StoreError>;

    /// Active jobs whose phase [`is_observed`](crate::phase::Phase::is_observed), the oldest `limit`
    /// that were created after this position. Oldest first, then by id.
    async fn observed(
        &self,
        after: Option<&(Timestamp, JobId)>,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError>;

    /// Those of the same jobs whose workloads have the namespaces and names of these. In no order.
    async fn observed_among(&self, workloads: &[ObjectRef]) -> Result<Vec<Job>, StoreError>;

    /// Active jobs that [ended by themselves](crate::decide::is_at_rest) and whose workloads have the
    /// namespaces and names of these. In no order.
    async fn at_rest_among(&self, workloads: &[ObjectRef]) -> Result<Vec<Job>, StoreError>;

    /// How many active jobs each cluster has that were applied there and are not over.
    async fn count_by_cluster(&self) -> Result<Vec<(ClusterName, u64)>, StoreError>;

    /// Every attempt of the work whose first attempt has this id, in their order; deleted ones too.
    async fn attempts(&self, first: &JobId) -> Result<Vec<Job>, StoreError>;

    /// Earlier jobs of this one's namespace and name that were placed, newest first, at most `limit`;
    /// deleted ones too.
    async fn predecessors(&self, job: &Job, limit: u32) -> Result<Vec<Job>, StoreError>;

    /// Active jobs that ended at `until` or before, longest over first, at most `limit`.
    async fn finished(&self, until: Timestamp, limit: u32) -> Result<Vec<JobId>, StoreError>;

    /// How many queued jobs are taken before this one: those of a higher priority, and those of the
    /// same one that were queued earlier. `None` if the job does not wait for its turn.
    async fn ahead(&self, id: &JobId) -> Result<Option<u64>, StoreError>;

    /// The frozen bundle of a job.
    async fn bundle(&self, id: &JobId) -> Result<Option<Bundle>, StoreError>;

    /// A job's history, oldest first.
    async fn events(&self, id: &JobId) -> Result<Vec<Event>, StoreError>;

    /// Replaces the changeable part of the row by `after` if the stored version is still
    /// `after.version`, raises the version by one, appends `event` with that number, and applies
    /// `effects`; all or nothing. The change that ends a run which was applied also asks the
    /// [`LogArchive`](super::LogArchive) for its logs.
    async fn transition(
        &self,
        after: &Job,
        event: &NewEvent,
        effects: &Effects,
    ) -> Result<Moved, StoreError>;

    /// Takes up to `limit` due intents for `lease`, at most one of each job. No two callers hold
    /// intents of the same job at once: a removal must not overtake a write that is under way.
    async fn claim(
        &self,
        owner: &str,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<Claimed>, StoreError>;

    /// Gives a claimed intent back, due again at `not_before`, with one more attempt and the
    /// error as evidence. Does nothing if the lease of `owner` is lost.
    async fn postpone(
        &self,
        id: i64,
        owner: &str,
        not_before: Timestamp,
        error: &str,
    ) -> Result<(), StoreError>;

    /// Drops a claimed intent that has become pointless.
    async fn settle(&self, id: i64, owner: &str) -> Result<(), StoreError>;

    /// Makes postponed intents due now, because something changed that they may have waited for:
    /// those that are claimed first, at most `limit`.
    async fn wake_intents(
        &self,
        kind: IntentKind,
        now: Timestamp,
        limit: u32,
    ) -> Result<(), StoreError>;

    /// Rings when this process wrote an intent. A hint: it may ring for nothing or be missed.
    fn hint(&self) -> Arc<Notify>;
}
