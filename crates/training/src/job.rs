//! What a training job is: what the user asked for ([`JobSpec`]) and what is on record about it
//! ([`Job`]). Plain values; nothing here decides anything.

use serde_json::{Map, Value};

use crate::clock::Timestamp;
use crate::id::{ClusterName, JobId, JobName, Namespace, PluginDigest, Sha256Digest};
use crate::phase::{Desired, Lifecycle, Phase};

/// Compute resources, per instance unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    /// Whole CPU cores of the head and of each worker.
    pub cpu_cores: u32,
    /// Memory in GiB of the head and of each worker; 0 makes no request.
    pub memory_gib: u32,
    /// GPUs of each worker.
    pub gpu_count: u32,
    /// Number of workers, at least 1.
    pub instance_count: u32,
    /// Size in Gi of a volume to create for results; 0 for none.
    pub volume_size_gb: u32,
}

/// What a form says more exactly than in whole cores and GiB. Plugins count in whole ones, rounded
/// up; the host writes the exact amounts into their manifests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exact {
    /// Thousandths of a core of each instance; `None` if they are the whole cores.
    pub cpu: Option<Amount>,
    /// Bytes of each instance; `None` if they are the whole GiB.
    pub memory: Option<Amount>,
    /// Bytes of the volume to create; `None` if they are the whole Gi.
    pub volume_bytes: Option<u64>,
    /// Storage class of the volume to create; `None` leaves it to the plugin.
    pub storage_class: Option<String>,
}

/// What the scheduler reserves, and what a container may use at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// The reservation.
    pub request: u64,
    /// The bound, not below the reservation.
    pub limit: u64,
}

/// What a data channel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelType {
    /// Rows to learn from.
    Train,
    /// Rows to judge the model by while it learns.
    Validation,
    /// Rows to judge the finished model by.
    Test,
}

impl ChannelType {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// Where some input data lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataSource {
    /// In an object store.
    ObjectStorage {
        /// `aws`, `minio`, `gcs`, `azure` or `custom`.
        provider: String,
        /// URL of the store; empty for the provider's own.
        endpoint: String,
        /// Bucket without scheme and slashes.
        bucket: String,
        /// Key prefix without a leading slash.
        prefix: String,
    },
    /// In a volume that is there already.
    Volume {
        /// Name of its claim, in the namespace of the job.
        claim: String,
        /// Path below its root, without slashes at its ends; empty for all of it.
        path: String,
    },
    /// On the web.
    Web {
        /// Address of one file.
        url: String,
    },
}

impl DataSource {
    /// The word of the form, and of plugins for what they can read.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::ObjectStorage { .. } => "object-storage",
            Self::Volume { .. } => "pvc",
            Self::Web { .. } => "http",
        }
    }
}

/// Some input data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataChannel {
    /// Unique within the job.
    pub name: String,
    /// What the data is for.
    pub channel_type: ChannelType,
    /// Where it lies.
    pub source: DataSource,
    /// Format of the objects, such as `csv`.
    pub content_type: Option<String>,
    /// Columns to learn from; empty for all but the label.
    pub feature_names: Vec<String>,
    /// Column to predict.
    pub label_name: Option<String>,
}

/// On how many clusters a job may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// On exactly one of the candidates.
    One,
    /// On every candidate at once: several runs of the same job.
    All,
}

impl Spread {
    /// The word of the API and of the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::All => "all",
        }
    }

    /// Reads [`Spread::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::One, Self::All].into_iter().find(|spread| spread.as_str() == text)
    }
}

/// Which try of the same work a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// 1 for the first.
    pub number: u32,
    /// The first; `None` for itself.
    pub first: Option<JobId>,
}

impl Attempt {
    /// The first try.
    pub const FIRST: Self = Self { number: 1, first: None };
}

