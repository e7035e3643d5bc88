//! Which policy claims a template: the index over all policies, their deletion, and the waking of
//! templates when a policy changes.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::{MANAGER, detector};
use crate::json::Tree as _;
use crate::{
    admission::{CLUSTER_POLICY_FINALIZER, POLICY_FINALIZER, policy_label},
    json::{self as js, int, is_terminating, label, list, meta, text},
    objects::{Key, Res, resources as r, selectors::label_selector_matches},
    sim::World,
};

/// Selectors without a name select by kind: (group/version/kind, namespace of the policy).
type ByKind = HashMap<(String, String), BTreeSet<Key>>;

/// All selectors of all policies, so that a template is not matched against every policy.
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_name: HashMap<(String, String, String), BTreeSet<Key>>,
    by_kind: ByKind,
    entries: HashMap<Key, Vec<Entry>>,
    /// The generation each policy was last indexed at.
    seen: HashMap<Key, (i64, String)>,
}

#[derive(Debug, Clone)]
struct Entry {
    kind: String,
    namespace: String,
    name: String,
}

fn kind_of(selector: &Value) -> String {
    format!("{}/{}", text(selector, "/apiVersion"), text(selector, "/kind"))
}

fn kind_of_res(res: Res) -> String {
    format!("{}/{}", res.api_version(), res.kind)
}

impl Index {
    fn remove(&mut self, key: &Key) -> Vec<Entry> {
        let old = self.entries.remove(key).unwrap_or_default();
        for entry in &old {
            if entry.name.is_empty() {
                if let Some(set) =
                    self.by_kind.get_mut(&(entry.kind.clone(), entry.namespace.clone()))
                {
                    set.remove(key);
                }
            } else {
                let at = (entry.kind.clone(), entry.namespace.clone(), entry.name.clone());
                if let Some(set) = self.by_name.get_mut(&at) {
                    set.remove(key);
                    if set.is_empty() {
                        self.by_name.remove(&at);
                    }
                }
            }
        }
        old
    }

    fn insert(&mut self, key: &Key, policy: &Value) -> Vec<Entry> {
        let mut entries = Vec::new();
        for selector in list(policy, "/spec/resourceSelectors") {
            let entry = Entry {
                kind: kind_of(selector),
                namespace: text(selector, "/namespace").to_owned(),
                name: text(selector, "/name").to_owned(),
            };
            let set = if entry.name.is_empty() {
                self.by_kind.entry((entry.kind.clone(), entry.namespace.clone())).or_default()
            } else {
                let at = (entry.kind.clone(), entry.namespace.clone(), entry.name.clone());
                self.by_name.entry(at).or_default()
            };
            set.insert(key.clone());
            entries.push(entry);
        }
        self.entries.insert(key.clone(), entries.clone());
        entries
    }

    fn candidates(&self, key: &Key) -> Vec<&Key> {
        let kind = kind_of_res(key.res);
        // A cluster-wide policy may leave the namespace open.
        [key.namespace.as_str(), ""]
            .iter()
            .flat_map(|namespace| {
                let named = (kind.clone(), (*namespace).to_owned(), key.name.clone());
                let any = (kind.clone(), (*namespace).to_owned());
                let named = self.by_name.get(&named).into_iter().flatten();
                named.chain(self.by_kind.get(&any).into_iter().flatten())
            })
            .collect()
    }
}

/// How closely a policy names a template: by name, by label, by kind.
fn closeness(policy: &Value, key: &Key, template: &Value) -> Option<u8> {
    let kind = kind_of_res(key.res);
    list(policy, "/spec/resourceSelectors")
        .iter()
        .filter(|selector| kind_of(selector) == kind)
        .filter(|selector| {
            let namespace = text(selector, "/namespace");
            namespace.is_empty() || namespace == key.namespace
        })
        .filter_map(|selector| match (text(selector, "/name"), selector.at(&["labelSelector"])) {
            ("", Value::Null) => Some(1),
            ("", labels) => {
                label_selector_matches(labels, template.at(&["metadata", "labels"])).then_some(2)
            }
            (name, _) => (name == key.name).then_some(3),
        })
        .max()
}

/// The policy a template falls to, namespaced ones first.
pub(super) fn best(world: &World, key: &Key, template: &Value) -> Option<Key> {
    let mut found: Vec<(bool, i64, u8, &Key)> = Vec::new();
    for candidate in world.karmada.policies.candidates(key) {
        let Some(policy) = world.control.get(candidate) else { continue };
        if is_terminating(policy) {
            continue;
        }
        if let Some(closeness) = closeness(policy, key, template) {
            let priority = int(policy, "/spec/priority").unwrap_or_default();
            found.push((candidate.res.namespaced, priority, closeness, candidate));
        }
    }
    found.sort_by(|a, b| (b.0, b.1, b.2).cmp(&(a.0, a.1, a.2)).then_with(|| a.3.cmp(b.3)));
    found.first().map(|(_, _, _, key)| (*key).clone())
}

pub(super) fn still_matches(policy: &Value, key: &Key, template: &Value) -> bool {
    closeness(policy, key, template).is_some()
}

pub(super) fn reconcile(world: &mut World, key: &Key) {
    let Some(policy) = world.control.get(key).cloned() else { return };
    if is_terminating(&policy) {
        release(world, key, &policy);
        return;
    }
    let version =
        (int(&policy, "/metadata/generation").unwrap_or_default(), meta(&policy, "uid").to_owned());
    if world.karmada.policies.seen.get(key) == Some(&version) {
        return;
    }
    world.karmada.policies.seen.insert(key.clone(), version);
    let mut entries = world.karmada.policies.remove(key);
    entries.extend(world.karmada.policies.insert(key, &policy));
    wake(world, &entries);
    let id = label(&policy, policy_label(key.res)).unwrap_or_default();
    for template in world.karmada.claims.get(id).cloned().unwrap_or_default() {
        world.control.touch(template);
    }
}

fn wake(world: &mut World, entries: &[Entry]) {
    for entry in entries {
        let Some((version, kind)) = entry.kind.rsplit_once('/') else { continue };
        let Some(res) = r::by_kind(version, kind) else { continue };
        if !entry.name.is_empty() && !entry.namespace.is_empty() {
            world.control.touch(Key::new(res, &entry.namespace, &entry.name));
            continue;
        }
        let keys: Vec<Key> =
            world.control.all(res, &entry.namespace).map(|(key, _)| key.clone()).collect();
        for key in keys.into_iter().filter(|key| entry.name.is_empty() || key.name == entry.name) {
            world.control.touch(key);
        }
    }
}

/// A deleted policy gives up its templates; their placement stays.
fn release(world: &mut World, key: &Key, policy: &Value) {
    let id = label(policy, policy_label(key.res)).unwrap_or_default().to_owned();
    for template in world.karmada.claims.remove(&id).unwrap_or_default() {
        detector::release(world, &template, key.res);
    }
    for finalizer in [POLICY_FINALIZER, CLUSTER_POLICY_FINALIZER] {
        world.control.edit_as(MANAGER, key, |policy| js::remove_finalizer(policy, finalizer));
    }
}

pub(super) fn gone(world: &mut World, key: &Key) {
    if world.control.get(key).is_some() {
        return;
    }
    world.karmada.policies.seen.remove(key);
    let entries = world.karmada.policies.remove(key);
    wake(world, &entries);
}
