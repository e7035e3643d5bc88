//! The kind of object that trains: what an operator of the host may choose, and what follows from
//! it for names, roles and hosts.

use super::{
    CONTAINER, Defaults, Settings, Trainer, interpret as interpret_job, kinds as job_kinds,
};
use crate::manifest::mpijob::MpiJob;
use crate::manifest::train_job::TrainJob;
use crate::manifest::training_job::{PyTorchJob, TfJob};
use crate::status::{self, Group};
use crate::{Findings, Kind, Report, Workload, choices};

choices! {
    /// A kind of object that trains.
    WorkloadKind {
        Job = "Job",
        PyTorchJob = "PyTorchJob",
        TfJob = "TFJob",
        MpiJob = "MPIJob",
        TrainJob = "TrainJob",
    }
}

impl WorkloadKind {
    /// What a plugin that emits it says about it.
    fn kind(self) -> Kind {
        match self {
            Self::Job => crate::manifest::job::BatchJob::kind(),
            Self::PyTorchJob => PyTorchJob::kind(),
            Self::TfJob => TfJob::kind(),
            Self::MpiJob => MpiJob::kind(),
            Self::TrainJob => TrainJob::kind(),
        }
    }
}

/// Every kind that the plugin of these defaults emits, whatever its operator chose. With `files` a
/// ConfigMap is one of them.
pub fn kinds_of<D: Defaults>(files: bool) -> Vec<Kind> {
    let mut kinds = job_kinds(files);
    let more = D::KINDS.iter().filter(|kind| **kind != WorkloadKind::Job);
    kinds.extend(more.map(|kind| kind.kind()));
    kinds
}

/// The roles of a plugin's pods: of the one that leads, and of the others.
#[derive(Clone, Copy, Debug)]
pub struct Roles {
    /// Role of the pod with number 0.
    pub first: &'static str,
    /// Role of the others.
    pub others: &'static str,
}

/// Reads the status of a workload of any of the kinds.
pub fn interpret(workload: &Workload, roles: Roles) -> Report {
    let Roles { first, others } = roles;
    match workload.kind() {
        "PyTorchJob" => {
            let groups =
                [Group { name: "Master", role: first }, Group { name: "Worker", role: others }];
            status::training_job(workload, PyTorchJob::CONTAINER, &groups)
        }
        "TFJob" => {
            let groups = [
                Group { name: "Chief", role: first },
                Group { name: "Worker", role: others },
                Group { name: "PS", role: "ps" },
            ];
            status::training_job(workload, TfJob::CONTAINER, &groups)
        }
        "MPIJob" => status::mpi_job(workload, CONTAINER),
        "TrainJob" => status::train_job(workload, TrainJob::CONTAINER, first, others),
        _ => interpret_job(workload, first, others),
    }
}

impl<H, D> Trainer<'_, H, D> {
    /// The kind that the operator chose.
    pub fn kind(&self) -> WorkloadKind {
        self.settings().workload_kind
    }

    /// The name under which the others reach the pod with this number, in a job of several.
    pub(super) fn host_of(&self, index: u32) -> String {
        let name = self.name();
        match (self.kind(), index) {
            (WorkloadKind::PyTorchJob, 0) => format!("{name}-master-0"),
            (WorkloadKind::PyTorchJob, _) => format!("{name}-worker-{}", index - 1),
            (WorkloadKind::TfJob, _) => format!("{name}-worker-{index}"),
            (WorkloadKind::MpiJob, _) => format!("{name}-worker-{index}.{name}"),
            (WorkloadKind::TrainJob, _) => TrainJob::host(name, index),
            (WorkloadKind::Job, _) => format!("{name}-{index}.{}", self.service),
        }
    }

    /// Whether Kubernetes itself gives the pods numbers. The operators that make groups of pods
    /// number each group, and write a pod's place among all into its environment themselves.
    pub(super) fn is_numbered(&self) -> bool {
        matches!(self.kind(), WorkloadKind::Job | WorkloadKind::TrainJob) || !self.is_distributed()
    }

    /// Asks for a shorter name where the chosen kind makes longer ones of it.
    pub fn check_name(&self, findings: &mut Findings) {
        let longest = self.kind().kind().max_name_length;
        let length = self.name().chars().count();
        if u32::try_from(length).is_ok_and(|length| length > longest) {
            findings.at(
                "/jobName",
                "too-long",
                format!(
                    "Jobs become a {} here, whose name has at most {longest} characters.",
                    self.kind().as_str()
                ),
            );
        }
    }

    pub(super) fn settings(&self) -> &Settings<D> {
        &self.job.settings
    }
}
