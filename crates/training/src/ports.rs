//! What the use-cases need from the outside, as traits. The adapters (`job-store`,
//! `karmada-client`, `plugin-runtime`) implement them; tests use those of `testing`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Notify;

use crate::clock::Timestamp;
use crate::id::{ClusterName, JobId, PluginDigest, Sha256Digest};
use crate::intent::{Claimed, IntentKind};
use crate::job::{Event, FailureClass, Job, NewEvent};
use crate::manifest::{Bundle, Manifest, ObjectRef};

// ---------------------------------------------------------------------------------------------
// Store

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

    /// The job that the same request made before: same key, same body. Answers a repetition without
    /// doing its work again; [`JobStore::insert`] remains the judge.
    async fn find_repeated(&self, key: &Idempotency) -> Result<Option<Job>, StoreError>;

    /// The job with this id, also a deleted one.
    async fn find(&self, id: &JobId) -> Result<Option<Job>, StoreError>;

    /// Jobs that are not deleted, newest first by creation time, then by id descending.
    async fn list(&self, query: &ListQuery) -> Result<Vec<Job>, StoreError>;

    /// Active jobs whose phase [`is_observed`](crate::phase::Phase::is_observed). Oldest first.
    async fn observed(&self) -> Result<Vec<Job>, StoreError>;

    /// The frozen bundle of a job.
    async fn bundle(&self, id: &JobId) -> Result<Option<Bundle>, StoreError>;

    /// A job's history, oldest first.
    async fn events(&self, id: &JobId) -> Result<Vec<Event>, StoreError>;

    /// Replaces the changeable part of the row by `after` if the stored version is still
    /// `after.version`, raises the version by one, appends `event` with that number, and applies
    /// `effects`; all or nothing.
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

    /// Makes every postponed intent due now: something changed that they may have waited for.
    async fn wake_intents(&self, kind: IntentKind, now: Timestamp) -> Result<(), StoreError>;

    /// Rings when this process wrote an intent. A hint: it may ring for nothing or be missed.
    fn hint(&self) -> Arc<Notify>;
}

// ---------------------------------------------------------------------------------------------
// Plugins

/// A kind that a plugin emits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginKind {
    /// `ray.io/v1`.
    pub api_version: String,
    /// `RayJob`.
    pub kind: String,
    /// `rayjobs`.
    pub plural: String,
    /// Whether it can be the workload.
    pub workload: bool,
    /// Longest allowed name in characters.
    pub max_name_length: u32,
}

/// What a loaded plugin says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginInfo {
    /// Its name.
    pub name: String,
    /// Its semantic version.
    pub version: String,
    /// sha-256 of its component.
    pub digest: PluginDigest,
    /// The names users write; the first is canonical.
    pub algorithms: Vec<String>,
    /// Human name.
    pub title: String,
    /// One sentence.
    pub summary: String,
    /// JSON Schema of the hyperparameters, byte for byte as the plugin wrote it.
    pub schema: String,
    /// sha-256 of `schema`.
    pub schema_digest: Sha256Digest,
    /// JSON Schema of the operator's settings, as the plugin wrote it.
    pub settings_schema: String,
    /// What it may emit.
    pub kinds: Vec<PluginKind>,
    /// Complete example forms.
    pub examples: Vec<Value>,
}

impl PluginInfo {
    /// The canonical algorithm name.
    pub fn algorithm(&self) -> &str {
        self.algorithms.first().map_or(self.name.as_str(), String::as_str)
    }
}

/// One thing that is wrong with a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// RFC 6901 pointer into the form.
    pub pointer: String,
    /// Lower-case hyphenated word for machines.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
}

impl FieldError {
    /// Puts the three together.
    pub fn new(
        pointer: impl Into<String>,
        code: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self { pointer: pointer.into(), code: code.into(), detail: detail.into() }
    }
}

/// A guest's refusal: the user's to fix.
#[derive(Debug, Clone, PartialEq)]
pub enum ConvertRefusal {
    /// Fields are wrong.
    Invalid(Vec<FieldError>),
    /// The form asks for something the plugin does not do.
    Unsupported(String),
}

/// A guest's answer to `convert`, before admission.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversion {
    /// What it wants to create.
    pub manifests: Vec<Manifest>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// A plugin, or the runtime around it, failed. Never the user's fault.
#[derive(Debug, thiserror::Error)]
pub enum PluginFault {
    /// No such plugin is loaded any more.
    #[error("plugin {0} is not loaded")]
    NotLoaded(PluginDigest),
    /// It trapped, broke the contract or reported an internal error.
    #[error("plugin `{plugin}` failed in `{call}`: {detail}")]
    Failed {
        /// Name of the plugin.
        plugin: String,
        /// The exported function.
        call: &'static str,
        /// For operators; not shown to users.
        detail: String,
    },
    /// It ran longer than allowed.
    #[error("plugin `{plugin}` did not finish `{call}` in {limit_ms} ms")]
    TimedOut {
        /// Name of the plugin.
        plugin: String,
        /// The exported function.
        call: &'static str,
        /// The limit.
        limit_ms: u64,
    },
    /// Every sandbox is in use. Try again in a moment.
    #[error("no sandbox is free")]
    Busy,
}

