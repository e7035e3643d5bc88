//! What can be typed after `trainyard-host`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::config::Flags;

/// Accepts training jobs, converts them with sandboxed plugins and runs them through Karmada.
///
/// Every setting can also come from the environment (`TRAINYARD__SECTION__KEY`) or from a TOML
/// file; `config dump` shows all of them. A flag wins over the environment, that over the file.
#[derive(Debug, Parser)]
#[command(name = "trainyard-host", version)]
pub struct Args {
    #[command(flatten)]
    flags: FlagArgs,
    /// What to do; `serve` if absent.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Command {
    /// Serve the API and run the loops.
    Serve,
    /// Bring the database's schema up to date and stop.
    Migrate,
    /// Print the OpenAPI document.
    Openapi,
    /// Look at the configuration.
    Config {
        /// What to do with it.
        #[command(subcommand)]
        action: ConfigAction,
    },
}

/// What to do with the configuration.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigAction {
    /// Say whether it can work.
    Check,
    /// Print it as TOML, without passwords.
    Dump,
    /// Print the admission policy in force as JSON, for `trainyard-plugin render --policy`.
    Policy,
}

#[derive(Debug, ClapArgs)]
struct FlagArgs {
    /// TOML file with settings.
    #[arg(long, global = true, value_name = "FILE", env = "TRAINYARD_CONFIG")]
    config: Option<PathBuf>,
    /// Address and port of the API [default: 127.0.0.1:8080].
    #[arg(long, global = true, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Port of the API; the address stays [env: PORT].
    #[arg(long, global = true, conflicts_with = "listen")]
    port: Option<u16>,
    /// `sqlite://path` or `postgres://…` [env: DATABASE_URL] [default: sqlite://trainyard.db].
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// Kubeconfig of the Karmada API server [env: KARMADA_KUBECONFIG].
    #[arg(long, global = true, value_name = "FILE")]
    karmada_kubeconfig: Option<PathBuf>,
    /// Context in that kubeconfig.
    #[arg(long, global = true, value_name = "NAME")]
    karmada_context: Option<String>,
    /// Directory with plugins [default: plugins].
    #[arg(long, global = true, value_name = "DIR")]
    plugins_dir: Option<PathBuf>,
    /// Directory for compiled plugins.
    #[arg(long, global = true, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// Accepted from older deployments; nothing reads it.
    #[arg(long, global = true, value_name = "FILE", hide = true)]
    mgmt_kubeconfig: Option<PathBuf>,
}

impl Args {
    /// The flags, for [`crate::config::load`].
    pub fn flags(&self) -> Flags {
        let flags = &self.flags;
        Flags {
            config: flags.config.clone(),
            listen: flags.listen,
            port: flags.port,
            database_url: flags.database_url.clone(),
            karmada_kubeconfig: flags.karmada_kubeconfig.clone(),
            karmada_context: flags.karmada_context.clone(),
            plugins_dir: flags.plugins_dir.clone(),
            cache_dir: flags.cache_dir.clone(),
            mgmt_kubeconfig: flags.mgmt_kubeconfig.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn flags_stand_before_or_after_the_command_and_the_command_may_be_left_out() {
        for line in [
            &["trainyard-host", "--port", "9"] as &[&str],
            &["trainyard-host", "serve", "--port", "9"],
            &["trainyard-host", "--port", "9", "serve"],
        ] {
            assert_eq!(Args::try_parse_from(line).unwrap().flags().port, Some(9), "{line:?}");
        }
        assert!(Args::try_parse_from(["trainyard-host", "--prot", "9"]).is_err());
    }
}
