//! Converter: LightGBM. A job becomes one Kubernetes Job; several pods learn together over the
//! sockets of the library itself, which need no operator in the cluster.

mod convert;
mod hyperparameters;
mod rules;

use plugin_sdk::trainer::{self, Defaults};
use plugin_sdk::{Converter, Description, Failure, Finding, Job, Plan, Report, Workload};

pub use crate::hyperparameters::Hyperparameters;

/// What operators may change.
pub type Settings = trainer::Settings<Own>;
pub(crate) type LightgbmJob<'a> = Job<'a, Hyperparameters, Settings>;

/// The defaults of this plugin's settings.
#[derive(Clone, Debug)]
pub struct Own;

impl Defaults for Own {
    const TITLE: &'static str = "LightGBM settings";
    const IMAGE: &'static str = "trainyard/training-lightgbm:0.1.0";
    const ENTRYPOINT: &'static str = "python /app/lightgbm_train.py";
}

/// The converter. Natively, call it through `plugin_sdk::guest`.
#[derive(Debug)]
pub struct Plugin;

impl Converter for Plugin {
    type Hyperparameters = Hyperparameters;
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            name: "lightgbm",
            version: env!("CARGO_PKG_VERSION"),
            algorithms: &["lightgbm"],
            title: "LightGBM",
            summary: "Gradient boosted trees on tabular data, in one pod or distributed over several.",
            kinds: trainer::kinds(false),
            examples: &[
                include_str!("../examples/minimal.json"),
                include_str!("../examples/distributed.json"),
            ],
        }
    }

    fn validate(job: &LightgbmJob<'_>) -> Vec<Finding> {
        rules::findings(job)
    }

    fn convert(job: &LightgbmJob<'_>) -> Result<Plan, Failure> {
        convert::convert(job)
    }

    fn interpret(workload: &Workload) -> Report {
        trainer::interpret(workload, "leader", "worker")
    }
}

plugin_sdk::export_converter!(Plugin);
