//! Answers to probes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer of `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthView {
    /// `healthy` or `unhealthy`.
    pub status: String,
}

/// The answer of `GET /readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadyView {
    /// Whether requests should be sent here.
    pub ready: bool,
    /// What was looked at; only with `?verbose`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckView>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckView {
    /// What.
    pub name: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// Whether the host is not ready without it.
    pub required: bool,
}
