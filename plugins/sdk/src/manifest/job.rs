//! `Job` of Kubernetes itself: pods that run to their end.

use serde::Serialize;

use super::meta::Metadata;
use super::pod::PodTemplate;
use crate::Kind;

/// A Job, one pod for each instance.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchJob<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: JobSpec<'a>,
}

/// There is no time to live here on purpose: a member cluster that deleted a finished job by
/// itself would have it created again by the control plane.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct JobSpec<'a> {
    parallelism: u32,
    completions: u32,
    backoff_limit: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_deadline_seconds: Option<u64>,
    pod_replacement_policy: &'static str,
    template: PodTemplate<'a>,
}

impl<'a> BatchJob<'a> {
    /// A Job of so many equal pods, which must all succeed. Several become an Indexed Job: each
    /// pod has its number in `JOB_COMPLETION_INDEX`. The host decides about retries, so a pod
    /// that failed is not replaced, and two pods never share a number.
    pub fn new(
        metadata: Metadata<'a>,
        instances: u32,
        max_runtime_seconds: Option<u64>,
        template: PodTemplate<'a>,
    ) -> Self {
        let instances = instances.max(1);
        Self {
            api_version: "batch/v1",
            kind: "Job",
            metadata,
            spec: JobSpec {
                parallelism: instances,
                completions: instances,
                backoff_limit: 0,
                completion_mode: (instances > 1).then_some("Indexed"),
                active_deadline_seconds: max_runtime_seconds.filter(|&seconds| seconds > 0),
                pod_replacement_policy: "Failed",
                template,
            },
        }
    }

    /// Longest name of a Job in characters. Eight of the 63 are left for what is named after it: the
    /// claim `<name>-results`, and the host names of its pods, which end in `-<index>`.
    pub const MAX_NAME_LENGTH: u32 = 55;

    /// What a plugin that emits Jobs says about them.
    pub fn kind() -> Kind {
        Kind::workload("batch/v1", "Job", "jobs", Self::MAX_NAME_LENGTH)
    }
}
