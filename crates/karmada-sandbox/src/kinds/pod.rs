//! The scheduler and the kubelet: pods find a node, start, run as long as they are meant to, end,
//! and take a moment to terminate.

use std::time::Duration;

use serde_json::{Value, json};

use super::{OUTCOME, ROLE, duration, events};
use crate::json::Tree as _;
use crate::{
    clock,
    json::{self as js, annotation, is_terminating, list, meta, text},
    objects::{
        Api, Key,
        resources::{self as r},
    },
    sim::World,
};

/// From a node to running containers.
const START: Duration = Duration::from_millis(600);
/// From a deletion to its end.
const STOP: Duration = Duration::from_millis(500);
/// Between two looks for something a pod misses.
const RETRY: Duration = Duration::from_secs(2);
/// How many waiting pods are tried when room appears; the rest waits for the next room.
const RETRIED_AT_ONCE: usize = 64;

pub(super) fn reconcile(world: &mut World, cluster: &str, key: &Key) {
    let Some(member) = world.members.get_mut(cluster) else { return };
    let Some(pod) = member.api.get(key).cloned() else { return };
    let uid = meta(&pod, "uid").to_owned();
    if matches!(text(&pod, "/status/phase"), "Succeeded" | "Failed") {
        release(world, cluster, key);
    }
    if is_terminating(&pod) {
        if world.has_been(cluster, key, &uid, "stopping", STOP)
            && let Some(member) = world.members.get_mut(cluster)
        {
            member.api.edit(key, |pod| {
                js::set(pod, &["metadata", "deletionGracePeriodSeconds"], 0);
            });
            member.api.finish_deletion(key);
        }
        return;
    }
    match (text(&pod, "/status/phase"), text(&pod, "/spec/nodeName")) {
        ("Pending" | "", "") => schedule(world, cluster, key, &pod),
        ("Pending", _) => start(world, cluster, key, &pod),
        ("Running", _) if annotation(&pod, ROLE).is_none() => run(world, cluster, key, &pod),
        _ => {}
    }
}

fn missing_claim(api: &Api, pod: &Value) -> Option<String> {
    let namespace = meta(pod, "namespace");
    list(pod, "/spec/volumes")
        .iter()
        .filter_map(|volume| volume.at(&["persistentVolumeClaim", "claimName"]).as_str())
        .find_map(|claim| match api.find(&r::PVC, namespace, claim) {
            None => Some(format!("persistentvolumeclaim \"{claim}\" not found")),
            Some(found) if annotation(found, OUTCOME) == Some("unbound") => {
                Some("pod has unbound immediate PersistentVolumeClaims".to_owned())
            }
            Some(_) => None,
        })
}

fn missing_config(api: &Api, pod: &Value) -> Option<String> {
    let namespace = meta(pod, "namespace");
    let absent = |reference: &Value| {
        let name = text(reference, "/name");
        !name.is_empty()
            && !js::flag(reference, "/optional")
            && api.find(&r::SECRET, namespace, name).is_none()
    };
    list(pod, "/spec/containers").iter().find_map(|container| {
        let values =
            list(container, "/env").iter().map(|one| one.at(&["valueFrom", "secretKeyRef"]));
        let sources = list(container, "/envFrom").iter().map(|one| one.at(&["secretRef"]));
        values
            .chain(sources)
            .find(|reference| absent(reference))
            .map(|reference| format!("secret \"{}\" not found", text(reference, "/name")))
    })
}

