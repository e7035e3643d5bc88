//! The loaded plugins.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Notify;

use crate::clock::Timestamp;
use crate::id::{JobId, PluginDigest, Sha256Digest};
use crate::job::FailureClass;
use crate::manifest::Manifest;

/// A kind that a plugin emits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginKind {
    /// `ray.io/v1`.
    pub api_version: String,
    /// `RayJob`.
    pub kind: String,
    /// `rayjobs`.
    pub plural: String,
    /// Whether it can be the workload.
    pub workload: bool,
    /// Longest allowed name in characters.
    pub max_name_length: u32,
}

/// How Karmada is to read a kind, as a plugin ships it.
#[derive(Debug, Clone, PartialEq)]
pub struct Interpreter {
    /// Name of the object on the control plane.
    pub name: String,
    /// `ray.io/v1`.
    pub api_version: String,
    /// `RayJob`.
    pub kind: String,
    /// The whole object, a `ResourceInterpreterCustomization`.
    pub document: Value,
}

/// What a loaded plugin says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginInfo {
    /// Its name.
    pub name: String,
    /// Its semantic version.
    pub version: String,
    /// sha-256 of its component.
    pub digest: PluginDigest,
    /// The names users write; the first is canonical.
    pub algorithms: Vec<String>,
    /// Human name.
    pub title: String,
    /// One sentence.
    pub summary: String,
    /// JSON Schema of the hyperparameters, byte for byte as the plugin wrote it.
    pub schema: String,
    /// sha-256 of `schema`.
    pub schema_digest: Sha256Digest,
    /// JSON Schema of the operator's settings, as the plugin wrote it.
    pub settings_schema: String,
    /// What it may emit.
    pub kinds: Vec<PluginKind>,
    /// How Karmada is to read them. Nothing installs these but an administrator.
    pub interpreters: Vec<Interpreter>,
    /// Where its workloads have the field that holds them back: RFC 6901 pointers by
    /// `apiVersion/Kind`. A kind that is not named has none. `None` for plugins that were built
    /// before they could say so.
    pub suspend: Option<BTreeMap<String, String>>,
    /// Complete example forms.
    pub examples: Vec<Value>,
}

impl PluginInfo {
    /// The canonical algorithm name.
    pub fn algorithm(&self) -> &str {
        self.algorithms.first().map_or(self.name.as_str(), String::as_str)
    }
}

/// One thing that is wrong with a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// RFC 6901 pointer into the form.
    pub pointer: String,
    /// Lower-case hyphenated word for machines.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
}

impl FieldError {
    /// Puts the three together.
    pub fn new(
        pointer: impl Into<String>,
        code: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self { pointer: pointer.into(), code: code.into(), detail: detail.into() }
    }
}

/// A guest's refusal: the user's to fix.
#[derive(Debug, Clone, PartialEq)]
pub enum ConvertRefusal {
    /// Fields are wrong.
    Invalid(Vec<FieldError>),
    /// The form asks for something the plugin does not do.
    Unsupported(String),
}

/// A guest's answer to `convert`, before admission.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversion {
    /// What it wants to create.
    pub manifests: Vec<Manifest>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Conversion {
    /// sha-256 of the plan: roles and documents in their order. Warnings are talk, not plan.
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(crate::manifest::text_of(&self.manifests))
    }
}

/// A plugin, or the runtime around it, failed. Never the user's fault.
#[derive(Debug, thiserror::Error)]
pub enum PluginFault {
    /// No such plugin is loaded any more.
    #[error("plugin {0} is not loaded")]
    NotLoaded(PluginDigest),
    /// It is not loaded, and the archive that may hold it does not answer. Try again in a moment.
    #[error("plugin {0} cannot be fetched from the archive for now")]
    Unreachable(PluginDigest),
    /// It trapped, broke the contract or reported an internal error.
    #[error("plugin `{plugin}` failed in `{call}`: {detail}")]
    Failed {
        /// Name of the plugin.
        plugin: String,
        /// The exported function.
        call: &'static str,
        /// For operators; not shown to users.
        detail: String,
    },
    /// It ran longer than allowed.
    #[error("plugin `{plugin}` did not finish `{call}` in {limit_ms} ms")]
    TimedOut {
        /// Name of the plugin.
        plugin: String,
        /// The exported function.
        call: &'static str,
        /// The limit.
        limit_ms: u64,
    },
    /// Every sandbox that this plugin may use is in use. Try again in a moment.
    #[error("no sandbox is free")]
    Busy,
    /// Only signed plugins may convert here, and this version is not signed by a trusted key.
    #[error("no trusted key signed version {version} of plugin `{plugin}`")]
    Untrusted {
        /// Name of the plugin.
        plugin: String,
        /// Its semantic version.
        version: String,
    },
    /// It broke its sandbox too often and is not called until an operator releases it.
    #[error("plugin `{plugin}` is quarantined")]
    Quarantined {
        /// Name of the plugin.
        plugin: String,
    },
}

