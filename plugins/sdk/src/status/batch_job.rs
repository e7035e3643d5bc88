//! The status of a `batch/v1` Job. Conditions decide; `FailureTarget` and `SuccessCriteriaMet` are
//! said while pods are still being stopped, and are not the end.

use super::{is_label_value, quotable, reason_word};
use crate::workload::Condition;
use crate::{FailureClass, LogTarget, Report, RunState, Workload};

/// One reading of the status of a Job, of whatever version of Kubernetes. `container` is the one
/// whose log users want.
pub fn batch_job(workload: &Workload, container: &str) -> Report {
    if !workload.has_status() {
        let message = "The cluster has not reported a status yet.";
        return Report::new(RunState::Unknown, "NotReported", message);
    }
    let mut report = read(workload);
    report.started_at = workload.text("/status/startTime").map(str::to_owned);
    let name = workload.name();
    if is_label_value(name) {
        let selector = format!("batch.kubernetes.io/job-name={name}");
        report.logs = vec![LogTarget::new("trainer", selector, Some(container))];
    }
    report
}

/// The same for a Job of numbered pods of which the one with number 0 does something of its own:
/// `first` is its role, `others` that of the others. A Job with a single pod has one role,
/// `trainer`.
pub fn indexed_job(workload: &Workload, container: &str, first: &str, others: &str) -> Report {
    let mut report = batch_job(workload, container);
    let count = |name: &str| workload.count(&format!("/status/{name}")).unwrap_or(0);
    let counted = ["active", "succeeded", "failed", "terminating"].into_iter().map(count);
    let pods = counted.fold(0, u64::saturating_add);
    if pods > 1
        && let Some(all) = report.logs.first().map(|target| target.label_selector.clone())
    {
        const INDEX: &str = "batch.kubernetes.io/job-completion-index";
        report.logs = vec![
            LogTarget::new(first, format!("{all},{INDEX}=0"), Some(container)),
            LogTarget::new(others, format!("{all},{INDEX}!=0"), Some(container)),
        ];
    }
    report
}

fn read(workload: &Workload) -> Report {
    if workload.condition("Complete").is_some() {
        let mut report = Report::new(RunState::Succeeded, "Succeeded", "The training succeeded.");
        report.finished_at = workload.text("/status/completionTime").map(str::to_owned);
        return report;
    }
    if let Some(condition) = workload.condition("Failed") {
        return failed(&condition);
    }
    if workload.condition("FailureTarget").is_some() {
        let message = "The job has failed; its pods are being stopped.";
        return Report::new(RunState::Running, "Failing", message);
    }
    if workload.condition("SuccessCriteriaMet").is_some() {
        let message = "The training has ended; its pods are being stopped.";
        return Report::new(RunState::Running, "Finishing", message);
    }
    if workload.condition("Suspended").is_some() {
        return Report::new(RunState::Suspended, "Suspended", "The job is suspended.");
    }
    let count = |name: &str| workload.count(&format!("/status/{name}"));
    let active = count("active").unwrap_or(0);
    // Clusters before 1.24 do not count pods that are ready.
    let ready = count("ready").unwrap_or(active);
    let done = count("succeeded").unwrap_or(0);
    if ready > 0 {
        let message = format!("{} running, {done} done.", pods(ready));
        return Report::new(RunState::Running, "Running", message);
    }
    if active > 0 {
        let message = format!("{} not running yet.", pods(active));
        return Report::new(RunState::Pending, "Starting", message);
    }
    if done > 0 || count("failed").unwrap_or(0) > 0 {
        let message = "The pods have ended; the cluster sums up.";
        return Report::new(RunState::Running, "Finishing", message);
    }
    Report::new(RunState::Pending, "Accepted", "The cluster has not created the pods yet.")
}

