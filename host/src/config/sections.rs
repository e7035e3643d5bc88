//! One struct per section, each with its defaults and its checks.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::{ConfigError, default_path};
use crate::args::LogFormat;

/// A text that is never printed.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one who needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A URL without user and password; anything else is hidden whole.
    fn redacted(&self) -> String {
        match self.0.split_once("://") {
            Some((scheme, rest)) => {
                let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
                // Parameters may carry a password as well.
                let place = place.split('?').next().unwrap_or_default();
                format!("{scheme}://{place}")
            }
            None => "[hidden]".to_owned(),
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.redacted())
    }
}

fn at_least_one(name: &str, value: u64) -> Result<(), ConfigError> {
    if value == 0 {
        return Err(ConfigError::unusable(name, "must be at least 1"));
    }
    Ok(())
}

/// How the API is served.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Largest request body in bytes. A form is a few KiB.
    pub max_body_bytes: usize,
    /// Most connections at once; further ones wait to be accepted.
    pub max_connections: usize,
    /// Most requests at once; further ones are answered 503.
    pub max_in_flight: usize,
    /// Longest time for a request in seconds.
    pub request_timeout_seconds: u64,
    /// Longest time in seconds for the head of a request to arrive.
    pub header_timeout_seconds: u64,
    /// Longest time in seconds for a clean end after SIGTERM. Below the 30 s that Kubernetes
    /// gives.
    pub drain_seconds: u64,
    /// Origins that web pages may call from; none by default.
    pub cors_origins: Vec<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            max_body_bytes: 1 << 20,
            max_connections: 1024,
            max_in_flight: 512,
            request_timeout_seconds: 30,
            header_timeout_seconds: 10,
            drain_seconds: 25,
            cors_origins: Vec::new(),
        }
    }
}

impl Http {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        at_least_one("http.max_body_bytes", self.max_body_bytes as u64)?;
        at_least_one("http.max_connections", self.max_connections as u64)?;
        at_least_one("http.max_in_flight", self.max_in_flight as u64)?;
        at_least_one("http.request_timeout_seconds", self.request_timeout_seconds)?;
        at_least_one("http.header_timeout_seconds", self.header_timeout_seconds)?;
        at_least_one("http.drain_seconds", self.drain_seconds)?;
        for origin in &self.cors_origins {
            if http::HeaderValue::from_str(origin).is_err() || !origin.starts_with("http") {
                return Err(ConfigError::unusable("http.cors_origins", "holds no origin"));
            }
        }
        Ok(())
    }
}

/// Where jobs are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite://FILE` or `postgres://…`.
    pub url: Secret,
    /// Most connections to PostgreSQL.
    pub max_connections: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: Secret::new("sqlite://trainyard.db"), max_connections: 20 }
    }
}

impl Database {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let known = ["sqlite:", "postgres://", "postgresql://"];
        if !known.iter().any(|scheme| self.url.expose().starts_with(scheme)) {
            return Err(ConfigError::unusable(
                "database.url",
                "must start with `sqlite://` or `postgres://`",
            ));
        }
        at_least_one("database.max_connections", u64::from(self.max_connections))
    }
}

/// Where jobs run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Karmada {
    /// Kubeconfig of the Karmada API server.
    pub kubeconfig: PathBuf,
    /// Context in it; its current one if absent.
    pub context: Option<String>,
    /// Longest time for one call in seconds.
    pub call_timeout_seconds: u64,
}

impl Default for Karmada {
    fn default() -> Self {
        Self {
            kubeconfig: default_path("karmada.kubeconfig"),
            context: None,
            call_timeout_seconds: 10,
        }
    }
}

impl Karmada {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        at_least_one("karmada.call_timeout_seconds", self.call_timeout_seconds)
    }
}

/// What converts jobs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plugins {
    /// Directory of `.wasm` files.
    pub dir: PathBuf,
    /// Directory of compiled plugins.
    pub cache_dir: PathBuf,
    /// Most calls at once.
    pub max_concurrent: u32,
    /// Longest time for one call in milliseconds.
    pub deadline_ms: u64,
    /// Most memory of one call in MiB.
    pub memory_mib: u64,
    /// Settings of each plugin, by its name: default images, entrypoint, names of Secrets.
    pub settings: BTreeMap<String, Value>,
}

impl Default for Plugins {
    fn default() -> Self {
        Self {
            dir: default_path("plugins"),
            cache_dir: default_path("plugin-cache"),
            max_concurrent: 32,
            deadline_ms: 1500,
            memory_mib: 64,
            settings: BTreeMap::new(),
        }
    }
}

impl Plugins {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        at_least_one("plugins.max_concurrent", u64::from(self.max_concurrent))?;
        at_least_one("plugins.deadline_ms", self.deadline_ms)?;
        at_least_one("plugins.memory_mib", self.memory_mib)
    }
}

/// What manifests may hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admission {
    /// Prefixes that images must have; empty for any.
    pub allowed_images: Vec<String>,
    /// `apiVersion/Kind` of what may be created; absent for the host's own list.
    pub allowed_kinds: Option<Vec<String>>,
    /// Rules for pods.
    pub pod_security: PodSecurity,
}

/// Rules for pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PodSecurity {
    /// Pod Security Standard *restricted*; missing fields are filled in.
    #[default]
    Restricted,
    /// Only what reaches for the node is refused.
    Baseline,
}

/// How the clusters are followed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reconcile {
    /// Longest time between two looks at the clusters in milliseconds.
    pub interval_ms: u64,
    /// How many jobs are applied or removed at the same time.
    pub concurrency: usize,
    /// How long a cluster may be unready before its jobs are `Unknown`.
    pub unknown_after_seconds: u64,
    /// How long a workload must be missing before its job is `Lost`.
    pub lost_after_missing_seconds: u64,
    /// How long a cluster may be away before its jobs are `Lost`; 0 for ever.
    pub lost_after_unknown_seconds: u64,
}

impl Default for Reconcile {
    fn default() -> Self {
        Self {
            interval_ms: 1000,
            concurrency: 16,
            unknown_after_seconds: 60,
            lost_after_missing_seconds: 60,
            lost_after_unknown_seconds: 24 * 3600,
        }
    }
}

impl Reconcile {
    /// The interval.
    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms)
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        at_least_one("reconcile.interval_ms", self.interval_ms)?;
        at_least_one("reconcile.concurrency", self.concurrency as u64)
    }
}

/// How the log is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `pretty` or `json`.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Pretty }
    }
}
