//! The status of a `PyTorchJob` or a `TFJob`. Their conditions decide.

use super::{is_label_value, quotable, reason_word};
use crate::workload::Condition;
use crate::{FailureClass, LogTarget, Report, RunState, Workload};

/// A group of pods, as the operator names it in the status and, in small letters, on the pods.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// `Master`, `Worker`.
    pub name: &'static str,
    /// What users call its pods.
    pub role: &'static str,
}

/// One reading of the status of a job of the training operator, of whatever version. `container`
/// is the one whose log users want, `groups` are those that the job may have, the leading one
/// first; where that one is missing, the first pod of the next leads.
pub fn training_job(workload: &Workload, container: &str, groups: &[Group]) -> Report {
    if !workload.has_status() {
        let message = "The cluster has not reported a status yet.";
        return Report::new(RunState::Unknown, "NotReported", message);
    }
    let mut report = read(workload);
    report.started_at = workload.text("/status/startTime").map(str::to_owned);
    report.logs = logs(workload, container, groups);
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
        let message = "A pod has failed; the operator starts it again.";
        return Report::new(RunState::Pending, "Restarting", message);
    }
    let sum = |count: &str| {
        let of = |group: &str| workload.count(&format!("/status/replicaStatuses/{group}/{count}"));
        let groups = ["Master", "Chief", "Worker", "PS", "Evaluator"];
        groups.into_iter().filter_map(of).fold(0, u64::saturating_add)
    };
    let (active, done) = (sum("active"), sum("succeeded"));
    if workload.condition("Running").is_some() {
        let message = format!("Pods that run: {active}; done: {done}.");
        return Report::new(RunState::Running, "Running", message);
    }
    if active > 0 {
        let message = format!("Pods that run: {active}; the job waits for the one that leads.");
        return Report::new(RunState::Pending, "Starting", message);
    }
    let message = if workload.condition("Created").is_some() {
        "The operator has accepted the job; no pod runs yet."
    } else {
        "The operator has not looked at the job yet."
    };
    Report::new(RunState::Pending, "Accepted", message)
}

fn failed(condition: &Condition<'_>) -> Report {
    let reason = condition.reason.unwrap_or_default();
    let says = condition.message.unwrap_or_default();
    // The operator has one reason for every failure, and tells them apart in its message only.
    let (word, failure, why) =
        if reason == "DeadlineExceeded" || says.contains("longer than specified deadline") {
            let why = "The job ran longer than it was allowed to.";
            ("DeadlineExceeded".to_owned(), FailureClass::Timeout, why)
        } else if reason.contains("Validation") || says.contains("failed validation") {
            let why = "The operator refuses the job as it is written.";
            (reason_word(reason), FailureClass::Rejected, why)
        } else if reason.ends_with("JobFailed") || reason == "BackoffLimitExceeded" {
            let why = "The training program failed; its log says why.";
            (reason_word(reason), FailureClass::UserCode, why)
        } else {
            let why = "The cluster failed, not the training program.";
            (reason_word(reason), FailureClass::Infrastructure, why)
        };
    let message = match condition.message {
        Some(detail) => format!("{why} The operator says: {}", quotable(detail)),
        None => why.to_owned(),
    };
    let mut report = Report::new(RunState::Failed, &word, message);
    report.failure = failure;
    report
}

