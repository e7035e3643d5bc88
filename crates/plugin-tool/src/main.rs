//! `trainyard-plugin`: looks at converters the way the host does, for their authors and operators.
//!
//! Data goes to stdout, talk to stderr. Exit code 0: fine; 1: the plugin or the input is wrong;
//! 2: this program could not do its work.

mod build;
mod check;
mod inspect;
mod job;
mod new;
mod render;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Parser, Subcommand};
use plugin_runtime::{Config, Inspection, PluginRuntime};
use serde_json::Value;

/// Inspects, checks and tries converter plugins.
#[derive(Debug, Parser)]
#[command(name = "trainyard-plugin", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Makes the project of a new plugin.
    New(new::NewArgs),
    /// Builds the plugin in a folder.
    Build(build::BuildArgs),
    /// Shows what a plugin says about itself.
    Inspect {
        /// The component.
        file: PathBuf,
        /// Prints everything as one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Loads a plugin as the host would, and converts each of its examples twice.
    Check {
        /// The component.
        file: PathBuf,
    },
    /// Converts a form and prints the bundle that a host would store.
    Render(render::RenderArgs),
}

/// What is wrong with the plugin or the input, as lines for stderr.
#[derive(Debug)]
struct Wrong(Vec<String>);

/// The outer error is this program's, the inner one the user's.
type Outcome<T> = anyhow::Result<Result<T, Wrong>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::New(args) => new::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Inspect { file, json } => inspect::run(&file, json).await,
        Command::Check { file } => check::run(&file).await,
        Command::Render(args) => render::run(&args).await,
    };
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(Wrong(lines))) => {
            for line in lines {
                eprintln!("error: {line}");
            }
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Starts a runtime without a directory.
async fn start(config: Config) -> anyhow::Result<Arc<PluginRuntime>> {
    PluginRuntime::start(config).await.context("the plugin runtime cannot start")
}

/// Loads one file as the host would.
async fn load(runtime: &PluginRuntime, file: &Path) -> Result<Inspection, Wrong> {
    runtime
        .inspect(file)
        .await
        .map_err(|error| Wrong(vec![format!("{} is not a plugin: {error}", file.display())]))
}

/// Few sandboxes: one call runs at a time.
fn config() -> Config {
    Config { max_concurrent: 2, ..Config::new(None, None) }
}

/// Reads a JSON file, or stdin for `-`.
fn read_json(path: &Path) -> Result<Value, Wrong> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let wrong = |why: String| Wrong(vec![format!("{}: {why}", path.display())]);
    let text = text.map_err(|error| wrong(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| wrong(format!("not JSON: {error}")))
}
