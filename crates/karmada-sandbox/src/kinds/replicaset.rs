//! The ReplicaSet controller of a member: so many pods of one template, for as long as it exists.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{OUTCOME, RETRY, ROLE, events, groups::pass_on, mark, outcome, pod_from};
use crate::json::Tree as _;
use crate::{
    clock,
    json::{self as js, annotation, condition_is_true, int, is_terminating, meta, text},
    objects::{Key, resources::POD},
    sim::World,
};

const SOURCE: &str = "replicaset-controller";

/// Whether a pod counts: it has not ended, and nobody has asked it to.
fn is_active(pod: &Value) -> bool {
    !is_terminating(pod) && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

fn is_ready(pod: &Value) -> bool {
    condition_is_true(pod, "/status/conditions", "Ready")
}

pub(super) fn reconcile(world: &mut World, cluster: &str, key: &Key) {
    let Some(member) = world.members.get_mut(cluster) else { return };
    let Some(set) = member.api.get(key).cloned() else { return };
    if is_terminating(&set) {
        return;
    }
    let pods = member.api.owned_of(meta(&set, "uid"), &POD);
    let (mut active, ended): (Vec<_>, Vec<_>) = pods.into_iter().partition(|pod| is_active(pod));
    let wanted = usize::try_from(int(&set, "/spec/replicas").unwrap_or(1)).unwrap_or_default();
    // The ones that serve are the last to go.
    active.sort_by_key(|pod| !is_ready(pod));
    for surplus in active.split_off(wanted.min(active.len())) {
        member.api.discard(&Key::of(&POD, &surplus));
        let message = format!("Deleted pod: {}", meta(&surplus, "name"));
        events::emit(&mut member.api, &set, SOURCE, "Normal", "SuccessfulDelete", &message);
    }
    let mut refusal = None;
    while active.len() < wanted && refusal.is_none() {
        let pod = new_pod(&set, &member.api.ids.suffix(), !ended.is_empty());
        let name = Key::new(&POD, &key.namespace, meta(&pod, "name"));
        match member.api.try_ensure(&POD, &key.namespace, pod) {
            Ok(_) => {
                let message = format!("Created pod: {}", name.name);
                let reason = "SuccessfulCreate";
                events::emit(&mut member.api, &set, SOURCE, "Normal", reason, &message);
                active.extend(member.api.get(&name).cloned());
            }
            Err(error) => {
                let message = format!("Error creating: {}", error.message());
                events::emit(&mut member.api, &set, SOURCE, "Warning", "FailedCreate", &message);
                refusal = Some(error.message().to_owned());
            }
        }
    }
    if refusal.is_some() {
        world.wake_in(RETRY, Some(cluster), key);
    }
    set_status(world, cluster, key, &active, refusal);
}

fn set_status(
    world: &mut World,
    cluster: &str,
    key: &Key,
    active: &[Arc<Value>],
    refusal: Option<String>,
) {
    let now = clock::stamp(world.now);
    let Some(set) = world.members.get(cluster).and_then(|member| member.api.get(key)) else {
        return;
    };
    let patience = int(set, "/spec/minReadySeconds").unwrap_or_default();
    let patience = Duration::from_secs(u64::try_from(patience).unwrap_or_default());
    let (mut ready, mut available) = (0, 0);
    for pod in active.iter().filter(|pod| is_ready(pod)) {
        ready += 1;
        // Seconds are too coarse for a fast world, so not by the condition's own time.
        let memory = format!("{}/ready", meta(pod, "uid"));
        let steady = patience.is_zero() || world.has_been(cluster, key, &memory, "ready", patience);
        available += i64::from(steady);
    }
    let Some(member) = world.members.get_mut(cluster) else { return };
    member.api.edit(key, |set| {
        let count = i64::try_from(active.len()).unwrap_or(i64::MAX);
        let generation = set.at(&["metadata", "generation"]).clone();
        let status = js::object(set, &["status"]);
        status.insert("observedGeneration".to_owned(), generation);
        status.insert("replicas".to_owned(), json!(count));
        for (field, count) in [
            ("fullyLabeledReplicas", count),
            ("readyReplicas", ready),
            ("availableReplicas", available),
        ] {
            if count > 0 {
                status.insert(field.to_owned(), json!(count));
            } else {
                status.shift_remove(field);
            }
        }
        let Some(message) = refusal else {
            js::remove(set, &["status", "conditions"]);
            return;
        };
        // The name of the pod is another one at each attempt: what was told first stays.
        if condition_is_true(set, "/status/conditions", "ReplicaFailure") {
            return;
        }
        js::set_condition(
            set,
            &["status", "conditions"],
            json!({
                "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
                "message": message, "lastTransitionTime": now,
            }),
        );
    });
}

/// A pod that serves until it is deleted. `again` says that an earlier one has ended.
fn new_pod(set: &Value, suffix: &str, again: bool) -> Value {
    let name = format!("{}-{suffix}", meta(set, "name"));
    let mut pod = pod_from(set, set.at(&["spec", "template"]), &name, &[]);
    pass_on(set, &mut pod);
    if annotation(set, OUTCOME).is_some() {
        let failures = i64::from(again);
        // Only one pod is evicted, or a new one would be at once, without end.
        let fate = match outcome(set, failures) {
            "evict" if again => "succeed",
            other => other,
        };
        mark(&mut pod, OUTCOME, fate);
    }
    mark(&mut pod, ROLE, "service");
    pod
}
