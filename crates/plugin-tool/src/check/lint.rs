//! The schemas and the description of a plugin, as people and programs will read them: the web
//! form, the flags of the command line, the reference page.

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::{Map, Value, json};
use training::ports::PluginInfo;

use super::report::Section;

/// The words of JSON Schema that forms, flags and documents understand.
const KEYWORDS: &[&str] = &[
    "$comment",
    "$defs",
    "$ref",
    "$schema",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "default",
    "dependentRequired",
    "deprecated",
    "description",
    "else",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "properties",
    "propertyNames",
    "required",
    "then",
    "title",
    "type",
    "uniqueItems",
];

/// Words of our own; see the contract.
const OWN_WORDS: &[&str] = &[
    "x-alias-defaults",
    "x-channel-sources",
    "x-form-field",
    "x-group",
    "x-unit",
    "x-visible-when",
];
/// Sources of data that a plugin may say it reads besides object stores.
const CHANNEL_SOURCES: &[&str] = &["pvc", "http"];
/// Fields of other dialects of the form that a parameter can stand for.
const FORM_FIELDS: &[&str] = &["workersPerNode", "command", "ports"];

/// Which of the two schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Hyperparameters,
    Settings,
}

/// Checks both schemas and the texts of the description.
pub(crate) fn run(info: &PluginInfo) -> Vec<Section> {
    let size = |form: &Value| form.to_string().len();
    let mut texts = Section::new("description");
    texts.findings("title and summary are for people", people(info));
    texts.findings(
        "it has examples, the smallest first",
        if info.examples.is_empty() {
            vec!["there is no example; the form, the docs and this check need one".to_owned()]
        } else if info.examples.iter().map(size).min() == info.examples.first().map(size) {
            Vec::new()
        } else {
            vec!["the first example is not the smallest".to_owned()]
        },
    );
    vec![
        texts,
        lint("schema of hyperparameters", Whose::Hyperparameters, &info.schema),
        lint("schema of settings", Whose::Settings, &info.settings_schema),
    ]
}

fn people(info: &PluginInfo) -> Vec<String> {
    let mut found = Vec::new();
    if info.title.trim().is_empty() {
        found.push("the title is empty".to_owned());
    }
    if !info.summary.trim_end().ends_with(['.', '!', '?']) {
        found.push("the summary is not a whole sentence with a full stop".to_owned());
    }
    found
}

fn lint(name: &'static str, whose: Whose, text: &str) -> Section {
    let mut section = Section::new(name);
    // The runtime has parsed it before.
    let root: Value = serde_json::from_str(text).unwrap_or_default();
    let meta: Vec<String> = match jsonschema::draft202012::meta::validate(&root) {
        Ok(()) => Vec::new(),
        Err(error) => vec![format!("{}: {error}", error.instance_path())],
    };
    section.findings("it is JSON Schema 2020-12", meta);
    let mut walk = Walk { root: &root, whose, found: Found::default() };
    walk.schema(&root, "");
    let Found { words, texts, defaults, ranges, names } = walk.found;
    section.findings("it uses the documented words only", words);
    section.findings("every property says what it is", texts);
    section.findings("every optional property has a default that it accepts", defaults);
    section.findings("ranges and choices can be met", ranges);
    section.findings("names are of one style", names);
    section
}

#[derive(Debug, Default)]
struct Found {
    words: Vec<String>,
    texts: Vec<String>,
    defaults: Vec<String>,
    ranges: Vec<String>,
    names: Vec<String>,
}

struct Walk<'a> {
    root: &'a Value,
    whose: Whose,
    found: Found,
}

/// A pointer to a member.
fn join(at: &str, member: &str) -> String {
    format!("{at}/{}", member.replace('~', "~0").replace('/', "~1"))
}

