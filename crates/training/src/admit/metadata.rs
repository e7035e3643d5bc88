//! Metadata: the host's own on every object, and what a plugin may write beside it and inside pod
//! templates.

use serde_json::{Map, Value};

use super::Owner;
use super::names::{Pairs, is_dns_subdomain, pairs, steering_domain};
use super::report::{Report, below, each_object, given, quoted};
use crate::manifest::{ObjectRef, ownership_labels};

/// Prefix of labels and annotations that only the host writes.
const OURS: &str = "trainyard.dev/";
/// Members of metadata that only an API server or a controller writes. A finalizer keeps an object
/// from ever going away, an owner takes it along when it goes.
const SERVER_SIDE: [&str; 9] = [
    "finalizers",
    "ownerReferences",
    "uid",
    "resourceVersion",
    "generation",
    "managedFields",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// Metadata as the host wants it: the plugin's own labels and annotations, then ours on top.
pub(super) fn stamped(
    document: &Map<String, Value>,
    at: &str,
    object: &ObjectRef,
    owner: Owner<'_>,
    report: &mut Report,
) -> Value {
    let at = format!("{at}/metadata");
    let empty = Map::new();
    let metadata = document.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    for key in metadata.keys() {
        if !["name", "namespace", "labels", "annotations", "creationTimestamp"]
            .contains(&key.as_str())
        {
            let detail = format!("{} may not be set by a plugin.", quoted(key));
            report.refuse(below(&at, key), "unknown-field", detail);
        }
    }
    let ours = ownership_labels(owner.job_id, owner.name.as_str(), owner.algorithm, owner.origin);
    let [labels, annotations] = Pairs::BOTH.map(|which| {
        let mut kept = Map::new();
        for (key, value) in pairs(metadata, which, &at, report) {
            // One of ours is overwritten below, and reported.
            let overwritten = which == Pairs::Labels && ours.contains_key(key);
            let reserved = steering_domain(key).or(key.starts_with(OURS).then_some(OURS));
            match reserved {
                Some(domain) if !overwritten => report.refuse(
                    below(&below(&at, which.member()), key),
                    "reserved-name",
                    format!("A plugin may not write names of {}.", domain.trim_end_matches('/')),
                ),
                _ => {
                    kept.insert(key.to_owned(), Value::from(value));
                }
            }
        }
        kept
    });
    let labels = own(labels, ours, &at, report);
    let namespace = owner.namespace.as_str();
    let detail = match object.namespace.as_str() {
        "" => format!("Set to the job's namespace `{namespace}`."),
        given => format!("Set to the job's namespace `{namespace}` instead of {}.", quoted(given)),
    };
    if object.namespace != namespace {
        report.change(format!("{at}/namespace"), "namespace", detail);
    }
    let mut stamped = Map::new();
    stamped.insert("name".to_owned(), Value::from(object.name.as_str()));
    stamped.insert("namespace".to_owned(), Value::from(namespace));
    stamped.insert("labels".to_owned(), Value::Object(labels));
    stamped.insert("annotations".to_owned(), Value::Object(annotations));
    Value::Object(stamped)
}

/// Puts the labels of ownership over the plugin's.
fn own(
    mut labels: Map<String, Value>,
    ours: Map<String, Value>,
    at: &str,
    report: &mut Report,
) -> Map<String, Value> {
    let (mut added, mut replaced) = (Vec::new(), Vec::new());
    for (key, value) in &ours {
        match labels.get(key) {
            None => added.push(format!("`{key}`")),
            Some(before) if before != value => {
                let before = before.as_str().unwrap_or_default();
                replaced.push(format!("`{key}` (it was {})", quoted(before)));
            }
            Some(_) => {}
        }
    }
    let mut done = Vec::new();
    if !added.is_empty() {
        done.push(format!("added {}", added.join(", ")));
    }
    if !replaced.is_empty() {
        done.push(format!("replaced {}", replaced.join(", ")));
    }
    if !done.is_empty() {
        let detail = format!("The labels that mark the object as this job's: {}.", done.join("; "));
        report.change(format!("{at}/labels"), "ownership", detail);
    }
    labels.extend(ours);
    labels
}

/// Checks every `metadata` below a spec: those of pod and claim templates.
pub(super) fn check_templates(spec: &Value, at: &str, owner: Owner<'_>, report: &mut Report) {
    let ours = ownership_labels(owner.job_id, owner.name.as_str(), owner.algorithm, owner.origin);
    each_object(spec, at, &mut |members, at| {
        let Some(Value::Object(metadata)) = members.get("metadata") else { return };
        let at = format!("{at}/metadata");
        for key in SERVER_SIDE {
            if given(metadata, key).is_some() {
                let detail = format!("`{key}` may not be set by a plugin.");
                report.refuse(below(&at, key), "unknown-field", detail);
            }
        }
        if let Some(name) = given(metadata, "name")
            && !name.as_str().is_some_and(is_dns_subdomain)
        {
            report.refuse(format!("{at}/name"), "invalid-name", "It is not a name of an object.");
        }
        for which in Pairs::BOTH {
            for (key, value) in pairs(metadata, which, &at, report) {
                let at = below(&below(&at, which.member()), key);
                if steering_domain(key) == Some("karmada.io") {
                    report.refuse(at, "reserved-name", "A plugin may not steer Karmada.");
                } else if ours.get(key).is_some_and(|ours| ours != value)
                    || (key.starts_with(OURS) && !ours.contains_key(key))
                {
                    report.refuse(at, "reserved-name", "The label marks another job's object.");
                } else {
                    super::security::check_annotation(key, value, &at, report);
                }
            }
        }
    });
}
