//! Converter: any container as a Kubernetes Job, Indexed where there are several. For programs that
//! no other plugin knows: the user brings the image and says what it runs.

mod convert;
mod hyperparameters;
mod rules;

use plugin_sdk::trainer::{self, Defaults};
use plugin_sdk::{Converter, Description, Failure, Finding, Job, Plan, Report, Workload};

pub use crate::hyperparameters::Hyperparameters;

/// What operators may change. There is no image by default.
pub type Settings = trainer::Settings<Own>;
type KubeJob<'a> = Job<'a, Hyperparameters, Settings>;

/// The defaults of this plugin's settings.
#[derive(Clone, Debug)]
pub struct Own;

impl Defaults for Own {
    const TITLE: &'static str = "Settings of Kubernetes Jobs";
    const IMAGE: &'static str = "";
    const ENTRYPOINT: &'static str = "";
}

/// The converter. Natively, call it through `plugin_sdk::guest`.
#[derive(Debug)]
pub struct Plugin;

impl Converter for Plugin {
    type Hyperparameters = Hyperparameters;
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            name: "job",
            version: env!("CARGO_PKG_VERSION"),
            algorithms: &["job", "kubernetes-job", "container", "custom"],
            title: "Kubernetes Job",
            summary: "Runs any container to its end, alone or as several numbered pods.",
            kinds: trainer::kinds(false),
            examples: &[
                include_str!("../examples/minimal.json"),
                include_str!("../examples/sweep.json"),
            ],
        }
    }

    fn validate(job: &KubeJob<'_>) -> Vec<Finding> {
        rules::findings(job)
    }

    fn convert(job: &KubeJob<'_>) -> Result<Plan, Failure> {
        convert::convert(job)
    }

    fn interpret(workload: &Workload) -> Report {
        trainer::interpret(workload, "first", "others")
    }
}

plugin_sdk::export_converter!(Plugin);