/// The hyperparameters after the plugin's schema saw them.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// With every absent property filled from its default.
    pub hyperparameters: Value,
    /// Violations; pointers start below `/hyperparameters/<algorithm>`, so `""` is the object.
    pub errors: Vec<FieldError>,
}

/// What a plugin is given to convert: the job of the contract. See `wit/converter.wit`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversionInput {
    /// The job's id.
    pub id: JobId,
    /// The form, with prepared hyperparameters.
    pub spec: crate::job::JobSpec,
}

/// One reading of a workload's status by its plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What the workload is doing.
    pub state: RunState,
    /// CamelCase word.
    pub reason: String,
    /// Sentence.
    pub message: String,
    /// 0 to 1.
    pub progress: Option<f32>,
    /// Whose problem a failure is.
    pub failure: FailureClass,
    /// As the cluster reported it.
    pub started_at: Option<Timestamp>,
    /// As the cluster reported it.
    pub finished_at: Option<Timestamp>,
    /// Which pods' logs to read.
    pub logs: Vec<LogTarget>,
}

/// What a workload is doing. Mirrors the plugin contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// The status says nothing understood.
    Unknown,
    /// Accepted, not running.
    Pending,
    /// Running.
    Running,
    /// Held back.
    Suspended,
    /// Over with success.
    Succeeded,
    /// Over without.
    Failed,
}

/// Pods whose logs are worth reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTarget {
    /// `driver`, `head`, `worker`.
    pub role: String,
    /// Kubernetes label selector.
    pub label_selector: String,
    /// Container, if pods have several.
    pub container: Option<String>,
}

/// The loaded plugins.
#[async_trait]
pub trait Plugins: Send + Sync {
    /// The active plugin for an algorithm name or alias.
    fn resolve(&self, algorithm: &str) -> Option<Arc<PluginInfo>>;

    /// Every active plugin, by name.
    fn list(&self) -> Vec<Arc<PluginInfo>>;

    /// Checks hyperparameters against the plugin's schema and fills its defaults. Runs no guest.
    fn prepare(
        &self,
        plugin: &PluginDigest,
        hyperparameters: &Value,
    ) -> Result<Prepared, PluginFault>;

    /// Asks the plugin for rules across fields. Pointers are into the whole form.
    async fn validate(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Vec<FieldError>, PluginFault>;

    /// Converts. The outer error is ours, the inner one the plugin's answer.
    async fn convert(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Result<Conversion, ConvertRefusal>, PluginFault>;

    /// Reads a status. If that digest is not loaded, the active plugin of `algorithm` is asked.
    async fn interpret(
        &self,
        plugin: &PluginDigest,
        algorithm: &str,
        object: &Value,
    ) -> Result<Report, PluginFault>;
}

// ---------------------------------------------------------------------------------------------
// Control plane

/// Why the control plane did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It does not answer, answered 5xx or 429, or was too slow.
    #[error("the Karmada API is unavailable: {message}")]
    Unavailable {
        /// What was tried and what came back, without secrets.
        message: String,
    },
    /// An object of that name exists and is not ours.
    #[error("{object} exists and belongs to somebody else")]
    NameConflict {
        /// The object in the way.
        object: ObjectRef,
    },
    /// It refused what we sent (400, 403, 404 of a kind, 422). Sending it again changes nothing.
    #[error("the Karmada API refused {object}: {message}")]
    Refused {
        /// The object.
        object: ObjectRef,
        /// Its words.
        message: String,
    },
    /// Something that must exist first does not: the namespace, or the kind. May appear later.
    #[error("{what} does not exist on the control plane")]
    Missing {
        /// What is missing, such as `namespace "team-a"`.
        what: String,
    },
}

impl ControlError {
    /// Whether the same call may succeed later without a change of ours.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Missing { .. })
    }
}

/// What is known of a member cluster. Values are from its last sample; read them with `ready`.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Its name.
    pub name: ClusterName,
    /// Whether its `Ready` condition is `True`.
    pub ready: bool,
    /// Why not, in Karmada's words.
    pub ready_reason: String,
    /// When readiness last changed.
    pub ready_since: Option<Timestamp>,
    /// From the spec, else from the label `region`.
    pub region: Option<String>,
    /// From the spec, else from the label `zone`.
    pub zone: Option<String>,
    /// From the spec.
    pub provider: Option<String>,
    /// Kubernetes version of the member.
    pub version: Option<String>,
    /// Nodes: ready, total.
    pub nodes: Option<(u32, u32)>,
    /// `apiVersion/Kind` of every API that the member has, such as `ray.io/v1/RayJob`.
    pub apis: Vec<String>,
    /// Taints with an effect that keeps new workloads away, as `key=value:effect`.
    pub taints: Vec<String>,
    /// Room left, if the member reports it: allocatable less allocated less allocating.
    pub free: Option<crate::job::Demand>,
    /// Whole resource summary as Karmada reports it, for display.
    pub resources: Value,
}

