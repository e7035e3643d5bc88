//! Karmada's resource detector: finds the policy of a template, claims the template and builds its
//! ResourceBinding.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde_json::{Value, json};

use super::{
    BINDING_FINALIZER, BINDING_ID, CONFLICT_RESOLUTION, MANAGER, binding_name, event, policies, uid,
};
use crate::json::Tree as _;
use crate::{
    admission::policy_label,
    json::{self as js, annotation, int, is_terminating, label, list, meta, text},
    objects::{Key, Res, resources as r},
    sim::World,
};

/// From a binding that was refused to the next try; Karmada backs off from milliseconds on.
const RETRY: Duration = Duration::from_secs(1);

/// Resources a policy can select. Events and Karmada's own kinds never are.
pub(super) fn is_template(res: Res) -> bool {
    res.namespaced && !res.control_only && *res != r::EVENT && *res != r::LEASE
}

fn prefix(policy: Res) -> &'static str {
    if policy.namespaced {
        "propagationpolicy.karmada.io"
    } else {
        "clusterpropagationpolicy.karmada.io"
    }
}

/// The policy a template says it belongs to.
fn claim(template: &Value) -> Option<(Key, String)> {
    for policy in [&r::POLICY, &r::CLUSTER_POLICY] {
        let at = |field: &str| format!("{}/{field}", prefix(policy));
        if let (Some(id), Some(name)) =
            (label(template, policy_label(policy)), annotation(template, &at("name")))
        {
            let namespace = annotation(template, &at("namespace")).unwrap_or_default();
            return Some((Key::new(policy, namespace, name), id.to_owned()));
        }
    }
    None
}

pub(super) fn reconcile(world: &mut World, key: &Key) {
    let Some(template) = world.control.get(key).cloned() else { return };
    if is_terminating(&template) {
        return;
    }
    let claimed = claim(&template);
    let kept = claimed.as_ref().filter(|(policy, id)| {
        world.control.get(policy).is_some_and(|found| {
            !is_terminating(found)
                && label(found, policy_label(policy.res)) == Some(id)
                && policies::still_matches(found, key, &template)
        })
    });
    let chosen = match kept {
        Some((policy, _)) => Some(policy.clone()),
        None => policies::best(world, key, &template),
    };
    let Some(policy_key) = chosen else {
        if let Some((old, _)) = claimed {
            release(world, key, old.res);
        }
        return;
    };
    let Some(policy) = world.control.get(&policy_key).cloned() else { return };
    let id = label(&policy, policy_label(policy_key.res)).unwrap_or_default().to_owned();
    if let Some((_, old)) = &claimed
        && *old != id
        && let Some(templates) = world.karmada.claims.get_mut(old)
    {
        templates.remove(key);
    }
    world.karmada.claims.entry(id.clone()).or_default().insert(key.clone());
    world.control.edit_as(MANAGER, key, |template| mark(template, &policy_key, &id));
    let Some(template) = world.control.get(key).cloned() else { return };
    build(world, key, &template, &policy_key, &policy, &id);
}

/// Writes the claim on a template or a binding.
fn mark(object: &mut Value, policy: &Key, id: &str) {
    let at = |field: &str| format!("{}/{field}", prefix(policy.res));
    js::set(object, &["metadata", "labels", policy_label(policy.res)], id);
    js::set(object, &["metadata", "annotations", &at("name")], policy.name.as_str());
    if policy.res.namespaced {
        let namespace = policy.namespace.as_str();
        js::set(object, &["metadata", "annotations", &at("namespace")], namespace);
    }
}

fn unmark(object: &mut Value, policy: Res) {
    js::remove_and_tidy(object, &["metadata", "labels", policy_label(policy)]);
    for field in ["name", "namespace"] {
        let key = format!("{}/{field}", prefix(policy));
        js::remove_and_tidy(object, &["metadata", "annotations", &key]);
    }
}

/// Takes the claim off a template and its binding. What was placed stays placed.
pub(super) fn release(world: &mut World, key: &Key, policy: Res) {
    let Some(template) = world.control.get(key).cloned() else { return };
    world.karmada.built.remove(uid(&template));
    let binding = Key::new(&r::BINDING, &key.namespace, &binding_name(&key.name, key.res.kind));
    world.control.edit(&binding, |binding| unmark(binding, policy));
    world.control.edit_as(MANAGER, key, |template| unmark(template, policy));
}

fn fingerprint(template: &Value, policy: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (field, value) in template.as_object().into_iter().flatten() {
        if !matches!(field.as_str(), "metadata" | "status") {
            field.hash(&mut hasher);
            value.hash(&mut hasher);
        }
    }
    template.at(&["metadata", "labels"]).hash(&mut hasher);
    template.at(&["metadata", "annotations"]).hash(&mut hasher);
    meta(policy, "uid").hash(&mut hasher);
    int(policy, "/metadata/generation").hash(&mut hasher);
    hasher.finish()
}

