//! The MPI operator of a member: workers that serve until the launcher, a Job of its own, has ended.

use serde_json::{Value, json};

use super::groups::{add_condition, ended, pass_on};
use super::{ROLE, mark, owner_reference, pod_from};
use crate::json::Tree as _;
use crate::{
    clock,
    json::{self as js, condition_is_true, flag, int, is_terminating, list, meta, text},
    objects::{
        Api, Key,
        resources::{JOB, POD},
    },
    sim::World,
};

const JOB_NAME: &str = "training.kubeflow.org/job-name";
const JOB_ROLE: &str = "training.kubeflow.org/job-role";
const OPERATOR: (&str, &str) = ("training.kubeflow.org/operator-name", "mpi-operator");

pub(super) fn reconcile(world: &mut World, cluster: &str, key: &Key) {
    let now = clock::stamp(world.now);
    let Some(member) = world.members.get_mut(cluster) else { return };
    let Some(job) = member.api.get(key).cloned() else { return };
    if is_terminating(&job) {
        return;
    }
    let api = &mut member.api;
    let launcher = Key::new(&JOB, &key.namespace, &format!("{}-launcher", key.name));
    if ended(&job, &["Succeeded", "Failed"]) {
        clean_up(api, &job);
        return;
    }
    let suspended = flag(&job, "/spec/runPolicy/suspend");
    let (wanted, ready) = if suspended { hold(api, &job, &launcher) } else { work(api, &job, key) };
    let waits = text(&job, "/spec/launcherCreationPolicy") == "WaitForWorkersReady";
    if !suspended && (!waits || ready == wanted) {
        api.ensure(&JOB, &key.namespace, launcher_of(&job, key));
        let held = api.get(&launcher).is_some_and(|found| flag(found, "/spec/suspend"));
        if held {
            api.edit(&launcher, |found| js::set(found, &["spec", "suspend"], false));
        }
    }
    let found = api.get(&launcher).cloned().unwrap_or_default();
    let count = |field: &str| int(&found, &format!("/status/{field}")).unwrap_or_default();
    let runs = count("ready");
    let verdict = verdict(&found);
    api.edit(key, |job| {
        let mut statuses = json!({ "Worker": { "active": ready } });
        if !found.is_null() {
            let of = json!({
                "active": runs, "succeeded": count("succeeded"), "failed": count("failed"),
            });
            js::set(&mut statuses, &["Launcher"], of);
        }
        js::set(job, &["status", "replicaStatuses"], statuses);
        let name = format!("MPIJob {}/{}", key.namespace, key.name);
        let mut say = |kind: &str, status: &str, reason: &str, message: &str| {
            add_condition(job, kind, status, reason, message, &now);
        };
        say("Created", "True", "MPIJobCreated", &format!("{name} is created."));
        if suspended {
            say("Suspended", "True", "MPIJobSuspended", "MPIJob suspended");
            say("Running", "False", "MPIJobSuspended", &format!("{name} is suspended."));
        } else if let Some((kind, reason, message)) = &verdict {
            say("Running", "False", reason, &format!("{name} is over."));
            say(kind, "True", reason, message);
        } else if runs > 0 && ready == wanted {
            say("Running", "True", "MPIJobRunning", &format!("{name} is running."));
        }
        if !suspended && condition_is_true(job, "/status/conditions", "Suspended") {
            add_condition(job, "Suspended", "False", "MPIJobResumed", "MPIJob resumed", &now);
        }
        if suspended {
            js::remove(job, &["status", "startTime"]);
        } else if job.at(&["status", "startTime"]).is_null() {
            js::set(job, &["status", "startTime"], now.as_str());
        }
        if verdict.is_some() {
            js::set(job, &["status", "completionTime"], now.as_str());
        }
    });
}