impl Walk<'_> {
    fn schema(&mut self, schema: &Value, at: &str) {
        let Value::Object(members) = schema else { return };
        for (word, value) in members {
            let known = KEYWORDS.contains(&word.as_str()) || OWN_WORDS.contains(&word.as_str());
            if !known {
                self.found.words.push(format!("{at}: `{word}` is not among the documented words"));
            }
            match word.as_str() {
                "$ref" if !value.as_str().is_some_and(|text| text.starts_with('#')) => {
                    self.found.words.push(format!("{at}: `$ref` leads out of the document"));
                }
                "x-group" | "x-unit" if !value.is_string() => {
                    self.found.words.push(format!("{at}: `{word}` must be a string"));
                }
                "x-alias-defaults" if !value.is_object() => {
                    self.found.words.push(format!("{at}: `{word}` must be an object of defaults"));
                }
                "x-channel-sources" => {
                    if !at.is_empty() {
                        self.found.words.push(format!("{at}: `{word}` belongs to the root"));
                    }
                    let known =
                        |it: &Value| it.as_str().is_some_and(|it| CHANNEL_SOURCES.contains(&it));
                    if !value.as_array().is_some_and(|all| all.iter().all(known)) {
                        let known = CHANNEL_SOURCES.join(", ");
                        self.found.words.push(format!("{at}: `{word}` must be a list of: {known}"));
                    }
                }
                "x-form-field" if !value.as_str().is_some_and(|it| FORM_FIELDS.contains(&it)) => {
                    let known = FORM_FIELDS.join(", ");
                    self.found.words.push(format!("{at}: `{word}` must be one of: {known}"));
                }
                "properties" | "patternProperties" | "$defs" => {
                    for (name, inner) in value.as_object().into_iter().flatten() {
                        self.schema(inner, &join(&join(at, word), name));
                    }
                }
                "allOf" | "anyOf" | "oneOf" => {
                    for (index, inner) in value.as_array().into_iter().flatten().enumerate() {
                        self.schema(inner, &format!("{at}/{word}/{index}"));
                    }
                }
                "items"
                | "additionalProperties"
                | "propertyNames"
                | "not"
                | "if"
                | "then"
                | "else" => self.schema(value, &join(at, word)),
                _ => {}
            }
        }
        self.ranges(members, at);
        if let Some(Value::Object(properties)) = members.get("properties") {
            // Conditions repeat properties that are described elsewhere.
            let condition = ["if", "then", "else", "not"]
                .iter()
                .any(|word| at.split('/').any(|part| part == *word));
            if !condition {
                self.properties(members, properties, at);
            }
        }
    }

    fn properties(
        &mut self,
        object: &Map<String, Value>,
        properties: &Map<String, Value>,
        at: &str,
    ) {
        let at = join(at, "properties");
        let required: BTreeSet<&str> = object
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        // Inside lists an absent member has nothing to stand for it but the plugin's own choice.
        let optional_without_default =
            at.contains("/items/") || at.contains("/additionalProperties/");
        for (name, schema) in properties {
            let at = join(&at, name);
            let has = |word: &str| {
                self.resolve(schema)
                    .get(word)
                    .or_else(|| schema.get(word))
                    .is_some_and(|text| text.as_str().is_some_and(|text| !text.trim().is_empty()))
            };
            let untitled = self.whose == Whose::Hyperparameters && !has("title");
            let undescribed = !has("description");
            if untitled {
                self.found.texts.push(format!("{at}: it has no `title`"));
            }
            if undescribed {
                self.found.texts.push(format!("{at}: it has no `description`"));
            }
            match schema.get("default") {
                Some(default) => {
                    if let Some(why) = self.refuses(schema, default) {
                        self.found.defaults.push(format!("{at}/default: {why}"));
                    }
                }
                None if self.whose == Whose::Settings && !optional_without_default => {
                    self.found.defaults.push(format!("{at}: every setting needs a `default`"));
                }
                None if !required.contains(name.as_str()) && !optional_without_default => {
                    self.found.defaults.push(format!("{at}: it is optional and has no `default`"));
                }
                None => {}
            }
            let aliases = schema.get("x-alias-defaults").and_then(Value::as_object);
            for (alias, default) in aliases.into_iter().flatten() {
                if let Some(why) = self.refuses(schema, default) {
                    let at = join(&join(&at, "x-alias-defaults"), alias);
                    self.found.defaults.push(format!("{at}: {why}"));
                }
            }
            if let Some(conditions) = schema.get("x-visible-when") {
                self.visible_when(conditions, properties, &at);
            }
        }
        let mixed: Vec<&str> = {
            let snake = properties.keys().filter(|name| name.contains('_')).count();
            let camel = |name: &&String| name.chars().any(|c| c.is_ascii_uppercase());
            let camels: Vec<&String> = properties.keys().filter(camel).collect();
            if snake > 0 { camels.into_iter().map(String::as_str).collect() } else { Vec::new() }
        };
        if !mixed.is_empty() {
            self.found.names.push(format!(
                "{at}: {} are camelCase among names in snake_case",
                mixed.join(", ")
            ));
        }
        for name in properties.keys() {
            let plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !plain {
                self.found.names.push(format!(
                    "{at}: `{name}` is not a name of letters, digits and underscores"
                ));
            }
        }
    }

    fn visible_when(&mut self, conditions: &Value, siblings: &Map<String, Value>, at: &str) {
        let at = join(at, "x-visible-when");
        let Value::Object(conditions) = conditions else {
            self.found.words.push(format!("{at}: it must be an object of siblings and values"));
            return;
        };
        for (name, values) in conditions {
            let Some(sibling) = siblings.get(name) else {
                self.found.words.push(format!("{at}: there is no sibling `{name}`"));
                continue;
            };
            let Some(values) = values.as_array().filter(|values| !values.is_empty()) else {
                self.found.words.push(format!("{at}: `{name}` needs a list of values"));
                continue;
            };
            for value in values {
                if self.refuses(sibling, value).is_some() {
                    self.found.words.push(format!("{at}: `{name}` can never be {value}"));
                }
            }
        }
    }

    fn ranges(&mut self, members: &Map<String, Value>, at: &str) {
        let number = |word: &str| members.get(word).and_then(Value::as_f64);
        for (low, high) in [
            ("minimum", "maximum"),
            ("exclusiveMinimum", "exclusiveMaximum"),
            ("minimum", "exclusiveMaximum"),
            ("exclusiveMinimum", "maximum"),
            ("minLength", "maxLength"),
            ("minItems", "maxItems"),
            ("minProperties", "maxProperties"),
        ] {
            if let (Some(least), Some(most)) = (number(low), number(high)) {
                let open = low.starts_with("exclusive") || high.starts_with("exclusive");
                if least > most || open && least >= most {
                    self.found.ranges.push(format!(
                        "{at}: `{low}` {least} leaves nothing below `{high}` {most}"
                    ));
                }
            }
        }
        if let Some(Value::Array(choices)) = members.get("enum") {
            if choices.is_empty() {
                self.found.ranges.push(format!("{at}: `enum` is empty"));
            }
            for choice in choices {
                let mut typed = members.clone();
                typed.remove("enum");
                if let Some(why) = self.refuses(&Value::Object(typed), choice) {
                    self.found.ranges.push(format!("{at}/enum: {choice} can never be used: {why}"));
                }
            }
        }
    }

    /// The target of a reference; the schema itself if it has none.
    fn resolve<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let pointer = schema.get("$ref").and_then(Value::as_str);
        pointer
            .and_then(|text| text.strip_prefix('#'))
            .and_then(|pointer| self.root.pointer(pointer))
            .unwrap_or(schema)
    }

    /// Why the schema does not accept the value; `None` if it does.
    fn refuses(&self, schema: &Value, value: &Value) -> Option<String> {
        match within(self.root, schema) {
            Ok(validator) => validator.validate(value).err().map(|error| error.to_string()),
            Err(why) => Some(why),
        }
    }
}

