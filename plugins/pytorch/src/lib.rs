//! Converter: PyTorch. A job becomes one Kubernetes Job whose pods start `torchrun`; it finds its
//! flags in the environment, and the first pod by its name. An operator may choose a `PyTorchJob` or
//! a `TrainJob` instead, whose controllers write a part of that environment.

mod convert;
mod hyperparameters;
mod rules;

use plugin_sdk::trainer::{self, Defaults, Roles, WorkloadKind};
use plugin_sdk::{Converter, Description, Failure, Finding, Job, Plan, Report, Workload};

pub use crate::hyperparameters::Hyperparameters;

/// What operators may change.
pub type Settings = trainer::Settings<Own>;
pub(crate) type PytorchJob<'a> = Job<'a, Hyperparameters, Settings>;

/// The defaults of this plugin's settings.
#[derive(Clone, Debug)]
pub struct Own;

impl Defaults for Own {
    const TITLE: &'static str = "PyTorch settings";
    const IMAGE: &'static str = "trainyard/training-pytorch:0.1.0";
    const ENTRYPOINT: &'static str = "torchrun /app/pytorch_train.py";
    const KINDS: &'static [WorkloadKind] =
        &[WorkloadKind::Job, WorkloadKind::PyTorchJob, WorkloadKind::TrainJob];
    const RUNTIME: &'static str = "torch-distributed";
}

/// The converter. Natively, call it through `plugin_sdk::guest`.
#[derive(Debug)]
pub struct Plugin;

impl Converter for Plugin {
    type Hyperparameters = Hyperparameters;
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            name: "pytorch",
            version: env!("CARGO_PKG_VERSION"),
            algorithms: &["pytorch", "torch-mpi"],
            title: "PyTorch",
            summary: "Neural networks with PyTorch, in one process or many, by DDP or FSDP.",
            kinds: trainer::kinds_of::<Own>(false),
            examples: &[
                include_str!("../examples/minimal.json"),
                include_str!("../examples/ddp.json"),
                include_str!("../examples/fsdp.json"),
            ],
        }
    }

    fn validate(job: &PytorchJob<'_>) -> Vec<Finding> {
        rules::findings(job)
    }

    fn convert(job: &PytorchJob<'_>) -> Result<Plan, Failure> {
        convert::convert(job)
    }

    fn interpret(workload: &Workload) -> Report {
        trainer::interpret_any(workload, Roles { first: "leader", others: "worker" })
    }
}

plugin_sdk::export_converter!(Plugin);
