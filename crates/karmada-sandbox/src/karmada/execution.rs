//! Karmada's execution and work-status controllers: keep a member's object equal to its Work,
//! re-create it, revert it, delete it, and bring its status back.

use serde_json::{Value, json};

use super::{
    BINDING_NAME, BINDING_NAMESPACE, CONFLICT_RESOLUTION, MANAGED, WORK_FINALIZER, WORK_ID,
    WORK_NAME, WORK_NAMESPACE, binding, binding_of, clusters, condition, health, interpreter,
};
use crate::json::Tree as _;
use crate::{
    json::{self as js, is_terminating, label, list, text},
    objects::{Api, Key, resources, write::Write},
    sim::World,
};

fn cluster_of(work: &Key) -> &str {
    work.namespace.strip_prefix("karmada-es-").unwrap_or_default()
}

pub(super) fn reconcile(world: &mut World, key: &Key) {
    let Some(work) = world.control.get(key).cloned() else { return };
    let cluster = cluster_of(key).to_owned();
    if !clusters::is_ready(world, &cluster) {
        // Everything waits, a deletion too: this is why a Work outlives its binding.
        return;
    }
    let Some(manifest) = list(&work, "/spec/workload/manifests").first().cloned() else { return };
    let res = resources::by_kind(text(&manifest, "/apiVersion"), text(&manifest, "/kind"));
    let Some(res) = res else { return };
    let target = Key::of(res, &manifest);
    let retention = interpreter::script(&world.control, res, interpreter::RETENTION);
    let Some(member) = world.members.get_mut(&cluster) else { return };
    if is_terminating(&work) {
        withdraw(&mut member.api, &target, js::flag(&work, "/spec/preserveResourcesOnDeletion"));
        world.control.edit(key, |work| js::remove_finalizer(work, WORK_FINALIZER));
        return;
    }
    if js::flag(&work, "/spec/suspendDispatching") {
        let waiting = condition(
            world,
            "Dispatching",
            false,
            "SuspendDispatching",
            "Work dispatching is in a suspended state.",
        );
        // Nothing is brought to the member, but what came there before is still looked at. An object
        // that is gone leaves the status that it had.
        let observed = world.members.get(&cluster).and_then(|member| member.api.get(&target));
        let entry = observed
            .filter(|object| is_of(object, key))
            .and_then(|object| reflected(&world.control, &target, object).ok());
        world.control.edit(key, |work| {
            js::set_condition(work, &["status", "conditions"], waiting);
            if let Some(entry) = entry {
                js::set(work, &["status", "manifestStatuses"], json!([entry]));
            }
        });
        return;
    }
    let applied = apply(&mut member.api, &target, &manifest, retention.as_deref());
    let observed = member.api.get(&target).cloned();
    let dispatched = condition(
        world,
        "Dispatching",
        true,
        "WorkDispatching",
        "Work is being dispatched to member clusters.",
    );
    let outcome = match &applied {
        Ok(()) => condition(
            world,
            "Applied",
            true,
            "AppliedSuccessful",
            "Manifest has been successfully applied",
        ),
        Err(why) => {
            let message = format!(
                "Failed to apply all manifests (0/1): {}",
                why.replace("{cluster}", &cluster)
            );
            condition(world, "Applied", false, "AppliedFailed", &message)
        }
    };
    let seen = observed.filter(|_| applied.is_ok());
    let entry = seen.as_ref().map(|object| reflected(&world.control, &target, object));
    // A status that cannot be read leaves what was read before.
    let unread = entry.as_ref().is_some_and(Result::is_err);
    let entry = entry.and_then(Result::ok);
    world.control.edit(key, |work| {
        js::set_condition(work, &["status", "conditions"], dispatched);
        js::set_condition(work, &["status", "conditions"], outcome);
        match entry {
            Some(entry) => js::set(work, &["status", "manifestStatuses"], json!([entry])),
            None if unread => {}
            None => drop(js::remove(work, &["status", "manifestStatuses"])),
        }
    });
    if applied.is_err() {
        world.wake_in(std::time::Duration::from_secs(5), None, key);
    }
}

/// Whether a member's object was brought there by this Work.
fn is_of(object: &Value, work: &Key) -> bool {
    let says = |key: &str, value: &str| js::annotation(object, key) == Some(value);
    says(WORK_NAME, &work.name) && says(WORK_NAMESPACE, &work.namespace)
}

