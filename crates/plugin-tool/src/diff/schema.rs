//! Compares two versions of a JSON Schema from the side of those who write values for it: what was
//! accepted must stay accepted, and mean the same.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::level::{Change, Level};

/// Schemas inside one another that are followed; the runtime refuses deeper ones.
const DEEPEST: usize = 64;
/// Words that people read and no program checks.
const TEXTS: &[&str] =
    &["title", "description", "examples", "$comment", "x-group", "x-visible-when", "$schema"];
/// Lower bounds: raising one narrows.
const LOWER: &[&str] = &["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"];
/// Upper bounds: lowering one narrows.
const UPPER: &[&str] = &["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];
/// Words that only ever narrow: a new one takes something away, and so does another value.
const NARROWING: &[&str] = &[
    "const",
    "dependentRequired",
    "format",
    "if",
    "then",
    "else",
    "multipleOf",
    "not",
    "pattern",
    "patternProperties",
    "propertyNames",
    "uniqueItems",
    "allOf",
    "oneOf",
];

/// Compares two schemas. `changed_default` is what another default means: for a form's parameters
/// the same form then gives another training.
pub(crate) fn compare(old: &Value, new: &Value, at: &str, changed_default: Level) -> Vec<Change> {
    let mut comparison =
        Comparison { old_root: old, new_root: new, changed_default, changes: Vec::new() };
    comparison.schemas(old, new, at, 0);
    comparison.changes
}

struct Comparison<'a> {
    old_root: &'a Value,
    new_root: &'a Value,
    changed_default: Level,
    changes: Vec<Change>,
}

fn join(at: &str, member: &str) -> String {
    format!("{at}/{}", member.replace('~', "~0").replace('/', "~1"))
}

/// A reference's target with what stands beside the reference.
fn resolved(schema: &Value, root: &Value) -> Map<String, Value> {
    let mut members = schema.as_object().cloned().unwrap_or_default();
    for _ in 0..DEEPEST {
        let Some(reference) = members.remove("$ref") else { break };
        let target = reference.as_str().and_then(|text| text.strip_prefix('#'));
        let target = target.and_then(|pointer| root.pointer(pointer)).and_then(Value::as_object);
        for (word, value) in target.into_iter().flatten() {
            members.entry(word.as_str()).or_insert_with(|| value.clone());
        }
    }
    members
}

/// Without the words that only people read.
fn bare(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(word, _)| !TEXTS.contains(&word.as_str()))
            .map(|(word, value)| (word.clone(), bare(value)))
            .collect(),
        Value::Array(items) => items.iter().map(bare).collect(),
        plain => plain.clone(),
    }
}

