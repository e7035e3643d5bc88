//! The plugins: their versions, what operators decided about them, and what happened to them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Every plugin and every file that did not become one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PluginList {
    /// By name.
    pub plugins: Vec<PluginDetail>,
    /// By file name.
    pub rejected: Vec<RejectedFileView>,
}

/// One plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginDetail {
    /// Its name.
    pub name: String,
    /// What is loaded, highest version first.
    pub versions: Vec<PluginVersionView>,
    /// What operators decided; absent if nothing was ever decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteView>,
    /// Everything that is kept, latest first, also what is not loaded. Left out of lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<KeptVersionView>,
}

/// How Karmada is to read the kinds of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InterpreterList {
    /// By name.
    pub interpreters: Vec<InterpreterView>,
}

/// What the control plane has of an interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum InterpreterState {
    /// Nothing.
    Absent,
    /// What the plugin ships.
    Same,
    /// Something else.
    Differs,
}

impl std::fmt::Display for InterpreterState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Absent => "absent",
            Self::Same => "same",
            Self::Differs => "differs",
        })
    }
}

/// One interpreter that a plugin ships.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InterpreterView {
    /// Name of the `ResourceInterpreterCustomization`.
    pub name: String,
    /// API version of the kind it is for.
    pub api_version: String,
    /// The kind it is for.
    pub kind: String,
    /// What the control plane has.
    pub state: InterpreterState,
    /// What installing it would change there, as a unified diff of YAML; empty if nothing.
    pub diff: String,
    /// The whole object.
    #[schema(value_type = Object)]
    pub document: Value,
}

/// What a version is to users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum VersionState {
    /// It serves.
    Active,
    /// It serves a share of the jobs.
    Canary,
    /// It could serve; another version does.
    Standby,
    /// Its file is gone; only the jobs that it made still reach it.
    Retired,
    /// It broke its sandbox too often and is not called until an operator releases it.
    Quarantined,
}

impl std::fmt::Display for VersionState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// A version that is loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginVersionView {
    /// Its semantic version.
    pub version: String,
    /// sha-256 of its component, in hex.
    pub sha256: String,
    /// sha-256 of its hyperparameter schema, in hex.
    pub schema_sha256: String,
    /// Human name.
    pub title: String,
    /// The names that users write; the first is canonical.
    pub algorithms: Vec<String>,
    /// What it is to users.
    pub state: VersionState,
    /// Why it is in that state, as a sentence.
    pub reason: String,
    /// The file that holds it; absent if it came from the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Identity of the trusted key that signed it; absent if it is unsigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// What it has done in the process that answers.
    pub usage: UsageView,
}

/// What a version has done since it was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageView {
    /// Calls that were made.
    pub calls: u64,
    /// Calls that trapped or broke the contract.
    pub failed: u64,
    /// Calls that ran longer than allowed.
    pub timed_out: u64,
    /// Calls that took their process with them.
    pub crashed: u64,
    /// Time of all calls in microseconds.
    pub total_us: u64,
    /// Time of the slowest call in microseconds.
    pub slowest_us: u64,
    /// Most memory of one call in bytes.
    pub peak_memory_bytes: u64,
}

/// A component in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeptVersionView {
    /// Its semantic version.
    pub version: String,
    /// sha-256 of its bytes, in hex.
    pub sha256: String,
    /// Number of its bytes.
    pub bytes: u64,
    /// When it was kept, RFC 3339.
    pub first_seen: String,
}

/// A file that did not become a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RejectedFileView {
    /// Its name.
    pub file: String,
    /// sha-256 of what was read, in hex, if it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Why, as a sentence.
    pub reason: String,
    /// The version that stays in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_good: Option<LastGoodView>,
}

/// What a file held when it was last good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastGoodView {
    /// Its semantic version.
    pub version: String,
    /// sha-256 of its component, in hex.
    pub sha256: String,
}

/// What operators decided about the versions of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteView {
    /// sha-256 of the version that serves although a higher one may be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
    /// The version on trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryView>,
    /// sha-256 of the version that a roll-back leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// Raised by each decision; 0 if none is stored.
    pub version: i64,
    /// When it was last decided, RFC 3339.
    pub updated_at: String,
    /// Who decided it.
    pub updated_by: String,
}

/// A version on trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CanaryView {
    /// sha-256 of the version.
    pub sha256: String,
    /// Share of all jobs in percent.
    pub percent: u8,
    /// Namespaces whose jobs all go to it.
    pub namespaces: Vec<String>,
}

/// Names one version of a plugin: by `version` or by `sha256`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PinRequest {
    /// Its semantic version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// sha-256 of its component, in lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Names the version to try, by `version` or by `sha256`, and on which jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryRequest {
    /// Its semantic version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// sha-256 of its component, in lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Share of all jobs in percent, 0 to 100.
    #[schema(maximum = 100)]
    pub percent: u8,
    /// Namespaces whose jobs all go to it, whatever the share.
    #[serde(default)]
    pub namespaces: Vec<String>,
}

/// Something that happened to a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PluginEventView {
    /// Rises with time, with gaps.
    pub id: i64,
    /// When, RFC 3339.
    pub at: String,
    /// Name of the plugin, or of the file where there is no plugin.
    pub plugin: String,
    /// A CamelCase word, such as `Loaded` or `Pinned`.
    pub kind: String,
    /// sha-256 of the version that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Who did it, as the client says; `host` for what happened by itself.
    pub actor: String,
    /// A sentence.
    pub message: String,
    /// Everything else.
    #[schema(value_type = Object)]
    pub evidence: Value,
}

/// A part of a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PluginEventPage {
    /// Newest first.
    pub items: Vec<PluginEventView>,
    /// Pass it as `before` to get the next page. Absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// How a comparison ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Proven to be equal.
    Same,
    /// Proven to differ.
    Different,
    /// There is nothing to compare with.
    Unknown,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Same => "same",
            Self::Different => "different",
            Self::Unknown => "unknown",
        })
    }
}

/// What repeating a job's conversion showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerificationView {
    /// The job's id.
    pub job_id: String,
    /// `different` if any item is, or else `unknown` if any item is.
    pub verdict: Verdict,
    /// Name of the plugin that was asked.
    pub plugin_name: String,
    /// Its version.
    pub plugin_version: String,
    /// sha-256 of its component, in hex; its bytes were checked against it when it was loaded.
    pub plugin_sha256: String,
    /// In the order of the conversion: schema, input, plan, bundle, stored.
    pub items: Vec<VerificationItem>,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerificationItem {
    /// `schema`, `input`, `plan`, `bundle` or `stored`.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What that means, as a sentence.
    pub message: String,
    /// The sha-256 on record, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<String>,
    /// The sha-256 that was found now, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
}