/// A member's object as its Work shows it.
fn reflected(control: &Api, target: &Key, object: &Value) -> Result<Value, String> {
    let mut entry = json!({
        "identifier": {
            "ordinal": 0, "group": target.res.group, "version": target.res.version,
            "kind": target.res.kind, "resource": target.res.plural,
            "namespace": target.namespace, "name": target.name,
        },
    });
    let script = |operation| interpreter::script(control, target.res, operation);
    let status = match script(interpreter::REFLECTION) {
        Some(script) => Some(interpreter::reflect(&script, object)?),
        None => object.get("status").cloned(),
    };
    if let Some(status) = status {
        js::set(&mut entry, &["status"], status);
    }
    let health = match script(interpreter::HEALTH) {
        Some(script) => interpreter::health(&script, object),
        None => health::of(object),
    };
    js::set(&mut entry, &["health"], health);
    Ok(entry)
}

/// Creates the member's object, or makes it what the manifest says. What the member added
/// (status, labels, annotations, finalizers, owners, volume names) stays, and what `retention` keeps.
fn apply(
    api: &mut Api,
    target: &Key,
    manifest: &Value,
    retention: Option<&str>,
) -> Result<(), String> {
    if !api.serves(target.res) {
        return Err(format!(
            "no matches for kind \"{}\" in version \"{}\"",
            target.res.kind,
            target.res.api_version()
        ));
    }
    let Some(observed) = api.get(target).cloned() else {
        let write = Write { manager: "karmada", ..Write::default() };
        return api
            .create(target.res, &target.namespace, manifest.clone(), &write)
            .map(drop)
            .map_err(|error| error.message().to_owned());
    };
    let managed = label(&observed, MANAGED) == Some("true");
    let resolution = js::annotation(manifest, CONFLICT_RESOLUTION).unwrap_or_default();
    if !managed && resolution != "overwrite" {
        // The real message prints the strategy of the observed object, which has none.
        return Err(format!(
            "resource(kind={}, {}/{}) already exists in the cluster {{cluster}} and the \
             work.karmada.io/conflict-resolution strategy value is empty, Karmada will not manage \
             this resource",
            target.res.kind, target.namespace, target.name
        ));
    }
    let desired = match retention {
        Some(script) => interpreter::retain(script, manifest, &observed)?,
        None => {
            let mut desired = manifest.clone();
            retain(&mut desired, &observed);
            desired
        }
    };
    api.edit_as("karmada", target, |object| {
        for (field, value) in desired.as_object().into_iter().flatten() {
            if field != "metadata" && field != "status" {
                js::set(object, &[field], value.clone());
            }
        }
        for map in ["labels", "annotations"] {
            let wanted = desired.at(&["metadata", map]).as_object().into_iter().flatten();
            for (key, value) in wanted {
                js::set(object, &["metadata", map, key], value.clone());
            }
        }
    });
    Ok(())
}

/// Fields the member's own controllers fill in.
fn retain(desired: &mut Value, observed: &Value) {
    let kept: &[&[&str]] = match text(observed, "/kind") {
        "PersistentVolumeClaim" => &[&["spec", "volumeName"], &["spec", "volumeMode"]],
        "Service" => &[&["spec", "clusterIP"], &["spec", "type"]],
        "Job" => &[
            &["spec", "selector"],
            &["spec", "template", "metadata", "labels", "batch.kubernetes.io/controller-uid"],
        ],
        "Namespace" => &[&["spec"]],
        "Pod" => {
            js::set(desired, &["spec"], observed.at(&["spec"]).clone());
            &[]
        }
        _ => &[],
    };
    for path in kept {
        let found = path.iter().try_fold(observed, |here, part| here.get(*part));
        if let Some(value) = found {
            js::set(desired, path, value.clone());
        }
    }
}

/// Ends Karmada's interest in a member's object: deletes it if Karmada manages it, or leaves it
/// with Karmada's marks removed.
fn withdraw(api: &mut Api, target: &Key, preserve: bool) {
    let managed = api.get(target).is_some_and(|found| label(found, MANAGED) == Some("true"));
    if !managed {
        return;
    }
    if !preserve {
        api.discard(target);
        return;
    }
    api.edit(target, |object| {
        for key in [MANAGED, WORK_ID] {
            js::remove_and_tidy(object, &["metadata", "labels", key]);
        }
        for key in [crate::admission::POLICY_ID, crate::admission::CLUSTER_POLICY_ID] {
            js::remove_and_tidy(object, &["metadata", "labels", key]);
        }
        for key in [
            WORK_NAME,
            WORK_NAMESPACE,
            BINDING_NAME,
            BINDING_NAMESPACE,
            "resourcetemplate.karmada.io/uid",
            "propagationpolicy.karmada.io/name",
            "propagationpolicy.karmada.io/namespace",
            "clusterpropagationpolicy.karmada.io/name",
        ] {
            js::remove_and_tidy(object, &["metadata", "annotations", key]);
        }
    });
}

/// A Work that is gone may have to be built again.
pub(super) fn gone(world: &mut World, last: &Value) {
    if let Some(key) = binding_of(last) {
        binding::work_gone(world, key);
    }
}
