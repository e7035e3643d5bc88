//! The status of a `TrainJob`. Its conditions say how it ended, the states of its Jobs how far it is.

use super::{is_label_value, quotable, reason_word};
use crate::workload::Condition;
use crate::{FailureClass, LogTarget, Report, RunState, Workload};

/// One reading of the status of a TrainJob. `first` and `others` are the roles of the pod with
/// number 0 and of the others.
pub fn train_job(workload: &Workload, container: &str, first: &str, others: &str) -> Report {
    if !workload.has_status() {
        let message = "The cluster has not reported a status yet.";
        return Report::new(RunState::Unknown, "NotReported", message);
    }
    let mut report = read(workload);
    let name = workload.name();
    if is_label_value(name) {
        // Besides those that train, a runtime may have pods that fetch data and models.
        let node = format!(
            "jobset.sigs.k8s.io/jobset-name={name},jobset.sigs.k8s.io/replicatedjob-name=node"
        );
        const INDEX: &str = "batch.kubernetes.io/job-completion-index";
        report.logs = vec![
            LogTarget::new(first, format!("{node},{INDEX}=0"), Some(container)),
            LogTarget::new(others, format!("{node},{INDEX}!=0"), Some(container)),
        ];
    }
    report
}

fn read(workload: &Workload) -> Report {
    if let Some(condition) = workload.condition("Complete") {
        let mut report = Report::new(RunState::Succeeded, "Succeeded", "The training succeeded.");
        report.finished_at = condition.last_transition_time.map(str::to_owned);
        return report;
    }
    if let Some(condition) = workload.condition("Failed") {
        return failed(&condition);
    }
    if workload.condition("Suspended").is_some() {
        return Report::new(RunState::Suspended, "Suspended", "The job is suspended.");
    }
    let sum = |count: &str| {
        let of = |index: usize| workload.count(&format!("/status/jobsStatus/{index}/{count}"));
        // A status has at most a hundred Jobs.
        (0..100).map_while(of).fold(0, u64::saturating_add)
    };
    if sum("ready") > 0 {
        return Report::new(RunState::Running, "Running", "The pods run.");
    }
    if sum("active") > 0 {
        let message = "The pods are made, and not all of them run yet.";
        return Report::new(RunState::Pending, "Starting", message);
    }
    if sum("succeeded") > 0 || sum("failed") > 0 {
        let message = "The pods have ended; the cluster sums up.";
        return Report::new(RunState::Running, "Finishing", message);
    }
    Report::new(RunState::Pending, "Accepted", "The Trainer has not created the pods yet.")
}

fn failed(condition: &Condition<'_>) -> Report {
    let reason = condition.reason.unwrap_or_default();
    let (failure, why) = match reason {
        "DeadlineExceeded" => (FailureClass::Timeout, "The job ran longer than it was allowed to."),
        "TrainingRuntimeNotSupported" => {
            (FailureClass::Rejected, "The cluster does not have the runtime that the job is for.")
        }
        "FailedJobs"
        | "ReachedMaxRestarts"
        | "FailJobSetFailurePolicyAction"
        | "BackoffLimitExceeded" => {
            (FailureClass::UserCode, "The training program failed; its log says why.")
        }
        _ => (FailureClass::Infrastructure, "The cluster failed, not the training program."),
    };
    let message = match condition.message {
        Some(detail) => format!("{why} The cluster says: {}", quotable(detail)),
        None => why.to_owned(),
    };
    let mut report = Report::new(RunState::Failed, &reason_word(reason), message);
    report.failure = failure;
    report.finished_at = condition.last_transition_time.map(str::to_owned);
    report
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(status: &Value) -> Report {
        let object = json!({ "metadata": { "name": "iris" }, "status": status });
        train_job(&Workload::parse(&object.to_string()), "node", "leader", "worker")
    }

    fn condition(kind: &str, status: &str, reason: &str) -> Value {
        json!({
            "type": kind, "status": status, "reason": reason, "message": "As it\nis.",
            "lastTransitionTime": "2026-01-01T10:00:00Z",
        })
    }

    #[test]
    fn each_status_has_one_meaning() {
        use FailureClass::{Infrastructure, None, Rejected, Timeout, UserCode};
        use RunState::{Failed, Pending, Running, Succeeded, Suspended};

        let resumed = condition("Suspended", "False", "Resumed");
        let jobs = |active: u64, ready: u64, succeeded: u64| {
            json!({ "conditions": [resumed], "jobsStatus": [
                { "name": "initializer", "active": 0, "ready": 0, "succeeded": 0, "failed": 0 },
                { "name": "node", "active": active, "ready": ready, "succeeded": succeeded, "failed": 0 },
            ] })
        };
        let ended = |reason: &str| json!({ "conditions": [condition("Failed", "True", reason)] });
        for (status, state, reason, class) in [
            (json!({ "conditions": [resumed] }), Pending, "Accepted", None),
            (jobs(1, 0, 0), Pending, "Starting", None),
            (jobs(1, 1, 0), Running, "Running", None),
            (jobs(0, 0, 1), Running, "Finishing", None),
            (
                json!({ "conditions": [condition("Suspended", "True", "Suspended")] }),
                Suspended,
                "Suspended",
                None,
            ),
            (
                json!({ "conditions": [resumed, condition("Complete", "True", "AllJobsCompleted")] }),
                Succeeded,
                "Succeeded",
                None,
            ),
            (ended("FailedJobs"), Failed, "FailedJobs", UserCode),
            (ended("DeadlineExceeded"), Failed, "DeadlineExceeded", Timeout),
            (ended("TrainingRuntimeNotSupported"), Failed, "TrainingRuntimeNotSupported", Rejected),
            (ended("JobsCreationFailed"), Failed, "JobsCreationFailed", Infrastructure),
        ] {
            let report = read(&status);
            assert_eq!((report.state, report.reason.as_str()), (state, reason), "{status}");
            assert_eq!(report.failure, class, "{status}");
            let is_over = matches!(state, Failed | Succeeded);
            assert_eq!(report.finished_at.is_some(), is_over, "{status}");
        }
    }

    #[test]
    fn logs_are_those_of_the_pods_that_train() {
        let logs = read(&json!({})).logs;
        let selectors: Vec<&str> = logs.iter().map(|log| log.label_selector.as_str()).collect();
        let node = "jobset.sigs.k8s.io/jobset-name=iris,jobset.sigs.k8s.io/replicatedjob-name=node";
        let index = "batch.kubernetes.io/job-completion-index";
        assert_eq!(selectors, [format!("{node},{index}=0"), format!("{node},{index}!=0")]);
    }
}
