//! A job as clients see it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every value, in the order of the type.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads [`Self::as_str`] back.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words!(
    /// The four words of older clients; a projection of `phase`.
    JobStatus {
        /// Not running yet.
        Pending = "Pending",
        /// Running.
        Running = "Running",
        /// Over, with success.
        Succeeded = "Succeeded",
        /// Over, without success.
        Failed = "Failed",
    }
);

words!(
    /// What happened to the run.
    Phase {
        /// Accepted; nothing exists on a cluster yet. `reason` says why.
        Queued = "Queued",
        /// On its cluster; the program does not run yet.
        Submitted = "Submitted",
        /// The program runs.
        Running = "Running",
        /// Held back on purpose.
        Suspended = "Suspended",
        /// Its cluster does not answer.
        Unknown = "Unknown",
        /// Over, with success.
        Succeeded = "Succeeded",
        /// Over, without success.
        Failed = "Failed",
        /// Over, because the user said so.
        Cancelled = "Cancelled",
        /// Over, because a deadline passed.
        TimedOut = "TimedOut",
        /// Its workload vanished. It is not run again by itself.
        Lost = "Lost",
    }
);

impl Phase {
    /// Whether the run is over for good.
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::TimedOut | Self::Lost
        )
    }
}

words!(
    /// Whether the job exists.
    Lifecycle {
        /// It does.
        Active = "Active",
        /// It is being removed from the clusters.
        Deleting = "Deleting",
        /// Proven gone. The record stays.
        Deleted = "Deleted",
    }
);

words!(
    /// What the user wants.
    Desired {
        /// Run it.
        Run = "Run",
        /// Stop it and keep the record.
        Cancel = "Cancel",
        /// Stop it and remove what exists.
        Delete = "Delete",
    }
);

words!(
    /// Whose problem a failure is.
    FailureClass {
        /// The training program returned an error.
        UserCode = "user-code",
        /// A deadline passed.
        Timeout = "timeout",
        /// Not enough room.
        Capacity = "capacity",
        /// The cluster or its operator broke.
        Infrastructure = "infrastructure",
        /// The cluster refused the objects.
        Rejected = "rejected",
        /// Somebody stopped it on the cluster.
        Stopped = "stopped",
    }
);

/// Who made a job's manifests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginView {
    /// Name of the plugin.
    pub name: String,
    /// Its semantic version.
    pub version: String,
    /// sha-256 of its component, in hex.
    pub sha256: String,
    /// sha-256 of its hyperparameter schema, in hex.
    pub schema_sha256: String,
}

/// One training job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobView {
    /// Identifies the job for ever: `<jobName>-<8 hex digits>`.
    pub id: String,
    /// Name of the job and of its workload.
    pub job_name: String,
    /// Kubernetes namespace of its objects.
    pub namespace: String,
    /// Canonical name of its algorithm.
    pub algorithm: String,
    /// The alias by which the form names it, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm_alias: Option<String>,
    /// 1 lowest to 1000 highest.
    pub priority: i32,
    /// The form as it was sent.
    #[schema(value_type = Object)]
    pub request: Value,
    /// The word of older clients.
    pub status: JobStatus,
    /// A sentence that says how it stands, perhaps empty.
    pub message: String,
    /// Where it stands, why, and what a person can do, as one sentence. From the record alone;
    /// `GET /api/v1/jobs/{id}/explain` looks at the clusters, too.
    #[serde(default)]
    pub explanation: String,
    /// When it was accepted, RFC 3339.
    pub created_at: String,
    /// When it last changed, RFC 3339.
    pub updated_at: String,

    /// What happened to the run.
    pub phase: Phase,
    /// Whether it exists.
    pub lifecycle: Lifecycle,
    /// What the user wants.
    pub desired: Desired,
    /// Whether the user holds it back.
    #[serde(default)]
    pub suspend: bool,
    /// Which try of the same work it is, counted from 1.
    #[serde(default = "first_attempt")]
    pub attempt: u32,
    /// Id of the first attempt; absent in that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_attempt: Option<String>,
    /// Clusters on which nobody waits any more for the proof that it is gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub abandoned_clusters: Vec<String>,
    /// A CamelCase word for machines, perhaps empty.
    pub reason: String,
    /// Whose problem the failure is; absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureClass>,
    /// Share of the work that is done, 0 to 1, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<f32>,
    /// Where it runs; empty until it is placed.
    pub clusters: Vec<String>,
    /// Why there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement_reason: Option<String>,
    /// When its objects were applied, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<String>,
    /// How often its cluster began the run anew without having held it back: after a failed try that
    /// the cluster repeats by itself, or because somebody deleted the workload there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub restarts: u32,
    /// When its program started, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// When its run was over, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// When it was proven gone, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<String>,
    /// Who made its manifests.
    pub plugin: PluginView,
    /// sha-256 of its frozen manifests, in hex.
    pub bundle_sha256: String,
    /// Rises by one with each change.
    pub version: i64,
    /// What the user should know although the job was accepted. Only in the answer to the
    /// submission; later it stands in the first event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One job as clients of the second predecessor know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentView {
    /// Name of the job.
    pub deployment_name: String,
    /// Its image, if it was submitted by the form of a deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_name: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub job: JobView,
}

fn first_attempt() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Every attempt of the same work, first to last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptList {
    /// The attempts; also those that were deleted since.
    pub attempts: Vec<JobView>,
}

/// How another attempt differs from the last one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryForm {
    /// Its name; if absent, that of the first attempt with the number at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_name: Option<String>,
}

/// Which clusters are given up on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AbandonForm {
    /// Their names.
    pub clusters: Vec<String>,
}

/// A page of jobs, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct JobPage {
    /// The jobs. A filter may leave fewer than `limit` although more follow.
    pub items: Vec<JobView>,
    /// Opaque; pass it as `continue` to get the next page. Absent on the last one.
    #[serde(rename = "continue", default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How a job stands, in brief.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusView {
    /// The word of older clients.
    pub status: JobStatus,
    /// What happened to the run.
    pub phase: Phase,
    /// A CamelCase word for machines, perhaps empty.
    pub reason: String,
    /// A sentence for people, perhaps empty.
    pub message: String,
    /// Where it stands, why, and what a person can do, from the record alone.
    #[serde(default)]
    pub explanation: String,
    /// Runs under way.
    pub active: u32,
    /// Runs that ended with success.
    pub succeeded: u32,
    /// Runs that ended without.
    pub failed: u32,
    /// When its program started, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// When its run was over, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<String>,
    /// Runs by cluster; absent until the job is placed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cluster_distribution: BTreeMap<String, u32>,
}

/// One line of a job's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventView {
    /// Counts from 1 without gaps.
    pub seq: i64,
    /// When, RFC 3339.
    pub at: String,
    /// A CamelCase word: `Accepted`, `Placed`, `PhaseChanged`.
    pub kind: String,
    /// Phase before; absent in the first event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    #[schema(value_type = Object)]
    pub evidence: Value,
}

/// The answer to a deletion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeletedView {
    /// A sentence for people.
    pub message: String,
    /// `Deleting` until the job is proven gone.
    pub lifecycle: Lifecycle,
}