/// A validator of one part of a document.
pub(crate) fn within(root: &Value, schema: &Value) -> Result<Validator, String> {
    let mut document = json!({"allOf": [schema]});
    if let (Some(members), Some(definitions)) = (document.as_object_mut(), root.get("$defs")) {
        members.insert("$defs".to_owned(), definitions.clone());
    }
    jsonschema::draft202012::new(&document).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(whose: Whose, schema: Value) -> Vec<String> {
        let section = lint("schema", whose, &schema.to_string());
        let report =
            super::super::report::Report { plugin: Value::Null, seed: 0, sections: vec![section] };
        report.failures()
    }

    fn property(extra: Value) -> Value {
        let mut property =
            json!({"title": "T", "description": "D.", "type": "integer", "default": 1});
        property.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"type": "object", "properties": {"a": property, "b": {
            "title": "B", "description": "B.", "enum": ["x", "y"], "default": "x",
        }}})
    }

    #[test]
    fn good_schema_has_no_finding() {
        let good = property(json!({
            "x-visible-when": {"b": ["y"]}, "minimum": 1, "maximum": 1, "x-alias-defaults": {"c": 1},
        }));
        assert_eq!(failures(Whose::Hyperparameters, good.clone()), Vec::<String>::new());
        assert_eq!(failures(Whose::Settings, good), Vec::<String>::new());
    }

    #[test]
    fn each_slip_is_found_where_it_is() {
        for (extra, expected) in [
            (json!({"title": ""}), "/properties/a: it has no `title`"),
            (json!({"default": "x"}), "/properties/a/default: "),
            (json!({"minimum": 2}), "/properties/a/default: "),
            (json!({"minimum": 1, "maximum": 0}), "`minimum` 1 leaves nothing below `maximum` 0"),
            (json!({"exclusiveMinimum": 1, "maximum": 1}), "leaves nothing"),
            (json!({"contains": {}}), "`contains` is not among the documented words"),
            (json!({"x-colour": "red"}), "`x-colour` is not among the documented words"),
            (json!({"x-group": 1}), "`x-group` must be a string"),
            (
                json!({"x-channel-sources": ["pvc"]}),
                "/properties/a: `x-channel-sources` belongs to",
            ),
            (json!({"x-alias-defaults": 1}), "`x-alias-defaults` must be an object"),
            (json!({"x-alias-defaults": {"b": 2, "c": "x"}}), "/properties/a/x-alias-defaults/c: "),
            (
                json!({"x-alias-defaults": {"b": 2}, "maximum": 1}),
                "x-alias-defaults/b: 2 is greater",
            ),
            (json!({"x-form-field": "jobName"}), "`x-form-field` must be one of"),
            (json!({"x-visible-when": {"c": ["y"]}}), "there is no sibling `c`"),
            (json!({"x-visible-when": {"b": ["z"]}}), "`b` can never be \"z\""),
            (json!({"x-visible-when": {"b": "y"}}), "`b` needs a list of values"),
            (json!({"enum": [1, "x"]}), "\"x\" can never be used"),
            (json!({"enum": []}), "`enum` is empty"),
            (json!({"minimum": "x"}), "it is JSON Schema 2020-12"),
        ] {
            let found = failures(Whose::Hyperparameters, property(extra.clone()));
            assert!(found.iter().any(|line| line.contains(expected)), "{extra}: {found:?}");
        }
    }

    #[test]
    fn sources_of_data_are_known_ones() {
        let with = |sources: Value| {
            let mut schema = property(json!({}));
            schema["x-channel-sources"] = sources;
            failures(Whose::Hyperparameters, schema)
        };
        assert_eq!(with(json!(["pvc", "http"])), Vec::<String>::new());
        for wrong in [json!("pvc"), json!(["ftp"]), json!([1])] {
            let found = with(wrong.clone());
            assert!(
                found.iter().any(|line| line.contains("must be a list of")),
                "{wrong}: {found:?}"
            );
        }
    }

    #[test]
    fn optional_needs_a_default_and_every_setting_does() {
        let bare = json!({"title": "T", "description": "D.", "type": "integer"});
        let optional = json!({"type": "object", "properties": {"a": bare.clone()}});
        assert_eq!(failures(Whose::Hyperparameters, optional).len(), 1);
        let required = json!({"type": "object", "required": ["a"], "properties": {"a": bare}});
        assert!(failures(Whose::Hyperparameters, required.clone()).is_empty());
        assert_eq!(failures(Whose::Settings, required).len(), 1);
    }

    #[test]
    fn names_of_two_styles_are_a_finding() {
        let named = |names: [&str; 2]| {
            let property = json!({"title": "T", "description": "D.", "default": 1});
            let properties: Map<String, Value> =
                names.iter().map(|name| ((*name).to_owned(), property.clone())).collect();
            failures(Whose::Hyperparameters, json!({"type": "object", "properties": properties}))
        };
        assert!(named(["max_depth", "eta"]).is_empty());
        assert!(named(["maxDepth", "eta"]).is_empty());
        assert_eq!(named(["max_depth", "numRound"]).len(), 1);
        assert_eq!(named(["max-depth", "eta"]).len(), 1);
    }
}