/// A job form that passed every check that does not need its plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSpec {
    /// Name of the job and of its workload.
    pub name: JobName,
    /// Where its objects live.
    pub namespace: Namespace,
    /// 1 lowest … 1000 highest.
    pub priority: i32,
    /// The algorithm as the user wrote it, perhaps an alias.
    pub algorithm: String,
    /// Compute resources.
    pub resources: Resources,
    /// The same more exactly, as far as the form says it.
    pub exact: Exact,
    /// Longest run in seconds; `None` for no limit.
    pub max_runtime_seconds: Option<u32>,
    /// Longest time in seconds from acceptance to the start; `None` for no limit.
    pub max_pending_seconds: Option<u32>,
    /// Which try of the same work this is.
    pub attempt: Attempt,
    /// Input data.
    pub channels: Vec<DataChannel>,
    /// Where results should go, as the user wrote it.
    pub output_uri: Option<String>,
    /// The algorithm's own parameters, unchecked until the plugin's schema saw them.
    pub hyperparameters: Value,
    /// Further parameters for the training script.
    pub custom_hyperparameters: Map<String, Value>,
    /// Clusters that may run the job; empty for any.
    pub target_clusters: Vec<ClusterName>,
    /// One cluster, or all of them.
    pub spread: Spread,
    /// Command that overrides the plugin's.
    pub entrypoint: Option<String>,
    /// Image that overrides the plugin's on the head.
    pub head_image: Option<String>,
    /// Image that overrides the plugin's on the workers.
    pub worker_image: Option<String>,
    /// Image that overrides the plugin's everywhere.
    pub image_uri: Option<String>,
    /// Existing volume claim to use instead of a new one.
    pub pvc_name: Option<String>,
    /// The form as it is echoed in answers.
    pub request: Value,
}

impl JobSpec {
    /// What a run of this job takes from a cluster: the workers, and a head without GPUs.
    pub fn demand(&self) -> Demand {
        let pods = u64::from(self.resources.instance_count) + 1;
        let cpu = u64::from(self.resources.cpu_cores) * 1000;
        let memory = u64::from(self.resources.memory_gib) << 30;
        Demand {
            cpu_millis: self.exact.cpu.map_or(cpu, |cpu| cpu.request).saturating_mul(pods),
            memory_bytes: self.exact.memory.map_or(memory, |all| all.request).saturating_mul(pods),
            gpus: u64::from(self.resources.gpu_count) * u64::from(self.resources.instance_count),
        }
    }
}

/// Room that a run needs on its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Demand {
    /// Thousandths of a core.
    pub cpu_millis: u64,
    /// Bytes.
    pub memory_bytes: u64,
    /// Devices.
    pub gpus: u64,
}

/// Who made the manifests, so that the conversion can be repeated and compared years later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// Name of the plugin.
    pub plugin_name: String,
    /// Its semantic version.
    pub plugin_version: String,
    /// sha-256 of its component.
    pub plugin_digest: PluginDigest,
    /// sha-256 of its hyperparameter schema.
    pub schema_digest: Sha256Digest,
    /// sha-256 of the frozen bundle.
    pub bundle_digest: Sha256Digest,
    /// Version of the host that admitted it.
    pub host_version: String,
    /// JSON text of the operator's settings that the plugin was given. This and the next two are
    /// missing from jobs of hosts that did not record them.
    pub settings: Option<String>,
    /// sha-256 of the JSON text that the plugin was given.
    pub input_digest: Option<Sha256Digest>,
    /// sha-256 of what the plugin answered, before admission.
    pub plan_digest: Option<Sha256Digest>,
}

/// Where the job was placed, and why there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The chosen cluster; several only with [`Spread::All`].
    pub clusters: Vec<ClusterName>,
    /// One sentence with the evidence.
    pub reason: String,
}

/// Whose problem a failure is. Mirrors the plugin contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// Not failed, or no way to tell.
    None,
    /// The training program returned an error.
    UserCode,
    /// A deadline passed.
    Timeout,
    /// Not enough room.
    Capacity,
    /// The cluster or its operator broke.
    Infrastructure,
    /// The cluster refused the objects.
    Rejected,
    /// Somebody stopped it on the cluster.
    Stopped,
}

impl FailureClass {
    const ALL: [Self; 7] = [
        Self::None,
        Self::UserCode,
        Self::Timeout,
        Self::Capacity,
        Self::Infrastructure,
        Self::Rejected,
        Self::Stopped,
    ];

