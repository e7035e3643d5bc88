//! One struct per section, each with its defaults and, where a value can be wrong, a check.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use training::ClusterName;
use training::inspect::Readable;
use training::logs::{Limits, Redactor};
use training::reconcile::OrphanMode;

use super::SecretText;
use crate::http::Inspection;

/// `[database]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite://path` or `postgres://…`.
    pub url: SecretText,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: SecretText::new("sqlite://trainyard.db") }
    }
}

impl Database {
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        if self.url.expose().is_empty() {
            wrong.push("database.url: it must not be empty".to_owned());
        }
    }
}

/// `[karmada]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Karmada {
    /// Kubeconfig of the Karmada API server. A host that serves needs it; no other place is
    /// searched, because jobs must not reach a cluster by accident.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
    /// Context in it; its current one if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Longest call in seconds.
    pub call_timeout_seconds: u64,
    /// Names of the resources that count as GPUs.
    pub gpu_resources: Vec<String>,
    /// Kinds that clients may read on member clusters, by name or as `plural.version.group`.
    /// No kind of Secret is ever among them.
    pub readable_kinds: Vec<String>,
}

impl Default for Karmada {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            context: None,
            call_timeout_seconds: 10,
            gpu_resources: vec!["nvidia.com/gpu".to_owned()],
            readable_kinds: Readable::usual(),
        }
    }
}

impl Karmada {
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        if !(1..=150).contains(&self.call_timeout_seconds) {
            wrong.push("karmada.call_timeout_seconds: it must be 1 to 150".to_owned());
        }
        if let Err(refused) = Readable::parse(&self.readable_kinds) {
            wrong.extend(refused.into_iter().map(|why| format!("karmada.readable_kinds: {why}")));
        }
    }

    /// What clients may see of member clusters.
    pub(crate) fn inspection(
        &self,
        allowed_clusters: BTreeMap<String, Vec<ClusterName>>,
    ) -> anyhow::Result<Inspection> {
        let readable = Readable::parse(&self.readable_kinds)
            .map_err(|refused| anyhow::anyhow!("karmada.readable_kinds: {}", refused.join("; ")))?;
        Ok(Inspection { readable, gpu_resources: self.gpu_resources.clone(), allowed_clusters })
    }
}

/// `[plugins]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plugins {
    /// Directory with `.wasm` files; watched while the host runs.
    pub dir: PathBuf,
    /// Directory for compiled plugins. Without it plugins are compiled at each start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_dir: Option<PathBuf>,
    /// Where plugins run.
    pub isolation: Isolation,
    /// Runner processes, each of which serves one call at a time.
    pub runners: u32,
    /// Longest call in milliseconds.
    pub deadline_milliseconds: u64,
    /// How long a request waits for all its calls of plugins together, queues included, in
    /// milliseconds; at least as long as one call.
    pub request_milliseconds: u64,
    /// Memory of one call in MiB.
    pub memory_mib: usize,
    /// Processor time of one compilation in seconds.
    pub compile_cpu_seconds: u64,
    /// Wall-clock time of one compilation in seconds.
    pub compile_seconds: u64,
    /// Address space of one compilation in MiB.
    pub compile_memory_mib: u64,
    /// Public keys of minisign whose signatures count, one line of Base64 each.
    pub trusted_keys: Vec<String>,
    /// Whether a plugin without a signature by one of them is refused.
    pub require_signature: bool,
    /// Settings that the operator gives to plugins: `[plugins.settings.<plugin>]`.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// Where plugins run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// In processes that the kernel confines, besides the sandbox of WebAssembly.
    Processes,
    /// In the host's own process, with that sandbox alone: for plugins that are trusted.
    InProcess,
}

impl Default for Plugins {
    fn default() -> Self {
        // A runner costs a few MiB. Twice as many as processors, because a plugin gets half of
        // them at most, and that half should be able to use every processor.
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            dir: PathBuf::from("plugins"),
            cache_dir: None,
            isolation: Isolation::Processes,
            runners: u32::try_from(2 * processors).unwrap_or(u32::MAX).clamp(2, 32),
            deadline_milliseconds: 1500,
            request_milliseconds: 4000,
            memory_mib: 64,
            compile_cpu_seconds: 40,
            compile_seconds: 60,
            compile_memory_mib: 3072,
            trusted_keys: Vec::new(),
            require_signature: false,
            settings: serde_json::Map::new(),
        }
    }
}

