//! The document with plugins: names, references, and that it says what the parser does.

use std::sync::Arc;

use jsonschema::Validator;
use serde_json::{Value, json};
use training::Sha256Digest;
use training::ports::PluginInfo;

use super::live::{Live, component_name, rebased, with_algorithms};
use training::form::{Serving, Surroundings, parse};

fn plugin(name: &str, schema: &Value) -> Arc<PluginInfo> {
    Arc::new(PluginInfo {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        digest: Sha256Digest::of(name),
        algorithms: vec![format!("{name}_x.y"), name.to_owned()],
        title: name.to_owned(),
        summary: "Trains.".to_owned(),
        schema: schema.to_string(),
        schema_digest: Sha256Digest::of("schema"),
        settings_schema: "{}".to_owned(),
        kinds: Vec::new(),
        interpreters: Vec::new(),
        suspend: None,
        examples: vec![json!({
            "jobName": "example",
            "algorithm": {"algorithmName": name},
            "hyperparameters": {name: {"eta": 0.5, "nested": {"eta": 0.1}}},
        })],
    })
}

/// Uses every way of referring to itself, and data that only looks like it.
fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://plugin.example/schema",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "eta": {"$ref": "#/$defs/share"},
            "$ref": {"type": "string", "default": "#/$defs/share"},
            "nested": {"allOf": [{"properties": {"eta": {"$ref": "#/$defs/share"}}}]},
            "kind": {"enum": [{"$ref": "#/$defs/share"}, {"$id": "x"}]},
        },
        "$defs": {"share": {"type": "number", "maximum": 1}},
    })
}

fn document() -> Value {
    let base = serde_json::to_value(super::document()).unwrap();
    with_algorithms(base, &[plugin("trees", &schema()), plugin("forest", &json!({}))])
}

/// Every `$ref` of a value that is not data.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(target) if name == "$ref" => found.push(target.clone()),
                    _ if ["enum", "default", "examples", "example"].contains(&name.as_str()) => {}
                    _ => references(value, found),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_a_schema_with_a_legal_name() {
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for target in found {
        let pointer = target.strip_prefix('#').unwrap_or_else(|| panic!("{target} leads away"));
        assert!(document.pointer(pointer).is_some(), "{target} leads nowhere");
    }
    let components = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in components {
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        assert!(name.chars().all(legal), "{name}");
        assert!(jsonschema::meta::is_valid(schema), "{name} is no schema: {schema}");
    }
    assert_eq!(document["openapi"], "3.1.0");
}

#[test]
fn references_and_identifiers_move_but_data_stays() {
    let moved = rebased(schema(), "#/at");
    let expected = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "eta": {"$ref": "#/at/$defs/share"},
            "$ref": {"type": "string", "default": "#/$defs/share"},
            "nested": {"allOf": [{"properties": {"eta": {"$ref": "#/at/$defs/share"}}}]},
            "kind": {"enum": [{"$ref": "#/$defs/share"}, {"$id": "x"}]},
        },
        "$defs": {"share": {"type": "number", "maximum": 1}},
    });
    assert_eq!(moved, expected);
}

#[test]
fn component_names_are_legal_and_different_for_any_two_names() {
    let names = ["a b", "a_20b", "a.b", "a/b", "é", "a~1b", "#", "", "a-b"];
    let mut safe: Vec<String> = names.iter().map(|name| component_name(name)).collect();
    assert!(
        safe.iter()
            .all(|name| { name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) })
    );
    safe.sort();
    safe.dedup();
    assert_eq!(safe.len(), names.len(), "{safe:?}");
}

/// A validator of any form, as a client makes one from the document.
fn any_form() -> Validator {
    let mut document = document();
    document["$ref"] = json!("#/components/schemas/JobForm");
    jsonschema::validator_for(&document).unwrap()
}

#[test]
fn forms_are_told_apart_by_their_algorithm() {
    let forms = any_form();
    let form = |algorithm: Value, eta: f64| {
        let hyperparameters = json!({"trees": {"eta": eta}, "forest": {"eta": eta}});
        json!({"jobName": "a", "algorithm": algorithm, "hyperparameters": hyperparameters})
    };
    assert!(forms.is_valid(&form(json!({"algorithmName": "trees"}), 0.5)));
    assert!(forms.is_valid(&form(json!("trees_x.y"), 0.5)));
    assert!(!forms.is_valid(&form(json!({"algorithmName": "trees"}), 1.5)));
    assert!(forms.is_valid(&form(json!({"algorithmName": "forest"}), 1.5)));
    assert!(!forms.is_valid(&form(json!({"algorithmName": "jungle"}), 0.5)));
    let body = &document()["paths"]["/api/v1/jobs"]["post"]["requestBody"]["content"];
    let examples = body["application/json"]["examples"].as_object().unwrap();
    assert_eq!(examples.len(), 2);
    for example in examples.values() {
        assert!(forms.is_valid(&example["value"]), "{example}");
    }
}