/// The hyperparameters after the plugin's schema saw them.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// With every absent property filled from its default.
    pub hyperparameters: Value,
    /// Violations; pointers start below `/hyperparameters/<algorithm>`, so `""` is the object.
    pub errors: Vec<FieldError>,
}

/// What a plugin is given to convert: the job of the contract. See `wit/converter.wit`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversionInput {
    /// The job's id.
    pub id: JobId,
    /// The form, with prepared hyperparameters.
    pub spec: crate::job::JobSpec,
    /// The operator's settings to convert with; `None` for those that are in force.
    pub settings: Option<Value>,
}

/// One reading of a workload's status by its plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What the workload is doing.
    pub state: RunState,
    /// CamelCase word.
    pub reason: String,
    /// Sentence.
    pub message: String,
    /// 0 to 1.
    pub progress: Option<f32>,
    /// Whose problem a failure is.
    pub failure: FailureClass,
    /// As the cluster reported it.
    pub started_at: Option<Timestamp>,
    /// As the cluster reported it.
    pub finished_at: Option<Timestamp>,
    /// Which pods' logs to read.
    pub logs: Vec<LogTarget>,
}

/// What a workload is doing. Mirrors the plugin contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// The status says nothing understood.
    Unknown,
    /// Accepted, not running.
    Pending,
    /// Running.
    Running,
    /// Held back.
    Suspended,
    /// Over with success.
    Succeeded,
    /// Over without.
    Failed,
}

/// Pods whose logs are worth reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTarget {
    /// `driver`, `head`, `worker`.
    pub role: String,
    /// Kubernetes label selector.
    pub label_selector: String,
    /// Container, if pods have several.
    pub container: Option<String>,
}

/// Who asks for an algorithm. Decides, together with a [`Route`](super::Route), which version of
/// a plugin serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audience<'a> {
    /// Namespace of the job.
    pub namespace: &'a str,
    /// Name of the job: the same form is always served by the same version.
    pub job_name: &'a str,
}

impl Audience<'_> {
    /// Nobody in particular: a canary is never chosen.
    pub const ANYBODY: Audience<'static> = Audience { namespace: "", job_name: "" };
}

/// What a version is to the users of its plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionState {
    /// It serves.
    Active,
    /// It serves a share of the jobs.
    Canary,
    /// It could serve; another version does.
    Standby,
    /// Its file is gone. Only the jobs that it made still reach it.
    Retired,
    /// It broke its sandbox too often and is not called until an operator releases it.
    Quarantined,
}

/// Whether a component is signed by somebody the operator trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    /// No signature was found, and none is required.
    Unsigned,
    /// A trusted key signed it.
    Trusted {
        /// Identity of the key.
        key: String,
    },
}

/// What a version has done in this process since it was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
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

/// One version of a plugin that is loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginVersion {
    /// What it says about itself.
    pub info: Arc<PluginInfo>,
    /// What it is to users.
    pub state: VersionState,
    /// Why it is in that state, as a sentence.
    pub reason: String,
    /// The file that holds it; `None` if it came from the archive.
    pub file: Option<String>,
    /// Who signed it.
    pub signature: Signature,
    /// What it has done.
    pub usage: Usage,
}

/// A file that did not become a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct RejectedFile {
    /// Its name.
    pub file: String,
    /// sha-256 of what was read, if it could be read.
    pub digest: Option<PluginDigest>,
    /// Why, as a sentence for operators.
    pub reason: String,
    /// The version that stays in its place: what the file held when it was last good.
    pub last_good: Option<Arc<PluginInfo>>,
}

/// Every version and every rejected file, as they are now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CatalogView {
    /// By name, highest version first.
    pub versions: Vec<PluginVersion>,
    /// By file name.
    pub rejected: Vec<RejectedFile>,
}

