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
    /// What it reports about its room, as Karmada passes it on.
    #[schema(value_type = Object)]
    pub resources: Value,
}

/// The answer of `GET /api/v1/clusters`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClusterList {
    /// By name.
    pub clusters: Vec<ClusterView>,
}