#[test]
fn flat_forms_are_described_beside_the_nested_ones() {
    let forms = any_form();
    let flat = json!({"name": "a", "jobType": "trees", "cpuRequest": "500m", "replicas": 2});
    assert!(forms.is_valid(&flat));
    for (member, value) in [
        ("jobType", json!("jungle")),
        ("framework", json!("jungle")),
        ("replicas", json!("2")),
        ("jobName", json!("a")),
        ("resources", json!({})),
    ] {
        let mut wrong = flat.clone();
        wrong[member] = value;
        assert!(!forms.is_valid(&wrong), "{wrong}");
    }
}

#[test]
fn parser_accepts_every_member_of_the_flat_form_and_the_limits_are_its_own() {
    let serving = Serving {
        algorithms: &["trees".to_owned()],
        schema: r#"{"properties": {"p": {"x-form-field": "workersPerNode"}}}"#,
    };
    let around = Surroundings { serving: Some(serving), clusters: &[] };
    let whole = super::form::flat_schema(&["trees".to_owned()]);
    let members = whole["properties"].as_object().unwrap().iter();
    let mut form: Value = members
        .map(|(name, schema)| {
            let value = match schema["examples"][0].clone() {
                Value::Null if schema["maximum"].is_number() => schema["maximum"].clone(),
                Value::Null => filled(schema),
                example => example,
            };
            (name.clone(), value)
        })
        .collect();
    form["framework"] = json!("trees");
    let parsed = parse(form.clone(), &around);
    assert!(parsed.is_ok(), "{form}: {:?}", parsed.err().map(|mistaken| mistaken.errors));
    for member in ["replicas", "gpuRequest", "workersPerNode"] {
        let mut beyond = form.clone();
        beyond[member] = json!(form[member].as_i64().unwrap() + 1);
        let errors = parse(beyond, &around).unwrap_err().errors;
        assert_eq!(errors[0].pointer, format!("/{member}"));
    }
}

/// Each member of an object schema with a value of its type, however deep.
fn filled(schema: &Value) -> Value {
    if let Some(value) = schema["enum"].as_array().and_then(|values| values.first()) {
        return value.clone();
    }
    if let Some(last) = schema["anyOf"].as_array().and_then(|options| options.last()) {
        return filled(last);
    }
    match schema["type"].as_str() {
        Some("object") => {
            let members = schema["properties"].as_object().into_iter().flatten();
            members.map(|(name, schema)| (name.clone(), filled(schema))).collect()
        }
        Some("integer") => schema["maximum"].clone(),
        Some("boolean") => Value::Bool(true),
        Some("array") => json!([]),
        _ => json!("a"),
    }
}

#[test]
fn parser_accepts_every_member_that_the_document_promises() {
    let whole = super::form::schema(&["trees".to_owned()], "Trees", "#/x");
    let mut form = filled(&whole);
    form["outputDataConfig"]["artifactUri"] = json!("s3://bucket/prefix");
    form["hyperparameters"]["trees"] = json!({});
    form["algorithm"]["imageUri"] = json!("busybox:1");
    let serving = Serving { algorithms: &["trees".to_owned()], schema: "{}" };
    let around = Surroundings { serving: Some(serving), clusters: &[] };
    let parsed = parse(form.clone(), &around);
    assert!(parsed.is_ok(), "{form}: {:?}", parsed.err().map(|mistaken| mistaken.errors));
    // One step beyond a limit of the document is beyond that of the parser.
    for pointer in [
        "/priority",
        "/resources/instanceCount",
        "/resources/volumeSizeGB",
        "/resources/instanceResources/cpuCores",
        "/resources/instanceResources/memoryGiB",
        "/resources/instanceResources/gpuCount",
        "/stoppingCondition/maxRuntimeSeconds",
    ] {
        let mut beyond = form.clone();
        let value = beyond.pointer_mut(pointer).unwrap();
        *value = json!(value.as_i64().unwrap() + 1);
        let errors = parse(beyond, &around).unwrap_err().errors;
        assert_eq!(errors.first().map(|error| error.pointer.as_str()), Some(pointer));
    }
}

#[test]
fn document_is_made_once_per_set_of_serving_versions() {
    let plugins = training::testing::MemoryPlugins::default();
    let live = Live::new(serde_json::to_value(super::document()).unwrap());
    let empty = live.document(&plugins);
    plugins.add("trees", "1.0.0", true);
    let first = live.document(&plugins);
    assert_ne!(first.tag, empty.tag);
    assert!(Arc::ptr_eq(&first, &live.document(&plugins)));
    plugins.add("trees", "1.1.0", true);
    assert!(!Arc::ptr_eq(&first, &live.document(&plugins)));
}
