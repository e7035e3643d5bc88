//! Every pair of statuses that operators write, and texts that none would.

use plugin_sdk::{FailureClass, Report, RunState, guest};
use proptest::prelude::*;
use serde_json::{Value, json};
use xgboost::Xgboost;

fn interpret(status: &Value) -> Report {
    let object = json!({
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": { "name": "iris", "namespace": "default" },
        "status": status
    });
    guest::interpret::<Xgboost>(&object.to_string())
}

#[test]
fn every_pair_of_statuses_has_a_meaning() {
    use FailureClass::{Capacity, Infrastructure, Rejected, Stopped, Timeout, UserCode};
    use RunState::{Failed, Pending, Running, Succeeded, Suspended, Unknown};

    let none = FailureClass::None;
    let table = [
        ("", "", "", Pending, none, "Accepted"),
        ("Initializing", "", "", Pending, none, "Initializing"),
        ("Waiting", "", "", Pending, none, "Waiting"),
        ("Running", "", "", Pending, none, "Submitting"),
        ("Running", "PENDING", "", Pending, none, "Submitting"),
        ("Running", "RUNNING", "", Running, none, "Running"),
        ("Running", "SUCCEEDED", "", Running, none, "Finishing"),
        ("Running", "FAILED", "", Running, none, "Finishing"),
        ("Complete", "SUCCEEDED", "", Succeeded, none, "Succeeded"),
        ("Complete", "STOPPED", "", Failed, Stopped, "Stopped"),
        ("Complete", "FAILED", "", Failed, UserCode, "AppFailed"),
        ("Complete", "", "", Unknown, none, "ResultUnknown"),
        ("Complete", "RUNNING", "", Unknown, none, "ResultUnknown"),
        ("Failed", "FAILED", "AppFailed", Failed, UserCode, "AppFailed"),
        ("Failed", "FAILED", "", Failed, UserCode, "AppFailed"),
        ("Failed", "STOPPED", "", Failed, Stopped, "Stopped"),
        ("Failed", "RUNNING", "DeadlineExceeded", Failed, Timeout, "DeadlineExceeded"),
        (
            "Failed",
            "",
            "PreRunningDeadlineExceeded",
            Failed,
            Capacity,
            "PreRunningDeadlineExceeded",
        ),
        ("Failed", "", "SubmissionFailed", Failed, Infrastructure, "SubmissionFailed"),
        (
            "Failed",
            "RUNNING",
            "JobStatusCheckTimeoutExceeded",
            Failed,
            Infrastructure,
            "JobStatusCheckTimeoutExceeded",
        ),
        (
            "Failed",
            "SUCCEEDED",
            "JobDeploymentStatusTransitionGracePeriodExceeded",
            Failed,
            Infrastructure,
            "JobDeploymentStatusTransitionGracePeriodExceeded",
        ),
        ("ValidationFailed", "", "ValidationFailed", Failed, Rejected, "ValidationFailed"),
        ("Suspending", "RUNNING", "", Suspended, none, "Suspending"),
        ("Suspended", "", "", Suspended, none, "Suspended"),
        ("Retrying", "FAILED", "AppFailed", Pending, none, "Retrying"),
        ("Levitating", "RUNNING", "", Unknown, none, "UnknownStatus"),
    ];
    for (deployment, job, reason, state, class, word) in table {
        let report = interpret(
            &json!({ "jobDeploymentStatus": deployment, "jobStatus": job, "reason": reason }),
        );
        let pair = format!("({deployment}, {job}, {reason})");
        assert_eq!(report.state as u8, state as u8, "{pair}");
        assert_eq!(report.failure as u8, class as u8, "{pair}");
        assert_eq!(report.reason, word, "{pair}");
        assert!(report.message.ends_with('.'), "{pair}: {}", report.message);
    }
}

#[test]
fn a_report_quotes_the_operator_and_points_at_the_logs() {
    let report = interpret(&json!({
        "jobDeploymentStatus": "Failed",
        "jobStatus": "FAILED",
        "reason": "AppFailed",
        "message": "Job entrypoint command failed with exit code 1,\nlast lines: KeyError",
        "startTime": "2025-11-11T05:26:50Z",
        "endTime": "2025-11-11T05:31:00Z",
        "rayClusterName": "iris-x7k2p"
    }));
    assert_eq!(
        report.message,
        "The training program failed; its log says why. The operator says: Job entrypoint command \
         failed with exit code 1, last lines: KeyError"
    );
    assert_eq!(report.started_at.as_deref(), Some("2025-11-11T05:26:50Z"));
    assert_eq!(report.finished_at.as_deref(), Some("2025-11-11T05:31:00Z"));
    let logs: Vec<_> = report
        .logs
        .iter()
        .map(|l| (&*l.role, &*l.label_selector, l.container.as_deref().unwrap()))
        .collect();
    assert_eq!(
        logs,
        [
            ("driver", "job-name=iris", "ray-job-submitter"),
            ("head", "ray.io/cluster=iris-x7k2p,ray.io/node-type=head", "ray-head"),
            ("worker", "ray.io/cluster=iris-x7k2p,ray.io/node-type=worker", "ray-worker"),
        ]
    );
}

#[test]
fn waiting_says_how_many_workers_are_there() {
    let report = interpret(&json!({
        "jobDeploymentStatus": "Initializing",
        "rayClusterStatus": { "desiredWorkerReplicas": 3, "readyWorkerReplicas": 1 }
    }));
    assert_eq!(report.message, "The cluster is being started: 1 of 3 workers are ready.");
}

#[test]
fn without_a_status_nothing_is_claimed() {
    for text in [r#"{"metadata":{"name":"a"}}"#, "", "null", "[]", "{", &"[".repeat(10_000)] {
        let report = guest::interpret::<Xgboost>(text);
        assert_eq!(report.state as u8, RunState::Unknown as u8, "{text:.20}");
    }
}

#[test]
fn a_selector_holds_no_foreign_text() {
    let report = interpret(&json!({
        "jobDeploymentStatus": "Running",
        "jobStatus": "RUNNING",
        "rayClusterName": "x,app in (other)"
    }));
    assert_eq!(report.logs.len(), 1);
}

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just(String::new()),
        Just("Complete".to_owned()),
        Just("Failed".to_owned()),
        Just("FAILED".to_owned()),
        "\\PC{0,20}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    let names = prop_oneof![
        Just("jobDeploymentStatus".to_owned()),
        Just("jobStatus".to_owned()),
        Just("reason".to_owned()),
        Just("message".to_owned()),
        Just("startTime".to_owned()),
        Just("rayClusterName".to_owned()),
        Just("rayClusterStatus".to_owned()),
        Just("rayJobInfo".to_owned()),
        Just("desiredWorkerReplicas".to_owned()),
    ];
    leaf.prop_recursive(3, 24, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(names.clone(), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_status_makes_it_fail(status in any_json()) {
        let report = interpret(&status);
        prop_assert!(!report.reason.is_empty() && report.message.len() < 8_000);
    }

    #[test]
    fn no_text_makes_it_fail(text in "\\PC{0,60}") {
        guest::interpret::<Xgboost>(&text);
    }
}
