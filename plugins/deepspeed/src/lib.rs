//! Converter: DeepSpeed. A job becomes one Kubernetes Job whose pods start `torchrun`, and a
//! ConfigMap with the configuration, which the training program hands to the library. An operator
//! may choose an `MPIJob` instead: then `mpirun` starts the processes, and the library finds its
//! place among them by MPI.

mod config;
mod convert;
mod hyperparameters;
mod rules;

use plugin_sdk::trainer::{self, Defaults, Roles, WorkloadKind};
use plugin_sdk::{Converter, Description, Failure, Finding, Job, Plan, Report, Workload};

pub use crate::hyperparameters::Hyperparameters;

/// What operators may change.
pub type Settings = trainer::Settings<Own>;
pub(crate) type DeepspeedJob<'a> = Job<'a, Hyperparameters, Settings>;

/// The defaults of this plugin's settings.
#[derive(Clone, Debug)]
pub struct Own;

impl Defaults for Own {
    const TITLE: &'static str = "DeepSpeed settings";
    const IMAGE: &'static str = "";
    const ENTRYPOINT: &'static str = "";
    const KINDS: &'static [WorkloadKind] = &[WorkloadKind::Job, WorkloadKind::MpiJob];
    const MPI_HOME: &'static str = "/home/mpiuser";
}

/// The converter. Natively, call it through `plugin_sdk::guest`.
#[derive(Debug)]
pub struct Plugin;

impl Converter for Plugin {
    type Hyperparameters = Hyperparameters;
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            name: "deepspeed",
            version: env!("CARGO_PKG_VERSION"),
            algorithms: &["deepspeed", "deepspeed-zero3"],
            title: "DeepSpeed",
            summary: "Large models with DeepSpeed: ZeRO, offloading and mixed precision, over many GPUs.",
            kinds: trainer::kinds_of::<Own>(true),
            examples: &[
                include_str!("../examples/minimal.json"),
                include_str!("../examples/zero3.json"),
            ],
        }
    }

    fn validate(job: &DeepspeedJob<'_>) -> Vec<Finding> {
        rules::findings(job)
    }

    fn convert(job: &DeepspeedJob<'_>) -> Result<Plan, Failure> {
        convert::convert(job)
    }

    fn interpret(workload: &Workload) -> Report {
        trainer::interpret_any(workload, Roles { first: "leader", others: "worker" })
    }
}

plugin_sdk::export_converter!(Plugin);
