//! Karmada's namespace controller: every namespace that is not reserved appears in every member,
//! and disappears with everything in it.

use serde_json::{Value, json};

use super::{MANAGED, WORK_FINALIZER, WORK_NAME, WORK_NAMESPACE, execution_namespace, work_name};
use crate::json::Tree as _;
use crate::{
    json::{self as js, is_terminating, label},
    objects::{
        Key,
        resources::{NAMESPACE, WORK},
    },
    sim::World,
};

const SKIP: &str = "namespace.karmada.io/skip-auto-propagation";

fn is_reserved(name: &str) -> bool {
    name == "default" || name.starts_with("kube-") || name.starts_with("karmada-")
}

pub(super) fn reconcile(world: &mut World, key: &Key, deleted: Option<&Value>) {
    if is_reserved(&key.name) {
        return;
    }
    let clusters: Vec<String> = world.members.keys().cloned().collect();
    let namespace = world.control.get(key).cloned();
    for cluster in clusters {
        let name = work_name("Namespace", "", &key.name);
        let work = Key::new(&WORK, &execution_namespace(&cluster), &name);
        match &namespace {
            None if deleted.is_some() => world.control.discard(&work),
            Some(found) if !is_terminating(found) && label(found, SKIP) != Some("true") => {
                propagate(world, found, &work);
            }
            _ => {}
        }
    }
}

fn propagate(world: &mut World, namespace: &Value, work: &Key) {
    let labels = namespace.at(&["metadata", "labels"]).clone();
    let mut manifest = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": namespace.at(&["metadata", "name"]), "labels": labels },
    });
    js::set(&mut manifest, &["metadata", "labels", MANAGED], "true");
    js::set(&mut manifest, &["metadata", "annotations", WORK_NAME], work.name.as_str());
    let at = work.namespace.as_str();
    js::set(&mut manifest, &["metadata", "annotations", WORK_NAMESPACE], at);
    // A namespace an administrator made in the member beforehand is taken over, not a conflict.
    let resolution = super::CONFLICT_RESOLUTION;
    js::set(&mut manifest, &["metadata", "annotations", resolution], "overwrite");
    let manifests = json!([manifest]);
    if world.control.get(work).is_some() {
        world
            .control
            .edit(work, |work| js::set(work, &["spec", "workload", "manifests"], manifests));
        return;
    }
    let object = json!({
        "metadata": { "name": work.name, "finalizers": [WORK_FINALIZER] },
        "spec": { "workload": { "manifests": manifests } },
    });
    debug_assert_eq!(*work.res, WORK);
    debug_assert_ne!(*work.res, NAMESPACE);
    world.control.ensure(&WORK, &work.namespace, object);
}
