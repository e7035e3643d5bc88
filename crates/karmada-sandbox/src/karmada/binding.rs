//! Karmada's binding controller: one Work per cluster of a ResourceBinding.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    BINDING_FINALIZER, BINDING_ID, BINDING_NAME, BINDING_NAMESPACE, CONFLICT_RESOLUTION, MANAGED,
    WORK_FINALIZER, WORK_ID, WORK_NAME, WORK_NAMESPACE, dependencies, execution_namespace,
    reference, scheduler, status, uid, work_name,
};
use crate::json::Tree as _;
use crate::{
    json::{self as js, flag, int, is_terminating, label, list, text},
    objects::{
        Key,
        resources::{self as r, WORK},
    },
    sim::World,
};

pub(super) fn reconcile(world: &mut World, key: &Key) {
    let Some(binding) = world.control.get(key).cloned() else { return };
    if is_terminating(&binding) {
        remove_works(world, &binding, &BTreeMap::new());
        dependencies::detach(world, key);
        world.control.edit(key, |binding| js::remove_finalizer(binding, BINDING_FINALIZER));
        return;
    }
    scheduler::schedule(world, key);
    let Some(binding) = world.control.get(key).cloned() else { return };
    let generation = int(&binding, "/metadata/generation").unwrap_or_default();
    if world.karmada.synced.get(uid(&binding)) != Some(&generation)
        && sync_works(world, key, &binding)
    {
        world.karmada.synced.insert(uid(&binding).to_owned(), generation);
        dependencies::distribute(world, key);
    }
    status::reconcile(world, key);
}

/// A deleted binding whose template lives is built again.
pub(super) fn gone(world: &mut World, key: &Key, last: &Value) {
    world.karmada.synced.remove(uid(last));
    world.karmada.reschedule.remove(key);
    if let Some(template) = reference(last.at(&["spec", "resource"])) {
        world.control.touch(template);
    }
}

/// The clusters a binding is for, with the replicas each gets.
pub(super) fn targets(binding: &Value) -> BTreeMap<String, Option<i64>> {
    let own = list(binding, "/spec/clusters").iter();
    let required =
        list(binding, "/spec/requiredBy").iter().flat_map(|by| list(by, "/clusters").iter());
    let mut found = BTreeMap::new();
    for one in own.chain(required) {
        found.entry(text(one, "/name").to_owned()).or_insert_with(|| int(one, "/replicas"));
    }
    found
}

pub(super) fn work_key(binding: &Value, cluster: &str) -> Key {
    let at = |field: &str| text(binding, field);
    let name = work_name(
        at("/spec/resource/kind"),
        at("/spec/resource/namespace"),
        at("/spec/resource/name"),
    );
    Key::new(&WORK, &execution_namespace(cluster), &name)
}

fn remove_works(world: &mut World, binding: &Value, keep: &BTreeMap<String, Option<i64>>) {
    let clusters: Vec<String> = world.members.keys().cloned().collect();
    for cluster in clusters.iter().filter(|cluster| !keep.contains_key(*cluster)) {
        let key = work_key(binding, cluster);
        let ours = world
            .control
            .get(&key)
            .is_some_and(|work| label(work, BINDING_ID) == label(binding, BINDING_ID));
        if ours {
            world.control.discard(&key);
        }
    }
}

