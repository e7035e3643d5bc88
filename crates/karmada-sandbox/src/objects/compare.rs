//! Whether a write changed anything, and whether it changed the spec. Called by `objects::write`.

use serde_json::Value;

use crate::json::Tree as _;

/// Equal but for what every write touches.
pub(super) fn same(old: &Value, new: &Value) -> bool {
    let (Some(a), Some(b)) = (old.as_object(), new.as_object()) else { return old == new };
    let quiet = |key: &str| key == "resourceVersion" || key == "managedFields";
    a.len() == b.len()
        && a.iter().all(|(key, value)| match (key.as_str(), b.get(key)) {
            ("metadata", Some(other)) => {
                let (Some(x), Some(y)) = (value.as_object(), other.as_object()) else {
                    return value == other;
                };
                let left = x.iter().filter(|(key, _)| !quiet(key)).count();
                let right = y.iter().filter(|(key, _)| !quiet(key)).count();
                // Who owns a field matters to the next apply; when it was written, to nobody.
                left == right
                    && x.iter().all(|(key, value)| quiet(key) || y.get(key) == Some(value))
                    && (!y.contains_key("managedFields") || owners(value) == owners(other))
            }
            (_, other) => other == Some(value),
        })
}

type Owner<'a> = (&'a Value, &'a Value, &'a Value);

fn owners(metadata: &Value) -> Vec<Owner<'_>> {
    crate::json::list(metadata, "/managedFields")
        .iter()
        .map(|one| (one.at(&["manager"]), one.at(&["operation"]), one.at(&["fieldsV1"])))
        .collect()
}

/// Anything but metadata and status.
pub(super) fn spec_differs(old: &Value, new: &Value) -> bool {
    spec(old) != spec(new)
}

fn spec(object: &Value) -> Vec<(&String, &Value)> {
    let fields = object.as_object().into_iter().flatten();
    fields.filter(|(key, _)| *key != "metadata" && *key != "status").collect()
}