impl Plugins {
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        let mut within = |key: &str, value: u64, least: u64, most: u64| {
            if !(least..=most).contains(&value) {
                wrong.push(format!("plugins.{key}: it must be {least} to {most}"));
            }
        };
        within("runners", u64::from(self.runners), 1, 256);
        within("deadline_milliseconds", self.deadline_milliseconds, 10, 60_000);
        within("request_milliseconds", self.request_milliseconds, 10, 300_000);
        within("memory_mib", self.memory_mib as u64, 1, 1024);
        within("compile_cpu_seconds", self.compile_cpu_seconds, 1, 600);
        within("compile_seconds", self.compile_seconds, 1, 600);
        within("compile_memory_mib", self.compile_memory_mib, 256, 65_536);
        for (index, key) in self.trusted_keys.iter().enumerate() {
            if !is_public_key(key) {
                wrong.push(format!(
                    "plugins.trusted_keys[{index}]: it is not a public key of minisign, which is \
                     one line of Base64 that begins with `RW`"
                ));
            }
        }
        if self.require_signature && self.trusted_keys.is_empty() {
            wrong.push(
                "plugins.require_signature: no plugin could load, because \
                 plugins.trusted_keys is empty"
                    .to_owned(),
            );
        }
    }
}

/// Whether a text has the form of a key: 42 bytes, the first two of which are `Ed`.
fn is_public_key(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    text.len() == 56 && text.starts_with("RW") && text.bytes().all(word)
}

/// `[http]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Origins whose browser pages may use the API, such as `https://ui.example`. None by default.
    pub cors_origins: Vec<String>,
    /// Connections at once; 16 more are served for one request each, and others wait.
    pub max_connections: usize,
    /// Requests at once; more are answered with 503, but for 8 that stop, suspend or delete.
    pub max_requests: usize,
    /// Largest request body in bytes.
    pub max_body_bytes: usize,
    /// Longest request in seconds.
    pub request_timeout_seconds: u64,
    /// The algorithm of a job that comes by `POST /api/jobs` and names none.
    pub deployment_algorithm: String,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            cors_origins: Vec::new(),
            // A connection costs about 20 KiB, a request under way up to three times its body.
            max_connections: 1024,
            max_requests: 256,
            max_body_bytes: 1 << 20,
            request_timeout_seconds: 30,
            deployment_algorithm: "service".to_owned(),
        }
    }
}

impl Http {
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        for (key, value) in [
            ("max_connections", self.max_connections),
            ("max_requests", self.max_requests),
            ("max_body_bytes", self.max_body_bytes),
        ] {
            if value == 0 {
                wrong.push(format!("http.{key}: it must be at least 1"));
            }
        }
        if !(1..=300).contains(&self.request_timeout_seconds) {
            wrong.push("http.request_timeout_seconds: it must be 1 to 300".to_owned());
        }
        if !(1..=63).contains(&self.deployment_algorithm.len()) {
            wrong.push("http.deployment_algorithm: it must have 1 to 63 bytes".to_owned());
        }
        for origin in &self.cors_origins {
            let plain = origin.split_once("://").is_some_and(|(scheme, host)| {
                matches!(scheme, "http" | "https")
                    && !host.is_empty()
                    && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c))
            });
            if !plain {
                wrong.push(format!(
                    "http.cors_origins: `{origin}` is not an origin like `https://ui.example`"
                ));
            }
        }
    }
}

/// Beyond any use, and far from where times overflow.
const TEN_YEARS: u64 = 10 * 366 * 24 * 3600;

/// `[reconcile]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reconcile {
    /// Whether this process runs the loops at all; another one on the same database must, then.
    pub enabled: bool,
    /// Longest time between two rounds without a hint, in seconds.
    pub interval_seconds: u64,
    /// Steps at the same time.
    pub concurrency: usize,
    /// How long a step is its host's own, in seconds, and so how long the jobs of a host that died
    /// wait for another one at most.
    pub lease_seconds: u64,
    /// How long a cluster may be away before its jobs are `Unknown`.
    pub unknown_after_seconds: u64,
    /// How long a workload must be missing before its job is `Lost`.
    pub lost_after_missing_seconds: u64,
    /// How long a cluster may be away before its jobs are `Lost`; 0 for ever.
    pub lost_after_unknown_seconds: u64,
    /// How long a job that is over is kept before it is deleted from the clusters; 0 for ever. Its
    /// history stays.
    pub keep_finished_seconds: u64,
    /// So long after the last order to make a workload its absence proves that it is gone: longer
    /// than the API server works on a request. Until then a job that is removed is `Deleting`.
    pub proof_seconds: u64,
    /// What is done about workloads of ours on the control plane whose job is gone.
    pub orphans: Orphans,
    /// How old such a workload must be, in seconds.
    pub orphan_age_seconds: u64,
}

/// What is done about workloads without a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orphans {
    /// Nobody looks for them.
    Off,
    /// They are reported in the log.
    Report,
    /// Those of jobs that were deleted are removed, those of unknown jobs are reported.
    Deleted,
    /// Those of jobs that the database does not know are removed, too.
    All,
}