/// How an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// Nothing is written: if an object of this name exists and is not of this job, that is a
    /// conflict. Stands before the policies, which would otherwise propagate a stranger's object.
    Vacant,
    /// Server-side apply: policies, which we alone own.
    Apply,
    /// Create; if it exists with our job's labels that is success, else a conflict.
    Create,
    /// Create; if it exists with our origin's label it is kept: a volume outlives its job.
    CreateOrKeep,
}

/// One object to write.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteOrder {
    /// The whole object.
    pub document: Value,
    /// How.
    pub write: Write,
}

/// An object that is to be removed.
#[derive(Debug, Clone, PartialEq)]
pub struct Removal {
    /// Where it is.
    pub object: ObjectRef,
    /// Delete only if the object's label [`crate::manifest::LABEL_JOB_ID`] has this value.
    pub job_id: JobId,
    /// The object outlives jobs, as a volume does: one of our origin is meant, whichever of our
    /// jobs made it.
    pub shared: bool,
    /// Member clusters on which it must be gone, too.
    pub clusters: Vec<ClusterName>,
}

/// Where an object still exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remaining {
    /// The object.
    pub object: ObjectRef,
    /// `control-plane`, or the cluster's name.
    pub place: String,
    /// Why, as far as known: `terminating`, `cluster not ready`.
    pub why: String,
}

/// Whose status is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadRef {
    /// The workload on the control plane.
    pub object: ObjectRef,
    /// Its uid there; another uid is another job's object.
    pub uid: Option<String>,
}

/// What the control plane says about a workload.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seen {
    /// Its ResourceBinding, if there is one for the same uid.
    pub binding: Option<BindingSeen>,
    /// Whether the workload itself exists; `None` if nobody looked.
    pub exists: Option<bool>,
}

/// A ResourceBinding, as far as it matters.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BindingSeen {
    /// Clusters chosen by Karmada.
    pub clusters: Vec<String>,
    /// Condition `Scheduled`: status, reason, message.
    pub scheduled: Option<(bool, String, String)>,
    /// What each member reports.
    pub members: Vec<MemberSeen>,
}

/// One item of a binding's aggregated status.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MemberSeen {
    /// The member.
    pub cluster: String,
    /// Whether the object was applied there.
    pub applied: bool,
    /// Why not, in Karmada's words.
    pub applied_message: String,
    /// The member's status of the object, whole.
    pub status: Option<Value>,
}

/// Karmada.
///
/// Every call has a deadline of its own and never retries by itself.
#[async_trait]
pub trait ControlPlane: Send + Sync {
    /// Whether the API answers. Called by the readiness probe; must be quick.
    async fn ping(&self) -> Result<(), ControlError>;

    /// The member clusters, by name; from the watch while it is healthy.
    async fn clusters(&self) -> Result<Vec<Cluster>, ControlError>;

    /// Names of the clusters last seen, from memory. Empty while none was ever seen. Used by the
    /// request path, which must not wait for the control plane.
    fn known_clusters(&self) -> Vec<ClusterName>;

    /// Writes objects in the given order and returns their uids in that order. Idempotent. On an
    /// error the earlier ones stay written.
    async fn write(
        &self,
        job_id: &JobId,
        orders: &[WriteOrder],
    ) -> Result<Vec<String>, ControlError>;

    /// Starts or continues the removal of one object and tells where it still is; empty once it
    /// is proven gone from the control plane and from the named clusters. Idempotent.
    async fn remove(&self, removal: &Removal) -> Result<Vec<Remaining>, ControlError>;

    /// Changes a policy so that deleting its objects deletes them on the members, too. `Ok(true)`
    /// once Karmada has taken the change over for every object it selects.
    async fn release(
        &self,
        policy: &ObjectRef,
        objects: &[ObjectRef],
    ) -> Result<bool, ControlError>;

    /// The status of some workloads, in the order asked; from the watch while it is healthy, else
    /// from a fresh list. A missing binding is looked into: `exists` is then `Some`.
    async fn observe(&self, workloads: &[WorkloadRef]) -> Result<Vec<Seen>, ControlError>;

    /// Rings when a status or a cluster changed. A hint: it may ring for nothing or be missed.
    fn hint(&self) -> Arc<Notify>;
}
