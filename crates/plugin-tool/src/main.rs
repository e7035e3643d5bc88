//! `trainyard-plugin`: looks at converters the way the host does, for their authors and operators.
//!
//! Data goes to stdout, talk to stderr. Exit code 0: fine; 1: the plugin or the input is wrong;
//! 2: this program could not do its work.

// First, because the others use its macros.
#[macro_use]
mod output;

mod bench;
mod build;
mod candidate;
mod check;
mod diff;
mod export;
mod forms;
mod inspect;
mod job;
mod jobs;
mod keys;
mod new;
mod oci;
mod policy;
mod progress;
mod record;
mod render;
mod replay;
mod sign;
mod unified;

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
    /// Tries a plugin against everything that a host and a cluster will ask of it.
    Check(check::Args),
    /// Compares two versions of a plugin and says what its version number must promise.
    Diff(diff::Args),
    /// Makes the manifests of stored jobs again and shows what would be different.
    Replay(replay::Args),
    /// Writes stored jobs to a file that `replay` reads.
    Export(export::Args),
    /// Makes a pair of keys to sign plugins with.
    Keygen(sign::KeygenArgs),
    /// Signs a plugin; minisign can verify the signature, too.
    Sign(sign::SignArgs),
    /// Checks who signed a plugin.
    Verify(sign::VerifyArgs),
    /// Puts a plugin into an OCI registry or a folder of that format.
    Push(oci::PushArgs),
    /// Gets a plugin from an OCI registry or a folder of that format.
    Pull(oci::PullArgs),
    /// Measures what a call costs on this machine.
    Bench(bench::Args),
    /// Converts a form and prints the bundle that a host would store.
    Render(render::RenderArgs),
}

/// What is wrong with the plugin or the input, as lines for stderr.
#[derive(Debug)]
struct Wrong(Vec<String>);

/// The outer error is this program's, the inner one the user's.
type Outcome<T> = anyhow::Result<Result<T, Wrong>>;

fn main() -> ExitCode {
    // Before anything else: this program started again is a compiler or runner of plugins.
    if let Some(code) = plugin_runtime::worker::run_if_asked() {
        return code;
    }
    let command = Args::parse().command;
    match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime.block_on(act(command)),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

async fn act(command: Command) -> ExitCode {
    let outcome = match command {
        Command::New(args) => new::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Inspect { file, json } => inspect::run(&file, json).await,
        Command::Check(args) => check::run(&args).await,
        Command::Diff(args) => diff::run(&args).await,
        Command::Replay(args) => replay::run(&args).await,
        Command::Export(args) => export::run(&args).await,
        Command::Keygen(args) => sign::keygen(&args),
        Command::Sign(args) => sign::sign(&args).await,
        Command::Verify(args) => Ok(sign::verify(&args)),
        Command::Push(args) => oci::push(&args).await,
        Command::Pull(args) => oci::pull(&args).await,
        Command::Bench(args) => bench::run(&args).await,
        Command::Render(args) => render::run(&args).await,
    };
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(Wrong(lines))) => {
            for line in lines {
                // What to do comes after what is wrong, and is no error itself.
                if line.starts_with("hint: ") {
                    eprintln!("{line}");
                } else {
                    eprintln!("error: {line}");
                }
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

/// Plugins run as in a host: behind both walls. A plugin gets half of the runners, and `bench`
/// makes two calls at a time.
fn config() -> Config {
    Config::new(None, None).isolated("/proc/self/exe", 4)
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
