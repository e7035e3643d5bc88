//! What can be typed.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Submits and follows training jobs.
#[derive(Debug, Parser)]
#[command(name = "trainyard", version, about)]
pub(crate) struct Args {
    /// Base URL of the host. Plain HTTP; put a tunnel or a proxy in front for TLS.
    #[arg(long, global = true, env = "TRAINYARD_SERVER", default_value = "http://127.0.0.1:8080")]
    pub(crate) server: String,
    /// How to print the answer. `json` is the API's own.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How to print an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people. Not a contract.
    Table,
    /// For programs: the API object, unchanged.
    Json,
}

/// A form in a file.
#[derive(Debug, ClapArgs)]
pub(crate) struct Form {
    /// The job form, a JSON file; `-` reads standard input.
    #[arg(short, long)]
    pub(crate) file: PathBuf,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Submit a job form.
    Submit {
        #[command(flatten)]
        form: Form,
        /// Makes a repeated submission safe: the same key never makes a second job. Drawn at
        /// random if it is not given, which covers the retries of this one command.
        #[arg(long)]
        idempotency_key: Option<String>,
        /// Follow the job until it is over; fail if it does not succeed.
        #[arg(short, long)]
        wait: bool,
    },
    /// Show what a job form would become, without submitting it.
    Render {
        #[command(flatten)]
        form: Form,
    },
    /// List jobs, newest first.
    List {
        /// Only this namespace.
        #[arg(short, long)]
        namespace: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show a job.
    Get {
        /// The job's id.
        id: String,
    },
    /// Show how a job stands.
    Status {
        /// The job's id.
        id: String,
        /// Follow it until it is over.
        #[arg(short, long)]
        watch: bool,
    },
    /// Show a job's history.
    Events {
        /// The job's id.
        id: String,
    },
    /// Show the manifests of a job.
    Manifests {
        /// The job's id.
        id: String,
    },
    /// Stop a job and keep its record.
    Cancel {
        /// The job's id.
        id: String,
    },
    /// Stop a job and remove what it left on the clusters.
    Delete {
        /// The job's id.
        id: String,
        /// What happens to the volumes that were made for it.
        #[arg(long, value_enum, default_value_t = Volumes::Keep)]
        volumes: Volumes,
    },
    /// List the member clusters.
    Clusters,
    /// List the algorithms.
    Algorithms,
    /// Print the JSON Schema of an algorithm's hyperparameters.
    Schema {
        /// The algorithm, or an alias of it.
        algorithm: String,
    },
}

/// What happens to volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Volumes {
    /// They stay.
    Keep,
    /// They go.
    Delete,
}