/// Something that happened to a plugin, for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginChange {
    /// `Loaded`, `Rejected`, `Removed`, `Activated`, `Quarantined`, `Released`.
    pub kind: &'static str,
    /// Name of the plugin, or of the file where there is no plugin.
    pub plugin: String,
    /// Its version; empty where there is none.
    pub version: String,
    /// sha-256 of the component, if it could be read.
    pub digest: Option<PluginDigest>,
    /// The file; empty if it came from the archive.
    pub file: String,
    /// What happened and why, as a sentence.
    pub message: String,
}

/// The loaded plugins.
///
/// A digest leads to every plugin that was ever kept in the archive: an asynchronous method loads
/// it from there if need be, a synchronous one answers [`PluginFault::NotLoaded`].
#[async_trait]
pub trait Plugins: Send + Sync {
    /// The plugin that serves an algorithm name or alias to this audience.
    fn resolve(&self, algorithm: &str, audience: Audience<'_>) -> Option<Arc<PluginInfo>>;

    /// Every plugin as it serves [`Audience::ANYBODY`], by name.
    fn list(&self) -> Vec<Arc<PluginInfo>>;

    /// Every version and every rejected file.
    fn catalog(&self) -> CatalogView;

    /// Takes over what operators decided: one route per plugin at most; a plugin without one is
    /// served by its highest version. Loads routed versions from the archive. The routes stay in
    /// force through reloads until the next call.
    async fn set_routes(&self, routes: &[super::Route]);

    /// Lifts a quarantine. False if there was none.
    fn release(&self, plugin: &PluginDigest) -> bool;

    /// What happened since the last call, oldest first, and forgets it. Bounded: after a thousand
    /// the oldest are dropped.
    fn take_changes(&self) -> Vec<PluginChange>;

    /// Rings when something happened. A hint: it may ring for nothing or be missed.
    fn hint(&self) -> Arc<Notify>;

    /// Whether the operator's rules let a loaded version convert. Without a rule every version may.
    fn may_convert(&self, _plugin: &PluginDigest) -> Result<(), PluginFault> {
        Ok(())
    }

    /// What a version says about itself, after loading it from the archive if need be. The
    /// synchronous methods know it from then on, for a while.
    async fn load(&self, plugin: &PluginDigest) -> Result<Arc<PluginInfo>, PluginFault>;

    /// Checks hyperparameters against the plugin's schema and fills its defaults. Runs no guest.
    fn prepare(
        &self,
        plugin: &PluginDigest,
        hyperparameters: &Value,
    ) -> Result<Prepared, PluginFault>;

    /// The operator's settings for this plugin over its defaults, as its jobs get them.
    fn settings(&self, plugin: &PluginDigest) -> Result<Value, PluginFault>;

    /// The JSON text that the plugin is given for this input. The same text gives the same plan.
    async fn input_text(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<String, PluginFault>;

    /// Asks the plugin for rules across fields. Pointers are into the whole form.
    async fn validate(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Vec<FieldError>, PluginFault>;

    /// Converts. The outer error is ours, the inner one the plugin's answer.
    async fn convert(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Result<Conversion, ConvertRefusal>, PluginFault>;

    /// Asks for rules across fields and, if none is broken, converts: all that a submission asks a
    /// plugin, for the price of one question. What [`Plugins::validate`] finds is
    /// [`ConvertRefusal::Invalid`].
    async fn validate_and_convert(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Result<Conversion, ConvertRefusal>, PluginFault> {
        let found = self.validate(plugin, input).await?;
        if found.is_empty() {
            self.convert(plugin, input).await
        } else {
            Ok(Err(ConvertRefusal::Invalid(found)))
        }
    }

    /// Reads a status. A job that was accepted is read by the version that made it, also if that
    /// one may not convert any more. If that digest cannot be loaded, the plugin that serves `algorithm` is
    /// asked.
    async fn interpret(
        &self,
        plugin: &PluginDigest,
        algorithm: &str,
        object: &Value,
    ) -> Result<Report, PluginFault>;

    /// The same plugins for one request that begins now: all calls through the answer, with all
    /// that they wait for, are answered within the time that the operator gives a request. `None`
    /// if there is no such time.
    fn for_request(&self) -> Option<Arc<dyn Plugins>> {
        None
    }
}
