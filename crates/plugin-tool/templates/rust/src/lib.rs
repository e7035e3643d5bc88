//! Template Title: a job becomes one Kubernetes Job, with one pod per instance. Pure functions: the
//! host makes a fresh instance for every call, and there is no clock, file or network to ask.

mod convert;
mod hyperparameters;
mod rules;
mod settings;

use plugin_sdk::manifest::job::BatchJob;
use plugin_sdk::{
    Converter, Description, Failure, Finding, Job, Kind, Plan, Report, Workload, status,
};

pub use crate::hyperparameters::Hyperparameters;
pub use crate::settings::Settings;

/// The converter. Natively, call it through `plugin_sdk::guest`.
#[derive(Debug)]
pub struct Plugin;

impl Converter for Plugin {
    type Hyperparameters = Hyperparameters;
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            name: "template-name",
            version: env!("CARGO_PKG_VERSION"),
            // The first is canonical, the others are aliases.
            algorithms: &["template-algorithm"],
            title: "Template Title",
            summary: "Trains with Template Title, in one container per instance.",
            kinds: vec![
                BatchJob::kind(),
                Kind::support("v1", "PersistentVolumeClaim", "persistentvolumeclaims", 63),
            ],
            examples: &[
                include_str!("../examples/minimal.json"),
                include_str!("../examples/sgd.json"),
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
        status::batch_job(workload, convert::CONTAINER)
    }
}

plugin_sdk::export_converter!(Plugin);
