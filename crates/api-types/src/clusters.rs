//! The member clusters.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What older clients know of a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSummary {
    /// Its name.
    pub name: String,
    /// Whether it takes and runs work.
    pub ready: bool,
    /// Its region, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Its zone, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// The answer of `GET /api/v1/proxy/clusters`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClusterSummaryList {
    /// By name.
    pub clusters: Vec<ClusterSummary>,
}

/// A member cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterView {
    /// Name, readiness, region and zone.
    #[serde(flatten)]
    pub summary: ClusterSummary,
    /// Why it is, or is not, ready.
    pub ready_reason: String,
    /// When readiness last changed, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_since: Option<String>,
    /// Who runs it, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Its Kubernetes version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes_version: Option<String>,
    /// Number of nodes that are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes_ready: Option<u32>,
    /// Number of nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes_total: Option<u32>,
    /// Taints that keep new work away.
    pub taints: Vec<String>,
    /// `apiVersion/Kind` of every API that it has.
    pub apis: Vec<String>,
    /// The workloads of loaded plugins, and whether the cluster can run them.
    #[serde(default)]
    pub needed_apis: Vec<NeededApi>,
    /// What it has of each resource that it reports, as of its last sample. Empty if it reports
    /// none.
    #[serde(default)]
    pub capacity: Vec<RoomView>,
    /// Jobs of this host that are placed there and not over. Absent if the database does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_jobs: Option<u64>,
    /// What it reports about its room, as Karmada passes it on.
    #[schema(value_type = Object)]
    pub resources: Value,
}

/// An API that some loaded plugin needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NeededApi {
    /// Such as `ray.io/v1`.
    pub api_version: String,
    /// Such as `RayJob`.
    pub kind: String,
    /// Names of the plugins that need it.
    pub plugins: Vec<String>,
    /// Whether the cluster has it.
    pub present: bool,
}

/// What a cluster has of one resource, as Kubernetes quantities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoomView {
    /// Such as `cpu`, `memory`, `nvidia.com/gpu`.
    pub resource: String,
    /// Whether the host counts it as a GPU.
    pub gpu: bool,
    /// All that pods may use, on nodes that are not ready, too.
    pub allocatable: String,
    /// Taken by pods that have a node.
    pub allocated: String,
    /// Asked for by pods that wait for a node.
    pub allocating: String,
    /// What is left.
    pub free: String,
}

/// A page of objects of a member cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResourcePage {
    /// The cluster.
    pub cluster: String,
    /// The namespace; empty for kinds that have none.
    pub namespace: String,
    /// The kind's name in addresses, such as `pods`.
    #[serde(rename = "type")]
    pub plural: String,
    /// The kind, such as `Pod`.
    pub kind: String,
    /// Number of objects in this page.
    pub count: usize,
    /// The objects, without managed fields, and without the values of environment variables and
    /// of whatever else may hold a secret.
    #[schema(value_type = Vec<Object>)]
    pub resources: Vec<Value>,
    /// Opaque; pass it as `continue` to get the next page. Absent on the last one.
    #[serde(rename = "continue", default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How many there are beyond this page, if the cluster says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
}

/// The answer of `GET /api/v1/clusters`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClusterList {
    /// By name.
    pub clusters: Vec<ClusterView>,
}
