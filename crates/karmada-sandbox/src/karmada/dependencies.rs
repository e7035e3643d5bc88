//! Karmada's dependencies distributor: with `propagateDeps` the ConfigMaps, Secrets, service
//! accounts and volumes a workload names follow it, through attached bindings. When the workload
//! goes, they are deleted in the member too.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{BINDING_FINALIZER, BINDING_ID, binding, binding_name, reference, uid};
use crate::json::Tree as _;
use crate::{
    clock,
    json::{self as js, flag, is_terminating, list, text},
    objects::{
        Key,
        resources::{self as r, BINDING},
    },
    sim::World,
};

/// Brings the attached bindings of one binding up to date.
pub(super) fn distribute(world: &mut World, key: &Key) {
    let Some(found) = world.control.get(key).cloned() else { return };
    let before = world.karmada.attached.get(key).cloned().unwrap_or_default();
    if !flag(&found, "/spec/propagateDeps") {
        if !before.is_empty() {
            detach(world, key);
        }
        return;
    }
    let Some(template) = reference(found.at(&["spec", "resource"])) else { return };
    let Some(template) = world.control.get(&template).cloned() else { return };
    let mut now = BTreeSet::new();
    for dependency in of(&template) {
        let Some(object) = world.control.get(&dependency).cloned() else { continue };
        let name = binding_name(&dependency.name, dependency.res.kind);
        let attached = Key::new(&BINDING, &dependency.namespace, &name);
        if world.control.get(&attached).is_none() {
            let mut binding = json!({
                "metadata": { "name": name },
                "spec": { "resource": {
                    "apiVersion": object.at(&["apiVersion"]), "kind": object.at(&["kind"]),
                    "namespace": dependency.namespace, "name": dependency.name,
                    "uid": uid(&object),
                    "resourceVersion": object.at(&["metadata", "resourceVersion"]),
                } },
            });
            let id = world.control.ids.uid();
            js::set(&mut binding, &["metadata", "labels", BINDING_ID], id);
            js::add_finalizer(&mut binding, BINDING_FINALIZER);
            let owner = json!([{
                "apiVersion": object.at(&["apiVersion"]), "kind": object.at(&["kind"]),
                "name": dependency.name, "uid": uid(&object), "controller": true,
            }]);
            js::set(&mut binding, &["metadata", "ownerReferences"], owner);
            world.control.ensure(&BINDING, &dependency.namespace, binding);
        }
        let label = depended_by(key);
        let entry = json!({
            "namespace": key.namespace, "name": key.name, "clusters": found.at(&["spec", "clusters"]),
        });
        world.control.edit(&attached, |binding| {
            js::set(binding, &["metadata", "labels", &label], key.name.as_str());
            let mut by = without(binding, key);
            by.push(entry);
            js::set(binding, &["spec", "requiredBy"], by);
        });
        now.insert(attached);
    }
    for gone in before.difference(&now) {
        leave(world, gone, key);
    }
    world.karmada.attached.insert(key.clone(), now);
}

/// The referring binding is going: its attached bindings lose it.
pub(super) fn detach(world: &mut World, key: &Key) {
    for attached in world.karmada.attached.remove(key).unwrap_or_default() {
        leave(world, &attached, key);
    }
}

fn depended_by(key: &Key) -> String {
    let hash = clock::fnv64(&format!("{}/{}", key.namespace, key.name));
    format!("resourcebinding.karmada.io/depended-by-{}", clock::safe_encode(hash, 10))
}

fn without(binding: &Value, key: &Key) -> Vec<Value> {
    list(binding, "/spec/requiredBy")
        .iter()
        .filter(|by| text(by, "/name") != key.name || text(by, "/namespace") != key.namespace)
        .cloned()
        .collect()
}

fn leave(world: &mut World, attached: &Key, key: &Key) {
    let Some(found) = world.control.get(attached).cloned() else { return };
    let rest = without(&found, key);
    let own_policy = !found.at(&["spec", "placement"]).is_null();
    if rest.is_empty() && !own_policy {
        world.control.discard(attached);
        return;
    }
    let label = depended_by(key);
    world.control.edit(attached, |binding| {
        js::remove(binding, &["metadata", "labels", &label]);
        if rest.is_empty() {
            js::remove(binding, &["spec", "requiredBy"]);
        } else {
            js::set(binding, &["spec", "requiredBy"], rest);
        }
    });
}