/// Makes the workers; how many there should be, and how many run.
fn work(api: &mut Api, job: &Value, key: &Key) -> (i64, i64) {
    let group = job.at(&["spec", "mpiReplicaSpecs", "Worker"]);
    let wanted = if group.is_null() { 0 } else { int(group, "/replicas").unwrap_or(1) };
    let mut ready = 0;
    for at in 0..wanted {
        let (name, index) = (format!("{}-worker-{at}", key.name), at.to_string());
        let labels = [
            (JOB_NAME, key.name.as_str()),
            (JOB_ROLE, "worker"),
            ("training.kubeflow.org/replica-type", "worker"),
            ("training.kubeflow.org/replica-index", index.as_str()),
            OPERATOR,
        ];
        let mut pod = pod_from(job, group.at(&["template"]), &name, &labels);
        pass_on(job, &mut pod);
        mark(&mut pod, ROLE, "service");
        api.ensure(&POD, &key.namespace, pod);
        let found = api.find(&POD, &key.namespace, &name);
        let phase = found.map_or("", |pod| text(pod, "/status/phase"));
        ready += i64::from(phase == "Running");
    }
    (wanted, ready)
}

fn launcher_of(job: &Value, key: &Key) -> Value {
    let mut template = job.at(&["spec", "mpiReplicaSpecs", "Launcher", "template"]).clone();
    for (label, value) in [(JOB_NAME, key.name.as_str()), (JOB_ROLE, "launcher"), OPERATOR] {
        js::set(&mut template, &["metadata", "labels", label], value);
    }
    js::set(&mut template, &["spec", "restartPolicy"], "Never");
    let mut launcher = json!({
        "metadata": {
            "name": format!("{}-launcher", key.name), "ownerReferences": owner_reference(job),
        },
        "spec": {
            "backoffLimit": int(job, "/spec/runPolicy/backoffLimit").unwrap_or(6),
            "template": template,
        },
    });
    if let Some(seconds) = int(job, "/spec/runPolicy/activeDeadlineSeconds") {
        js::set(&mut launcher, &["spec", "activeDeadlineSeconds"], seconds);
    }
    pass_on(job, &mut launcher);
    launcher
}

/// Ends the workers and holds the launcher back.
fn hold(api: &mut Api, job: &Value, launcher: &Key) -> (i64, i64) {
    for pod in api.owned_of(meta(job, "uid"), &POD) {
        api.discard(&Key::of(&POD, &pod));
    }
    if api.get(launcher).is_some_and(|found| !flag(found, "/spec/suspend")) {
        api.edit(launcher, |found| js::set(found, &["spec", "suspend"], true));
    }
    (0, 0)
}

/// How the launcher ended, if it has.
fn verdict(launcher: &Value) -> Option<(&'static str, String, String)> {
    if condition_is_true(launcher, "/status/conditions", "Complete") {
        let message = "MPIJob successfully completed.".to_owned();
        return Some(("Succeeded", "MPIJobSucceeded".to_owned(), message));
    }
    let conditions = list(launcher, "/status/conditions");
    let failed = conditions
        .iter()
        .find(|one| text(one, "/type") == "Failed" && text(one, "/status") == "True")?;
    let reason = match text(failed, "/reason") {
        "" => "MPIJobFailed",
        reason => reason,
    };
    // The operator appends what the last pod of the launcher said.
    let reason = if reason == "BackoffLimitExceeded" {
        format!("{reason}/Error")
    } else {
        reason.to_owned()
    };
    Some(("Failed", reason, text(failed, "/message").to_owned()))
}

/// What `cleanPodPolicy` says about the workers of a job that is over.
fn clean_up(api: &mut Api, job: &Value) {
    let policy = text(job, "/spec/runPolicy/cleanPodPolicy");
    for pod in api.owned_of(meta(job, "uid"), &POD) {
        let runs = matches!(text(&pod, "/status/phase"), "Pending" | "Running");
        if policy == "All" || policy == "Running" && runs {
            api.discard(&Key::of(&POD, &pod));
        }
    }
}