impl Default for Reconcile {
    fn default() -> Self {
        let config = training::reconcile::Config::new("");
        Self {
            enabled: true,
            interval_seconds: config.observe_interval.as_secs(),
            concurrency: config.concurrency,
            lease_seconds: config.lease.as_secs(),
            unknown_after_seconds: config.patience.unknown_after.as_secs(),
            lost_after_missing_seconds: config.patience.lost_after_missing.as_secs(),
            lost_after_unknown_seconds: config.patience.lost_after_unknown.as_secs(),
            keep_finished_seconds: 0,
            proof_seconds: config.proof.as_secs(),
            orphans: Orphans::Deleted,
            orphan_age_seconds: config.orphans.age.as_secs(),
        }
    }
}

impl Reconcile {
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        if !(1..=3600).contains(&self.interval_seconds) {
            wrong.push("reconcile.interval_seconds: it must be 1 to 3600".to_owned());
        }
        if !(1..=1024).contains(&self.concurrency) {
            wrong.push("reconcile.concurrency: it must be 1 to 1024".to_owned());
        }
        if !(4..=300).contains(&self.lease_seconds) {
            wrong.push("reconcile.lease_seconds: it must be 4 to 300".to_owned());
        }
        if self.proof_seconds > 3600 {
            wrong.push("reconcile.proof_seconds: it must be 0 to 3600".to_owned());
        }
        if !(2..=86_400).contains(&self.orphan_age_seconds) {
            wrong.push("reconcile.orphan_age_seconds: it must be 2 to 86400".to_owned());
        }
        if self.keep_finished_seconds > TEN_YEARS {
            wrong.push("reconcile.keep_finished_seconds: it must be at most ten years".to_owned());
        }
    }

    /// For the loops, with the name of this process.
    pub(crate) fn config(&self, owner: String) -> training::reconcile::Config {
        let mut config = training::reconcile::Config::new(owner);
        let interval = Duration::from_secs(self.interval_seconds);
        config.observe_interval = interval;
        config.concurrency = self.concurrency;
        config.lease = Duration::from_secs(self.lease_seconds);
        config.keep_finished = Some(self.keep_finished_seconds)
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs);
        config.proof = Duration::from_secs(self.proof_seconds);
        config.orphans = training::reconcile::Orphans {
            mode: match self.orphans {
                Orphans::Off => OrphanMode::Off,
                Orphans::Report => OrphanMode::Report,
                Orphans::Deleted => OrphanMode::Deleted,
                Orphans::All => OrphanMode::All,
            },
            age: Duration::from_secs(self.orphan_age_seconds),
        };
        config.patience.unknown_after = Duration::from_secs(self.unknown_after_seconds);
        config.patience.lost_after_missing = Duration::from_secs(self.lost_after_missing_seconds);
        config.patience.lost_after_unknown = Duration::from_secs(self.lost_after_unknown_seconds);
        config
    }
}

/// `[logs]`: the logs of jobs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Logs {
    /// Streams of logs at once; more are answered with 503.
    pub max_streams: usize,
    /// Whether logs are kept when their pods go. Another host on the same database may do it.
    pub archive: bool,
    /// Of each container so many KiB are kept: the beginning and the end of its log.
    pub archive_container_kib: usize,
    /// Of each job so many KiB are kept.
    pub archive_job_kib: usize,
    /// So many seconds a stop or a deletion waits at most for the logs.
    pub archive_hold_seconds: u64,
    /// So many days archived logs are kept; 0 for ever.
    pub archive_days: u32,
    /// Regular expressions; what they or their groups match is not shown and not kept.
    pub redact: Vec<String>,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            max_streams: 64,
            archive: true,
            archive_container_kib: 1024,
            archive_job_kib: 16 * 1024,
            archive_hold_seconds: 30,
            archive_days: 0,
            redact: Vec::new(),
        }
    }
}

impl Logs {
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        let mut within = |key: &str, value: u64, least: u64, most: u64| {
            if !(least..=most).contains(&value) {
                wrong.push(format!("logs.{key}: it must be {least} to {most}"));
            }
        };
        within("max_streams", self.max_streams as u64, 1, 10_000);
        // One log is one row, which is packed and written at once.
        within("archive_container_kib", self.archive_container_kib as u64, 4, 64 * 1024);
        within("archive_job_kib", self.archive_job_kib as u64, 4, 1024 * 1024);
        within("archive_hold_seconds", self.archive_hold_seconds, 0, 600);
        within("archive_days", u64::from(self.archive_days), 0, 36_500);
        if let Err((index, why)) = Redactor::new([], &self.redact) {
            let why = why.lines().last().unwrap_or_default();
            wrong.push(format!("logs.redact[{index}]: it is not a regular expression: {why}"));
        }
    }

    /// How much is archived.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            container_bytes: self.archive_container_kib << 10,
            job_bytes: self.archive_job_kib << 10,
            hold: Duration::from_secs(self.archive_hold_seconds),
            keep: (self.archive_days > 0)
                .then(|| Duration::from_hours(24 * u64::from(self.archive_days))),
        }
    }
}

/// `[log]`: the host's own log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Directives of `tracing`, such as `info,training=debug`.
    pub filter: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people at a terminal.
    Pretty,
    /// One object per line, for machines.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Pretty }
    }
}