fn logs(workload: &Workload, container: &str, groups: &[Group]) -> Vec<LogTarget> {
    let name = workload.name();
    if !is_label_value(name) {
        return Vec::new();
    }
    let all = format!("training.kubeflow.org/job-name={name}");
    let target =
        |role: &str, rest: &str| LogTarget::new(role, format!("{all}{rest}"), Some(container));
    let is_there =
        |group: &&Group| workload.holds(&format!("/status/replicaStatuses/{}", group.name));
    let there: Vec<&Group> = groups.iter().filter(is_there).collect();
    let pods = |group: &Group| {
        let count = |word| {
            let pointer = format!("/status/replicaStatuses/{}/{word}", group.name);
            workload.count(&pointer).unwrap_or(0)
        };
        count("active").saturating_add(count("succeeded")).saturating_add(count("failed"))
    };
    let (Some(leading), Some(first)) = (groups.first(), there.first()) else {
        return vec![target("trainer", "")];
    };
    if there.len() == 1 && pods(first) <= 1 {
        return vec![target("trainer", "")];
    }
    let kind = |group: &Group| {
        format!(",training.kubeflow.org/replica-type={}", group.name.to_lowercase())
    };
    let mut targets = Vec::new();
    for group in &there {
        let of = kind(group);
        if group.name == first.name && first.name != leading.name {
            const INDEX: &str = ",training.kubeflow.org/replica-index";
            targets.push(target(leading.role, &format!("{of}{INDEX}=0")));
            targets.push(target(group.role, &format!("{of}{INDEX}!=0")));
        } else {
            targets.push(target(group.role, &of));
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const GROUPS: [Group; 3] = [
        Group { name: "Chief", role: "chief" },
        Group { name: "Worker", role: "worker" },
        Group { name: "PS", role: "ps" },
    ];

    fn read(status: &Value) -> Report {
        let object = json!({ "metadata": { "name": "iris" }, "status": status });
        training_job(&Workload::parse(&object.to_string()), "tensorflow", &GROUPS)
    }

    fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({ "type": kind, "status": status, "reason": reason, "message": message })
    }

    #[test]
    fn each_status_has_one_meaning() {
        use FailureClass::{Infrastructure, None, Rejected, Timeout, UserCode};
        use RunState::{Failed, Pending, Running, Succeeded, Suspended};

        let created = condition("Created", "True", "TFJobCreated", "");
        let runs = |status| condition("Running", status, "TFJobRunning", "");
        let ended = |reason: &str, message: &str| json!({ "conditions": [created, runs("False"), condition("Failed", "True", reason, message)] });
        let deadline = "Job iris has failed because it was active longer than specified deadline";
        for (status, state, reason, class) in [
            (json!({}), Pending, "Accepted", None),
            (json!({ "conditions": [created] }), Pending, "Accepted", None),
            (
                json!({ "conditions": [created], "replicaStatuses": { "PS": { "active": 1 } } }),
                Pending,
                "Starting",
                None,
            ),
            (json!({ "conditions": [created, runs("True")] }), Running, "Running", None),
            (
                json!({ "conditions": [condition("Restarting", "True", "TFJobRestarting", ""), runs("False")] }),
                Pending,
                "Restarting",
                None,
            ),
            (
                json!({ "conditions": [created, condition("Suspended", "True", "TFJobSuspended", "")] }),
                Suspended,
                "Suspended",
                None,
            ),
            (
                json!({ "conditions": [created, condition("Suspended", "False", "TFJobResumed", ""), runs("True")] }),
                Running,
                "Running",
                None,
            ),
            (
                json!({ "conditions": [created, runs("False"), condition("Succeeded", "True", "TFJobSucceeded", "")] }),
                Succeeded,
                "Succeeded",
                None,
            ),
            (ended("TFJobFailed", "1 Worker replica(s) failed."), Failed, "TFJobFailed", UserCode),
            (ended("TFJobFailed", deadline), Failed, "DeadlineExceeded", Timeout),
            (ended("FailedValidation", "no"), Failed, "FailedValidation", Rejected),
            (ended("TFJobEvicted", "gone"), Failed, "TFJobEvicted", Infrastructure),
        ] {
            let report = read(&status);
            assert_eq!((report.state, report.reason.as_str()), (state, reason), "{status}");
            assert_eq!(report.failure, class, "{status}");
        }
    }

    #[test]
    fn logs_are_those_of_the_groups_that_are_there() {
        let targets = |statuses: &Value| -> Vec<(String, String)> {
            let logs = read(&json!({ "replicaStatuses": statuses })).logs.into_iter();
            logs.map(|log| (log.role, log.label_selector)).collect()
        };
        let all = "training.kubeflow.org/job-name=iris";
        let kind = "training.kubeflow.org/replica-type";
        let index = "training.kubeflow.org/replica-index";
        let pair = |role: &str, selector: String| (role.to_owned(), selector);
        assert_eq!(targets(&json!({})), [pair("trainer", all.to_owned())]);
        let one = json!({ "Worker": { "active": 1 } });
        assert_eq!(targets(&one), [pair("trainer", all.to_owned())]);
        let workers = json!({ "Worker": { "active": 3 } });
        assert_eq!(
            targets(&workers),
            [
                pair("chief", format!("{all},{kind}=worker,{index}=0")),
                pair("worker", format!("{all},{kind}=worker,{index}!=0")),
            ]
        );
        let servers = json!({ "Chief": {}, "PS": { "active": 1 }, "Worker": { "active": 2 } });
        assert_eq!(
            targets(&servers),
            [
                pair("chief", format!("{all},{kind}=chief")),
                pair("worker", format!("{all},{kind}=worker")),
                pair("ps", format!("{all},{kind}=ps")),
            ]
        );
    }
}
