//! Converter: XGBoost on Ray. A job becomes a RayJob with one head and equal workers and, unless
//! the user names one, a claim for the results. Pure: everything comes from the arguments.

mod channels;
mod convert;
mod hyperparameters;
mod rules;
mod settings;
pub mod words;

use plugin_sdk::manifest::rayjob;
use plugin_sdk::{
    Converter, Description, Failure, Finding, Job, Kind, Plan, Report, Workload, status,
};

pub use crate::hyperparameters::Hyperparameters;
pub use crate::settings::Settings;

/// The converter. Natively, call it through `plugin_sdk::guest`.
#[derive(Debug)]
pub struct Xgboost;

impl Converter for Xgboost {
    type Hyperparameters = Hyperparameters;
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            name: "xgboost",
            version: env!("CARGO_PKG_VERSION"),
            algorithms: &["xgboost"],
            title: "XGBoost",
            summary: "Gradient boosted trees on tabular data, distributed with Ray.",
            kinds: vec![
                rayjob::kind(),
                Kind::support("v1", "PersistentVolumeClaim", "persistentvolumeclaims", 63),
            ],
            examples: &[
                include_str!("../examples/minimal.json"),
                include_str!("../examples/sample.json"),
                include_str!("../examples/gpu.json"),
            ],
        }
    }

    fn validate(job: &Job<'_, Hyperparameters, Settings>) -> Vec<Finding> {
        rules::findings(job)
    }

    fn convert(job: &Job<'_, Hyperparameters, Settings>) -> Result<Plan, Failure> {
        convert::convert(job)
    }

    fn interpret(workload: &Workload) -> Report {
        status::ray_job(workload)
    }
}

plugin_sdk::export_converter!(Xgboost);
