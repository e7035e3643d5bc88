//! Converter: a program that serves. A job becomes a Deployment that runs until it is stopped, with
//! a Service for its ports and, on request, an Ingress. It has no end of its own: the host stops it
//! when the user does, or when its time is over.

mod convert;
mod hyperparameters;
mod rules;

use plugin_sdk::manifest::deployment::Deployment;
use plugin_sdk::manifest::ingress::Ingress;
use plugin_sdk::manifest::service::Service;
use plugin_sdk::trainer::{self, Defaults};
use plugin_sdk::{
    Converter, Description, Failure, Finding, Job, Kind, Plan, Report, Workload, status,
};

pub use crate::hyperparameters::Hyperparameters;

/// What operators may change.
pub type Settings = trainer::Settings<Own>;
pub(crate) type ServiceJob<'a> = Job<'a, Hyperparameters, Settings>;

/// The defaults of this plugin's settings.
#[derive(Clone, Debug)]
pub struct Own;

impl Defaults for Own {
    const TITLE: &'static str = "Settings of services";
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
            name: "service",
            version: env!("CARGO_PKG_VERSION"),
            algorithms: &["service", "deployment"],
            title: "Service",
            summary: "Runs a container until it is stopped, reachable by the ports that it names.",
            kinds: vec![
                Deployment::kind(),
                Service::kind(),
                Ingress::kind(),
                Kind::support("v1", "PersistentVolumeClaim", "persistentvolumeclaims", 63),
            ],
            examples: &[
                include_str!("../examples/minimal.json"),
                include_str!("../examples/ports.json"),
            ],
        }
    }

    fn validate(job: &ServiceJob<'_>) -> Vec<Finding> {
        rules::findings(job)
    }

    fn convert(job: &ServiceJob<'_>) -> Result<Plan, Failure> {
        convert::convert(job)
    }

    fn interpret(workload: &Workload) -> Report {
        status::deployment(workload, trainer::CONTAINER)
    }
}

plugin_sdk::export_converter!(Plugin);
