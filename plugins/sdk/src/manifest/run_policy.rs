//! What the operators of Kubeflow share: how a job of theirs is run, and groups of equal pods.

use serde::Serialize;

use super::pod::PodTemplate;

/// There is no time to live here on purpose: a member cluster that deleted a finished job by
/// itself would have it created again by the control plane.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunPolicy {
    clean_pod_policy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff_limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_deadline_seconds: Option<u64>,
}

impl RunPolicy {
    /// When the job is over, pods that still run are ended; those that have ended keep their logs.
    pub(super) fn new(max_runtime_seconds: Option<u64>) -> Self {
        Self {
            clean_pod_policy: "Running",
            backoff_limit: None,
            active_deadline_seconds: max_runtime_seconds.filter(|&seconds| seconds > 0),
        }
    }

    /// Bounds how often the operator starts pods again.
    pub(super) fn with_backoff_limit(mut self, limit: u32) -> Self {
        self.backoff_limit = Some(limit);
        self
    }
}

/// Equal pods. The host decides about retries, so a pod that failed is not started again.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group<'a> {
    replicas: u32,
    restart_policy: &'static str,
    template: PodTemplate<'a>,
}

impl<'a> Group<'a> {
    pub(super) fn new(replicas: u32, template: PodTemplate<'a>) -> Self {
        Self { replicas, restart_policy: "Never", template }
    }
}
