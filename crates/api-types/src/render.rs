//! Manifests, before and after submission.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::jobs::PluginView;

/// One Kubernetes object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ManifestView {
    /// `workload`, `storage` or `config`.
    pub role: String,
    /// The whole object.
    #[schema(value_type = Object)]
    pub document: Value,
}

/// The frozen manifests of a stored job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManifestsView {
    /// In the order of the plugin.
    pub manifests: Vec<ManifestView>,
    /// sha-256 of all of them, in hex.
    pub bundle_sha256: String,
    /// Who made them.
    pub plugin: PluginView,
}

/// One place of the manifests that the host set or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeView {
    /// RFC 6901 pointer: the number of the manifest, counted from 0, and the place in its document.
    /// `/1/metadata/namespace` lies in the second one.
    pub pointer: String,
    /// Lower-case hyphenated word for the rule that asked for it.
    pub rule: String,
    /// What was done, and why, as a sentence.
    pub detail: String,
}

/// What a form would become. Nothing is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RenderView {
    /// In the order of the plugin. The job id in their labels is drawn anew for each answer.
    pub manifests: Vec<ManifestView>,
    /// Karmada policies for the candidates; a stored job gets them for its one chosen cluster.
    #[schema(value_type = Vec<Object>)]
    pub policies: Vec<Value>,
    /// What the host set or changed in what the plugin wrote.
    #[serde(default)]
    pub changes: Vec<ChangeView>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Who made the manifests.
    pub plugin: PluginView,
}
