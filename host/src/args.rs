//! The command line of the host.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

/// Runs training jobs from forms, through sandboxed plugins, on clusters that Karmada manages.
#[derive(Debug, Parser)]
#[command(name = "trainyard-host", version, about)]
pub struct Args {
    /// What to do; `serve` if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings that win over environment and file.
    #[command(flatten)]
    pub overrides: Overrides,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API and run jobs.
    Serve,
    /// Bring the database up to date and end.
    Migrate,
    /// Print the OpenAPI document of the API.
    Openapi,
    /// Look at the settings.
    Config {
        /// What about them.
        #[command(subcommand)]
        action: ConfigAction,
    },
}

/// What can be done with settings.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigAction {
    /// Say whether they can be used.
    Check,
    /// Print them as TOML, secrets hidden.
    Dump,
}

/// How to write the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Flags. Each wins over its environment variable, and that over the file.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct Overrides {
    /// Settings file (TOML).
    #[arg(long, global = true, env = "TRAINYARD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address to listen on, such as 127.0.0.1:8080.
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub listen: Option<std::net::SocketAddr>,
    /// Port to listen on, on every interface.
    #[arg(long, global = true, env = "PORT", conflicts_with = "listen")]
    pub port: Option<u16>,
    /// `sqlite://FILE` or `postgres://…`.
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// Kubeconfig of the Karmada API server.
    #[arg(long, global = true, env = "KARMADA_KUBECONFIG", value_name = "FILE")]
    pub karmada_kubeconfig: Option<PathBuf>,
    /// Context in that kubeconfig; its current one if not given.
    #[arg(long, global = true, env = "KARMADA_CONTEXT", value_name = "NAME")]
    pub karmada_context: Option<String>,
    /// Accepted for old installations and not used.
    #[arg(long, global = true, env = "MGMT_KUBECONFIG", value_name = "FILE", hide = true)]
    pub mgmt_kubeconfig: Option<PathBuf>,
    /// Directory of plugin files.
    #[arg(long, global = true, value_name = "DIR")]
    pub plugins_dir: Option<PathBuf>,
    /// Directory of compiled plugins; made if it is missing, private to the host.
    #[arg(long, global = true, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Longest time between two looks at the clusters, such as `1s` or `500ms`.
    #[arg(long, global = true, env = "JOB_MONITOR_INTERVAL", value_name = "DURATION")]
    pub job_monitor_interval: Option<String>,
    /// How to write the log.
    #[arg(long, global = true, env = "TRAINYARD_LOG_FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
}
