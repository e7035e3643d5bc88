//! `RayJob` of the KubeRay operator.

use serde::Serialize;

use super::meta::{Metadata, Pairs};
use super::pod::{PodTemplate, Port};
use crate::Kind;

/// Longest name the operator accepts: it appends to it, and the results must be valid labels.
pub const MAX_NAME_LENGTH: u32 = 47;

/// What a plugin that emits RayJobs says about them.
pub fn kind() -> Kind {
    Kind::workload("ray.io/v1", "RayJob", "rayjobs", MAX_NAME_LENGTH)
}

/// Ports of a Ray head.
pub const HEAD_PORTS: &[Port<'_>] =
    &[Port::tcp(6379, "gcs-server"), Port::tcp(8265, "dashboard"), Port::tcp(10001, "client")];

/// A Ray cluster that lives for one entrypoint.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RayJob<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: RayJobSpec<'a>,
}

impl<'a> RayJob<'a> {
    /// A job of the current API version.
    pub fn new(metadata: Metadata<'a>, spec: RayJobSpec<'a>) -> Self {
        Self { api_version: "ray.io/v1", kind: "RayJob", metadata, spec }
    }
}

/// What runs. There is no time to live here on purpose: a member cluster that deleted a finished
/// job by itself would have it created again by the control plane.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RayJobSpec<'a> {
    /// Command of the driver.
    pub entrypoint: &'a str,
    /// Runtime environment as a YAML text; empty: none.
    #[serde(rename = "runtimeEnvYAML", skip_serializing_if = "str::is_empty")]
    pub runtime_env_yaml: &'a str,
    /// Cores that the driver reserves; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint_num_cpus: Option<f64>,
    /// GPUs that the driver reserves; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint_num_gpus: Option<f64>,
    /// How many times a failed job is tried again, with a new cluster each; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_limit: Option<u32>,
    /// Removes the pods, and frees their GPUs, once the driver has ended.
    pub shutdown_after_job_finishes: bool,
    /// Counts from the first initialisation, so it includes pulling images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_deadline_seconds: Option<i32>,
    /// Time until the driver has to run. Operators before 1.7 do not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pre_running_deadline_seconds: Option<u32>,
    /// The cluster.
    pub ray_cluster_spec: RayClusterSpec<'a>,
}

/// One head and one group of workers.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RayClusterSpec<'a> {
    /// Version of Ray in the images; empty: not told.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub ray_version: &'a str,
    /// The head.
    pub head_group_spec: HeadGroup<'a>,
    /// The workers.
    pub worker_group_specs: [WorkerGroup<'a>; 1],
}

/// The head.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeadGroup<'a> {
    /// Flags of `ray start`.
    pub ray_start_params: Pairs<'a>,
    /// Its pod.
    pub template: PodTemplate<'a>,
}

/// Equal workers.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerGroup<'a> {
    /// Name within the cluster.
    pub group_name: &'static str,
    /// How many.
    pub replicas: i32,
    /// Lower bound for an autoscaler.
    pub min_replicas: i32,
    /// Upper bound for an autoscaler.
    pub max_replicas: i32,
    /// Flags of `ray start`.
    pub ray_start_params: Pairs<'a>,
    /// Their pod.
    pub template: PodTemplate<'a>,
}
