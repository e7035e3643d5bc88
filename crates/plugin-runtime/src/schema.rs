//! A plugin's JSON Schema at work: all violations at once, in words for people, and defaults for
//! what was not sent. Schemas come from plugins, so they are bounded before they are compiled.

mod bounds;
mod explain;
mod shape;

use std::collections::BTreeMap;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value};
use training::ports::{FieldError, Prepared};

use crate::limits::{JSON_DEPTH, SCHEMA_BYTES};
use crate::schema::shape::Shape;
use crate::text;

/// Violations that are reported at most.
const MOST_ERRORS: usize = 100;
/// The word of a parameter for what it is by default under an alias of the algorithm.
const ALIAS_DEFAULTS: &str = "x-alias-defaults";

/// A compiled schema of an object.
#[derive(Debug)]
pub(crate) struct Schema {
    /// As it was written. Only violations are explained by it, and a tree of it takes several times
    /// its room.
    text: Box<str>,
    validator: Validator,
    shape: Shape,
}

impl Schema {
    /// Compiles a schema, or says in one sentence what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > SCHEMA_BYTES {
            return Err(format!("it has {} bytes; at most {SCHEMA_BYTES} are allowed", text.len()));
        }
        if !text::nests_within(text, JSON_DEPTH) {
            return Err(format!("it nests deeper than {JSON_DEPTH} levels"));
        }
        let document: Value =
            serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        if document.get("type").and_then(Value::as_str) != Some("object") {
            return Err("it must have `\"type\": \"object\"`".to_owned());
        }
        bounds::check(&document)?;
        // Linear-time patterns only: a pattern is the plugin's, the text it is tried on anybody's.
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(PatternOptions::regex())
            .offline()
            .build(&document)
            .map_err(|error| text::clean(&format!("it is not a JSON Schema: {error}"), 512))?;
        let shape = Shape::of(&document);
        let schema = Self { text: text.into(), validator, shape };
        schema.check_defaults(&document)?;
        Ok(schema)
    }

    /// Checks what was sent and fills what was not. `null` stands for an empty object.
    pub(crate) fn prepare(&self, sent: &Value) -> Prepared {
        let mut value = match sent {
            Value::Null => Value::Object(Map::new()),
            sent => sent.clone(),
        };
        let errors = self.errors(&value);
        self.shape.fill(&mut value);
        Prepared { hyperparameters: value, errors }
    }

    /// Fills defaults only.
    pub(crate) fn fill(&self, value: &mut Value) {
        self.shape.fill(value);
    }

    /// Every violation.
    pub(crate) fn errors(&self, value: &Value) -> Vec<FieldError> {
        // The common case is cheaper than the search for every violation.
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        let document = serde_json::from_str(&self.text).unwrap_or_default();
        self.validator
            .iter_errors(value)
            .flat_map(|error| explain::explain(&error, &document))
            .take(MOST_ERRORS)
            .collect()
    }

    /// A default that breaks its own schema would make every job invalid that relies on it. Those of
    /// an alias are filled in together, as they are for a form that names it.
    fn check_defaults(&self, document: &Value) -> Result<(), String> {
        self.check_filled(Map::new(), "a default")?;
        for (alias, defaults) in alias_defaults(document)? {
            self.check_filled(defaults, &format!("a default of the alias `{alias}`"))?;
        }
        Ok(())
    }

    fn check_filled(&self, sent: Map<String, Value>, what: &str) -> Result<(), String> {
        let mut value = Value::Object(sent);
        self.shape.fill(&mut value);
        match self.errors(&value).into_iter().find(|error| error.code != "required") {
            None => Ok(()),
            Some(error) => {
                Err(format!("{what} breaks it at `{}`: {}", error.pointer, error.detail))
            }
        }
    }
}

