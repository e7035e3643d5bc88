//! The Job controller of a member.

use std::time::Duration;

use serde_json::{Value, json};

use super::{DURATION, OUTCOME, RETRY, ROLE, events, mark, outcome, pod_from};
use crate::json::Tree as _;
use crate::{
    clock,
    json::{self as js, annotation, condition_is_true, flag, int, is_terminating, meta, text},
    objects::{Key, resources::POD},
    sim::World,
};

pub(super) fn reconcile(world: &mut World, cluster: &str, key: &Key) {
    let Some(member) = world.members.get_mut(cluster) else { return };
    let Some(job) = member.api.get(key).cloned() else { return };
    let ended = ["Complete", "Failed"]
        .iter()
        .any(|kind| condition_is_true(&job, "/status/conditions", kind));
    if is_terminating(&job) || ended {
        return;
    }
    let uid = meta(&job, "uid").to_owned();
    let pods = member.api.owned_of(&uid, &POD);
    let in_phase =
        |phase: &str| tally(pods.iter().filter(|pod| text(pod, "/status/phase") == phase));
    let (succeeded, failed) = (in_phase("Succeeded"), in_phase("Failed"));
    let active: Vec<_> = pods
        .iter()
        .filter(|pod| !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed"))
        .filter(|pod| !is_terminating(pod))
        .collect();
    let ready = tally(active.iter().filter(|pod| text(pod, "/status/phase") == "Running"));
    let parallelism = int(&job, "/spec/parallelism").unwrap_or(1);
    let completions = int(&job, "/spec/completions").unwrap_or(parallelism);
    let suspended = flag(&job, "/spec/suspend");
    let deadline = int(&job, "/spec/activeDeadlineSeconds").filter(|_| !suspended);
    let late = deadline.is_some_and(|seconds| {
        let usual = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        world.has_been(cluster, key, &uid, "active", usual)
    });
    let verdict = if late {
        Some(("Failed", "DeadlineExceeded", "Job was active longer than specified deadline"))
    } else if failed > int(&job, "/spec/backoffLimit").unwrap_or(6) {
        Some(("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"))
    } else if succeeded >= completions {
        Some(("Complete", "CompletionsReached", "Reached expected number of succeeded pods"))
    } else {
        None
    };
    let now = clock::stamp(world.now);
    let Some(member) = world.members.get_mut(cluster) else { return };
    let mut running = tally(active.iter());
    let mut refused = false;
    if verdict.is_some() || suspended {
        for pod in &active {
            member.api.discard(&Key::of(&POD, pod));
        }
        running = 0;
    } else {
        let indexed = text(&job, "/spec/completionMode") == "Indexed";
        while running < parallelism.min(completions - succeeded) {
            let index = succeeded + failed + running;
            let pod = new_pod(&job, &member.api.ids.suffix(), failed, indexed.then_some(index));
            match member.api.try_ensure(&POD, &key.namespace, pod) {
                Ok(true) => running += 1,
                Ok(false) => break,
                Err(error) => {
                    let message = format!("Error creating: {}", error.message());
                    let source = "job-controller";
                    events::emit(
                        &mut member.api,
                        &job,
                        source,
                        "Warning",
                        "FailedCreate",
                        &message,
                    );
                    refused = true;
                    break;
                }
            }
        }
    }
    member.api.edit(key, |job| {
        let status = js::object(job, &["status"]);
        let counts =
            [("active", running), ("succeeded", succeeded), ("failed", failed), ("ready", ready)];
        for (field, count) in counts {
            if count > 0 || field == "ready" {
                status.insert(field.to_owned(), json!(count));
            } else {
                status.shift_remove(field);
            }
        }
        if !suspended {
            status.entry("startTime").or_insert_with(|| json!(now));
        }
        let was_suspended = condition_is_true(job, "/status/conditions", "Suspended");
        if suspended || was_suspended {
            let (status, reason) =
                if suspended { ("True", "JobSuspended") } else { ("False", "JobResumed") };
            add_condition(job, "Suspended", status, reason, "Job suspension changed", &now);
        }
        if let Some((kind, reason, message)) = verdict {
            let first = if kind == "Complete" { "SuccessCriteriaMet" } else { "FailureTarget" };
            add_condition(job, first, "True", reason, message, &now);
            add_condition(job, kind, "True", reason, message, &now);
            js::set(job, &["status", "ready"], 0);
            if kind == "Complete" {
                js::set(job, &["status", "completionTime"], now.as_str());
            }
        }
    });
    if refused {
        world.wake_in(RETRY, Some(cluster), key);
    }
}

fn tally(items: impl Iterator) -> i64 {
    i64::try_from(items.count()).unwrap_or(i64::MAX)
}

fn add_condition(
    job: &mut Value,
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    now: &str,
) {
    js::set_condition(
        job,
        &["status", "conditions"],
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastProbeTime": now, "lastTransitionTime": now,
        }),
    );
}

fn new_pod(job: &Value, suffix: &str, failed: i64, index: Option<i64>) -> Value {
    let name = meta(job, "name");
    let uid = meta(job, "uid");
    let labels = [
        ("job-name", name),
        ("batch.kubernetes.io/job-name", name),
        ("controller-uid", uid),
        ("batch.kubernetes.io/controller-uid", uid),
    ];
    let pod_name = index
        .map_or_else(|| format!("{name}-{suffix}"), |index| format!("{name}-{index}-{suffix}"));
    let mut pod = pod_from(job, job.at(&["spec", "template"]), &pod_name, &labels);
    if let Some(index) = index {
        let index = index.to_string();
        let key = "batch.kubernetes.io/job-completion-index";
        mark(&mut pod, key, &index);
        js::set(&mut pod, &["metadata", "labels", key], index);
    }
    if annotation(job, OUTCOME).is_some() {
        mark(&mut pod, OUTCOME, outcome(job, failed));
    }
    for key in [DURATION, ROLE] {
        if let Some(value) = annotation(job, key) {
            mark(&mut pod, key, value);
        }
    }
    pod
}
