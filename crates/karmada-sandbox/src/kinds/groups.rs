//! JobSets of a member, simply: their parts run, the whole ends when they have ended. And what the
//! controllers of other groups of pods have in common with it.

use serde_json::{Value, json};

use super::{DURATION, OUTCOME, mark, owner_reference};
use crate::json::Tree as _;
use crate::{
    clock,
    json::{self as js, annotation, condition_is_true, flag, int, is_terminating, list, text},
    objects::{Key, resources::JOB},
    sim::World,
};

/// How a workload ends and how long it computes is said of its parts as well.
pub(super) fn pass_on(from: &Value, to: &mut Value) {
    for key in [OUTCOME, DURATION] {
        if let Some(value) = annotation(from, key) {
            mark(to, key, value);
        }
    }
}

pub(super) fn reconcile(world: &mut World, cluster: &str, key: &Key) {
    let now = clock::stamp(world.now);
    let Some(member) = world.members.get_mut(cluster) else { return };
    let Some(set) = member.api.get(key).cloned() else { return };
    if is_terminating(&set) || ended(&set, &["Completed", "Failed"]) {
        return;
    }
    let suspended = flag(&set, "/spec/suspend");
    let mut statuses = Vec::new();
    let (mut all_done, mut failure) = (true, None);
    for part in list(&set, "/spec/replicatedJobs") {
        let (mut active, mut ready, mut succeeded, mut failed) = (0, 0, 0, 0);
        for at in 0..int(part, "/replicas").unwrap_or(1) {
            let name = format!("{}-{}-{at}", key.name, text(part, "/name"));
            let child = Key::new(&JOB, &key.namespace, &name);
            let mut job = json!({
                "metadata": {
                    "name": name, "ownerReferences": owner_reference(&set),
                    "labels": {
                        "jobset.sigs.k8s.io/jobset-name": key.name,
                        "jobset.sigs.k8s.io/replicatedjob-name": text(part, "/name"),
                        "jobset.sigs.k8s.io/job-index": at.to_string(),
                    },
                },
                "spec": part.at(&["template", "spec"]),
            });
            let labels = job.at(&["metadata", "labels"]).clone();
            for (label, value) in labels.as_object().into_iter().flatten() {
                let path = ["spec", "template", "metadata", "labels", label.as_str()];
                js::set(&mut job, &path, value.clone());
            }
            pass_on(&set, &mut job);
            js::set(&mut job, &["spec", "suspend"], suspended);
            member.api.ensure(&JOB, &key.namespace, job);
            let held = member.api.get(&child).is_some_and(|job| flag(job, "/spec/suspend"));
            if held != suspended {
                member.api.edit(&child, |job| js::set(job, &["spec", "suspend"], suspended));
            }
            let found = member.api.get(&child).cloned().unwrap_or_default();
            if condition_is_true(&found, "/status/conditions", "Complete") {
                succeeded += 1;
            } else if condition_is_true(&found, "/status/conditions", "Failed") {
                failed += 1;
                failure = Some(name);
            } else {
                all_done = false;
                active += i64::from(!suspended);
                ready += i64::from(int(&found, "/status/ready").unwrap_or_default() > 0);
            }
        }
        statuses.push(json!({
            "name": part.at(&["name"]), "active": active, "ready": ready, "succeeded": succeeded,
            "failed": failed, "suspended": i64::from(suspended),
        }));
    }
    let verdict = match failure {
        Some(job) => Some((
            "Failed",
            "FailedJobs",
            format!("jobset failed due to one or more job failures: {job}"),
        )),
        None if all_done && !suspended => {
            Some(("Completed", "AllJobsCompleted", "jobset completed successfully".to_owned()))
        }
        None => None,
    };
    member.api.edit(key, |set| {
        js::set(set, &["status", "replicatedJobsStatus"], statuses);
        if suspended {
            let message = "jobset is suspended";
            add_condition(set, "Suspended", "True", "SuspendedJobs", message, &now);
        } else if condition_is_true(set, "/status/conditions", "Suspended") {
            add_condition(set, "Suspended", "False", "ResumeJobs", "jobset is resumed", &now);
        }
        if let Some((kind, reason, message)) = verdict {
            js::set(set, &["status", "terminalState"], kind);
            add_condition(set, kind, "True", reason, &message, &now);
        }
    });
}

/// Whether one of these conditions holds.
pub(super) fn ended(object: &Value, kinds: &[&str]) -> bool {
    kinds.iter().any(|kind| condition_is_true(object, "/status/conditions", kind))
}

pub(super) fn add_condition(
    object: &mut Value,
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    now: &str,
) {
    js::set_condition(
        object,
        &["status", "conditions"],
        json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": now, "lastUpdateTime": now,
        }),
    );
}
