//! What runs in a member: one module per kind, each a level-based controller over the member's
//! API server. Called by `sim` after every change in a member; knows nothing of Karmada.

mod deployment;
pub(crate) mod events;
mod groups;
mod job;
pub(crate) mod logs;
mod mpijob;
pub(crate) mod nodes;
mod pod;
mod pvc;
mod raycluster;
mod rayjob;
mod replicaset;
pub(crate) mod runs;
mod training;
mod trainjob;

use std::time::Duration;

use serde_json::{Value, json};

use crate::json::Tree as _;
use crate::{
    json::{self as js, annotation, list, meta, text},
    objects::{Api, Change, Key, Res, resources as r},
    sim::World,
};

/// How a workload ends.
const OUTCOME: &str = "sandbox.trainyard.dev/outcome";
/// How long it computes.
const DURATION: &str = "sandbox.trainyard.dev/duration-seconds";
/// Marks pods that serve until their owner ends them.
const ROLE: &str = "sandbox.trainyard.dev/role";
/// From a pod that was refused to the next try of its controller.
const RETRY: Duration = Duration::from_secs(2);
const DEFAULT_DURATION: Duration = Duration::from_secs(4);

pub(crate) fn is_simulated(res: Res) -> bool {
    [
        &r::POD,
        &r::JOB,
        &r::RAY_JOB,
        &r::RAY_CLUSTER,
        &r::PVC,
        &r::DEPLOYMENT,
        &r::REPLICA_SET,
        &r::JOB_SET,
        &r::PYTORCH_JOB,
        &r::TF_JOB,
        &r::MPI_JOB,
        &r::TRAIN_JOB,
    ]
    .contains(&res)
}

/// Wakes the controllers of an object, and of its owner.
pub(crate) fn changed(world: &mut World, cluster: &str, change: &Change) {
    let key = &change.key;
    let Some(member) = world.members.get_mut(cluster) else { return };
    let object = change.deleted.as_ref().or_else(|| member.api.get(key)).cloned();
    let Some(object) = object else { return };
    if change.deleted.is_some() {
        if *key.res == r::POD && member.api.get(key).is_none() {
            pod::gone(world, cluster, key);
        }
        let Some(member) = world.members.get_mut(cluster) else { return };
        member.runs.forget(meta(&object, "uid"));
        wake_owner(&mut member.api, key, &object);
        return;
    }
    wake_owner(&mut member.api, key, &object);
    if member.operators_down {
        return;
    }
    match key.res {
        res if *res == r::POD => pod::reconcile(world, cluster, key),
        res if *res == r::JOB => job::reconcile(world, cluster, key),
        res if *res == r::RAY_JOB => rayjob::reconcile(world, cluster, key),
        res if *res == r::RAY_CLUSTER => raycluster::reconcile(world, cluster, key),
        res if *res == r::PVC => pvc::reconcile(world, cluster, key),
        res if *res == r::DEPLOYMENT => deployment::reconcile(world, cluster, key),
        res if *res == r::REPLICA_SET => replicaset::reconcile(world, cluster, key),
        res if *res == r::JOB_SET => groups::reconcile(world, cluster, key),
        res if *res == r::PYTORCH_JOB => {
            training::reconcile(world, cluster, key, &training::PYTORCH);
        }
        res if *res == r::TF_JOB => {
            training::reconcile(world, cluster, key, &training::TENSORFLOW);
        }
        res if *res == r::MPI_JOB => mpijob::reconcile(world, cluster, key),
        res if *res == r::TRAIN_JOB => trainjob::reconcile(world, cluster, key),
        _ => {}
    }
}

fn wake_owner(api: &mut Api, key: &Key, object: &Value) {
    for owner in list(object, "/metadata/ownerReferences") {
        if let Some(res) = r::by_kind(text(owner, "/apiVersion"), text(owner, "/kind"))
            && is_simulated(res)
        {
            let owner = Key::new(res, &key.namespace, text(owner, "/name"));
            if api.get(&owner).is_some() {
                api.touch(owner);
            }
        }
    }
}

fn owner_reference(owner: &Value) -> Value {
    json!([{
        "apiVersion": owner.at(&["apiVersion"]), "kind": owner.at(&["kind"]), "name": meta(owner, "name"),
        "uid": meta(owner, "uid"), "controller": true, "blockOwnerDeletion": true,
    }])
}

/// How long a workload computes.
fn duration(object: &Value) -> Duration {
    annotation(object, DURATION)
        .and_then(|text| text.parse::<f64>().ok())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .unwrap_or(DEFAULT_DURATION)
}

/// The outcome of the attempt after `failures` failed ones.
fn outcome(object: &Value, failures: i64) -> &str {
    match annotation(object, OUTCOME).unwrap_or("succeed") {
        "fail-once" if failures == 0 => "fail",
        "fail-once" => "succeed",
        other => other,
    }
}

/// A pod from a template, owned by `owner`.
fn pod_from(owner: &Value, template: &Value, name: &str, labels: &[(&str, &str)]) -> Value {
    let mut pod = json!({
        "metadata": { "name": name, "ownerReferences": owner_reference(owner) },
        "spec": template.at(&["spec"]),
    });
    for map in ["labels", "annotations"] {
        if template.at(&["metadata", map]).is_object() {
            js::set(&mut pod, &["metadata", map], template.at(&["metadata", map]).clone());
        }
    }
    for (key, value) in labels {
        js::set(&mut pod, &["metadata", "labels", key], *value);
    }
    pod
}

fn mark(pod: &mut Value, key: &str, value: &str) {
    js::set(pod, &["metadata", "annotations", key], value);
}
