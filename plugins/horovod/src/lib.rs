//! Converter: Horovod. In one pod its own launcher starts the processes; several pods become an
//! MPIJob, because somebody has to start processes in other pods. Horovod is hardly developed any
//! more; new programs are better off with PyTorch.

mod convert;
mod hyperparameters;
mod rules;

use plugin_sdk::manifest::job::BatchJob;
use plugin_sdk::manifest::mpijob::MpiJob;
use plugin_sdk::trainer::{self, Defaults, WorkloadKind};
use plugin_sdk::{
    Converter, Description, Failure, Finding, Job, Kind, Plan, Report, Workload, status,
};

pub use crate::hyperparameters::Hyperparameters;

/// What operators may change.
pub type Settings = trainer::Settings<Own>;
pub(crate) type HorovodJob<'a> = Job<'a, Hyperparameters, Settings>;

/// The defaults of this plugin's settings.
#[derive(Clone, Debug)]
pub struct Own;

impl Defaults for Own {
    const TITLE: &'static str = "Horovod settings";
    const IMAGE: &'static str = "";
    const ENTRYPOINT: &'static str = "";
    const KINDS: &'static [WorkloadKind] = &[WorkloadKind::Job, WorkloadKind::MpiJob];
}

/// The converter. Natively, call it through `plugin_sdk::guest`.
#[derive(Debug)]
pub struct Plugin;

impl Converter for Plugin {
    type Hyperparameters = Hyperparameters;
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            name: "horovod",
            version: env!("CARGO_PKG_VERSION"),
            algorithms: &["horovod", "horovod-mpi"],
            title: "Horovod",
            summary: "Data-parallel training with Horovod; several pods need the MPI operator in the cluster.",
            kinds: vec![
                BatchJob::kind(),
                MpiJob::kind(),
                Kind::support("v1", "PersistentVolumeClaim", "persistentvolumeclaims", 63),
            ],
            examples: &[
                include_str!("../examples/minimal.json"),
                include_str!("../examples/mpi.json"),
            ],
        }
    }

    fn validate(job: &HorovodJob<'_>) -> Vec<Finding> {
        rules::findings(job)
    }

    fn convert(job: &HorovodJob<'_>) -> Result<Plan, Failure> {
        convert::convert(job)
    }

    fn interpret(workload: &Workload) -> Report {
        if workload.kind() == "MPIJob" {
            status::mpi_job(workload, trainer::CONTAINER)
        } else {
            status::batch_job(workload, trainer::CONTAINER)
        }
    }
}

plugin_sdk::export_converter!(Plugin);
