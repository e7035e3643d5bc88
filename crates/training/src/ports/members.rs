//! What runs on the member clusters, read through the control plane. Nothing here writes.

use std::pin::Pin;

use async_trait::async_trait;
use futures_util::Stream;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::id::ClusterName;
use crate::manifest::ObjectRef;

/// Why a member cluster could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// It, or the proxy before it, does not answer, answers 5xx, or is too slow.
    #[error("cluster {cluster} does not answer: {message}")]
    Unavailable {
        /// The cluster.
        cluster: ClusterName,
        /// What came back, without secrets.
        message: String,
    },
    /// It does not let us look.
    #[error("no access to cluster {cluster}: {message}")]
    Denied {
        /// The cluster.
        cluster: ClusterName,
        /// Its words.
        message: String,
    },
    /// Karmada does not know it.
    #[error("cluster {cluster} is not registered with Karmada")]
    Unregistered {
        /// The name.
        cluster: ClusterName,
    },
    /// What was asked for is not there.
    #[error("{what} is not on cluster {cluster}")]
    NotFound {
        /// The cluster.
        cluster: ClusterName,
        /// What is missing.
        what: String,
    },
    /// It understood and said no, such as to the log of a container that has not started.
    #[error("cluster {cluster} refuses: {message}")]
    Refused {
        /// The cluster.
        cluster: ClusterName,
        /// Its words.
        message: String,
    },
    /// Too much of this cluster is being read already.
    #[error("cluster {cluster} is being read by too many at once")]
    Busy {
        /// The cluster.
        cluster: ClusterName,
    },
}

impl MemberError {
    /// Whether the same call may succeed later without a change of ours.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Busy { .. })
    }
}

/// A pod, as far as it tells why something runs or does not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PodSeen {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// Why it is in that phase, as a CamelCase word: `Evicted`. Often empty.
    pub reason: String,
    /// The same as a sentence. Often empty.
    pub message: String,
    /// The node that it runs on.
    pub node: Option<String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Condition `PodScheduled` if it is false: reason and message.
    pub unscheduled: Option<(String, String)>,
    /// Its containers, those that initialise it first.
    pub containers: Vec<ContainerSeen>,
}

/// A container of a pod.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ContainerSeen {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Whether it initialises the pod and ends before the others start.
    pub init: bool,
    /// What it does now.
    pub state: ContainerState,
    /// How its last run ended, if it was started again.
    pub last_end: Option<ContainerEnd>,
    /// How often it was started again.
    pub restarts: u32,
}

/// What a container does.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum ContainerState {
    /// The cluster does not say.
    #[default]
    Unknown,
    /// It has not started: reason and message.
    Waiting(String, String),
    /// It runs, since then.
    Running(Option<Timestamp>),
    /// It ended.
    Ended(ContainerEnd),
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ContainerEnd {
    /// Exit code; above 128 the number of a signal plus 128.
    pub exit_code: i64,
    /// `Completed`, `Error`, `OOMKilled`.
    pub reason: String,
    /// Its last words, if it left some.
    pub message: String,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// An event of Kubernetes: what a controller has to say about an object.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EventSeen {
    /// Kind of the object.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Whether it is a warning.
    pub warning: bool,
    /// A CamelCase word: `FailedScheduling`.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// How often it happened.
    pub count: u32,
    /// When it happened last.
    pub last_at: Option<Timestamp>,
    /// Who says so: `kubelet`.
    pub source: String,
}

/// Which log to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// The member cluster.
    pub cluster: ClusterName,
    /// Namespace of the pod.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// One of its containers.
    pub container: String,
    /// Whether to go on until the container ends.
    pub follow: bool,
    /// Only so many of the last lines.
    pub tail_lines: Option<u64>,
    /// Only lines since then. Clusters count whole seconds, so some lines before it may come.
    pub since: Option<Timestamp>,
    /// Of the container's run before the present one.
    pub previous: bool,
    /// At most so many bytes, from the first on; only without `follow`.
    pub limit_bytes: Option<u64>,
}

/// Bytes of a log as they come: lines that begin with an RFC 3339 time and a space. Ends with the
/// log, or with an error. Dropping it ends the call.
pub type LogBytes = Pin<Box<dyn Stream<Item = Result<Vec<u8>, MemberError>> + Send>>;

/// A page of objects.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ObjectPage {
    /// The objects, whole.
    pub items: Vec<Value>,
    /// Leads to the next page.
    pub next: Option<String>,
    /// How many there are beyond this page, if the cluster says so.
    pub more: Option<u64>,
}

/// Which objects to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectQuery {
    /// `v1`, `batch/v1`.
    pub api_version: String,
    /// Name of the resource in addresses: `pods`.
    pub plural: String,
    /// Only in this namespace.
    pub namespace: Option<String>,
    /// A label selector in Kubernetes' syntax; empty for all.
    pub labels: String,
    /// A field selector in Kubernetes' syntax; empty for all.
    pub fields: String,
    /// At most so many in one page.
    pub limit: u32,
    /// [`ObjectPage::next`] of the page before.
    pub after: Option<String>,
}

/// Reads member clusters.
///
/// Every call has a deadline of its own, never retries by itself, and counts against a bound for
/// its cluster, so that one that hangs is not asked by everybody at once.
#[async_trait]
pub trait Members: Send + Sync {
    /// Pods of a namespace that carry these labels, by name.
    async fn pods(
        &self,
        cluster: &ClusterName,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<PodSeen>, MemberError>;

    /// What is said about the object of this name in a namespace, oldest first.
    async fn events(
        &self,
        cluster: &ClusterName,
        namespace: &str,
        name: &str,
    ) -> Result<Vec<EventSeen>, MemberError>;

    /// One object, whole; `None` if the cluster says that it is not there.
    async fn object(
        &self,
        cluster: &ClusterName,
        object: &ObjectRef,
    ) -> Result<Option<Value>, MemberError>;

    /// One page of objects.
    async fn list(
        &self,
        cluster: &ClusterName,
        query: &ObjectQuery,
    ) -> Result<ObjectPage, MemberError>;

    /// Opens a log. Logs have a bound of their own for each cluster, because they last.
    async fn log(&self, query: &LogQuery) -> Result<LogBytes, MemberError>;
}
