//! Field ownership: the `fieldsV1` trees of `managedFields`, and server-side apply over them.
//! Lists are atomic, also those the real server merges by key. Called by `objects::write` only.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::resources::Resource;
use crate::clock;
use crate::json::Tree as _;

/// A set of leaves: nested `f:` keys, an empty object is a leaf. The key `.` is a map as such,
/// which is how an empty map is owned.
pub(crate) type Fields = Map<String, Value>;

/// Metadata the server owns; no manager ever does.
const SERVER_METADATA: [&str; 11] = [
    "name",
    "namespace",
    "generateName",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
];

/// The leaves of an object that a writer through this subresource may own.
pub(crate) fn owned_by_writer(object: &Value, res: &Resource, status: bool) -> Fields {
    let mut fields = Fields::new();
    let Some(map) = object.as_object() else { return fields };
    for (key, value) in map {
        match key.as_str() {
            "apiVersion" | "kind" => {}
            "status" if res.status != status => {}
            "metadata" => {
                if let (false, Some(metadata)) = (status, value.as_object()) {
                    let mut inner = Fields::new();
                    for (key, value) in metadata {
                        if !SERVER_METADATA.contains(&key.as_str()) {
                            inner.insert(format!("f:{key}"), leaves(value));
                        }
                    }
                    if !inner.is_empty() {
                        fields.insert("f:metadata".to_owned(), Value::Object(inner));
                    }
                }
            }
            _ if status && key != "status" => {}
            _ => {
                fields.insert(format!("f:{key}"), leaves(value));
            }
        }
    }
    fields
}

fn leaves(value: &Value) -> Value {
    match value {
        Value::Object(map) if map.is_empty() => json!({ ".": {} }),
        Value::Object(map) => Value::Object(
            map.iter().map(|(key, value)| (format!("f:{key}"), leaves(value))).collect(),
        ),
        _ => json!({}),
    }
}

fn is_leaf(value: &Value) -> bool {
    value.as_object().is_none_or(Map::is_empty)
}

/// The leaves of `fields` that `taken` does not cover.
fn minus(fields: &Fields, taken: &Fields) -> Fields {
    let mut rest = Fields::new();
    for (key, value) in fields {
        match taken.get(key) {
            None => {
                rest.insert(key.clone(), value.clone());
            }
            Some(other) if is_leaf(other) || is_leaf(value) => {}
            Some(other) => {
                if let (Some(a), Some(b)) = (value.as_object(), other.as_object()) {
                    let inner = minus(a, b);
                    if !inner.is_empty() {
                        rest.insert(key.clone(), Value::Object(inner));
                    }
                }
            }
        }
    }
    rest
}

fn union(into: &mut Fields, more: &Fields) {
    for (key, value) in more {
        match into.get_mut(key) {
            Some(Value::Object(here)) => {
                if let Some(more) = value.as_object() {
                    union(here, more);
                }
            }
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

/// The leaves of `fields` that exist in `object`.
fn existing(fields: &Fields, object: &Value) -> Fields {
    fields
        .iter()
        .filter_map(|(key, value)| {
            if key == "." {
                return object.is_object().then(|| (key.clone(), value.clone()));
            }
            let child = object.get(key.strip_prefix("f:")?)?;
            if is_leaf(value) {
                return Some((key.clone(), value.clone()));
            }
            let inner = existing(value.as_object()?, child);
            (!inner.is_empty()).then(|| (key.clone(), Value::Object(inner)))
        })
        .collect()
}

/// The leaves of `fields` whose values differ between the two objects.
fn differing(fields: &Fields, old: &Value, new: &Value) -> Fields {
    fields
        .iter()
        .filter_map(|(key, value)| {
            let name = key.strip_prefix("f:")?;
            let (a, b) = (old.get(name), new.get(name));
            if a == b {
                return None;
            }
            match (is_leaf(value), a, b) {
                (false, Some(a), Some(b)) => {
                    let inner = differing(value.as_object()?, a, b);
                    (!inner.is_empty()).then(|| (key.clone(), Value::Object(inner)))
                }
                _ => Some((key.clone(), value.clone())),
            }
        })
        .collect()
}

fn paths(fields: &Fields, prefix: &str, out: &mut Vec<String>) {
    for (key, value) in fields {
        let path = format!("{prefix}.{}", key.strip_prefix("f:").unwrap_or(key));
        match value.as_object() {
            Some(inner) if !inner.is_empty() => paths(inner, &path, out),
            _ => out.push(path),
        }
    }
}

fn entry_fields(entry: &Value) -> Fields {
    entry.at(&["fieldsV1"]).as_object().cloned().unwrap_or_default()
}

fn entries(object: &Value) -> Vec<Value> {
    crate::json::list(object, "/metadata/managedFields").to_vec()
}

struct Writer<'a> {
    manager: &'a str,
    operation: &'static str,
    status: bool,
}

impl Writer<'_> {
    fn wrote(&self, entry: &Value) -> bool {
        entry.at(&["manager"]) == self.manager
            && entry.at(&["operation"]) == self.operation
            && (entry.at(&["subresource"]) == "status") == self.status
    }

    fn entry(&self, res: &Resource, fields: Fields, now: Timestamp) -> Value {
        let mut entry = json!({
            "manager": self.manager, "operation": self.operation,
            "apiVersion": res.api_version(), "time": clock::stamp(now),
            "fieldsType": "FieldsV1", "fieldsV1": fields,
        });
        if self.status {
            crate::json::set(&mut entry, &["subresource"], "status");
        }
        entry
    }
}

fn store(object: &mut Value, entries: Vec<Value>) {
    if entries.is_empty() {
        crate::json::remove(object, &["metadata", "managedFields"]);
    } else {
        crate::json::set(object, &["metadata", "managedFields"], entries);
    }
}

/// Records that `manager` changed `old` into `new` by an update, a patch or a create.
pub(crate) fn record_update(
    old: Option<&Value>,
    new: &mut Value,
    res: &Resource,
    status: bool,
    manager: &str,
    now: Timestamp,
) {
    let before = old.map(entries).unwrap_or_default();
    let nothing = Value::Null;
    let all = owned_by_writer(new, res, status);
    let changed = differing(&all, old.unwrap_or(&nothing), new);
    let writer = Writer { manager, operation: "Update", status };
    let mut mine = Fields::new();
    let mut after = Vec::with_capacity(before.len() + 1);
    let mut since = None;
    for mut entry in before {
        let fields = existing(&entry_fields(&entry), new);
        if writer.wrote(&entry) {
            since = Some(entry.at(&["time"]).clone());
            mine = fields;
        } else {
            let rest = minus(&fields, &changed);
            if !rest.is_empty() {
                crate::json::set(&mut entry, &["fieldsV1"], rest);
                after.push(entry);
            }
        }
    }
    union(&mut mine, &changed);
    if !mine.is_empty() {
        let mut entry = writer.entry(res, mine, now);
        if let (true, Some(since)) = (changed.is_empty(), since) {
            crate::json::set(&mut entry, &["time"], since);
        }
        after.push(entry);
    }
    store(new, after);
}

/// What an apply wants to do.
pub(crate) struct Apply<'a> {
    pub(crate) res: &'a Resource,
    pub(crate) applied: &'a Value,
    pub(crate) status: bool,
    pub(crate) manager: &'a str,
    pub(crate) force: bool,
    pub(crate) now: Timestamp,
}

