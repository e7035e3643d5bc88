//! Converter: scikit-learn. A job becomes one Kubernetes Job with one pod: the library does not
//! leave its machine.

mod convert;
mod hyperparameters;
mod rules;

use plugin_sdk::trainer::{self, Defaults};
use plugin_sdk::{Converter, Description, Failure, Finding, Job, Plan, Report, Workload};

pub use crate::hyperparameters::Hyperparameters;

/// What operators may change.
pub type Settings = trainer::Settings<Own>;
pub(crate) type SklearnJob<'a> = Job<'a, Hyperparameters, Settings>;

/// The defaults of this plugin's settings.
#[derive(Clone, Debug)]
pub struct Own;

impl Defaults for Own {
    const TITLE: &'static str = "scikit-learn settings";
    const IMAGE: &'static str = "trainyard/training-sklearn:0.1.0";
    const ENTRYPOINT: &'static str = "python /app/sklearn_train.py";
}

/// The converter. Natively, call it through `plugin_sdk::guest`.
#[derive(Debug)]
pub struct Plugin;

impl Converter for Plugin {
    type Hyperparameters = Hyperparameters;
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            name: "sklearn",
            version: env!("CARGO_PKG_VERSION"),
            algorithms: &["sklearn", "scikit-learn"],
            title: "scikit-learn",
            summary: "Forests, boosting, linear models and neighbours on tabular data, in one pod.",
            kinds: trainer::kinds(false),
            examples: &[
                include_str!("../examples/minimal.json"),
                include_str!("../examples/boosting.json"),
            ],
        }
    }

    fn validate(job: &SklearnJob<'_>) -> Vec<Finding> {
        rules::findings(job)
    }

    fn convert(job: &SklearnJob<'_>) -> Result<Plan, Failure> {
        convert::convert(job)
    }

    fn interpret(workload: &Workload) -> Report {
        trainer::interpret(workload, "trainer", "trainer")
    }
}

plugin_sdk::export_converter!(Plugin);
