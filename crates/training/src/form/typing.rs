//! Values that were sent as text get the type that the plugin's schema asks for: `"0.001"` becomes a
//! number, `"True"` a boolean. A text that fits nothing stays a text, and the schema says what is
//! wrong with it.

use serde_json::Value;

/// References may lead in a circle.
const MAX_DEPTH: usize = 32;

/// The word of a parameter's schema for its defaults by alias.
const ALIAS_DEFAULTS: &str = "x-alias-defaults";

/// The word of a schema, at its root, for the sources of data that its plugin reads besides object
/// stores.
const CHANNEL_SOURCES: &str = "x-channel-sources";

/// The schema of a plugin's hyperparameters.
pub(crate) struct Schema {
    root: Value,
}

impl Schema {
    /// Reads a schema; one that cannot be read knows no parameter.
    pub(crate) fn parse(text: &str) -> Self {
        Self { root: serde_json::from_str(text).unwrap_or_default() }
    }

    /// The schema of one parameter, if there is such a parameter.
    pub(crate) fn property(&self, name: &str) -> Option<&Value> {
        self.property_of(&self.root, name, 0)
    }

    fn property_of<'s>(&'s self, schema: &'s Value, name: &str, depth: usize) -> Option<&'s Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        let own = schema.get("properties").and_then(|properties| properties.get(name));
        own.or_else(|| self.property_of(self.target(schema)?, name, depth + 1)).or_else(|| {
            let parts = ["allOf", "anyOf", "oneOf"].into_iter();
            let mut parts = parts.filter_map(|word| schema.get(word)?.as_array()).flatten();
            parts.find_map(|part| self.property_of(part, name, depth + 1))
        })
    }

    /// The parameter whose schema has `word` with this value.
    pub(crate) fn marked(&self, word: &str, value: &str) -> Option<&str> {
        let properties = self.root.get("properties")?.as_object()?;
        let marked = |schema: &Value| schema.get(word).is_some_and(|found| found == value);
        properties.iter().find(|(_, schema)| marked(schema)).map(|(name, _)| name.as_str())
    }

    /// What parameters are by default where the form names the algorithm by this alias.
    pub(crate) fn alias_defaults<'s>(
        &'s self,
        alias: &'s str,
    ) -> impl Iterator<Item = (&'s str, &'s Value)> {
        let properties = self.root.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().filter_map(move |(name, schema)| {
            Some((name.as_str(), schema.get(ALIAS_DEFAULTS)?.get(alias)?))
        })
    }

    /// Whether the plugin reads data from such a source. Those that do not say so know object stores.
    pub(crate) fn reads(&self, source: &str) -> bool {
        let told = self.root.get(CHANNEL_SOURCES).and_then(Value::as_array);
        source == "object-storage" || told.is_some_and(|told| told.iter().any(|it| it == source))
    }

    /// A value as its parameter's schema wants it.
    pub(crate) fn typed(&self, value: &Value, schema: &Value) -> Value {
        let Some(text) = value.as_str() else { return value.clone() };
        self.of_text(text, schema).unwrap_or_else(|| value.clone())
    }

    fn of_text(&self, text: &str, schema: &Value) -> Option<Value> {
        let plain = text.trim();
        let admitted = |value: &Value| self.admits(schema, value, 0);
        let raw = Some(Value::from(text));
        if plain.is_empty() {
            return Some(Value::Null).into_iter().chain(raw).find(admitted);
        }
        // A value as JSON writes it, or a program that is not so strict. Clients of SageMaker send
        // everything as JSON, also texts in their quotes.
        let as_json = serde_json::from_str(plain).ok();
        let other = match plain {
            "True" | "TRUE" => Some(Value::Bool(true)),
            "False" | "FALSE" => Some(Value::Bool(false)),
            "None" | "NULL" | "Null" => Some(Value::Null),
            _ => number(plain),
        };
        let mut found = as_json.into_iter().chain(other).chain(raw);
        found.find(admitted).or_else(|| self.list(plain, schema).filter(admitted))
    }

    /// `64,64` where a list is wanted.
    fn list(&self, text: &str, schema: &Value) -> Option<Value> {
        let items = self.items(schema, 0)?;
        let texts = text.split(',').map(str::trim);
        let typed = texts.map(|text| self.of_text(text, items).unwrap_or_else(|| text.into()));
        Some(typed.collect())
    }

    fn items<'s>(&'s self, schema: &'s Value, depth: usize) -> Option<&'s Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        let own = schema.get("items");
        own.or_else(|| self.items(self.target(schema)?, depth + 1)).or_else(|| {
            let parts = ["allOf", "anyOf", "oneOf"].into_iter();
            let mut parts = parts.filter_map(|word| schema.get(word)?.as_array()).flatten();
            parts.find_map(|part| self.items(part, depth + 1))
        })
    }

    /// Where a reference leads. Plugins' references stay inside their schema.
    fn target<'s>(&'s self, schema: &Value) -> Option<&'s Value> {
        self.root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
    }

    /// Whether a value has the right type, or is one of the right words. Ranges and patterns do not
    /// count: a number that is too large is a number all the same, and its mistake says so.
    fn admits(&self, schema: &Value, value: &Value, depth: usize) -> bool {
        let Value::Object(words) = schema else { return *schema != Value::Bool(false) };
        if depth > MAX_DEPTH {
            return true;
        }
        let below = |schema: &Value| self.admits(schema, value, depth + 1);
        words.iter().all(|(word, said)| match (word.as_str(), said) {
            ("type", Value::String(name)) => is_type(value, name),
            ("type", Value::Array(names)) => {
                names.iter().any(|name| name.as_str().is_some_and(|name| is_type(value, name)))
            }
            ("enum", Value::Array(values)) => values.contains(value),
            ("const", only) => only == value,
            ("anyOf" | "oneOf", Value::Array(options)) => options.iter().any(below),
            ("allOf", Value::Array(parts)) => parts.iter().all(below),
            ("items", items) => {
                let mut values = value.as_array().into_iter().flatten();
                values.all(|item| self.admits(items, item, depth + 1))
            }
            ("$ref", _) => self.target(schema).is_none_or(below),
            _ => true,
        })
    }
}

