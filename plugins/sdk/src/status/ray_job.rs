//! The status of a RayJob. Only the pair of deployment status and job status tells: `Complete` is
//! also said of a job that was stopped, and a failed attempt may be retried.

use super::{is_label_value, quotable, reason_word};
use crate::{FailureClass, LogTarget, Report, RunState, Workload};

/// One reading of the status of a RayJob, of whatever version of the operator. The containers are
/// named `ray-head` and `ray-worker`.
pub fn ray_job(workload: &Workload) -> Report {
    let mut report = read(workload);
    if workload.has_status() {
        let either = |a: &str, b: &str| workload.text(a).or(workload.text(b)).map(str::to_owned);
        report.started_at = either("/status/startTime", "/status/rayJobInfo/startTime");
        if matches!(report.state, RunState::Succeeded | RunState::Failed) {
            report.finished_at = either("/status/endTime", "/status/rayJobInfo/endTime");
        }
        report.logs = logs(workload);
    }
    report
}

fn read(workload: &Workload) -> Report {
    use RunState::{Pending, Running, Succeeded, Suspended, Unknown};

    if !workload.has_status() {
        return Report::new(Unknown, "NotReported", "The cluster has not reported a status yet.");
    }
    let deployment = workload.text("/status/jobDeploymentStatus").unwrap_or_default();
    let job = workload.text("/status/jobStatus").unwrap_or_default();
    let simple = |state, reason: &str, message: &str| {
        Report::new(state, reason, with_detail(message, workload))
    };
    match (deployment, job) {
        ("" | "New", _) => simple(Pending, "Accepted", "The operator has not started yet."),
        ("Initializing", _) => simple(Pending, "Initializing", &waiting_for_workers(workload)),
        ("Waiting", _) => {
            simple(Pending, "Waiting", "The cluster is up and waits for a job to be submitted.")
        }
        ("Running", "" | "PENDING") => {
            simple(Pending, "Submitting", "The cluster is up; the training has not started yet.")
        }
        ("Running", "RUNNING") => simple(Running, "Running", "The training runs."),
        // The operator decides in its next step what these become.
        ("Running", "SUCCEEDED" | "STOPPED") => {
            simple(Running, "Finishing", "The training program has ended.")
        }
        ("Running", "FAILED") => simple(
            Running,
            "Finishing",
            "The training program has failed; the operator has not yet decided about a retry.",
        ),
        ("Complete", "SUCCEEDED") => simple(Succeeded, "Succeeded", "The training succeeded."),
        ("Complete", "STOPPED") => failed(workload, "Stopped", FailureClass::Stopped),
        // Operators before 1.1 completed failed jobs.
        ("Complete", "FAILED") => failed(workload, "AppFailed", FailureClass::UserCode),
        ("Complete", _) => simple(
            Unknown,
            "ResultUnknown",
            "The operator is done but has not said how the training ended.",
        ),
        ("Failed", _) => {
            let (reason, class) = why_failed(workload, job);
            failed(workload, reason, class)
        }
        ("ValidationFailed", _) => failed(workload, "ValidationFailed", FailureClass::Rejected),
        ("Suspending", _) => simple(Suspended, "Suspending", "The job is being suspended."),
        ("Suspended", _) => simple(Suspended, "Suspended", "The job is suspended."),
        ("Retrying", _) => {
            simple(Pending, "Retrying", "An attempt failed; the operator starts another one.")
        }
        _ => {
            let word = quotable(deployment);
            let message = format!("The operator reports `{word}`, which is not known here.");
            simple(Unknown, "UnknownStatus", &message)
        }
    }
}

fn why_failed<'w>(workload: &'w Workload, job: &str) -> (&'w str, FailureClass) {
    match (workload.text("/status/reason"), job) {
        (Some(reason), _) => (reason, class_of(reason)),
        (None, "FAILED") => ("AppFailed", FailureClass::UserCode),
        (None, "STOPPED") => ("Stopped", FailureClass::Stopped),
        (None, _) => ("Failed", FailureClass::Infrastructure),
    }
}

fn class_of(reason: &str) -> FailureClass {
    match reason {
        "AppFailed" => FailureClass::UserCode,
        "DeadlineExceeded" => FailureClass::Timeout,
        "PreRunningDeadlineExceeded" => FailureClass::Capacity,
        "ValidationFailed" => FailureClass::Rejected,
        _ => FailureClass::Infrastructure,
    }
}

fn failed(workload: &Workload, reason: &str, class: FailureClass) -> Report {
    let message = match class {
        FailureClass::UserCode => "The training program failed; its log says why.",
        FailureClass::Timeout => "The job ran longer than it was allowed to.",
        FailureClass::Capacity => "The job did not start in time; the cluster lacks room for it.",
        FailureClass::Rejected => "The operator refused the job as it was written.",
        FailureClass::Stopped => "The training was stopped on the cluster.",
        FailureClass::Infrastructure | FailureClass::None => {
            "The cluster or its operator failed, not the training program."
        }
    };
    let mut report =
        Report::new(RunState::Failed, &reason_word(reason), with_detail(message, workload));
    report.failure = class;
    report
}

/// Appends what the operator says, which is usually the only clue.
fn with_detail(message: &str, workload: &Workload) -> String {
    match workload.text("/status/message") {
        Some(detail) => format!("{message} The operator says: {}", quotable(detail)),
        None => message.to_owned(),
    }
}

fn waiting_for_workers(workload: &Workload) -> String {
    let count = |name| workload.count(&format!("/status/rayClusterStatus/{name}"));
    let Some(desired) = count("desiredWorkerReplicas").filter(|&desired| desired > 0) else {
        return "The cluster is being started.".to_owned();
    };
    let ready = count("readyWorkerReplicas").or(count("availableWorkerReplicas")).unwrap_or(0);
    format!("The cluster is being started: {ready} of {desired} workers are ready.")
}

fn logs(workload: &Workload) -> Vec<LogTarget> {
    let mut logs = Vec::with_capacity(3);
    let name = workload.name();
    if is_label_value(name) {
        let selector = format!("job-name={name}");
        logs.push(LogTarget::new("driver", selector, Some("ray-job-submitter")));
    }
    if let Some(cluster) = workload.text("/status/rayClusterName").filter(|c| is_label_value(c)) {
        for (role, container) in [("head", "ray-head"), ("worker", "ray-worker")] {
            let selector = format!("ray.io/cluster={cluster},ray.io/node-type={role}");
            logs.push(LogTarget::new(role, selector, Some(container)));
        }
    }
    logs
}
