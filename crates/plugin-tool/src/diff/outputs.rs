//! What two versions make of the same forms.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::level::{Change, Level};
use crate::candidate::{Candidate, Ending, listed};
use crate::unified;

/// One object that the versions make differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputChange {
    /// Which form: `old/0` is the first example of the old version.
    pub(crate) form: String,
    /// `RayJob iris`.
    pub(crate) object: String,
    /// `added`, `removed` or `changed`.
    pub(crate) change: &'static str,
    /// For a changed object, how.
    pub(crate) diff: String,
}

impl OutputChange {
    pub(crate) fn to_json(&self) -> Value {
        json!({"form": self.form, "object": self.object, "change": self.change, "diff": self.diff})
    }
}

/// Converts the examples of both with both, and compares.
pub(crate) async fn compare(old: &Candidate, new: &Candidate) -> (Vec<OutputChange>, Vec<Change>) {
    let (mut outputs, mut changes) = (Vec::new(), Vec::new());
    let mut seen: Vec<&Value> = Vec::new();
    for (side, candidate) in [("old", old), ("new", new)] {
        for (index, form) in candidate.info().examples.iter().enumerate() {
            if seen.contains(&form) {
                continue;
            }
            seen.push(form);
            let name = format!("{side}/{index}");
            match (old.convert(form).await, new.convert(form).await) {
                (Ending::Planned(was), Ending::Planned(is)) => {
                    let found = objects(
                        &name,
                        &by_name(&was.conversion.manifests),
                        &by_name(&is.conversion.manifests),
                    );
                    changes.extend(found.iter().map(|found| consequence(&name, found)));
                    outputs.extend(found);
                }
                (Ending::Planned(_), ending) => changes.push(Change {
                    level: Level::Major,
                    pointer: format!("/examples/{name}"),
                    reason: format!(
                        "A form that was converted is not any more: {}",
                        words(&ending)
                    ),
                }),
                // What only the new version takes is told by its schema.
                _ => {}
            }
        }
    }
    (outputs, changes)
}

fn words(ending: &Ending) -> String {
    match ending {
        Ending::Planned(_) => "it is converted".to_owned(),
        Ending::Invalid(_, errors) => listed(errors),
        Ending::Unsupported(why) => why.clone(),
        Ending::Fault(fault) => fault.to_string(),
    }
}

fn by_name(manifests: &[training::manifest::Manifest]) -> BTreeMap<String, String> {
    manifests
        .iter()
        .map(|manifest| {
            let object = manifest.object_ref();
            (format!("{} {}", object.kind, object.name), unified::yaml(&manifest.document))
        })
        .collect()
}

fn objects(
    form: &str,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Vec<OutputChange> {
    let change = |object: &str, change, diff| OutputChange {
        form: form.to_owned(),
        object: object.to_owned(),
        change,
        diff,
    };
    let mut found = Vec::new();
    for (object, was) in old {
        match new.get(object) {
            None => found.push(change(object, "removed", String::new())),
            Some(is) if is != was => {
                found.push(change(object, "changed", unified::diff(was, is, "old", "new")));
            }
            Some(_) => {}
        }
    }
    for object in new.keys().filter(|object| !old.contains_key(*object)) {
        found.push(change(object, "added", String::new()));
    }
    found
}

fn consequence(form: &str, found: &OutputChange) -> Change {
    let level = if found.change == "changed" { Level::Patch } else { Level::Minor };
    Change {
        level,
        pointer: format!("/examples/{form}"),
        reason: format!("{} is {}.", found.object, found.change),
    }
}