/// What parameters are by default for each alias that has defaults of its own.
fn alias_defaults(document: &Value) -> Result<BTreeMap<String, Map<String, Value>>, String> {
    let mut found: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let properties = document.get("properties").and_then(Value::as_object);
    for (name, schema) in properties.into_iter().flatten() {
        let Some(defaults) = schema.get(ALIAS_DEFAULTS) else { continue };
        let Value::Object(defaults) = defaults else {
            return Err(text::clean(
                &format!("`{ALIAS_DEFAULTS}` of `{name}` must be an object"),
                512,
            ));
        };
        for (alias, value) in defaults {
            found.entry(alias.clone()).or_default().insert(name.clone(), value.clone());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        Schema::parse(
            &json!({
                "type": "object",
                "additionalProperties": false,
                "required": ["rounds"],
                "properties": {
                    "rounds": {"type": "integer", "minimum": 1},
                    "learning_rate": {"type": "number", "default": 0.3, "maximum": 1},
                    "booster": {"enum": ["gbtree", "dart"], "default": "gbtree"},
                    "verbose": {"type": "boolean", "default": true},
                    "tree": {"$ref": "#/$defs/Tree", "default": {}},
                },
                "$defs": {"Tree": {
                    "type": "object",
                    "properties": {"depth": {"type": "integer", "default": 6}},
                }},
            })
            .to_string(),
        )
        .unwrap()
    }

    #[test]
    fn defaults_fill_what_is_absent_and_keep_what_was_sent() {
        let sent = json!({"rounds": 0.0, "learning_rate": 0, "verbose": false});
        let prepared = schema().prepare(&sent);
        let expected = json!({
            "rounds": 0, "learning_rate": 0, "verbose": false,
            "booster": "gbtree", "tree": {"depth": 6},
        });
        assert_eq!(prepared.hyperparameters, expected);
        assert_eq!(prepared.errors.len(), 1, "{:?}", prepared.errors);
    }

    #[test]
    fn null_stands_for_an_empty_object() {
        let prepared = schema().prepare(&Value::Null);
        let expected =
            vec![FieldError::new("/rounds", "required", "`rounds` is required.".to_owned())];
        assert_eq!(prepared.errors, expected);
        assert_eq!(prepared.hyperparameters["tree"]["depth"], json!(6));
    }

    #[test]
    fn every_violation_is_explained_at_its_field() {
        let sent = json!({
            "rounds": 0, "learning_rate": 2, "booster": "dar", "verbose": "yes",
            "learing_rate": 1, "tree": {"depth": 1.5},
        });
        let mut errors: Vec<String> = schema()
            .prepare(&sent)
            .errors
            .into_iter()
            .map(|error| format!("{} {}: {}", error.pointer, error.code, error.detail))
            .collect();
        errors.sort();
        let expected = [
            "/booster not-allowed: `booster` must be one of \"gbtree\", \"dart\"; it is \"dar\".",
            "/learing_rate unknown-field: There is no field `learing_rate`; did you mean `learning_rate`?",
            "/learning_rate out-of-range: `learning_rate` must be at most 1; it is 2.",
            "/rounds out-of-range: `rounds` must be at least 1; it is 0.",
            "/tree/depth type: `depth` must be an integer; it is 1.5.",
            "/verbose type: `verbose` must be a boolean; it is \"yes\".",
        ];
        assert_eq!(errors, expected);
    }

    #[test]
    fn something_else_than_an_object_is_one_error() {
        let prepared = schema().prepare(&json!([1]));
        assert_eq!(prepared.errors.len(), 1);
        assert_eq!(
            (prepared.errors[0].pointer.as_str(), prepared.errors[0].code.as_str()),
            ("", "type")
        );
    }

    #[test]
    fn alternatives_are_explained_by_the_one_that_fits_best() {
        let schema = Schema::parse(
            r#"{"type": "object", "properties": {
                "a": {"anyOf": [{"type": "integer", "minimum": 3}, {"type": "null"}]},
                "b": {"oneOf": [{"const": "x"}, {"const": "y"}]}
            }}"#,
        )
        .unwrap();
        let errors = schema.prepare(&json!({"a": 1, "b": "z"})).errors;
        let codes: Vec<_> = errors.iter().map(|e| (e.pointer.as_str(), e.code.as_str())).collect();
        assert_eq!(codes, [("/a", "out-of-range"), ("/b", "not-allowed")]);
        assert!(errors[1].detail.contains("\"x\", \"y\""), "{}", errors[1].detail);
    }

    #[test]
    fn defaults_of_aliases_are_held_to_the_schema() {
        let with = |stage: Value, offload: Value| {
            let schema = json!({
                "type": "object",
                "properties": {
                    "stage": {"type": "integer", "maximum": 3, "default": 0, ALIAS_DEFAULTS: stage},
                    "offload": {"type": "boolean", "default": false, ALIAS_DEFAULTS: offload},
                },
                "if": {"properties": {"offload": {"const": true}}},
                "then": {"properties": {"stage": {"minimum": 2}}},
            });
            Schema::parse(&schema.to_string()).map(drop)
        };
        assert_eq!(with(json!({"zero": 3}), json!({"zero": true})), Ok(()));
        for (stage, offload, expected) in [
            (json!({"zero": "3"}), json!({}), "default of the alias `zero` breaks it at `/stage`"),
            (json!({"zero": 4}), json!({}), "`stage` must be at most 3"),
            (json!({"a": 3, "zero": null}), json!({}), "default of the alias `zero`"),
            // Each is valid alone, and the two are not together.
            (json!({"zero": 1}), json!({"zero": true}), "`stage` must be at least 2"),
            (json!({"zero": 2}), json!({"other": true}), "default of the alias `other`"),
            (json!([3]), json!({}), "`x-alias-defaults` of `stage` must be an object"),
        ] {
            let error = with(stage.clone(), offload.clone()).unwrap_err();
            assert!(error.contains(expected), "{stage} {offload}: {error}");
        }
    }

    #[test]
    fn hostile_schemas_are_refused() {
        let doubling = {
            let mut defs = Map::new();
            for level in 0..40 {
                let next = format!("#/$defs/d{}", level + 1);
                defs.insert(
                    format!("d{level}"),
                    json!({"allOf": [{"$ref": next}, {"$ref": next}]}),
                );
            }
            defs.insert("d40".to_owned(), json!({}));
            json!({"type": "object", "$ref": "#/$defs/d0", "$defs": defs}).to_string()
        };
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"type": "string"}"#,
            r#"{"type": "object", "properties": {"a": {"type": "nonsense"}}}"#,
            r##"{"type": "object", "$ref": "#"}"##,
            r##"{"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}},
                 "$defs": {"A": {"properties": {"a": {"$ref": "#/$defs/A"}}}}}"##,
            r#"{"type": "object", "properties": {"a": {"$ref": "https://example.com/s.json"}}}"#,
            r#"{"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}}"#,
            r#"{"type": "object", "properties": {"a": {"type": "string", "pattern": "(a+)+\\1"}}}"#,
            r#"{"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}}"#,
            &doubling,
            &deep,
        ] {
            assert!(Schema::parse(bad).is_err(), "{bad}");
        }
    }
}
