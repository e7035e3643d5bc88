//! The settings of one host: flag over environment over file over default. Unknown keys are
//! errors, because a typo that is ignored is found in production.

mod admission;
mod placement;
mod secret;
mod sections;
mod source;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use admission::Admission;
pub use placement::{Hidden, Placement};
pub use secret::SecretText;
pub use sections::{Database, Http, Isolation, Karmada, Log, LogFormat, Logs, Plugins, Reconcile};
pub use source::{ConfigError, Environment, Loaded, load};

/// Everything that can be set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Where jobs are kept.
    pub database: Database,
    /// Where jobs run.
    pub karmada: Karmada,
    /// Where converters come from.
    pub plugins: Plugins,
    /// How the API behaves.
    pub http: Http,
    /// What plugins may emit.
    pub admission: Admission,
    /// Where jobs may go, and what goes with them.
    pub placement: Placement,
    /// How the loops behave.
    pub reconcile: Reconcile,
    /// The logs of jobs.
    pub logs: Logs,
    /// What is logged, and how.
    pub log: Log,
}

impl Default for Config {
    /// The configuration of a developer's machine: nothing but this process can reach it.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            database: Database::default(),
            karmada: Karmada::default(),
            plugins: Plugins::default(),
            http: Http::default(),
            admission: Admission::default(),
            placement: Placement::default(),
            reconcile: Reconcile::default(),
            logs: Logs::default(),
            log: Log::default(),
        }
    }
}

impl Config {
    /// Every value that cannot work, as `key: sentence`.
    pub fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        self.database.check(&mut wrong);
        self.karmada.check(&mut wrong);
        self.plugins.check(&mut wrong);
        self.http.check(&mut wrong);
        self.placement.check(&mut wrong);
        self.reconcile.check(&mut wrong);
        self.logs.check(&mut wrong);
        // A step of a loop makes several calls within its lease.
        if self.karmada.call_timeout_seconds * 2 > self.reconcile.lease_seconds {
            wrong.push(
                "karmada.call_timeout_seconds: it must be at most half of \
                 reconcile.lease_seconds"
                    .to_owned(),
            );
        }
        wrong
    }

    /// The admission policy as JSON, for tools that work without a host.
    pub fn policy(&self) -> String {
        format!("{:#}", self.admission.policy().to_value())
    }

    /// As TOML, with secrets hidden. Reading it back gives the same configuration but for those.
    pub fn dump(&self) -> String {
        toml::to_string(self).unwrap_or_else(|error| format!("# cannot be written: {error}\n"))
    }
}

/// What the command line says; each wins over everything else.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// The file to read.
    pub config: Option<PathBuf>,
    /// [`Config::listen`].
    pub listen: Option<SocketAddr>,
    /// The port of [`Config::listen`].
    pub port: Option<u16>,
    /// [`Database::url`].
    pub database_url: Option<String>,
    /// [`Karmada::kubeconfig`].
    pub karmada_kubeconfig: Option<PathBuf>,
    /// [`Karmada::context`].
    pub karmada_context: Option<String>,
    /// [`Plugins::dir`].
    pub plugins_dir: Option<PathBuf>,
    /// [`Plugins::cache_dir`].
    pub cache_dir: Option<PathBuf>,
    /// Accepted from older deployments; nothing reads it.
    pub mgmt_kubeconfig: Option<PathBuf>,
}
