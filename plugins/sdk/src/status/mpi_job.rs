//! The status of an `MPIJob`. Its conditions decide; the launcher is the program.

use super::{is_label_value, quotable, reason_word};
use crate::workload::Condition;
use crate::{FailureClass, LogTarget, Report, RunState, Workload};

/// One reading of the status of an MPIJob, of whatever version of the operator. `container` is the
/// one whose log users want.
pub fn mpi_job(workload: &Workload, container: &str) -> Report {
    if !workload.has_status() {
        let message = "The cluster has not reported a status yet.";
        return Report::new(RunState::Unknown, "NotReported", message);
    }
    let mut report = read(workload);
    report.started_at = workload.text("/status/startTime").map(str::to_owned);
    let name = workload.name();
    if is_label_value(name) {
        let target = |role: &str| {
            let selector = format!(
                "training.kubeflow.org/job-name={name},training.kubeflow.org/job-role={role}"
            );
            LogTarget::new(role, selector, Some(container))
        };
        report.logs = vec![target("launcher"), target("worker")];
    }
    report
}

fn read(workload: &Workload) -> Report {
    if workload.condition("Succeeded").is_some() {
        let mut report = Report::new(RunState::Succeeded, "Succeeded", "The training succeeded.");
        report.finished_at = workload.text("/status/completionTime").map(str::to_owned);
        return report;
    }
    if let Some(condition) = workload.condition("Failed") {
        let mut report = failed(&condition);
        let ended = workload.text("/status/completionTime").or(condition.last_transition_time);
        report.finished_at = ended.map(str::to_owned);
        return report;
    }
    if workload.condition("Suspended").is_some() {
        return Report::new(RunState::Suspended, "Suspended", "The job is suspended.");
    }
    if workload.condition("Restarting").is_some() {
        let message = "The launcher has failed; the operator starts it again.";
        return Report::new(RunState::Pending, "Restarting", message);
    }
    let active = |role: &str| workload.count(&format!("/status/replicaStatuses/{role}/active"));
    if workload.condition("Running").is_some() {
        let workers = active("Worker").unwrap_or(0);
        let message = format!("The launcher and {workers} of its workers run.");
        return Report::new(RunState::Running, "Running", message);
    }
    match active("Worker").filter(|workers| *workers > 0) {
        Some(workers) => {
            let message = format!("{workers} workers run; the launcher waits for all of them.");
            Report::new(RunState::Pending, "Starting", message)
        }
        None => {
            let message = "The operator has not started the workers yet.";
            Report::new(RunState::Pending, "Accepted", message)
        }
    }
}

fn failed(condition: &Condition<'_>) -> Report {
    let reason = condition.reason.unwrap_or_default();
    // The operator appends what the last pod said: `BackoffLimitExceeded/Error`.
    let (failure, why) = match reason.split('/').next().unwrap_or_default() {
        "DeadlineExceeded" => (FailureClass::Timeout, "The job ran longer than it was allowed to."),
        "BackoffLimitExceeded" | "MPIJobFailed" => {
            (FailureClass::UserCode, "The training program failed; the launcher's log says why.")
        }
        _ => (FailureClass::Infrastructure, "The cluster failed, not the training program."),
    };
    let message = match condition.message {
        Some(detail) => format!("{why} The operator says: {}", quotable(detail)),
        None => why.to_owned(),
    };
    let mut report = Report::new(RunState::Failed, &reason_word(reason), message);
    report.failure = failure;
    report
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(status: &Value) -> Report {
        let object = json!({ "metadata": { "name": "iris" }, "status": status });
        mpi_job(&Workload::parse(&object.to_string()), "trainer")
    }

    fn condition(kind: &str, reason: &str) -> Value {
        json!({ "type": kind, "status": "True", "reason": reason, "message": "As it\nis." })
    }

    #[test]
    fn each_status_has_one_meaning() {
        use FailureClass::{Infrastructure, None, Timeout, UserCode};
        use RunState::{Failed, Pending, Running, Succeeded, Suspended};

        let created = condition("Created", "MPIJobCreated");
        let running = condition("Running", "MPIJobRunning");
        let workers = json!({ "Worker": { "active": 2 } });
        let ended = |reason: &str| json!({ "conditions": [created, condition("Failed", reason)] });
        for (status, state, reason, class) in [
            (json!({}), Pending, "Accepted", None),
            (json!({ "conditions": [created] }), Pending, "Accepted", None),
            (
                json!({ "conditions": [created], "replicaStatuses": workers }),
                Pending,
                "Starting",
                None,
            ),
            (json!({ "conditions": [created, running] }), Running, "Running", None),
            (
                json!({ "conditions": [condition("Restarting", "x"), running] }),
                Pending,
                "Restarting",
                None,
            ),
            (json!({ "conditions": [condition("Suspended", "x")] }), Suspended, "Suspended", None),
            (
                json!({ "conditions": [created, condition("Succeeded", "MPIJobSucceeded")] }),
                Succeeded,
                "Succeeded",
                None,
            ),
            (ended("BackoffLimitExceeded/Error"), Failed, "BackoffLimitExceededError", UserCode),
            (ended("MPIJobFailed"), Failed, "MPIJobFailed", UserCode),
            (ended("DeadlineExceeded"), Failed, "DeadlineExceeded", Timeout),
            (ended("MPIJobEvicted"), Failed, "MPIJobEvicted", Infrastructure),
        ] {
            let report = read(&status);
            assert_eq!((report.state, report.reason.as_str()), (state, reason), "{status}");
            assert_eq!(report.failure, class, "{status}");
        }
    }

    #[test]
    fn logs_are_those_of_the_launcher_and_of_the_workers() {
        let roles: Vec<String> =
            read(&json!({})).logs.into_iter().map(|log| log.label_selector).collect();
        let job = "training.kubeflow.org/job-name=iris,training.kubeflow.org/job-role";
        assert_eq!(roles, [format!("{job}=launcher"), format!("{job}=worker")]);
        let unnamed = Workload::parse(r#"{"metadata":{"name":"a,b"},"status":{}}"#);
        assert!(mpi_job(&unnamed, "trainer").logs.is_empty());
    }
}
