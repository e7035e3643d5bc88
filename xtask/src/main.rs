//! `cargo xtask <command>`: everything a contributor or a build machine runs, in one small program.
//!
//! Each command is one file. Nothing here knows an algorithm by name, or decides about jobs.

mod algorithms;
mod bench;
mod ci;
mod cmd;
mod contract;
mod deny;
mod dev;
mod examples;
mod openapi;
mod plugins;
mod postgres;
mod setup;
mod test;
mod tidy;
mod train;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Build, run and check Trainyard")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build every plugin to WebAssembly components
    Plugins {
        /// Where the `.wasm` files go [default: `plugins` in the target directory]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Build the examples in Python and JavaScript, too; fetches their compilers once
        #[arg(long)]
        examples: bool,
    },
    /// Build everything, then run the host against a sandbox control plane
    Dev(dev::DevArgs),
    /// Run all tests, with a throw-away PostgreSQL
    Test {
        /// Only the suite that runs against any control plane: the one that
        /// TRAINYARD_TEST_KUBECONFIG names, or a sandbox
        #[arg(long)]
        conformance: bool,
        /// The training programs of all images, too, instead of the quick ones; installs gigabytes
        #[arg(long)]
        train: bool,
        /// Arguments for the test runner, e.g. `-- -p tests submit`
        #[arg(last = true, value_name = "ARGS")]
        args: Vec<String>,
    },
    /// Run every check a change must pass
    Ci {
        /// Only these steps, in this order
        #[arg(value_name = "STEP")]
        steps: Vec<ci::Step>,
    },
    /// Run training programs with the real libraries, from a form through its plugin to the model
    Train {
        /// Images below deploy/images [default: all]
        #[arg(value_name = "IMAGE")]
        images: Vec<String>,
    },
    /// Measure the figures of the design, with a durable throw-away PostgreSQL
    Bench {
        /// Arguments for the benchmark, e.g. a filter
        #[arg(last = true, value_name = "ARGS")]
        args: Vec<String>,
    },
    /// Check the house rules: import law, file headers, documents, contracts
    Tidy,
    /// Write docs/contract.md from the plugin contract
    Contract {
        /// Fail when the file is not up to date, instead of writing it
        #[arg(long)]
        check: bool,
    },
    /// Write docs/algorithms from the plugins
    Algorithms {
        /// Fail when a page is not up to date, instead of writing it
        #[arg(long)]
        check: bool,
    },
    /// Write docs/openapi.json from the host's code
    Openapi {
        /// Fail when the file is not up to date, instead of writing it
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<()> {
    cmd::catch_signals()?;
    let repo = setup::Repo::find()?;
    match args.command {
        Command::Plugins { out, examples } => {
            setup::wasm_targets(&repo)?;
            let dir = out.clone().unwrap_or_else(|| repo.plugins_dir());
            setup::build_plugins(&repo, &dir)?;
            if examples {
                examples::build(&repo, &out.unwrap_or_else(|| repo.examples_dir()))?;
            }
            Ok(())
        }
        Command::Dev(args) => dev::run(&repo, &args),
        Command::Test { conformance, train, args } => {
            test::run(&repo, &test::Options { ci: false, conformance, train, args })
        }
        Command::Ci { steps } => ci::run(&repo, &steps),
        Command::Train { images } => train::run(&repo, train::Choice::Named(&images)),
        Command::Bench { args } => bench::run(&repo, &args),
        Command::Tidy => tidy::run(&repo),
        Command::Contract { check } => contract::run(&repo, check),
        Command::Algorithms { check } => algorithms::run(&repo, check),
        Command::Openapi { check } => openapi::run(&repo, check),
    }
}