    /// The word of the API and of the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::UserCode => "user-code",
            Self::Timeout => "timeout",
            Self::Capacity => "capacity",
            Self::Infrastructure => "infrastructure",
            Self::Rejected => "rejected",
            Self::Stopped => "stopped",
        }
    }

    /// Reads [`FailureClass::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }
}

/// One job on record.
///
/// The first block never changes after submission; the second is rewritten as a whole by
/// [`crate::ports::JobStore::transition`], guarded by `version`.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its identifier.
    pub id: JobId,
    /// Its name and that of its workload.
    pub name: JobName,
    /// Where its objects live.
    pub namespace: Namespace,
    /// Canonical name of its algorithm.
    pub algorithm: String,
    /// 1 lowest … 1000 highest.
    pub priority: i32,
    /// The form as it is echoed in answers.
    pub request: Value,
    /// Clusters that may run it; empty for any.
    pub target_clusters: Vec<ClusterName>,
    /// One cluster, or all of them.
    pub spread: Spread,
    /// Longest run in seconds.
    pub max_runtime_seconds: Option<u32>,
    /// Longest time in seconds that it waits for its start; see [`Job::pending_since`].
    pub max_pending_seconds: Option<u32>,
    /// Which try of the same work it is.
    pub attempt: Attempt,
    /// Room that a run needs.
    pub demand: Demand,
    /// `apiVersion` of its workload.
    pub workload_api_version: String,
    /// `kind` of its workload.
    pub workload_kind: String,
    /// Who made its manifests.
    pub provenance: Provenance,
    /// When it was accepted.
    pub created_at: Timestamp,

    /// Number of events on record; rises by one with each change.
    pub version: i64,
    /// What happened to the run.
    pub phase: Phase,
    /// Whether it exists.
    pub lifecycle: Lifecycle,
    /// What the user wants.
    pub desired: Desired,
    /// Whether the user holds it back; only matters while it is wanted to run.
    pub suspend: bool,
    /// A CamelCase word for machines, perhaps empty.
    pub reason: String,
    /// A sentence for people, perhaps empty.
    pub message: String,
    /// Whose problem a failure is.
    pub failure: FailureClass,
    /// Share of the work that is done, 0 to 1.
    pub progress: Option<f32>,
    /// The phase before [`Phase::Unknown`].
    pub last_known: Option<Phase>,
    /// Since when the cluster of a running job does not answer.
    pub stale_since: Option<Timestamp>,
    /// Where it runs.
    pub placement: Option<Placement>,
    /// uid of its workload on the control plane, once it exists there.
    pub workload_uid: Option<String>,
    /// When its workload was seen to be missing, not asked for by us.
    pub missing_since: Option<Timestamp>,
    /// Whether its volumes go with it.
    pub delete_volumes: bool,
    /// Clusters on which nobody waits any more for the proof that it is gone.
    pub abandoned: Vec<ClusterName>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Since when it waits for its start after it was held back, by its user or its cluster; `None`
    /// if it has waited since it was accepted.
    pub pending_since: Option<Timestamp>,
    /// When its present run began, as its cluster says.
    pub run_began: Option<Timestamp>,
    /// How often its cluster began the run anew without having held it back.
    pub restarts: u32,
    /// When its objects were applied.
    pub submitted_at: Option<Timestamp>,
    /// When its program started.
    pub started_at: Option<Timestamp>,
    /// When it reached a terminal phase.
    pub finished_at: Option<Timestamp>,
    /// When it was proven gone.
    pub deleted_at: Option<Timestamp>,
}

/// One line of a job's history. Append-only; `seq` counts from 1 without gaps.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Equals the job's version after the change.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// A CamelCase word: `Accepted`, `Placed`, `Applied`, `PhaseChanged`.
    pub kind: String,
    /// Phase before.
    pub from: Option<Phase>,
    /// Phase after.
    pub to: Phase,
    /// Who caused it: `user`, `dispatch`, `observe`, `reap`.
    pub actor: String,
    /// A CamelCase word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// What was seen that caused it.
    pub evidence: Value,
}

/// An [`Event`] before the store numbered it. Phases and time are taken from the job.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// See [`Event::kind`].
    pub kind: &'static str,
    /// See [`Event::actor`].
    pub actor: &'static str,
    /// See [`Event::evidence`].
    pub evidence: Value,
}