/// Dependencies that appear or change after their workload was placed, and Jobs whose time is up.
pub(super) fn template_changed(world: &mut World, key: &Key) {
    if *key.res == r::JOB {
        super::status::time_to_live(world, key);
    }
    let dependable = [&r::CONFIG_MAP, &r::SECRET, &r::SERVICE_ACCOUNT, &r::PVC];
    if !dependable.contains(&key.res)
        || world.control.get(key).is_none_or(|object| is_terminating(object))
    {
        return;
    }
    let attached = Key::new(&BINDING, &key.namespace, &binding_name(&key.name, key.res.kind));
    let exists = world
        .control
        .get(&attached)
        .is_some_and(|binding| !list(binding, "/spec/requiredBy").is_empty());
    if exists {
        binding::resync(world, &attached);
        return;
    }
    let waiting: Vec<Key> = world
        .karmada
        .attached
        .keys()
        .filter(|binding| binding.namespace == key.namespace)
        .cloned()
        .collect();
    for binding in waiting {
        distribute(world, &binding);
    }
}

/// What the pod templates of a workload refer to.
fn of(template: &Value) -> BTreeSet<Key> {
    let namespace = text(template, "/metadata/namespace");
    let mut found = BTreeSet::new();
    let mut add = |res, name: &str| {
        if !name.is_empty() {
            found.insert(Key::new(res, namespace, name));
        }
    };
    for spec in pod_specs(template) {
        let account = text(spec, "/serviceAccountName");
        if account != "default" {
            add(&r::SERVICE_ACCOUNT, account);
        }
        for volume in list(spec, "/volumes") {
            add(&r::CONFIG_MAP, text(volume, "/configMap/name"));
            add(&r::SECRET, text(volume, "/secret/secretName"));
            add(&r::PVC, text(volume, "/persistentVolumeClaim/claimName"));
        }
        for secret in list(spec, "/imagePullSecrets") {
            add(&r::SECRET, text(secret, "/name"));
        }
        for container in list(spec, "/containers").iter().chain(list(spec, "/initContainers")) {
            for source in list(container, "/envFrom") {
                add(&r::CONFIG_MAP, text(source, "/configMapRef/name"));
                add(&r::SECRET, text(source, "/secretRef/name"));
            }
            for variable in list(container, "/env") {
                add(&r::CONFIG_MAP, text(variable, "/valueFrom/configMapKeyRef/name"));
                add(&r::SECRET, text(variable, "/valueFrom/secretKeyRef/name"));
            }
        }
    }
    found
}

fn pod_specs(template: &Value) -> Vec<&Value> {
    let spec = template.at(&["spec"]);
    match text(template, "/kind") {
        "Pod" => vec![spec],
        "RayJob" | "RayCluster" => {
            let cluster = if spec.at(&["rayClusterSpec"]).is_object() {
                spec.at(&["rayClusterSpec"])
            } else {
                spec
            };
            let mut found = vec![
                cluster.at(&["headGroupSpec", "template", "spec"]),
                spec.at(&["submitterPodTemplate", "spec"]),
            ];
            found.extend(
                list(cluster, "/workerGroupSpecs")
                    .iter()
                    .map(|group| group.at(&["template", "spec"])),
            );
            found
        }
        kind @ ("PyTorchJob" | "TFJob") => spec
            .at(&[if kind == "TFJob" { "tfReplicaSpecs" } else { "pytorchReplicaSpecs" }])
            .as_object()
            .into_iter()
            .flatten()
            .map(|(_, replica)| replica.at(&["template", "spec"]))
            .collect(),
        // A JobSet or a TrainJob has no interpreter, and that of an MPIJob names none, so nothing of
        // them is a dependency.
        _ => vec![spec.at(&["template", "spec"])],
    }
}