/// A number as people write it and JSON does not: `.5`, `5.`, `+5`, `007`.
fn number(text: &str) -> Option<Value> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let split = digits.find(['e', 'E']).unwrap_or(digits.len());
    let (mantissa, exponent) = digits.split_at(split);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    serde_json::from_str(&format!("{sign}{whole}{point}{fraction}{exponent}")).ok()
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        // `32.0` is refused as it is for numbers that are sent as such.
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schema: &Value, table: &[(&str, Value)]) {
        let known = Schema::parse(&json!({"properties": {"p": schema}}).to_string());
        let property = known.property("p").unwrap();
        for (text, expected) in table {
            assert_eq!(known.typed(&json!(text), property), *expected, "{text}: {schema}");
        }
    }

    #[test]
    fn texts_become_what_the_schema_asks_for() {
        check(
            &json!({"type": "number", "exclusiveMinimum": 0}),
            &[
                ("0.001", json!(0.001)),
                ("1e-3", json!(1e-3)),
                (".5", json!(0.5)),
                ("5.", json!(5)),
                ("+2", json!(2)),
                (" 32 ", json!(32)),
                ("-7", json!(-7)),
                ("fast", json!("fast")),
                ("NaN", json!("NaN")),
                ("1e999", json!("1e999")),
                ("", json!("")),
            ],
        );
        check(
            &json!({"type": "integer"}),
            &[
                ("32", json!(32)),
                ("007", json!(7)),
                ("32.0", json!("32.0")),
                ("0x10", json!("0x10")),
                ("99999999999999999999", json!("99999999999999999999")),
            ],
        );
        check(
            &json!({"type": "boolean"}),
            &[
                ("true", json!(true)),
                ("False", json!(false)),
                ("TRUE", json!(true)),
                ("1", json!("1")),
                ("yes", json!("yes")),
            ],
        );
        check(
            &json!({"type": "string"}),
            &[
                ("32", json!("32")),
                ("true", json!("true")),
                ("null", json!("null")),
                ("\"adam\"", json!("adam")),
                ("", json!("")),
            ],
        );
    }

    #[test]
    fn choices_take_the_first_type_that_fits() {
        check(
            &json!({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]}),
            &[("4", json!(4)), ("auto", json!("auto")), ("many", json!("many"))],
        );
        check(
            &json!({"type": ["integer", "null"]}),
            &[("4", json!(4)), ("null", json!(null)), ("None", json!(null)), ("", json!(null))],
        );
        check(&json!({"enum": ["1", "2"]}), &[("1", json!("1")), ("3", json!("3"))]);
        check(&json!({}), &[("4", json!(4)), ("text", json!("text"))]);
    }

    #[test]
    fn lists_are_json_or_have_commas() {
        let schema = json!({"type": "array", "items": {"type": "integer"}});
        check(
            &schema,
            &[
                ("[64, 32]", json!([64, 32])),
                ("64,32", json!([64, 32])),
                ("64", json!([64])),
                ("64,x", json!("64,x")),
            ],
        );
        let words = json!({"type": "array", "items": {"type": "string"}});
        check(&words, &[("rmse,mae", json!(["rmse", "mae"])), ("rmse", json!(["rmse"]))]);
        check(&json!({"type": "object"}), &[("{\"a\": 1}", json!({"a": 1}))]);
    }

    #[test]
    fn references_are_followed_and_may_lead_in_a_circle() {
        let schema = json!({
            "$ref": "#/$defs/All",
            "$defs": {
                "All": {"allOf": [{"properties": {"p": {"$ref": "#/$defs/Count"}}}]},
                "Count": {"type": "integer"},
                "Loop": {"$ref": "#/$defs/Loop"},
            },
            "properties": {"q": {"$ref": "#/$defs/Loop"}, "w": {"x-form-field": "workersPerNode"}},
        });
        let known = Schema::parse(&schema.to_string());
        assert_eq!(known.typed(&json!("3"), known.property("p").unwrap()), json!(3));
        assert_eq!(known.typed(&json!("3"), known.property("q").unwrap()), json!(3));
        assert!(known.property("r").is_none());
        assert_eq!(known.marked("x-form-field", "workersPerNode"), Some("w"));
        assert!(Schema::parse("no json").property("p").is_none());
    }
}
