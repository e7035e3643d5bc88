//! Converter: TensorFlow. A job becomes one Kubernetes Job whose pods find the cluster and their
//! place in it in `TF_CONFIG`, as the strategies of the library expect. An operator may choose a
//! `TFJob` instead, whose controller writes that variable.

mod cluster;
mod convert;
mod hyperparameters;
mod rules;

use plugin_sdk::trainer::{self, Defaults, Roles, WorkloadKind};
use plugin_sdk::{Converter, Description, Failure, Finding, Job, Plan, Report, Workload};

pub use crate::hyperparameters::Hyperparameters;

/// What operators may change.
pub type Settings = trainer::Settings<Own>;
pub(crate) type TensorflowJob<'a> = Job<'a, Hyperparameters, Settings>;

/// The defaults of this plugin's settings.
#[derive(Clone, Debug)]
pub struct Own;

impl Defaults for Own {
    const TITLE: &'static str = "TensorFlow settings";
    const IMAGE: &'static str = "trainyard/training-tensorflow:0.1.0";
    const ENTRYPOINT: &'static str = "python /app/tensorflow_train.py";
    const KINDS: &'static [WorkloadKind] = &[WorkloadKind::Job, WorkloadKind::TfJob];
}

/// The converter. Natively, call it through `plugin_sdk::guest`.
#[derive(Debug)]
pub struct Plugin;

impl Converter for Plugin {
    type Hyperparameters = Hyperparameters;
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            name: "tensorflow",
            version: env!("CARGO_PKG_VERSION"),
            algorithms: &[
                "tensorflow",
                "tensorflow-cnn",
                "tensorflow-transformer",
                "tf-distributed",
            ],
            title: "TensorFlow",
            summary: "Neural networks with Keras, in one pod, mirrored over many, or with parameter servers.",
            kinds: trainer::kinds_of::<Own>(false),
            examples: &[
                include_str!("../examples/minimal.json"),
                include_str!("../examples/mirrored.json"),
                include_str!("../examples/parameter-servers.json"),
            ],
        }
    }

    fn validate(job: &TensorflowJob<'_>) -> Vec<Finding> {
        rules::findings(job)
    }

    fn convert(job: &TensorflowJob<'_>) -> Result<Plan, Failure> {
        convert::convert(job)
    }

    fn interpret(workload: &Workload) -> Report {
        trainer::interpret_any(workload, Roles { first: "chief", others: "worker" })
    }
}

plugin_sdk::export_converter!(Plugin);