impl Comparison<'_> {
    fn add(&mut self, level: Level, pointer: String, reason: String) {
        self.changes.push(Change { level, pointer, reason });
    }

    fn schemas(&mut self, old: &Value, new: &Value, at: &str, depth: usize) {
        if old == new && old.get("$ref").is_none() || depth > DEEPEST {
            return;
        }
        let (old, new) = (resolved(old, self.old_root), resolved(new, self.new_root));
        self.texts(&old, &new, at);
        self.types(&old, &new, at);
        self.choices(&old, &new, at);
        self.bounds(&old, &new, at);
        self.narrowing(&old, &new, at);
        self.alternatives(&old, &new, at);
        self.defaults(&old, &new, at);
        self.properties(&old, &new, at, depth);
        self.rest(&old, &new, at);
        match (old.get("items"), new.get("items")) {
            (Some(one), Some(other)) => self.schemas(one, other, &join(at, "items"), depth + 1),
            (None, Some(_)) => {
                self.add(Level::Major, join(at, "items"), "Items are checked now.".to_owned());
            }
            (Some(_), None) => {
                self.add(Level::Minor, join(at, "items"), "Any item is accepted now.".to_owned());
            }
            (None, None) => {}
        }
    }

    fn texts(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
        for word in TEXTS {
            if old.get(*word) != new.get(*word) {
                self.add(Level::Patch, join(at, word), format!("`{word}` reads differently."));
            }
        }
        if old.get("x-unit") != new.get("x-unit") {
            let reason = "The unit changed, so the same number means something else.";
            self.add(Level::Major, join(at, "x-unit"), reason.to_owned());
        }
        match (old.get("x-form-field"), new.get("x-form-field")) {
            (None, Some(field)) => {
                let reason = format!("It stands for the field {field} of another form now.");
                self.add(Level::Minor, join(at, "x-form-field"), reason);
            }
            (Some(field), other) if other != Some(field) => {
                let reason = format!("It stands for the field {field} of another form no longer.");
                self.add(Level::Major, join(at, "x-form-field"), reason);
            }
            _ => {}
        }
        if old.get("x-alias-defaults") != new.get("x-alias-defaults") {
            let reason = "Its defaults by alias changed: a form that does not name it trains \
                          something else.";
            self.add(Level::Major, join(at, "x-alias-defaults"), reason.to_owned());
        }
        let sources = |schema: &Map<String, Value>| -> Vec<Value> {
            let told = schema.get("x-channel-sources").and_then(Value::as_array);
            told.cloned().unwrap_or_default()
        };
        let (before, after) = (sources(old), sources(new));
        for gone in before.iter().filter(|source| !after.contains(source)) {
            let reason = format!("Data from {gone} is read no longer.");
            self.add(Level::Major, join(at, "x-channel-sources"), reason);
        }
        for added in after.iter().filter(|source| !before.contains(source)) {
            let reason = format!("Data from {added} is read now.");
            self.add(Level::Minor, join(at, "x-channel-sources"), reason);
        }
        if old.get("deprecated") != new.get("deprecated") {
            self.add(Level::Minor, join(at, "deprecated"), "Its deprecation changed.".to_owned());
        }
    }

    fn types(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
        let kinds = |schema: &Map<String, Value>| -> Option<BTreeSet<String>> {
            match schema.get("type")? {
                Value::Array(kinds) => {
                    Some(kinds.iter().filter_map(Value::as_str).map(str::to_owned).collect())
                }
                kind => Some([kind.as_str().unwrap_or_default().to_owned()].into()),
            }
        };
        let (old, new) = (kinds(old), kinds(new));
        let at = join(at, "type");
        match (old, new) {
            (Some(old), Some(new)) => {
                for gone in old.difference(&new) {
                    // An integer is a number.
                    if gone != "integer" || !new.contains("number") {
                        self.add(
                            Level::Major,
                            at.clone(),
                            format!("The type `{gone}` is no longer accepted."),
                        );
                    }
                }
                for added in new.difference(&old) {
                    self.add(Level::Minor, at.clone(), format!("The type `{added}` is accepted."));
                }
            }
            (None, Some(_)) => {
                self.add(Level::Major, at, "Only some types are accepted now.".to_owned());
            }
            (Some(_), None) => self.add(Level::Minor, at, "Any type is accepted now.".to_owned()),
            (None, None) => {}
        }
    }

    fn choices(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
        let at = join(at, "enum");
        let list =
            |schema: &Map<String, Value>| schema.get("enum").and_then(Value::as_array).cloned();
        match (list(old), list(new)) {
            (Some(old), Some(new)) => {
                for gone in old.iter().filter(|value| !new.contains(value)) {
                    self.add(
                        Level::Major,
                        at.clone(),
                        format!("The value {gone} is no longer accepted."),
                    );
                }
                for added in new.iter().filter(|value| !old.contains(value)) {
                    self.add(Level::Minor, at.clone(), format!("The value {added} is accepted."));
                }
            }
            (None, Some(_)) => {
                self.add(Level::Major, at, "Only listed values are accepted now.".to_owned());
            }
            (Some(_), None) => {
                self.add(Level::Minor, at, "Values need no longer be listed.".to_owned());
            }
            (None, None) => {}
        }
    }

    fn bounds(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
        for (words, lower) in [(LOWER, true), (UPPER, false)] {
            for word in words {
                let number =
                    |schema: &Map<String, Value>| schema.get(*word).and_then(Value::as_f64);
                let at = join(at, word);
                match (number(old), number(new)) {
                    (Some(was), Some(is)) if (was - is).abs() > 0.0 => {
                        let narrower = (is > was) == lower;
                        let level = if narrower { Level::Major } else { Level::Minor };
                        let verb = if narrower { "narrowed" } else { "widened" };
                        self.add(level, at, format!("`{word}` {verb} from {was} to {is}."));
                    }
                    (None, Some(is)) => {
                        self.add(Level::Major, at, format!("`{word}` {is} is new."));
                    }
                    (Some(was), None) => {
                        self.add(Level::Minor, at, format!("`{word}` {was} is gone."));
                    }
                    _ => {}
                }
            }
        }
    }

    fn narrowing(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
        for word in NARROWING {
            let at = join(at, word);
            match (old.get(*word).map(bare), new.get(*word).map(bare)) {
                (Some(was), Some(is)) if was != is => self.add(
                    Level::Major,
                    at,
                    format!("`{word}` changed; whether all values are still accepted is open."),
                ),
                (None, Some(_)) => self.add(Level::Major, at, format!("`{word}` is new.")),
                (Some(_), None) => self.add(Level::Minor, at, format!("`{word}` is gone.")),
                _ => {}
            }
        }
    }

    fn alternatives(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
        let at = join(at, "anyOf");
        let list = |schema: &Map<String, Value>| {
            let list = schema.get("anyOf")?.as_array()?;
            Some(list.iter().map(bare).collect::<Vec<_>>())
        };
        match (list(old), list(new)) {
            (Some(old), Some(new)) => {
                if old.iter().any(|each| !new.contains(each)) {
                    let reason = "An alternative is gone or changed.";
                    self.add(Level::Major, at, reason.to_owned());
                } else if new.len() > old.len() {
                    self.add(Level::Minor, at, "There is another alternative.".to_owned());
                }
            }
            (None, Some(_)) => self.add(Level::Major, at, "`anyOf` is new.".to_owned()),
            (Some(_), None) => self.add(Level::Minor, at, "`anyOf` is gone.".to_owned()),
            (None, None) => {}
        }
    }

    fn defaults(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
        let at = join(at, "default");
        match (old.get("default"), new.get("default")) {
            (Some(was), Some(is)) if was != is => self.add(
                self.changed_default,
                at,
                format!("The default changed from {was} to {is}."),
            ),
            (Some(was), None) => {
                self.add(self.changed_default, at, format!("The default {was} is gone."));
            }
            (None, Some(is)) => self.add(Level::Minor, at, format!("There is a default, {is}.")),
            _ => {}
        }
    }

    fn properties(
        &mut self,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        at: &str,
        depth: usize,
    ) {
        let empty = Map::new();
        let of = |schema: &'_ Map<String, Value>| -> Map<String, Value> {
            schema.get("properties").and_then(Value::as_object).unwrap_or(&empty).clone()
        };
        let required = |schema: &Map<String, Value>| -> BTreeSet<String> {
            let list = schema.get("required").and_then(Value::as_array);
            list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let (old_properties, new_properties) = (of(old), of(new));
        let (old_required, new_required) = (required(old), required(new));
        let below = join(at, "properties");
        for (name, schema) in &old_properties {
            match new_properties.get(name) {
                None => self.add(
                    Level::Major,
                    join(&below, name),
                    format!("`{name}` is gone; forms that set it are refused or ignored."),
                ),
                Some(other) => self.schemas(schema, other, &join(&below, name), depth + 1),
            }
        }
        for (name, schema) in &new_properties {
            if old_properties.contains_key(name) {
                continue;
            }
            let needed = new_required.contains(name) && schema.get("default").is_none();
            let (level, word) =
                if needed { (Level::Major, "required") } else { (Level::Minor, "optional") };
            self.add(level, join(&below, name), format!("`{name}` is new and {word}."));
        }
        for name in new_required.difference(&old_required) {
            if old_properties.contains_key(name) {
                self.add(Level::Major, join(at, "required"), format!("`{name}` is now required."));
            }
        }
        for name in old_required.difference(&new_required) {
            if new_properties.contains_key(name) {
                let reason = format!("`{name}` is no longer required.");
                self.add(Level::Minor, join(at, "required"), reason);
            }
        }
    }

    fn rest(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, at: &str) {
        let at = join(at, "additionalProperties");
        let open = Value::Bool(true);
        let was = old.get("additionalProperties").map_or(open.clone(), bare);
        let is = new.get("additionalProperties").map_or(open.clone(), bare);
        if was == is {
            return;
        }
        if is == open || was == Value::Bool(false) {
            self.add(Level::Minor, at, "More members are accepted.".to_owned());
        } else {
            self.add(Level::Major, at, "Fewer members are accepted.".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changes(old: Value, new: Value) -> Vec<(Level, String)> {
        let wrap = |property: Value| json!({"type": "object", "properties": {"a": property}});
        let found = compare(&wrap(old), &wrap(new), "", Level::Major);
        found.into_iter().map(|change| (change.level, change.pointer)).collect()
    }

    #[test]
    fn each_change_has_its_level_and_place() {
        use Level::{Major, Minor, Patch};
        for (old, new, level, pointer) in [
            (json!({"maximum": 5}), json!({"maximum": 4}), Major, "maximum"),
            (json!({"maximum": 5}), json!({"maximum": 6}), Minor, "maximum"),
            (json!({"minimum": 5}), json!({"minimum": 6}), Major, "minimum"),
            (json!({"minimum": 5}), json!({"minimum": 4}), Minor, "minimum"),
            (json!({}), json!({"maxLength": 4}), Major, "maxLength"),
            (json!({"minItems": 1}), json!({}), Minor, "minItems"),
            (json!({"enum": [1, 2]}), json!({"enum": [1]}), Major, "enum"),
            (json!({"enum": [1]}), json!({"enum": [1, 2]}), Minor, "enum"),
            (json!({"default": 1}), json!({"default": 2}), Major, "default"),
            (json!({"default": 1}), json!({}), Major, "default"),
            (json!({"type": "number"}), json!({"type": "integer"}), Major, "type"),
            (json!({"type": "integer"}), json!({"type": "number"}), Minor, "type"),
            (json!({"type": "string"}), json!({"type": ["string", "null"]}), Minor, "type"),
            (json!({"title": "A"}), json!({"title": "B"}), Patch, "title"),
            (json!({"x-unit": "s"}), json!({"x-unit": "ms"}), Major, "x-unit"),
            (json!({}), json!({"x-alias-defaults": {"a": 1}}), Major, "x-alias-defaults"),
            (json!({}), json!({"x-form-field": "f"}), Minor, "x-form-field"),
            (json!({}), json!({"x-channel-sources": ["pvc"]}), Minor, "x-channel-sources"),
            (
                json!({"x-channel-sources": ["http", "pvc"]}),
                json!({"x-channel-sources": ["http"]}),
                Major,
                "x-channel-sources",
            ),
            (json!({"x-form-field": "f"}), json!({}), Major, "x-form-field"),
            (json!({"pattern": "a"}), json!({"pattern": "b"}), Major, "pattern"),
            (json!({"pattern": "a"}), json!({}), Minor, "pattern"),
            (
                json!({"additionalProperties": true}),
                json!({"additionalProperties": false}),
                Major,
                "additionalProperties",
            ),
            (
                json!({"items": {"maximum": 2}}),
                json!({"items": {"maximum": 1}}),
                Major,
                "items/maximum",
            ),
        ] {
            let found = changes(old.clone(), new.clone());
            let levels: Vec<Level> = found.iter().map(|(level, _)| *level).collect();
            assert_eq!(levels.iter().max(), Some(&level), "{old} {new}: {found:?}");
            let pointer = format!("/properties/a/{pointer}");
            assert!(found.contains(&(level, pointer)), "{old} {new}: {found:?}");
        }
    }

    #[test]
    fn properties_come_and_go() {
        let schema = |names: &[&str], required: &[&str]| {
            let properties: Map<String, Value> =
                names.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
            json!({"properties": properties, "required": required})
        };
        let level = |old: Value, new: Value| {
            compare(&old, &new, "", Level::Major).into_iter().map(|change| change.level).max()
        };
        assert_eq!(level(schema(&["a", "b"], &[]), schema(&["a"], &[])), Some(Level::Major));
        assert_eq!(level(schema(&["a"], &[]), schema(&["a", "b"], &[])), Some(Level::Minor));
        assert_eq!(level(schema(&["a"], &[]), schema(&["a", "b"], &["b"])), Some(Level::Major));
        assert_eq!(level(schema(&["a"], &[]), schema(&["a"], &["a"])), Some(Level::Major));
        assert_eq!(level(schema(&["a"], &["a"]), schema(&["a"], &[])), Some(Level::Minor));
        assert_eq!(level(schema(&["a"], &[]), schema(&["a"], &[])), None);
    }

    #[test]
    fn reference_and_copy_are_the_same_schema() {
        let copied = json!({"properties": {"a": {"type": "integer", "maximum": 3}}});
        let referred = json!({
            "properties": {"a": {"$ref": "#/$defs/A"}},
            "$defs": {"A": {"type": "integer", "maximum": 3}},
        });
        assert_eq!(compare(&copied, &referred, "", Level::Major), []);
        let narrowed = json!({
            "properties": {"a": {"$ref": "#/$defs/A"}},
            "$defs": {"A": {"type": "integer", "maximum": 2}},
        });
        assert_eq!(compare(&referred, &narrowed, "", Level::Major).len(), 1);
    }
}
