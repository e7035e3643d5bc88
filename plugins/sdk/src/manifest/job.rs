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
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff_limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff_limit_per_index: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_failed_indexes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    success_policy: Option<SuccessPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod_failure_policy: Option<PodFailurePolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active_deadline_seconds: Option<u64>,
    pod_replacement_policy: &'static str,
    template: PodTemplate<'a>,
}

#[derive(Debug, Serialize)]
struct SuccessPolicy {
    rules: [SuccessRule; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SuccessRule {
    succeeded_indexes: &'static str,
}

#[derive(Debug, Serialize)]
struct PodFailurePolicy {
    rules: Vec<FailureRule>,
}

/// What a pod's failure means for the Job.
#[derive(Debug, Serialize)]
enum FailureAction {
    FailJob,
    Ignore,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FailureRule {
    action: FailureAction,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_exit_codes: Option<ExitCodes>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    on_pod_conditions: &'static [PodCondition],
}

#[derive(Debug, Serialize)]
struct ExitCodes {
    operator: &'static str,
    values: Vec<u32>,
}

#[derive(Debug, Serialize)]
struct PodCondition {
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
}

/// How often pods are replaced, and which ends are final.
#[derive(Clone, Debug, Default)]
pub struct Retries {
    /// Failed pods until the Job fails. `None` leaves it to the bounds of each index.
    pub backoff_limit: Option<u32>,
    /// The same for each index; Indexed Jobs only.
    pub per_index: Option<u32>,
    /// Indexes that may fail before the Job does; only with a bound for each index.
    pub max_failed_indexes: Option<u32>,
    /// Exit codes that end the Job at once.
    pub final_exit_codes: Vec<u32>,
    /// Pods that the cluster itself removed do not count.
    pub ignore_disruptions: bool,
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
                backoff_limit: Some(0),
                backoff_limit_per_index: None,
                max_failed_indexes: None,
                completion_mode: (instances > 1).then_some("Indexed"),
                success_policy: None,
                pod_failure_policy: None,
                active_deadline_seconds: max_runtime_seconds.filter(|&seconds| seconds > 0),
                pod_replacement_policy: "Failed",
                template,
            },
        }
    }

    /// The Job has succeeded when the pod with number 0 has; the others are then removed. For
    /// helpers that serve until they are stopped. Only with several instances.
    #[must_use]
    pub fn succeeding_with_first(mut self) -> Self {
        if self.spec.completion_mode.is_some() {
            let rule = SuccessRule { succeeded_indexes: "0" };
            self.spec.success_policy = Some(SuccessPolicy { rules: [rule] });
        }
        self
    }

    /// So many pods have to succeed in all, of which at most `parallelism` run at a time. `indexed`
    /// gives each a number.
    #[must_use]
    pub fn completing(mut self, completions: u32, parallelism: u32, indexed: bool) -> Self {
        self.spec.completions = completions.max(1);
        self.spec.parallelism = parallelism.clamp(1, self.spec.completions);
        self.spec.completion_mode = indexed.then_some("Indexed");
        self
    }

    /// Lets the cluster replace pods that failed.
    #[must_use]
    pub fn retrying(mut self, retries: Retries) -> Self {
        const DISRUPTED: &[PodCondition] =
            &[PodCondition { kind: "DisruptionTarget", status: "True" }];
        let mut rules = Vec::new();
        if retries.ignore_disruptions {
            rules.push(FailureRule {
                action: FailureAction::Ignore,
                on_exit_codes: None,
                on_pod_conditions: DISRUPTED,
            });
        }
        let mut values = retries.final_exit_codes;
        if !values.is_empty() {
            // Kubernetes wants them in order, and each once.
            values.sort_unstable();
            values.dedup();
            rules.push(FailureRule {
                action: FailureAction::FailJob,
                on_exit_codes: Some(ExitCodes { operator: "In", values }),
                on_pod_conditions: &[],
            });
        }
        let spec = &mut self.spec;
        spec.backoff_limit = retries.backoff_limit;
        spec.backoff_limit_per_index = retries.per_index;
        spec.max_failed_indexes = retries.max_failed_indexes;
        spec.pod_failure_policy = (!rules.is_empty()).then_some(PodFailurePolicy { rules });
        self
    }

    /// Longest name of a Job in characters. Eight of the 63 are left for what is named after it: the
    /// claim `<name>-results`, and the host names of its pods, which end in `-<index>`.
    pub const MAX_NAME_LENGTH: u32 = 55;

    /// What a plugin that emits Jobs says about them.
    pub fn kind() -> Kind {
        Kind::workload("batch/v1", "Job", "jobs", Self::MAX_NAME_LENGTH)
    }
}
