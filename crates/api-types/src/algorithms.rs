//! The algorithms that the loaded plugins serve.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::jobs::PluginView;

/// One algorithm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlgorithmView {
    /// Canonical name, for `algorithm.algorithmName`.
    pub name: String,
    /// Other names that mean the same.
    pub aliases: Vec<String>,
    /// Human name.
    pub title: String,
    /// One sentence.
    pub summary: String,
    /// Who converts its jobs.
    pub plugin: PluginView,
    /// What a job of it may create.
    pub kinds: Vec<KindView>,
    /// Path of the JSON Schema of its hyperparameters.
    pub schema_path: String,
    /// The JSON Schema itself; only in a list with `schema=true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Value>,
    /// Complete example forms; in a list only with `schema=true`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub examples: Vec<Value>,
}

/// A kind of Kubernetes object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KindView {
    /// `ray.io/v1`.
    pub api_version: String,
    /// `RayJob`.
    pub kind: String,
    /// Whether it can be the object that trains.
    pub workload: bool,
    /// Longest allowed name in characters.
    pub max_name_length: u32,
}