fn schedule(world: &mut World, cluster: &str, key: &Key, pod: &Value) {
    let now = clock::stamp(world.now);
    let Some(member) = world.members.get_mut(cluster) else { return };
    let nodes = member.nodes.count();
    let placed = if annotation(pod, OUTCOME) == Some("unschedulable") {
        Err(format!(
            "0/{nodes} nodes are available: {nodes} node(s) didn't match Pod's node affinity/selector."
        ))
    } else if let Some(missing) = missing_claim(&member.api, pod) {
        Err(format!("0/{nodes} nodes are available: {missing}."))
    } else {
        let placed = member.nodes.place(key, pod);
        if placed.is_err() {
            member.nodes.waiting.insert(key.clone());
        }
        placed
    };
    match placed {
        Ok(node) => {
            member.api.edit(key, |pod| {
                js::set(pod, &["spec", "nodeName"], node.as_str());
                js::set_condition(
                    pod,
                    &["status", "conditions"],
                    json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": now}),
                );
                set_containers(pod, &json!({"waiting": {"reason": "ContainerCreating"}}), false);
                js::set(pod, &["status", "startTime"], now.as_str());
            });
            let message = format!("Successfully assigned {}/{} to {node}", key.namespace, key.name);
            events::emit(
                &mut member.api,
                pod,
                "default-scheduler",
                "Normal",
                "Scheduled",
                &message,
            );
            world.poll_soon(cluster);
        }
        Err(why) => {
            member.api.edit(key, |pod| {
                js::set_condition(
                    pod,
                    &["status", "conditions"],
                    json!({
                        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
                        "message": why, "lastTransitionTime": now,
                    }),
                );
            });
            events::emit(
                &mut member.api,
                pod,
                "default-scheduler",
                "Warning",
                "FailedScheduling",
                &why,
            );
            if why.contains("not found") {
                world.wake_in(RETRY, Some(cluster), key);
            }
        }
    }
}

fn start(world: &mut World, cluster: &str, key: &Key, pod: &Value) {
    let uid = meta(pod, "uid").to_owned();
    if !world.has_been(cluster, key, &uid, "starting", START) {
        return;
    }
    let now = clock::stamp(world.now);
    let Some(member) = world.members.get_mut(cluster) else { return };
    let waiting = if annotation(pod, OUTCOME) == Some("image-pull") {
        let image = text(pod, "/spec/containers/0/image");
        Some(("ImagePullBackOff", format!("Back-off pulling image \"{image}\"")))
    } else {
        missing_config(&member.api, pod).map(|why| ("CreateContainerConfigError", why))
    };
    if let Some((reason, message)) = waiting {
        let state = json!({"waiting": {"reason": reason, "message": message}});
        if member.api.edit(key, |pod| set_containers(pod, &state, false)) {
            let event = if reason == "ImagePullBackOff" { "BackOff" } else { "Failed" };
            events::emit(&mut member.api, pod, "kubelet", "Warning", event, &message);
        }
        if reason != "ImagePullBackOff" {
            world.wake_in(RETRY, Some(cluster), key);
        }
        return;
    }
    match annotation(pod, OUTCOME) {
        // A program that ought to serve and ends is started again, and ends again.
        Some("fail") if serves(pod) => return crash(&mut member.api, key, pod, &now, 1),
        Some("oom") if serves(pod) => return crash(&mut member.api, key, pod, &now, 137),
        Some("crash-loop") => return crash(&mut member.api, key, pod, &now, 1),
        Some("evict") => return evict(&mut member.api, key, pod, &now),
        _ => {}
    }
    let number = member.api.ids.next();
    let address =
        format!("10.{}.{}.{}", number % 200 + 20, (number >> 8) % 250, (number >> 16) % 250);
    // A service that hangs runs, and never answers the one who asks whether it is ready.
    let ready = !(serves(pod)
        && annotation(pod, OUTCOME) == Some("hang")
        && list(pod, "/spec/containers").iter().any(|one| one.get("readinessProbe").is_some()));
    let status = if ready { "True" } else { "False" };
    member.api.edit(key, |pod| {
        js::set(pod, &["status", "phase"], "Running");
        js::set(pod, &["status", "podIP"], address);
        for (kind, status) in
            [("Initialized", "True"), ("ContainersReady", status), ("Ready", status)]
        {
            js::set_condition(
                pod,
                &["status", "conditions"],
                json!({"type": kind, "status": status, "lastTransitionTime": now}),
            );
        }
        set_containers(pod, &json!({"running": {"startedAt": now}}), ready);
    });
    if !ready {
        let message = "Readiness probe failed: HTTP probe failed with statuscode: 503";
        events::emit(&mut member.api, pod, "kubelet", "Warning", "Unhealthy", message);
    }
}

/// Whether a pod belongs to a ReplicaSet, whose pods run until they are deleted.
pub(super) fn serves(pod: &Value) -> bool {
    list(pod, "/metadata/ownerReferences").iter().any(|owner| text(owner, "/kind") == "ReplicaSet")
}

