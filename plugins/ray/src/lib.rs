//! Converter: Ray. A job becomes a RayJob: a cluster with one head and equal workers that lives for
//! one entrypoint, whatever that does.

mod convert;
mod hyperparameters;
mod rules;

use plugin_sdk::manifest::rayjob;
use plugin_sdk::trainer::{self, Defaults};
use plugin_sdk::{
    Converter, Description, Failure, Finding, Job, Kind, Plan, Report, Workload, status,
};

pub use crate::hyperparameters::Hyperparameters;

/// What operators may change.
pub type Settings = trainer::Settings<Own>;
pub(crate) type RayJob<'a> = Job<'a, Hyperparameters, Settings>;

/// The defaults of this plugin's settings.
#[derive(Clone, Debug)]
pub struct Own;

impl Defaults for Own {
    const TITLE: &'static str = "Ray settings";
    const IMAGE: &'static str = "docker.io/rayproject/ray:2.46.0";
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
            name: "ray",
            version: env!("CARGO_PKG_VERSION"),
            algorithms: &["ray", "rayjob"],
            title: "Ray",
            summary: "Any program on a Ray cluster of its own, such as Ray Train, Tune or Data.",
            kinds: vec![
                rayjob::kind(),
                Kind::support("v1", "PersistentVolumeClaim", "persistentvolumeclaims", 63),
            ],
            examples: &[
                include_str!("../examples/minimal.json"),
                include_str!("../examples/train.json"),
            ],
        }
    }

    fn validate(job: &RayJob<'_>) -> Vec<Finding> {
        rules::findings(job)
    }

    fn convert(job: &RayJob<'_>) -> Result<Plan, Failure> {
        convert::convert(job)
    }

    fn interpret(workload: &Workload) -> Report {
        status::ray_job(workload)
    }
}

plugin_sdk::export_converter!(Plugin);
