//! JobSets and PyTorchJobs of a member, simply: their parts run, the whole ends when they have
//! ended.

use serde_json::{Value, json};

use super::{DURATION, OUTCOME, mark, owner_reference, pod_from};
use crate::json::Tree as _;
use crate::{
    clock,
    json::{
        self as js, annotation, condition_is_true, flag, int, is_terminating, list, meta, text,
    },
    objects::{
        Key,
        resources::{JOB, POD},
    },
    sim::World,
};

fn pass_on(from: &Value, to: &mut Value) {
    for key in [OUTCOME, DURATION] {
        if let Some(value) = annotation(from, key) {
            mark(to, key, value);
        }
    }
}

pub(super) fn reconcile_job_set(world: &mut World, cluster: &str, key: &Key) {
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
            if !suspended {
                member.api.ensure(&JOB, &key.namespace, job);
            }
            let found = member.api.get(&child).cloned().unwrap_or_default();
            if condition_is_true(&found, "/status/conditions", "Complete") {
                succeeded += 1;
            } else if condition_is_true(&found, "/status/conditions", "Failed") {
                failed += 1;
                failure = Some(name);
            } else {
                all_done = false;
                active += 1;
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
        if let Some((kind, reason, message)) = verdict {
            js::set(set, &["status", "terminalState"], kind);
            add(set, kind, reason, &message, &now);
        }
    });
}

pub(super) fn reconcile_pytorch_job(world: &mut World, cluster: &str, key: &Key) {
    let now = clock::stamp(world.now);
    let Some(member) = world.members.get_mut(cluster) else { return };
    let Some(job) = member.api.get(key).cloned() else { return };
    if is_terminating(&job) || ended(&job, &["Succeeded", "Failed"]) {
        return;
    }
    let suspended = flag(&job, "/spec/runPolicy/suspend");
    let mut statuses = serde_json::Map::new();
    let (mut wanted, mut running, mut done, mut broken) = (0, 0, 0, false);
    for (role, replica) in
        job.at(&["spec", "pytorchReplicaSpecs"]).as_object().into_iter().flatten()
    {
        let lower = role.to_lowercase();
        let (mut active, mut succeeded, mut failed) = (0, 0, 0);
        for at in 0..int(replica, "/replicas").unwrap_or(1) {
            wanted += 1;
            let index = at.to_string();
            let name = format!("{}-{lower}-{at}", key.name);
            let labels = [
                ("training.kubeflow.org/job-name", key.name.as_str()),
                ("training.kubeflow.org/replica-type", lower.as_str()),
                ("training.kubeflow.org/replica-index", index.as_str()),
                ("training.kubeflow.org/operator-name", "pytorchjob-controller"),
            ];
            let mut pod = pod_from(&job, replica.at(&["template"]), &name, &labels);
            pass_on(&job, &mut pod);
            if !suspended {
                member.api.ensure(&POD, &key.namespace, pod);
            }
            let phase = member
                .api
                .find(&POD, &key.namespace, &name)
                .map_or_else(String::new, |pod| text(pod, "/status/phase").to_owned());
            match phase.as_str() {
                "Succeeded" => succeeded += 1,
                "Failed" => failed += 1,
                "Running" => {
                    active += 1;
                    running += 1;
                }
                _ => {}
            }
        }
        done += succeeded;
        broken |= failed > 0;
        statuses.insert(
            role.clone(),
            json!({ "active": active, "succeeded": succeeded, "failed": failed }),
        );
    }
    member.api.edit(key, |job| {
        js::set(job, &["status", "replicaStatuses"], statuses);
        if job.at(&["status", "startTime"]).is_null() && !suspended {
            js::set(job, &["status", "startTime"], now.as_str());
        }
        let name = meta(job, "name").to_owned();
        let text = |verb: &str| format!("PyTorchJob {name} is {verb}.");
        add(job, "Created", "PyTorchJobCreated", &text("created"), &now);
        if running == wanted && wanted > 0 {
            add(job, "Running", "PyTorchJobRunning", &text("running"), &now);
        }
        if broken || (wanted > 0 && done == wanted) {
            let (kind, reason) = if broken {
                ("Failed", "PyTorchJobFailed")
            } else {
                ("Succeeded", "PyTorchJobSucceeded")
            };
            js::set_condition(
                job,
                &["status", "conditions"],
                json!({
                    "type": "Running", "status": "False", "reason": reason, "message": "",
                    "lastTransitionTime": now,
                }),
            );
            add(job, kind, reason, &text(&kind.to_lowercase()), &now);
            js::set(job, &["status", "completionTime"], now.as_str());
        }
    });
}

fn ended(object: &Value, kinds: &[&str]) -> bool {
    kinds.iter().any(|kind| condition_is_true(object, "/status/conditions", kind))
}

fn add(object: &mut Value, kind: &str, reason: &str, message: &str, now: &str) {
    js::set_condition(
        object,
        &["status", "conditions"],
        json!({
            "type": kind, "status": "True", "reason": reason, "message": message,
            "lastTransitionTime": now, "lastUpdateTime": now,
        }),
    );
}