/// The program has ended at once several times, and the kubelet waits before it tries again.
fn crash(api: &mut Api, key: &Key, pod: &Value, now: &str, exit: i64) {
    let message = "back-off 2m40s restarting failed container";
    let state = json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}});
    let reason = if exit == 137 { "OOMKilled" } else { "Error" };
    let end = json!({"terminated": {
        "exitCode": exit, "reason": reason, "startedAt": now, "finishedAt": now,
    }});
    api.edit(key, |pod| {
        js::set(pod, &["status", "phase"], "Running");
        set_containers(pod, &state, false);
        let mut statuses = list(pod, "/status/containerStatuses").to_vec();
        for status in &mut statuses {
            js::set(status, &["restartCount"], 5);
            js::set(status, &["lastState"], end.clone());
        }
        js::set(pod, &["status", "containerStatuses"], statuses);
    });
    events::emit(api, pod, "kubelet", "Warning", "BackOff", message);
}

/// The node ran out of something and the kubelet ended the pod to get it back.
fn evict(api: &mut Api, key: &Key, pod: &Value, now: &str) {
    let message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: \
                   58Mi.";
    let state = json!({"terminated": {
        "exitCode": 137, "reason": "Error", "startedAt": now, "finishedAt": now,
    }});
    api.edit(key, |pod| {
        js::set(pod, &["status", "phase"], "Failed");
        js::set(pod, &["status", "reason"], "Evicted");
        js::set(pod, &["status", "message"], message);
        set_containers(pod, &state, false);
    });
    events::emit(api, pod, "kubelet", "Warning", "Evicted", message);
}

fn run(world: &mut World, cluster: &str, key: &Key, pod: &Value) {
    let uid = meta(pod, "uid").to_owned();
    let outcome = annotation(pod, OUTCOME).unwrap_or("succeed");
    if outcome == "hang" || !world.has_been(cluster, key, &uid, "running", duration(pod)) {
        return;
    }
    let exit = match outcome {
        "fail" => 1,
        "oom" => 137,
        _ => 0,
    };
    if let Some(member) = world.members.get_mut(cluster) {
        finish(&mut member.api, key, exit);
    }
}

/// Ends a running pod's containers. 137 is a kill for memory.
pub(super) fn finish(api: &mut Api, key: &Key, exit: i64) {
    let now = clock::stamp(api.now);
    let (phase, reason) = match exit {
        0 => ("Succeeded", "Completed"),
        137 => ("Failed", "OOMKilled"),
        _ => ("Failed", "Error"),
    };
    api.edit(key, |pod| {
        if matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") {
            return;
        }
        let started = text(pod, "/status/containerStatuses/0/state/running/startedAt").to_owned();
        js::set(pod, &["status", "phase"], phase);
        for kind in ["ContainersReady", "Ready"] {
            js::set_condition(
                pod,
                &["status", "conditions"],
                json!({
                    "type": kind, "status": "False", "reason": "PodCompleted",
                    "lastTransitionTime": now,
                }),
            );
        }
        let state = json!({"terminated": {
            "exitCode": exit, "reason": reason, "startedAt": started, "finishedAt": now,
        }});
        set_containers(pod, &state, false);
    });
}

fn set_containers(pod: &mut Value, state: &Value, ready: bool) {
    let statuses: Vec<Value> = list(pod, "/spec/containers")
        .iter()
        .map(|container| {
            json!({
                "name": container.at(&["name"]), "image": container.at(&["image"]), "imageID": "",
                "ready": ready, "started": ready, "restartCount": 0, "state": state,
            })
        })
        .collect();
    js::set(pod, &["status", "containerStatuses"], statuses);
}

/// Gives a pod's room back and lets waiting pods try.
fn release(world: &mut World, cluster: &str, key: &Key) {
    let Some(member) = world.members.get_mut(cluster) else { return };
    if !member.nodes.free(key) {
        return;
    }
    let waiting: Vec<Key> = member.nodes.waiting.iter().take(RETRIED_AT_ONCE).cloned().collect();
    for pod in waiting {
        member.api.touch(pod);
    }
    world.poll_soon(cluster);
}

pub(super) fn gone(world: &mut World, cluster: &str, key: &Key) {
    release(world, cluster, key);
}
