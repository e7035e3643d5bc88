//! The events of a log stream.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Phase;

/// Data of the event `line`: one line of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogLineView {
    /// When it was written, RFC 3339; absent only if the cluster did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The member cluster.
    pub cluster: String,
    /// `driver`, `head`, `worker`: the plugin's word for what the pod does.
    pub role: String,
    /// The pod.
    pub pod: String,
    /// Its container.
    pub container: String,
    /// The line without its end, at most 64 KiB. What the host hides is `***`.
    pub text: String,
    /// What to show before the line if lines of several pods come: `[worker/pod]`. Absent if
    /// there is one pod only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// Data of the events `note` and `error`: what the host has to say about a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogNoteView {
    /// The member cluster, as the next three absent if it is about the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// A sentence.
    pub message: String,
}

/// Data of the event `end`: nothing follows. A stream that ends without it broke off; ask again
/// with the header `Last-Event-ID`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogEndView {
    /// What had happened to the run.
    pub phase: Phase,
}
