//! Small readers and writers for `serde_json::Value` trees shaped like Kubernetes objects. Knows
//! no kind; every module of this crate calls it. Reading with `value.at(&["key"])` is safe (absent is
//! `Null`); writing goes through here because writing by index is not.

use serde_json::{Map, Value, json};

static EMPTY: &[Value] = &[];
static NULL: Value = Value::Null;

/// Reading a tree by path. Absent is `Null`, at any depth.
pub(crate) trait Tree {
    /// The value at `path`; a number selects a member of a list.
    fn at(&self, path: &[&str]) -> &Value;
}

impl Tree for Value {
    fn at(&self, path: &[&str]) -> &Value {
        path.iter().try_fold(self, |here, part| child(here, part)).unwrap_or(&NULL)
    }
}

fn child<'a>(value: &'a Value, part: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.get(part),
        Value::Array(list) => list.get(part.parse::<usize>().ok()?),
        _ => None,
    }
}

/// The string at `pointer`, or the empty string.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The list at `pointer`, or an empty one.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(EMPTY, Vec::as_slice)
}

/// The integer at `pointer`.
pub(crate) fn int(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

/// The boolean at `pointer`, false if absent.
pub(crate) fn flag(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}

/// `metadata.<field>` as a string.
pub(crate) fn meta<'a>(value: &'a Value, field: &str) -> &'a str {
    value.at(&["metadata", field]).as_str().unwrap_or_default()
}

pub(crate) fn label<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.at(&["metadata", "labels", key]).as_str()
}

pub(crate) fn annotation<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.at(&["metadata", "annotations", key]).as_str()
}

pub(crate) fn is_terminating(value: &Value) -> bool {
    value.at(&["metadata", "deletionTimestamp"]).is_string()
}

/// The object at `path`, created (or put in the place of something that is not an object).
pub(crate) fn object<'a>(value: &'a mut Value, path: &[&str]) -> &'a mut Map<String, Value> {
    let mut here = value;
    for part in path {
        here = as_object(here).entry(*part).or_insert_with(|| json!({}));
    }
    as_object(here)
}

fn as_object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(map) => map,
        // The line above made it an object.
        _ => unreachable!("a value just made an object is an object"),
    }
}

/// Sets `path` to `to`, creating parents.
pub(crate) fn set(value: &mut Value, path: &[&str], to: impl Into<Value>) {
    if let Some((last, parents)) = path.split_last() {
        object(value, parents).insert((*last).to_owned(), to.into());
    }
}

/// Removes `path`; an absent parent is fine.
pub(crate) fn remove(value: &mut Value, path: &[&str]) -> Option<Value> {
    let (last, parents) = path.split_last()?;
    let mut here = value;
    for part in parents {
        here = here.get_mut(*part)?;
    }
    here.as_object_mut()?.shift_remove(*last)
}

/// Removes `path` and then every parent that became empty.
pub(crate) fn remove_and_tidy(value: &mut Value, path: &[&str]) {
    remove(value, path);
    for end in (1..path.len()).rev() {
        let Some(parents) = path.get(..end) else { return };
        let empty = parents
            .iter()
            .try_fold(&*value, |here, part| here.get(part))
            .and_then(Value::as_object)
            .is_some_and(Map::is_empty);
        if !empty {
            return;
        }
        remove(value, parents);
    }
}

