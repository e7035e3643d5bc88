//! What every API server's own controllers do: cascade deletion along owner references, empty
//! terminating namespaces, and hold volumes that pods still use.

use serde_json::Value;

use crate::json::Tree as _;
use crate::{
    json::{self as js, has_finalizer, is_terminating, list, meta, text},
    objects::{
        Api, Change, Key,
        resources::{self, NAMESPACE, POD, PVC},
    },
};

const PVC_PROTECTION: &str = "kubernetes.io/pvc-protection";

pub(crate) fn collect(api: &mut Api, change: &Change) {
    match &change.deleted {
        Some(last) => deleted(api, &change.key, last),
        None => changed(api, &change.key),
    }
}

fn deleted(api: &mut Api, key: &Key, last: &Value) {
    for child in api.owned_by(meta(last, "uid")) {
        api.discard(&child);
    }
    // An owner deleted in the foreground waits for this.
    for owner in list(last, "/metadata/ownerReferences") {
        if let Some(res) = resources::by_kind(text(owner, "/apiVersion"), text(owner, "/kind")) {
            let owner = Key::new(res, &key.namespace, text(owner, "/name"));
            if api.get(&owner).is_some_and(|owner| is_terminating(owner)) {
                api.touch(owner);
            }
        }
    }
    if *key.res == POD {
        for claim in claims(last) {
            api.touch(Key::new(&PVC, &key.namespace, &claim));
        }
    }
    let namespace = Key::new(&NAMESPACE, "", &key.namespace);
    if api.get(&namespace).is_some_and(|namespace| is_terminating(namespace)) {
        api.touch(namespace);
    }
}

fn changed(api: &mut Api, key: &Key) {
    let Some(object) = api.get(key).cloned() else { return };
    if !is_terminating(&object) {
        return;
    }
    if *key.res == NAMESPACE {
        let contents = api.contents_of(&key.name);
        for inner in &contents {
            if api.get(inner).is_some_and(|inner| !is_terminating(inner)) {
                api.discard(inner);
            }
        }
        if api.contents_of(&key.name).is_empty() {
            api.finish_deletion(key);
        }
        return;
    }
    if has_finalizer(&object, "orphan") {
        let uid = meta(&object, "uid");
        for child in api.owned_by(uid) {
            api.edit(&child, |child| {
                let rest: Vec<Value> = list(child, "/metadata/ownerReferences")
                    .iter()
                    .filter(|owner| owner.at(&["uid"]) != uid)
                    .cloned()
                    .collect();
                js::set(child, &["metadata", "ownerReferences"], rest);
            });
        }
        api.edit(key, |object| js::remove_finalizer(object, "orphan"));
    }
    if has_finalizer(&object, "foregroundDeletion") {
        let children = api.owned_by(meta(&object, "uid"));
        for child in &children {
            if api.get(child).is_some_and(|child| !is_terminating(child)) {
                api.discard(child);
            }
        }
        if api.owned_by(meta(&object, "uid")).is_empty() {
            api.edit(key, |object| js::remove_finalizer(object, "foregroundDeletion"));
        }
    }
    if *key.res == PVC && has_finalizer(&object, PVC_PROTECTION) {
        let used = api.all(&POD, &key.namespace).any(|(_, pod)| {
            !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
                && claims(pod).any(|claim| claim == key.name)
        });
        if !used {
            api.edit(key, |object| js::remove_finalizer(object, PVC_PROTECTION));
        }
    }
}

fn claims(pod: &Value) -> impl Iterator<Item = String> + '_ {
    list(pod, "/spec/volumes")
        .iter()
        .filter_map(|volume| volume.at(&["persistentVolumeClaim", "claimName"]).as_str())
        .map(str::to_owned)
}
