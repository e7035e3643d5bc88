//! The status of a Deployment, which has no end: it runs or it does not run yet, until somebody
//! stops it. A cluster goes on trying whatever fails.

use super::{is_label_value, quotable};
use crate::{LogTarget, Report, RunState, Workload};

/// One reading of the status of a Deployment, of whatever version of Kubernetes. Its pods carry the
/// label `app` with its name; `container` is the one whose log users want.
pub fn deployment(workload: &Workload, container: &str) -> Report {
    if !workload.has_status() {
        let message = "The cluster has not reported a status yet.";
        return Report::new(RunState::Unknown, "NotReported", message);
    }
    let mut report = read(workload);
    if report.state == RunState::Running {
        report.started_at = workload
            .condition("Available")
            .and_then(|condition| condition.last_transition_time)
            .map(str::to_owned);
    }
    let name = workload.name();
    if is_label_value(name) {
        report.logs = vec![LogTarget::new("service", format!("app={name}"), Some(container))];
    }
    report
}

fn read(workload: &Workload) -> Report {
    let count = |name: &str| workload.count(&format!("/status/{name}")).unwrap_or(0);
    let (wanted, ready) =
        (count("replicas"), count("readyReplicas").max(count("availableReplicas")));
    if ready > 0 {
        let message = format!("{ready} of {} pods serve.", wanted.max(ready));
        let reason = if ready < wanted { "PartlyAvailable" } else { "Running" };
        return Report::new(RunState::Running, reason, message);
    }
    if let Some(condition) = workload.condition("ReplicaFailure") {
        let message = with_detail("The cluster cannot create the pods.", condition.message);
        return Report::new(RunState::Pending, "ReplicaFailure", message);
    }
    let stuck = workload
        .any_condition("Progressing")
        .filter(|condition| condition.reason == Some("ProgressDeadlineExceeded"));
    if let Some(condition) = stuck {
        let message =
            with_detail("No pod serves, and the cluster goes on trying.", condition.message);
        return Report::new(RunState::Pending, "ProgressDeadlineExceeded", message);
    }
    if wanted > 0 {
        let message = format!("None of {wanted} pods serves yet.");
        return Report::new(RunState::Pending, "Starting", message);
    }
    Report::new(RunState::Pending, "Accepted", "The cluster has not created the pods yet.")
}

fn with_detail(message: &str, detail: Option<&str>) -> String {
    match detail {
        Some(detail) => format!("{message} The cluster says: {}", quotable(detail)),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(status: &Value) -> Report {
        let object = json!({ "metadata": { "name": "web" }, "status": status });
        deployment(&Workload::parse(&object.to_string()), "trainer")
    }

    #[test]
    fn a_deployment_runs_or_does_not_run_yet_and_never_ends() {
        use RunState::{Pending, Running, Unknown};

        let condition = |kind: &str, status: &str, reason: &str| json!([{ "type": kind, "status": status, "reason": reason, "message": "As it\nis." }]);
        for (status, state, reason) in [
            (json!(null), Unknown, "NotReported"),
            (json!({}), Pending, "Accepted"),
            (json!({ "replicas": 2, "unavailableReplicas": 2 }), Pending, "Starting"),
            (json!({ "replicas": 2, "readyReplicas": 1 }), Running, "PartlyAvailable"),
            (json!({ "replicas": 2, "readyReplicas": 2 }), Running, "Running"),
            (
                json!({ "conditions": condition("ReplicaFailure", "True", "FailedCreate") }),
                Pending,
                "ReplicaFailure",
            ),
            (
                json!({
                    "replicas": 1,
                    "conditions": condition("Progressing", "False", "ProgressDeadlineExceeded"),
                }),
                Pending,
                "ProgressDeadlineExceeded",
            ),
        ] {
            let report = read(&status);
            assert_eq!((report.state, report.reason.as_str()), (state, reason), "{status}");
        }
    }

    #[test]
    fn it_started_when_it_became_available() {
        let report = read(&json!({
            "replicas": 1, "readyReplicas": 1,
            "conditions": [{
                "type": "Available", "status": "True", "lastTransitionTime": "2026-01-01T10:00:00Z",
            }],
        }));
        assert_eq!(report.started_at.as_deref(), Some("2026-01-01T10:00:00Z"));
        assert_eq!(report.logs.first().map(|log| log.label_selector.as_str()), Some("app=web"));
    }
}