fn failed(condition: &Condition<'_>) -> Report {
    let reason = condition.reason.unwrap_or_default();
    let (failure, why) = match reason {
        "DeadlineExceeded" => (FailureClass::Timeout, "The job ran longer than it was allowed to."),
        "BackoffLimitExceeded" | "FailedIndexes" | "MaxFailedIndexesExceeded" => {
            (FailureClass::UserCode, "The training program failed; its log says why.")
        }
        "PodFailurePolicy" => {
            (FailureClass::UserCode, "The training program ended with an error that is final.")
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

fn pods(count: u64) -> String {
    if count == 1 { "1 pod is".to_owned() } else { format!("{count} pods are") }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(status: Value) -> Report {
        let object = json!({ "metadata": { "name": "iris" }, "status": status });
        batch_job(&Workload::parse(&object.to_string()), "trainer")
    }

    fn condition(kind: &str, reason: &str) -> Value {
        json!({
            "type": kind, "status": "True", "reason": reason, "message": "As it\nis.",
            "lastTransitionTime": "2026-01-01T10:00:00Z",
        })
    }

    #[test]
    fn each_status_has_one_meaning() {
        use RunState::{Failed, Pending, Running, Succeeded, Suspended};

        for (status, state, reason) in [
            (json!({}), Pending, "Accepted"),
            (json!({ "active": 2, "ready": 0 }), Pending, "Starting"),
            (json!({ "active": 2, "ready": 1 }), Running, "Running"),
            (json!({ "active": 2 }), Running, "Running"),
            (json!({ "ready": 0, "succeeded": 1 }), Running, "Finishing"),
            (json!({ "conditions": [condition("Suspended", "")] }), Suspended, "Suspended"),
            (
                json!({ "active": 1, "conditions": [condition("SuccessCriteriaMet", "")] }),
                Running,
                "Finishing",
            ),
            (json!({ "conditions": [condition("FailureTarget", "")] }), Running, "Failing"),
            (
                json!({ "conditions": [condition("FailureTarget", ""), condition("Failed", "X y")] }),
                Failed,
                "Xy",
            ),
            (
                json!({ "conditions": [condition("SuccessCriteriaMet", ""), condition("Complete", "")] }),
                Succeeded,
                "Succeeded",
            ),
            (
                json!({ "active": 1, "conditions": [{ "type": "Suspended", "status": "False" }] }),
                Running,
                "Running",
            ),
        ] {
            let report = read(status.clone());
            assert_eq!((report.state, report.reason.as_str()), (state, reason), "{status}");
        }
    }

    #[test]
    fn a_failure_has_a_class_a_time_and_the_clusters_words() {
        for (reason, class) in [
            ("DeadlineExceeded", FailureClass::Timeout),
            ("BackoffLimitExceeded", FailureClass::UserCode),
            ("PodFailurePolicy", FailureClass::UserCode),
            ("MaxFailedIndexesExceeded", FailureClass::UserCode),
            ("Novel", FailureClass::Infrastructure),
        ] {
            let report = read(json!({ "conditions": [condition("Failed", reason)] }));
            assert_eq!((report.failure, report.reason.as_str()), (class, reason));
            assert!(report.message.ends_with("The cluster says: As it is."), "{}", report.message);
            assert_eq!(report.finished_at.as_deref(), Some("2026-01-01T10:00:00Z"));
        }
    }

    #[test]
    fn several_pods_have_two_roles() {
        let logs = |status: Value| -> Vec<(String, String)> {
            let object = json!({ "metadata": { "name": "iris" }, "status": status });
            let workload = Workload::parse(&object.to_string());
            let report = indexed_job(&workload, "trainer", "leader", "worker");
            report.logs.into_iter().map(|log| (log.role, log.label_selector)).collect()
        };
        let job = "batch.kubernetes.io/job-name=iris";
        let index = "batch.kubernetes.io/job-completion-index";
        let two = [
            ("leader".to_owned(), format!("{job},{index}=0")),
            ("worker".to_owned(), format!("{job},{index}!=0")),
        ];
        assert_eq!(logs(json!({ "active": 2 })), two);
        assert_eq!(logs(json!({ "active": 1, "succeeded": 1 })), two);
        assert_eq!(logs(json!({ "active": 1 })), [("trainer".to_owned(), job.to_owned())]);
        assert_eq!(logs(json!({ "active": u64::MAX, "failed": u64::MAX })), two);
        assert!(logs(json!(null)).is_empty());
    }

    #[test]
    fn no_status_breaks_it() {
        for status in [
            json!(null),
            json!([]),
            json!({ "conditions": 3, "active": "x", "ready": -1 }),
            json!({ "conditions": [null, 1, {}, { "type": 7, "status": "True" }] }),
        ] {
            assert!(!matches!(read(status).state, RunState::Succeeded | RunState::Failed));
        }
        let unnamed = Workload::parse(r#"{"metadata":{"name":"a,b"},"status":{}}"#);
        assert!(batch_job(&unnamed, "trainer").logs.is_empty());
    }
}
