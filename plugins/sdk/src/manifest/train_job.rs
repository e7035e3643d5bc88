//! `TrainJob` of the Kubeflow Trainer: a program and its size. The pods around it come from a
//! runtime that administrators install in every member cluster.

use serde::Serialize;

use super::meta::{Metadata, TemplateMetadata};
use super::pod::{
    Container, LocalReference, PodSpec, PodTemplate, Toleration, Variable, Volume, VolumeMount,
};
use crate::Kind;

/// The runtimes of the Trainer name their pods, and the container that trains, so.
const NODE: &str = "node";
/// Whose changes of the runtime these are.
const MANAGER: &str = "trainyard.dev/plugin";

/// A program that trains in equal pods of a runtime.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrainJob<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: Spec<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    runtime_ref: RuntimeRef<'a>,
    trainer: Trainer<'a>,
    runtime_patches: [Patch<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    active_deadline_seconds: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RuntimeRef<'a> {
    api_group: &'static str,
    kind: &'static str,
    name: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Trainer<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    image: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    command: &'a [&'a str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    args: &'a [&'a str],
    env: &'a [Variable<'a>],
    num_nodes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_proc_per_node: Option<u32>,
    resources_per_node: super::pod::ResourceRequirements<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Patch<'a> {
    manager: &'static str,
    training_runtime_spec: Runtime<'a>,
}

#[derive(Debug, Serialize)]
struct Runtime<'a> {
    template: SetTemplate<'a>,
}

#[derive(Debug, Serialize)]
struct SetTemplate<'a> {
    spec: SetSpec<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SetSpec<'a> {
    replicated_jobs: [ReplicatedJob<'a>; 1],
}

#[derive(Debug, Serialize)]
struct ReplicatedJob<'a> {
    name: &'static str,
    template: JobTemplate<'a>,
}

#[derive(Debug, Serialize)]
struct JobTemplate<'a> {
    spec: JobSpec<'a>,
}

#[derive(Debug, Serialize)]
struct JobSpec<'a> {
    template: PodPatch<'a>,
}

#[derive(Debug, Serialize)]
struct PodPatch<'a> {
    metadata: TemplateMetadata<'a>,
    spec: PodPatchSpec<'a>,
}

/// What a TrainJob may change about the pods of its runtime.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PodPatchSpec<'a> {
    containers: [ContainerPatch<'a>; 1],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    volumes: &'a [Volume<'a>],
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    node_selector: std::collections::BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tolerations: Vec<&'a Toleration>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    image_pull_secrets: Vec<LocalReference<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_account_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    termination_grace_period_seconds: Option<u32>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerPatch<'a> {
    name: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    volume_mounts: &'a [VolumeMount<'a>],
}

/// How large a TrainJob is, and what it is made of.
#[derive(Clone, Copy, Debug)]
pub struct Size<'a> {
    /// Name of the `ClusterTrainingRuntime`.
    pub runtime: &'a str,
    /// Pods.
    pub nodes: u32,
    /// Processes of each; absent where the runtime starts none.
    pub processes: Option<u32>,
}

impl<'a> TrainJob<'a> {
    /// The container that trains: users read its log.
    pub const CONTAINER: &'static str = NODE;
    /// Longest name in characters: pods of the runtime are named `<name>-node-0-<number>-<five>`.
    pub const MAX_NAME_LENGTH: u32 = 45;

    /// A job of the pod of a template: what the Trainer takes of it goes to the trainer, the rest
    /// becomes a change of the runtime.
    pub fn new(
        metadata: Metadata<'a>,
        size: Size<'a>,
        max_runtime_seconds: Option<u64>,
        template: PodTemplate<'a>,
    ) -> Self {
        let PodTemplate { metadata: pod_metadata, spec: pod } = template;
        let PodSpec { containers: [container], .. } = pod;
        let Container { image, command, args, env, resources, volume_mounts, .. } = container;
        let containers = [ContainerPatch { name: NODE, volume_mounts }];
        let spec = PodPatchSpec {
            containers,
            volumes: pod.volumes,
            node_selector: pod.node_selector,
            tolerations: pod.tolerations,
            image_pull_secrets: pod.image_pull_secrets,
            service_account_name: pod.service_account_name,
            termination_grace_period_seconds: pod.termination_grace_period_seconds,
        };
        let template =
            JobTemplate { spec: JobSpec { template: PodPatch { metadata: pod_metadata, spec } } };
        let replicated_jobs = [ReplicatedJob { name: NODE, template }];
        let template = SetTemplate { spec: SetSpec { replicated_jobs } };
        Self {
            api_version: "trainer.kubeflow.org/v1alpha1",
            kind: "TrainJob",
            metadata,
            spec: Spec {
                runtime_ref: RuntimeRef {
                    api_group: "trainer.kubeflow.org",
                    kind: "ClusterTrainingRuntime",
                    name: size.runtime,
                },
                trainer: Trainer {
                    image,
                    command,
                    args,
                    env,
                    num_nodes: size.nodes.max(1),
                    num_proc_per_node: size.processes,
                    resources_per_node: resources,
                },
                runtime_patches: [Patch {
                    manager: MANAGER,
                    training_runtime_spec: Runtime { template },
                }],
                active_deadline_seconds: max_runtime_seconds.filter(|&seconds| seconds > 0),
            },
        }
    }

    /// The name under which the others reach the pod with this number.
    pub fn host(name: &str, index: u32) -> String {
        format!("{name}-{NODE}-0-{index}.{name}")
    }

    /// What a plugin that emits one says about it.
    pub fn kind() -> Kind {
        let api_version = "trainer.kubeflow.org/v1alpha1";
        Kind::workload(api_version, "TrainJob", "trainjobs", Self::MAX_NAME_LENGTH)
    }
}