fn build(
    world: &mut World,
    key: &Key,
    template: &Value,
    policy_key: &Key,
    policy: &Value,
    id: &str,
) {
    let binding_key = Key::new(&r::BINDING, &key.namespace, &binding_name(&key.name, key.res.kind));
    let print = fingerprint(template, policy);
    let existing = world.control.get(&binding_key).cloned();
    if let Some(existing) = &existing {
        if is_terminating(existing) {
            // The predecessor's binding; its end wakes the template again.
            return;
        }
        if world.karmada.built.get(uid(template)) == Some(&print) {
            return;
        }
    }
    world.karmada.built.insert(uid(template).to_owned(), print);
    let spec = binding_spec(template, policy);
    let owner = json!([{
        "apiVersion": key.res.api_version(), "kind": key.res.kind, "name": key.name,
        "uid": uid(template), "controller": true, "blockOwnerDeletion": true,
    }]);
    let fill = |binding: &mut Value| {
        js::set(binding, &["metadata", "ownerReferences"], owner.clone());
        mark(binding, policy_key, id);
        js::add_finalizer(binding, BINDING_FINALIZER);
        for field in [
            "resource",
            "placement",
            "propagateDeps",
            "conflictResolution",
            "preserveResourcesOnDeletion",
            "schedulerName",
            "replicas",
            "replicaRequirements",
        ] {
            match spec.get(field) {
                Some(value) => js::set(binding, &["spec", field], value.clone()),
                None => drop(js::remove(binding, &["spec", field])),
            }
        }
        let dispatching = ["dispatching", "dispatchingOnClusters"];
        for field in dispatching {
            match policy.at(&["spec", "suspension"]).get(field) {
                Some(value) => js::set(binding, &["spec", "suspension", field], value.clone()),
                None => js::remove_and_tidy(binding, &["spec", "suspension", field]),
            }
        }
    };
    if existing.is_some() {
        world.control.edit(&binding_key, fill);
        return;
    }
    let mut binding = json!({ "metadata": { "name": binding_key.name } });
    let binding_id = world.control.ids.uid();
    js::set(&mut binding, &["metadata", "labels", BINDING_ID], binding_id);
    fill(&mut binding);
    match world.control.try_ensure(&r::BINDING, &key.namespace, binding) {
        Ok(false) => {}
        Ok(true) => {
            let message =
                format!("Apply policy({}/{}) succeed", policy_key.namespace, policy_key.name);
            event(world, template, "Normal", "ApplyPolicySucceed", &message);
        }
        Err(error) => {
            world.karmada.built.remove(uid(template));
            let message = format!(
                "Apply policy({}/{}) failed: {}",
                policy_key.namespace,
                policy_key.name,
                error.message()
            );
            event(world, template, "Warning", "ApplyPolicyFailed", &message);
            world.wake_in(RETRY, None, key);
        }
    }
}

fn binding_spec(template: &Value, policy: &Value) -> Value {
    let mut spec = json!({
        "resource": {
            "apiVersion": template.at(&["apiVersion"]), "kind": template.at(&["kind"]),
            "namespace": meta(template, "namespace"), "name": meta(template, "name"),
            "uid": meta(template, "uid"), "resourceVersion": meta(template, "resourceVersion"),
        },
        "placement": policy.at(&["spec", "placement"]),
        "schedulerName": policy.at(&["spec", "schedulerName"]),
        "conflictResolution": policy.at(&["spec", "conflictResolution"]),
    });
    if spec.at(&["placement"]).is_null() {
        js::set(&mut spec, &["placement"], json!({}));
    }
    if let Some(resolution) = annotation(template, CONFLICT_RESOLUTION) {
        let resolution = if resolution == "overwrite" { "Overwrite" } else { "Abort" };
        js::set(&mut spec, &["conflictResolution"], resolution);
    }
    for field in ["propagateDeps", "preserveResourcesOnDeletion"] {
        if js::flag(policy, &format!("/spec/{field}")) {
            js::set(&mut spec, &[field], true);
        }
    }
    let replicas = match text(template, "/kind") {
        "Deployment" => Some(int(template, "/spec/replicas").unwrap_or(1)),
        "Job" => {
            let parallelism = int(template, "/spec/parallelism").unwrap_or(1);
            let completions = int(template, "/spec/completions").unwrap_or(parallelism);
            Some(parallelism.min(completions))
        }
        "Pod" => Some(1),
        _ => None,
    };
    if let Some(replicas) = replicas {
        js::set(&mut spec, &["replicas"], replicas);
        let containers = match text(template, "/kind") {
            "Pod" => list(template, "/spec/containers"),
            _ => list(template, "/spec/template/spec/containers"),
        };
        if let Some(first) = containers.first() {
            let requests = first.at(&["resources", "requests"]).clone();
            js::set(&mut spec, &["replicaRequirements"], json!({ "resourceRequest": requests }));
        }
    }
    spec
}

/// A deleted template takes its binding along, whatever the options of the deletion said.
pub(super) fn gone(world: &mut World, key: &Key, last: &Value) {
    world.karmada.built.remove(uid(last));
    if world.control.get(key).is_none()
        && let Some((_, id)) = claim(last)
        && let Some(templates) = world.karmada.claims.get_mut(&id)
    {
        templates.remove(key);
        if templates.is_empty() {
            world.karmada.claims.remove(&id);
        }
    }
    let binding = Key::new(&r::BINDING, &key.namespace, &binding_name(&key.name, key.res.kind));
    let ours = world
        .control
        .get(&binding)
        .is_some_and(|binding| text(binding, "/spec/resource/uid") == uid(last));
    if ours {
        world.control.discard(&binding);
    }
}