/// The finalizers of an object.
pub(crate) fn finalizers(value: &Value) -> Vec<String> {
    list(value, "/metadata/finalizers")
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

pub(crate) fn has_finalizer(value: &Value, name: &str) -> bool {
    list(value, "/metadata/finalizers").iter().any(|one| one == name)
}

pub(crate) fn add_finalizer(value: &mut Value, name: &str) {
    if !has_finalizer(value, name) {
        let mut all = finalizers(value);
        all.push(name.to_owned());
        set(value, &["metadata", "finalizers"], all);
    }
}

pub(crate) fn remove_finalizer(value: &mut Value, name: &str) {
    let rest: Vec<_> = finalizers(value).into_iter().filter(|one| one != name).collect();
    if rest.is_empty() {
        remove(value, &["metadata", "finalizers"]);
    } else {
        set(value, &["metadata", "finalizers"], rest);
    }
}

/// Puts `condition` into the list at `path` in the place of the one with the same type. Keeps
/// `lastTransitionTime` if the status did not change.
pub(crate) fn set_condition(value: &mut Value, path: &[&str], mut condition: Value) {
    let Some((last, parents)) = path.split_last() else { return };
    let conditions = object(value, parents).entry(*last).or_insert_with(|| json!([]));
    let Some(all) = conditions.as_array_mut() else { return };
    match all.iter_mut().find(|one| one.at(&["type"]) == condition.at(&["type"])) {
        Some(old) => {
            if old.at(&["status"]) == condition.at(&["status"]) {
                let since = old.at(&["lastTransitionTime"]).clone();
                set(&mut condition, &["lastTransitionTime"], since);
                if old.get("lastProbeTime").is_some() {
                    let since = old.at(&["lastProbeTime"]).clone();
                    set(&mut condition, &["lastProbeTime"], since);
                }
            }
            *old = condition;
        }
        None => all.push(condition),
    }
}

/// Whether the list at `pointer` has a condition of this type that is true.
pub(crate) fn condition_is_true(value: &Value, pointer: &str, kind: &str) -> bool {
    list(value, pointer)
        .iter()
        .any(|one| one.at(&["type"]) == kind && one.at(&["status"]) == "True")
}

/// Standard base64, for `stringData`.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for digit in 0..4 {
            let at = usize::try_from((bits >> (18 - 6 * digit)) & 63).unwrap_or_default();
            let letter = ALPHABET.get(at).copied().unwrap_or(b'=');
            out.push(if digit <= chunk.len() { letter.into() } else { '=' });
        }
    }
    out
}

/// Reads a Kubernetes quantity in thousandths of its unit (`500m` is 500, `2Gi` is 2^31 * 1000).
pub(crate) fn quantity(value: &Value) -> i128 {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return 0,
    };
    let digits = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-' || c == '+'))
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let scale: i128 = match suffix {
        "m" => 1,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "T" => 1_000_000_000_000_000,
        "Ki" => 1000 << 10,
        "Mi" => 1000 << 20,
        "Gi" => 1000 << 30,
        "Ti" => 1000 << 40,
        _ => 1000,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut total = whole.parse::<i128>().unwrap_or_default() * scale;
    let mut unit = scale;
    for digit in fraction.chars().filter_map(|c| c.to_digit(10)) {
        unit /= 10;
        total += i128::from(digit) * unit;
    }
    total
}

/// Writes thousandths back the way Kubernetes would print them for this resource name.
pub(crate) fn quantity_text(name: &str, milli: i128) -> String {
    if milli % 1000 != 0 {
        return format!("{milli}m");
    }
    let whole = milli / 1000;
    let bytes = name == "memory" || name.ends_with("storage");
    for (suffix, unit) in [("Gi", 1_i128 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
        if bytes && whole != 0 && whole % unit == 0 {
            return format!("{}{suffix}", whole / unit);
        }
    }
    whole.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_round_trip() {
        for (name, text, milli) in [
            ("cpu", "500m", 500),
            ("cpu", "2", 2000),
            ("cpu", "1.5", 1500),
            ("memory", "2Gi", 2_147_483_648_000),
            ("nvidia.com/gpu", "8", 8000),
        ] {
            assert_eq!(quantity(&json!(text)), milli, "{text}");
            if text != "1.5" {
                assert_eq!(quantity_text(name, milli), text);
            }
        }
    }

    #[test]
    fn base64_pads() {
        assert_eq!(base64(b"a"), "YQ==");
        assert_eq!(base64(b"ab"), "YWI=");
        assert_eq!(base64(b"abc"), "YWJj");
    }

    #[test]
    fn conditions_keep_their_transition_time() {
        let mut value = json!({});
        let ready = |at: &str, status: &str| json!({"type": "Ready", "status": status, "lastTransitionTime": at});
        set_condition(&mut value, &["status", "conditions"], ready("1", "True"));
        set_condition(&mut value, &["status", "conditions"], ready("2", "True"));
        assert_eq!(value["status"]["conditions"][0]["lastTransitionTime"], "1");
        set_condition(&mut value, &["status", "conditions"], ready("3", "False"));
        assert_eq!(value["status"]["conditions"][0]["lastTransitionTime"], "3");
    }
}