/// Merges `apply` into `live`. `Err` lists the leaves (with their managers) that block it.
pub(crate) fn apply(live: &Value, apply: &Apply<'_>) -> Result<Value, Vec<(String, String)>> {
    let wanted = owned_by_writer(apply.applied, apply.res, apply.status);
    let mut merged = live.clone();
    overlay(&mut merged, apply.applied, &wanted);
    let changed = differing(&wanted, live, &merged);

    let writer = Writer { manager: apply.manager, operation: "Apply", status: apply.status };
    let mut others = Vec::new();
    let mut formerly = Fields::new();
    let mut since = None;
    let mut conflicts = Vec::new();
    for mut entry in entries(live) {
        let fields = entry_fields(&entry);
        if writer.wrote(&entry) {
            since = Some(entry.at(&["time"]).clone());
            formerly = fields;
            continue;
        }
        let rest = minus(&fields, &changed);
        if rest != fields && !apply.force {
            let mut lost = Vec::new();
            paths(&minus(&fields, &rest), "", &mut lost);
            let manager = crate::json::text(&entry, "/manager").to_owned();
            conflicts.extend(lost.into_iter().map(|path| (manager.clone(), path)));
        }
        if !rest.is_empty() {
            crate::json::set(&mut entry, &["fieldsV1"], rest);
            others.push(entry);
        }
    }
    if !conflicts.is_empty() {
        return Err(conflicts);
    }

    let mut dropped = minus(&formerly, &wanted);
    for entry in &others {
        dropped = minus(&dropped, &entry_fields(entry));
    }
    erase(&mut merged, &dropped);
    if !wanted.is_empty() {
        let mut entry = writer.entry(apply.res, wanted.clone(), apply.now);
        if let (true, true, Some(since)) = (changed.is_empty(), formerly == wanted, since) {
            crate::json::set(&mut entry, &["time"], since);
        }
        others.insert(0, entry);
    }
    for entry in &mut others {
        let kept = existing(&entry_fields(entry), &merged);
        crate::json::set(entry, &["fieldsV1"], kept);
    }
    others.retain(|entry| !entry_fields(entry).is_empty());
    store(&mut merged, others);
    Ok(merged)
}

/// Copies the leaves `fields` from `from` into `into`.
fn overlay(into: &mut Value, from: &Value, fields: &Fields) {
    for (key, value) in fields {
        let name = key.strip_prefix("f:").unwrap_or(key);
        let Some(source) = from.get(name) else { continue };
        match value.as_object() {
            Some(inner) if !inner.is_empty() => {
                let child = crate::json::object(into, &[]).entry(name).or_insert_with(|| json!({}));
                overlay(child, source, inner);
            }
            _ => {
                crate::json::object(into, &[]).insert(name.to_owned(), source.clone());
            }
        }
    }
}

/// Removes the leaves `fields` from `object`, and maps that become empty by that.
fn erase(object: &mut Value, fields: &Fields) {
    let Some(map) = object.as_object_mut() else { return };
    for (key, value) in fields {
        let name = key.strip_prefix("f:").unwrap_or(key);
        match value.as_object() {
            Some(inner) if !inner.is_empty() => {
                if let Some(child) = map.get_mut(name) {
                    erase(child, inner);
                    if child.as_object().is_some_and(Map::is_empty) && !inner.contains_key(".") {
                        map.shift_remove(name);
                    }
                }
            }
            _ => {
                map.shift_remove(name);
            }
        }
    }
}
