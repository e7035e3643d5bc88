//! Karmada's controllers: who is woken by what. Each submodule is one controller of the real
//! system, level-based over the world. Called by `sim` after every change.
//!
//! ```text
//! template + policy -> detector -> ResourceBinding -> scheduler -> binding -> Work
//!   Work -> execution -> member object -> execution -> Work status -> status -> binding, template
//! ```

mod binding;
pub(crate) mod clusters;
mod dependencies;
mod detector;
mod execution;
mod health;
pub(crate) mod interpreter;
mod namespaces;
mod policies;
mod scheduler;
mod status;

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Value, json};

use crate::{
    clock,
    json::{annotation, meta, text},
    objects::{Change, Key, Res, resources as r},
    sim::World,
};

/// The field manager of everything Karmada's controllers write on user objects.
const MANAGER: &str = "karmada-controller-manager";
const MANAGED: &str = "karmada.io/managed";
const BINDING_FINALIZER: &str = "karmada.io/binding-controller";
const WORK_FINALIZER: &str = "karmada.io/execution-controller";
const BINDING_ID: &str = "resourcebinding.karmada.io/permanent-id";
const WORK_ID: &str = "work.karmada.io/permanent-id";
const WORK_NAME: &str = "work.karmada.io/name";
const WORK_NAMESPACE: &str = "work.karmada.io/namespace";
const BINDING_NAME: &str = "resourcebinding.karmada.io/name";
const BINDING_NAMESPACE: &str = "resourcebinding.karmada.io/namespace";
const CONFLICT_RESOLUTION: &str = "work.karmada.io/conflict-resolution";

/// What the controllers remember between two looks.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) failed_job_status_lost: bool,
    policies: policies::Index,
    /// Templates by the permanent id of the policy that claims them.
    claims: HashMap<String, BTreeSet<Key>>,
    /// By template uid: what its binding was last built from.
    built: HashMap<String, u64>,
    /// By binding uid: the generation its Works were last built from.
    synced: HashMap<String, i64>,
    /// Bindings the scheduler must look at although they did not change.
    reschedule: HashSet<Key>,
    /// Attached bindings by the binding that refers to them.
    attached: HashMap<Key, BTreeSet<Key>>,
    /// Labels and spec each cluster was last scheduled with.
    clusters_seen: HashMap<String, u64>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            failed_job_status_lost: true,
            policies: policies::Index::default(),
            claims: HashMap::new(),
            built: HashMap::new(),
            synced: HashMap::new(),
            reschedule: HashSet::new(),
            attached: HashMap::new(),
            clusters_seen: HashMap::new(),
        }
    }
}

/// Wakes the controllers a change on the control plane concerns.
pub(crate) fn control_plane_changed(world: &mut World, change: &Change) {
    let key = &change.key;
    match (key.res, change.deleted.as_deref()) {
        (res, Some(_)) if *res == r::POLICY || *res == r::CLUSTER_POLICY => {
            policies::gone(world, key);
        }
        (res, None) if *res == r::POLICY || *res == r::CLUSTER_POLICY => {
            policies::reconcile(world, key);
        }
        (res, Some(last)) if *res == r::BINDING => binding::gone(world, key, last),
        (res, None) if *res == r::BINDING => binding::reconcile(world, key),
        (res, Some(last)) if *res == r::WORK => execution::gone(world, last),
        (res, None) if *res == r::WORK => {
            execution::reconcile(world, key);
            if let Some(binding) = world.control.get(key).and_then(|work| binding_of(work)) {
                status::reconcile(world, &binding);
            }
        }
        (res, None) if *res == r::CLUSTER => clusters::reconcile(world, key),
        (res, deleted) if *res == r::NAMESPACE => namespaces::reconcile(world, key, deleted),
        (res, None) if *res == r::REBALANCER => scheduler::rebalance(world, key),
        (res, Some(last)) if detector::is_template(res) => detector::gone(world, key, last),
        (res, None) if detector::is_template(res) => {
            detector::reconcile(world, key);
            dependencies::template_changed(world, key);
        }
        _ => {}
    }
}

/// Wakes the execution controller if the object belongs to a Work, provided Karmada can see it.
pub(crate) fn member_changed(world: &mut World, cluster: &str, change: &Change) {
    if change.deleted.is_some() && *change.key.res == r::CLUSTER {
        return;
    }
    if !clusters::is_ready(world, cluster) {
        return;
    }
    let Some(member) = world.members.get(cluster) else { return };
    let object = change.deleted.as_ref().or_else(|| member.api.get(&change.key));
    let Some(object) = object else { return };
    // Copies made by workload controllers carry the annotations too; only the original counts.
    let owned = !crate::json::list(object, "/metadata/ownerReferences").is_empty();
    if let (Some(namespace), Some(name), false) =
        (annotation(object, WORK_NAMESPACE), annotation(object, WORK_NAME), owned)
    {
        let key = Key::new(&r::WORK, namespace, name);
        world.control.touch(key);
    }
}

fn binding_of(work: &Value) -> Option<Key> {
    let name = annotation(work, BINDING_NAME)?;
    Some(Key::new(&r::BINDING, annotation(work, BINDING_NAMESPACE)?, name))
}

/// `<name>-<kind>`, lower case, as Karmada names bindings.
fn binding_name(name: &str, kind: &str) -> String {
    format!("{name}-{kind}").to_lowercase().replace(':', ".")
}

/// Opaque, but the same for the same template in every cluster.
fn work_name(kind: &str, namespace: &str, name: &str) -> String {
    let hash = clock::fnv64(&format!("{namespace}/{kind}/{name}")) & 0xffff_ffff;
    format!("{}-{}", name.to_lowercase().replace(':', "."), clock::safe_encode(hash, 8))
}

fn execution_namespace(cluster: &str) -> String {
    format!("karmada-es-{cluster}")
}

/// The key of an object a selector or a reference names.
fn reference(value: &Value) -> Option<Key> {
    let res: Res = r::by_kind(text(value, "/apiVersion"), text(value, "/kind"))?;
    Some(Key::new(res, text(value, "/namespace"), text(value, "/name")))
}

/// A condition that changes at the world's time.
fn condition(world: &World, kind: &str, status: bool, reason: &str, message: &str) -> Value {
    json!({
        "type": kind, "status": if status { "True" } else { "False" }, "reason": reason,
        "message": message, "lastTransitionTime": clock::stamp(world.now),
    })
}

/// An event on a template.
fn event(world: &mut World, object: &Value, kind: &str, reason: &str, message: &str) {
    crate::kinds::events::emit(&mut world.control, object, MANAGER, kind, reason, message);
}

fn uid(object: &Value) -> &str {
    meta(object, "uid")
}
