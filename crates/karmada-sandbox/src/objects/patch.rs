//! The patch formats that are not server-side apply: JSON merge, JSON patch, and the part of
//! strategic merge that kubectl relies on (lists of named things merge by name).

use serde_json::{Map, Value};

use crate::json::Tree as _;
use crate::status::{ApiError, ApiResult};

/// RFC 7386.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    json_patch::merge(target, patch);
}

/// RFC 6902.
pub(crate) fn json(target: &mut Value, patch: Value) -> ApiResult<()> {
    let patch: json_patch::Patch = serde_json::from_value(patch)
        .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
    json_patch::patch(target, &patch).map_err(|error| {
        ApiError::new(
            422,
            "Invalid",
            format!("the server rejected our request due to an error in our request: {error}"),
        )
    })
}

/// Strategic merge without a schema: lists whose members all have a `name` merge by it, others
/// are replaced, and the `$` directives of kubectl are honoured or dropped.
pub(crate) fn strategic(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if patch.get("$patch").is_some_and(|directive| directive == "replace") {
        let mut replaced = patch.clone();
        replaced.shift_remove("$patch");
        *target = Value::Object(replaced);
        return;
    }
    let map = crate::json::object(target, &[]);
    for (key, value) in patch {
        if key.starts_with('$') {
            continue;
        }
        match value {
            Value::Null => {
                map.shift_remove(key);
            }
            Value::Object(_) => {
                let child = map.entry(key.as_str()).or_insert_with(|| Value::Object(Map::new()));
                strategic(child, value);
            }
            Value::Array(items) => {
                let child = map.entry(key.as_str()).or_insert_with(|| Value::Array(Vec::new()));
                merge_list(child, key, items);
            }
            _ => {
                map.insert(key.clone(), value.clone());
            }
        }
    }
    for (key, keep) in patch.iter().filter(|(key, _)| key.as_str() == "$retainKeys") {
        let keep = keep.as_array().cloned().unwrap_or_default();
        map.retain(|name, _| name == key || keep.iter().any(|one| one == name));
    }
}

fn merge_list(target: &mut Value, field: &str, items: &[Value]) {
    let merge_key = match field {
        "conditions" => "type",
        "ports" => "containerPort",
        "ownerReferences" => "uid",
        "finalizers" | "args" | "command" => "",
        _ => "name",
    };
    let named = !items.is_empty() && items.iter().all(|item| item.get(merge_key).is_some());
    let Some(list) = target.as_array_mut().filter(|_| named) else {
        *target = Value::Array(items.to_vec());
        return;
    };
    for item in items {
        let same = |one: &Value| one.at(&[merge_key]) == item.at(&[merge_key]);
        if item.at(&["$patch"]) == "delete" {
            list.retain(|one| !same(one));
        } else if let Some(found) = list.iter_mut().find(|one| same(one)) {
            strategic(found, item);
        } else {
            list.push(item.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strategic_merge_keeps_containers_it_does_not_name() {
        let mut target = json!({"containers": [{"name": "a", "image": "1"}, {"name": "b"}]});
        let patch = json!({
            "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
            "containers": [{"name": "a", "image": "2"}],
        });
        strategic(&mut target, &patch);
        assert_eq!(target, json!({"containers": [{"name": "a", "image": "2"}, {"name": "b"}]}));
    }
}
