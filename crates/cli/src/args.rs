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
    output: Output,
    /// The same as `--output json`.
    #[arg(long, global = true)]
    json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// How to print the answer.
    pub(crate) fn output(&self) -> Output {
        if self.json { Output::Json } else { self.output }
    }
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
    /// Rewrite a job document of another platform as a form.
    #[command(subcommand)]
    Import(ImportCommand),
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
    /// Explain why a job does not run, or why it ended as it did.
    Explain {
        /// The job's id.
        id: String,
    },
    /// Show a job's history.
    Events {
        /// The job's id.
        id: String,
    },
    /// Show what the containers of a job write, also after they are gone.
    Logs(Logs),
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
    /// Hold a job back: free what it has, and begin it anew when it is resumed.
    Suspend {
        /// The job's id.
        id: String,
    },
    /// Let a suspended job go on.
    Resume {
        /// The job's id.
        id: String,
    },
    /// Run a job once more, as the next attempt of the same work.
    Retry {
        /// The id of any attempt.
        id: String,
        /// Its name; that of the first attempt with the number at its end if not given.
        #[arg(long)]
        name: Option<String>,
    },
    /// List every attempt of the same work.
    Attempts {
        /// The id of any attempt.
        id: String,
    },
    /// Submit the form of a job under another name, with changes.
    Clone {
        /// The job's id.
        id: String,
        /// The name of the copy.
        name: String,
        /// JSON to merge into the form, such as `{"resources": {"instanceCount": 2}}`; `null`
        /// removes a member.
        #[arg(long, value_name = "JSON")]
        set: Option<String>,
    },
    /// Give up on clusters that a stop or deletion waits for. What is still there runs on.
    Abandon {
        /// The job's id.
        id: String,
        /// The clusters that will not come back.
        #[arg(required = true)]
        clusters: Vec<String>,
        /// Who gives up, for the record. The host does not check it.
        #[arg(long, env = "TRAINYARD_ACTOR")]
        actor: Option<String>,
    },
    /// Stop a job and remove what it left on the clusters.
    Delete {
        /// The job's id.
        id: String,
        /// What happens to the volumes that were made for it.
        #[arg(long, value_enum, default_value_t = Volumes::Keep)]
        volumes: Volumes,
    },
    /// Repeat the conversion of a job with the plugin that made it, and compare. Fails if anything
    /// differs.
    Verify {
        /// The job's id.
        id: String,
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
    /// See and decide which versions of plugins serve.
    Plugins(Plugins),
}

/// The platforms whose documents can be read.
#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// A request of SageMaker's `CreateTrainingJob`. Prints the form, and on stderr what it does not
    /// say. Fails if the form cannot be submitted as it is.
    Sagemaker {
        /// The request, a JSON file; `-` reads standard input.
        file: PathBuf,
        /// The algorithm, or an alias of it; needed if the training image names none, or several.
        #[arg(long)]
        algorithm: Option<String>,
        /// Submit the form.
        #[arg(long)]
        submit: bool,
    },
}

/// Which logs to show.
#[derive(Debug, ClapArgs)]
pub(crate) struct Logs {
    /// The job's id.
    pub(crate) id: String,
    /// Go on until the job is over.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only so many of the last lines of each container.
    #[arg(long)]
    pub(crate) tail: Option<u64>,
    /// Only lines since a time, or since so long ago: `10m`, `1h30m`.
    #[arg(long)]
    pub(crate) since: Option<String>,
    /// Containers of this name instead of those that matter most.
    #[arg(short, long)]
    pub(crate) container: Option<String>,
    /// Only pods of this role: `driver`, `head`, `worker`.
    #[arg(long)]
    pub(crate) role: Option<String>,
    /// Only this pod of each role: its name, or its number from 0.
    #[arg(long)]
    pub(crate) replica: Option<String>,
    /// Of the run of each container before its last one.
    #[arg(short, long)]
    pub(crate) previous: bool,
    /// Put its time before each line.
    #[arg(long)]
    pub(crate) timestamps: bool,
}

/// What is done about plugins.
#[derive(Debug, ClapArgs)]
pub(crate) struct Plugins {
    /// Who decides, for the record. The host does not check it.
    #[arg(long, global = true, env = "TRAINYARD_ACTOR")]
    pub(crate) actor: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: PluginCommand,
}

/// One version of a plugin.
#[derive(Debug, ClapArgs)]
pub(crate) struct Version {
    /// The plugin's name.
    pub(crate) name: String,
    /// Its semantic version, or its sha256 with 64 hex digits.
    pub(crate) version: String,
}

/// The verbs about plugins.
#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// List plugins, versions and rejected files.
    List,
    /// Show a plugin with everything that is kept of it.
    Show {
        /// The plugin's name.
        name: String,
    },
    /// Make one version serve, whatever others there are.
    Pin(Version),
    /// Let the highest version serve again.
    Unpin {
        /// The plugin's name.
        name: String,
    },
    /// Try a version on some jobs, or end the trial.
    Canary {
        /// The plugin's name.
        name: String,
        /// The semantic version to try, or its sha256.
        #[arg(required_unless_present = "stop")]
        version: Option<String>,
        /// Share of all jobs in percent.
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
        percent: u8,
        /// A namespace whose jobs all go to it. May be given several times.
        #[arg(short, long = "namespace")]
        namespaces: Vec<String>,
        /// End the trial.
        #[arg(long, conflicts_with_all = ["version", "percent", "namespaces"])]
        stop: bool,
    },
    /// Make the version on trial serve every job.
    Promote {
        /// The plugin's name.
        name: String,
    },
    /// Make the version serve that served before the last change of the pin.
    Rollback {
        /// The plugin's name.
        name: String,
    },
    /// Let a version out of quarantine.
    Release {
        /// The plugin's name.
        name: String,
        /// The version's sha256.
        sha256: String,
    },
    /// Show how Karmada is to read a plugin's kinds, and what it has of that.
    Interpreters {
        /// The plugin's name.
        name: String,
    },
    /// Install how Karmada is to read a kind; it counts for every object of that kind.
    InstallInterpreter {
        /// The plugin's name.
        name: String,
        /// The interpreter's name.
        interpreter: String,
    },
    /// Show what happened to a plugin, or to all, newest first.
    Events {
        /// The plugin's name, or that of a file which is none.
        name: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Only events before this number.
        #[arg(long)]
        before: Option<i64>,
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