/// Returns false if the Works cannot be built yet.
fn sync_works(world: &mut World, key: &Key, binding: &Value) -> bool {
    let targets = targets(binding);
    remove_works(world, binding, &targets);
    let Some(template_key) = reference(binding.at(&["spec", "resource"])) else { return true };
    let Some(template) = world.control.get(&template_key).cloned() else { return false };
    if uid(&template) != text(binding, "/spec/resource/uid") {
        return false;
    }
    let divided =
        text(binding, "/spec/placement/replicaScheduling/replicaSchedulingType") == "Divided";
    let mut complete = true;
    for (cluster, replicas) in targets {
        let work = work_key(binding, &cluster);
        let existing = world.control.get(&work).cloned();
        if existing.as_ref().is_some_and(|work| is_terminating(work)) {
            // The predecessor's Work; its end wakes the binding again.
            complete = false;
            continue;
        }
        let work_id = existing
            .as_ref()
            .and_then(|work| label(work, WORK_ID).map(str::to_owned))
            .unwrap_or_else(|| world.control.ids.uid());
        let mut manifest = prune(&template);
        revise(&mut manifest, replicas, divided);
        let resolution = annotation_of(binding);
        js::set(&mut manifest, &["metadata", "labels", MANAGED], "true");
        js::set(&mut manifest, &["metadata", "labels", WORK_ID], work_id.as_str());
        for (name, value) in [
            (WORK_NAME, work.name.as_str()),
            (WORK_NAMESPACE, work.namespace.as_str()),
            (BINDING_NAME, key.name.as_str()),
            (BINDING_NAMESPACE, key.namespace.as_str()),
            ("resourcetemplate.karmada.io/uid", uid(&template)),
            (CONFLICT_RESOLUTION, resolution),
        ] {
            js::set(&mut manifest, &["metadata", "annotations", name], value);
        }
        let suspended = flag(binding, "/spec/suspension/dispatching")
            || list(binding, "/spec/suspension/dispatchingOnClusters/clusterNames")
                .iter()
                .any(|one| one == cluster.as_str());
        let preserve = flag(binding, "/spec/preserveResourcesOnDeletion");
        let fill = |work: &mut Value| {
            js::set(work, &["metadata", "labels", BINDING_ID], label(binding, BINDING_ID));
            js::set(work, &["metadata", "labels", WORK_ID], work_id.as_str());
            js::set(work, &["metadata", "annotations", BINDING_NAME], key.name.as_str());
            js::set(work, &["metadata", "annotations", BINDING_NAMESPACE], key.namespace.as_str());
            js::add_finalizer(work, WORK_FINALIZER);
            js::set(work, &["spec", "workload", "manifests"], json!([manifest]));
            for (field, on) in
                [("suspendDispatching", suspended), ("preserveResourcesOnDeletion", preserve)]
            {
                if on {
                    js::set(work, &["spec", field], true);
                } else {
                    js::remove(work, &["spec", field]);
                }
            }
        };
        if existing.is_some() {
            world.control.edit(&work, fill);
        } else {
            let mut object = json!({ "metadata": { "name": work.name } });
            fill(&mut object);
            world.control.ensure(&WORK, &work.namespace, object);
        }
    }
    complete
}

fn annotation_of(binding: &Value) -> &'static str {
    if text(binding, "/spec/conflictResolution") == "Overwrite" { "overwrite" } else { "abort" }
}

/// What Karmada takes off a template before it travels.
pub(super) fn prune(template: &Value) -> Value {
    let mut manifest = template.clone();
    js::remove(&mut manifest, &["status"]);
    for field in [
        "ownerReferences",
        "finalizers",
        "uid",
        "resourceVersion",
        "generation",
        "managedFields",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
        "selfLink",
    ] {
        js::remove(&mut manifest, &["metadata", field]);
    }
    match text(template, "/kind") {
        "Job" => {
            js::remove(&mut manifest, &["spec", "ttlSecondsAfterFinished"]);
            js::remove(&mut manifest, &["spec", "selector"]);
            for label in ["batch.kubernetes.io/controller-uid", "controller-uid"] {
                js::remove(&mut manifest, &["spec", "template", "metadata", "labels", label]);
            }
        }
        "Service" => drop(js::remove(&mut manifest, &["spec", "clusterIP"])),
        "PersistentVolumeClaim" => {
            let selected = "volume.kubernetes.io/selected-node";
            js::remove(&mut manifest, &["metadata", "annotations", selected]);
        }
        _ => {}
    }
    manifest
}

/// Rewrites the replica count for one cluster.
fn revise(manifest: &mut Value, replicas: Option<i64>, divided: bool) {
    let Some(replicas) = replicas else { return };
    match text(manifest, "/kind") {
        "Deployment" => js::set(manifest, &["spec", "replicas"], replicas),
        "Job" => {
            js::set(manifest, &["spec", "parallelism"], replicas);
            if divided && manifest.at(&["spec", "completions"]).is_number() {
                js::set(manifest, &["spec", "completions"], replicas);
            }
        }
        _ => {}
    }
}

/// The binding a Work's end concerns.
pub(super) fn work_gone(world: &mut World, binding: Key) {
    if let Some(found) = world.control.get(&binding).cloned() {
        world.karmada.synced.remove(uid(&found));
        world.control.touch(binding);
    }
}

/// Wakes a binding whose template changed in a way the detector does not follow.
pub(super) fn resync(world: &mut World, binding: &Key) {
    if let Some(found) = world.control.get(binding).cloned() {
        world.karmada.synced.remove(uid(&found));
        world.control.touch(Key::new(&r::BINDING, &binding.namespace, &binding.name));
    }
}
