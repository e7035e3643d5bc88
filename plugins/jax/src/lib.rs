//! Converter: JAX. A job becomes one Kubernetes Job with one process in every pod; the first pod
//! coordinates, and `jax.distributed.initialize` finds it in the environment. An operator may choose
//! a `TrainJob` instead, whose controller writes that part of the environment.

mod convert;
mod hyperparameters;
mod rules;

use plugin_sdk::trainer::{self, Defaults, Roles, WorkloadKind};
use plugin_sdk::{Converter, Description, Failure, Finding, Job, Plan, Report, Workload};

pub use crate::hyperparameters::Hyperparameters;

/// What operators may change.
pub type Settings = trainer::Settings<Own>;
pub(crate) type JaxJob<'a> = Job<'a, Hyperparameters, Settings>;

/// The defaults of this plugin's settings.
#[derive(Clone, Debug)]
pub struct Own;

impl Defaults for Own {
    const TITLE: &'static str = "JAX settings";
    const IMAGE: &'static str = "trainyard/training-jax:0.1.0";
    const ENTRYPOINT: &'static str = "python /app/jax_train.py";
    const KINDS: &'static [WorkloadKind] = &[WorkloadKind::Job, WorkloadKind::TrainJob];
    const RUNTIME: &'static str = "jax-distributed";
}

/// The converter. Natively, call it through `plugin_sdk::guest`.
#[derive(Debug)]
pub struct Plugin;

impl Converter for Plugin {
    type Hyperparameters = Hyperparameters;
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            name: "jax",
            version: env!("CARGO_PKG_VERSION"),
            algorithms: &["jax", "jax-pjit"],
            title: "JAX",
            summary: "Neural networks with JAX and Optax, over the devices of one pod or many.",
            kinds: trainer::kinds_of::<Own>(false),
            examples: &[
                include_str!("../examples/minimal.json"),
                include_str!("../examples/sharded.json"),
            ],
        }
    }

    fn validate(job: &JaxJob<'_>) -> Vec<Finding> {
        rules::findings(job)
    }

    fn convert(job: &JaxJob<'_>) -> Result<Plan, Failure> {
        convert::convert(job)
    }

    fn interpret(workload: &Workload) -> Report {
        trainer::interpret_any(workload, Roles { first: "coordinator", others: "worker" })
    }
}

plugin_sdk::export_converter!(Plugin);
