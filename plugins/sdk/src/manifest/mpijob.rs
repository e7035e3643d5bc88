//! `MPIJob` of the MPI operator: pods that wait for `ssh`, and one that starts a program in them.

use serde::Serialize;

use super::meta::Metadata;
use super::pod::PodTemplate;
use super::run_policy::{Group, RunPolicy};
use crate::Kind;

/// A launcher and its workers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MpiJob<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: MpiJobSpec<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MpiJobSpec<'a> {
    slots_per_worker: u32,
    run_launcher_as_worker: bool,
    launcher_creation_policy: &'static str,
    mpi_implementation: &'static str,
    ssh_auth_mount_path: &'a str,
    run_policy: RunPolicy,
    mpi_replica_specs: Replicas<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Replicas<'a> {
    launcher: Group<'a>,
    worker: Group<'a>,
}

/// Workers, and how they are reached.
#[derive(Debug)]
pub struct Workers<'a> {
    /// How many.
    pub count: u32,
    /// Processes of each.
    pub slots: u32,
    /// Folder in all pods where the user of the image has its keys.
    pub ssh_path: &'a str,
    /// Their pod, which runs `sshd`.
    pub template: PodTemplate<'a>,
}

impl<'a> MpiJob<'a> {
    /// A job for Open MPI, whose launcher waits for its workers and is not one of them. When it
    /// ends, so do they, and nothing is tried again.
    pub fn new(
        metadata: Metadata<'a>,
        max_runtime_seconds: Option<u64>,
        launcher: PodTemplate<'a>,
        workers: Workers<'a>,
    ) -> Self {
        Self {
            api_version: "kubeflow.org/v2beta1",
            kind: "MPIJob",
            metadata,
            spec: MpiJobSpec {
                slots_per_worker: workers.slots,
                run_launcher_as_worker: false,
                launcher_creation_policy: "WaitForWorkersReady",
                mpi_implementation: "OpenMPI",
                ssh_auth_mount_path: workers.ssh_path,
                run_policy: RunPolicy::new(max_runtime_seconds).with_backoff_limit(0),
                mpi_replica_specs: Replicas {
                    launcher: Group::new(1, launcher),
                    worker: Group::new(workers.count.max(1), workers.template),
                },
            },
        }
    }

    /// Longest name in characters: the operator appends `-worker-<number>`, and the results are
    /// host names.
    pub const MAX_NAME_LENGTH: u32 = 45;

    /// What a plugin that emits one says about it.
    pub fn kind() -> Kind {
        Kind::workload("kubeflow.org/v2beta1", "MPIJob", "mpijobs", Self::MAX_NAME_LENGTH)
    }
}
