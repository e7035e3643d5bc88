//! Jobs from a plugin's own schema, and statuses from the words that operators use.
#![expect(clippy::indexing_slicing, reason = "what a JSON value does not have is null")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{schema_of, text};
use crate::{Converter, guest};

/// Jobs of every size, with few parameters off their defaults each: many at once mostly end at a
/// rule across fields.
pub(super) fn any_job<C: Converter>(settings: &Value) -> BoxedStrategy<String> {
    let settings = settings.clone();
    let description = guest::describe::<C>();
    let algorithm = description.algorithms.first().cloned().unwrap_or_default();
    let workloads = description.kinds.iter().filter(|kind| kind.workload);
    let longest = workloads.map(|kind| kind.max_name_length).min().unwrap_or(63);
    let names = proptest::sample::select(vec![1_usize, 4, 20, longest as usize])
        .prop_map(|length| "n".repeat(length));
    (names, any_parameters::<C>(), any_resources(), any_channels(), any_rest())
        .prop_map(move |(name, parameters, resources, channels, rest)| {
            let mut job = json!({
                "id": "iris-6f4274ce", "name": name, "namespace": "default",
                "algorithm": algorithm, "attempt": 1, "priority": 1, "resources": resources,
                "channels": channels, "hyperparameters": parameters, "settings": settings,
                "imageUri": "registry.example/team/train:1", "entrypoint": "python train.py",
            });
            if let (Some(job), Value::Object(rest)) = (job.as_object_mut(), rest) {
                job.extend(rest);
            }
            job.to_string()
        })
        .boxed()
}

fn any_parameters<C: Converter>() -> BoxedStrategy<Value> {
    let schema = schema_of::<C>();
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let required: Vec<String> =
        schema["required"].as_array().into_iter().flatten().map(text).collect();
    let members: Vec<_> = properties
        .iter()
        .map(|(name, property)| {
            let needed = required.contains(name);
            let chance = if needed { 1.0 } else { 0.15 };
            let value = proptest::option::weighted(chance, any_value(property, 0));
            (Just(name.clone()), value)
        })
        .collect();
    members
        .prop_map(|members| {
            let present = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
            Value::Object(present.collect::<Map<_, _>>())
        })
        .prop_filter("the schema refuses it", accepted_by(&schema))
        .boxed()
}

/// A filter that compiles the schema once.
fn accepted_by(schema: &Value) -> impl Fn(&Value) -> bool + use<> {
    let validator = jsonschema::draft202012::new(schema).ok();
    move |value| validator.as_ref().is_some_and(|validator| validator.is_valid(value))
}

/// Any value that the schema allows, with its default as the likeliest.
fn any_value(schema: &Value, depth: u32) -> BoxedStrategy<Value> {
    let mut choices: Vec<BoxedStrategy<Value>> = Vec::new();
    for list in ["enum", "examples"] {
        if let Some(words) = schema[list].as_array().filter(|words| !words.is_empty()) {
            choices.push(proptest::sample::select(words.clone()).boxed());
        }
    }
    for list in ["anyOf", "oneOf"] {
        let inner = schema[list].as_array().into_iter().flatten();
        choices.extend(inner.map(|inner| any_value(inner, depth + 1)));
    }
    let kinds: Vec<String> = match &schema["type"] {
        Value::String(kind) => vec![kind.clone()],
        Value::Array(kinds) => kinds.iter().map(text).collect(),
        _ => Vec::new(),
    };
    if schema["enum"].is_null() {
        choices.extend(kinds.iter().map(|kind| of_type(kind, schema, depth)));
    }
    if let Some(default) = schema.get("default") {
        choices.push(Just(default.clone()).boxed());
    }
    if choices.is_empty() {
        choices.push(Just(Value::Null).boxed());
    }
    proptest::strategy::Union::new(choices)
        .prop_filter("the schema refuses it", accepted_by(schema))
        .boxed()
}

#[expect(clippy::cast_possible_truncation, reason = "edges of ranges are whole, or cut on purpose")]
fn of_type(kind: &str, schema: &Value, depth: u32) -> BoxedStrategy<Value> {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let low = bound("minimum").or(bound("exclusiveMinimum").map(|b| b + 1e-9));
    let high = bound("maximum").or(bound("exclusiveMaximum").map(|b| b - 1e-9));
    match kind {
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "integer" => {
            let (low, high) = (low.unwrap_or(-1e6).ceil() as i64, high.unwrap_or(1e9) as i64);
            let near = low..=low.saturating_add(8).min(high);
            prop_oneof![near.prop_map(Value::from), (low..=high).prop_map(Value::from)].boxed()
        }
        "number" => {
            let (low, high) = (low.unwrap_or(-1e6), high.unwrap_or(1e9));
            prop_oneof![
                (low..=high).prop_map(Value::from),
                (low..=(low + 1.0).min(high)).prop_map(Value::from)
            ]
            .boxed()
        }
        "string" => any_text().prop_map(Value::from).boxed(),
        "array" if depth < 3 => {
            let item = any_value(&schema["items"], depth + 1);
            let least = schema["minItems"].as_u64().unwrap_or(0) as usize;
            let most = schema["maxItems"].as_u64().map_or(4, |most| most.min(4) as usize);
            proptest::collection::vec(item, least..=most.max(least)).prop_map(Value::from).boxed()
        }
        "object" if depth < 3 => any_object(schema, depth),
        _ => Just(Value::Null).boxed(),
    }
}

fn any_object(schema: &Value, depth: u32) -> BoxedStrategy<Value> {
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let members: Vec<_> = properties
        .iter()
        .map(|(name, inner)| {
            (Just(name.clone()), proptest::option::weighted(0.8, any_value(inner, depth + 1)))
        })
        .collect();
    let free = match &schema["additionalProperties"] {
        inner @ Value::Object(_) => {
            let name = "[A-Za-z_][A-Za-z0-9_]{0,8}";
            proptest::collection::btree_map(name, any_value(inner, depth + 1), 0..3).boxed()
        }
        _ => Just(BTreeMap::new()).boxed(),
    };
    (members, free)
        .prop_map(|(members, free)| {
            let mut object: Map<String, Value> =
                members.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            object.extend(free);
            Value::Object(object)
        })
        .boxed()
}

/// Texts that break programs which paste, split or measure them.
fn any_text() -> BoxedStrategy<String> {
    const ODD: &[&str] = &[
        "",
        "a",
        " ",
        "0",
        "null",
        "on",
        "x=y",
        "a b",
        "ü",
        "a\"b'c",
        "$(reboot)",
        "$$",
        "{{x}}",
        "- a\n- b",
        "%s\\n",
        "web",
        "1Gi",
    ];
    let odd = proptest::sample::select(ODD.to_vec()).prop_map(str::to_owned);
    prop_oneof![2 => odd, 1 => "[a-z][a-z0-9-]{0,12}", 1 => "\\PC{0,20}"].boxed()
}

fn any_resources() -> impl Strategy<Value = Value> {
    let instances = prop_oneof![3 => Just(1_u32), 3 => 2..8_u32, 1 => Just(1000_u32)];
    let gpus = prop_oneof![2 => Just(0_u32), 1 => 1..16_u32];
    (1..512_u32, 0..4096_u32, gpus, instances, prop_oneof![Just(0_u32), 1..9000_u32]).prop_map(
        |(cpu, memory, gpu, instances, volume)| {
            json!({
                "cpuCores": cpu, "memoryGiB": memory, "gpuCount": gpu,
                "instanceCount": instances, "volumeSizeGB": volume
            })
        },
    )
}

fn any_channels() -> impl Strategy<Value = Value> {
    let channel = (
        proptest::sample::select(vec!["train", "validation", "test"]),
        proptest::sample::select(vec!["aws", "minio", "gcs", "azure", "custom"]),
        any_text(),
    )
        .prop_map(|(channel_type, provider, text)| {
            json!({
                "name": channel_type, "type": channel_type, "provider": provider,
                "endpoint": "https://minio.example", "bucket": "input", "prefix": text,
                "labelName": text, "featureNames": [text],
            })
        });
    let elsewhere = any_text().prop_map(
        |text| json!({ "name": "elsewhere", "type": "train", "claim": "shared", "path": text }),
    );
    let on_the_web = Just(json!({
        "name": "web", "type": "validation", "url": "https://data.example/a.csv?version=1",
    }));
    let channel = prop_oneof![3 => channel, 1 => elsewhere, 1 => on_the_web];
    let some = proptest::collection::vec(channel, 0..4).prop_map(Value::from);
    let both = json!([
        { "name": "train", "type": "train", "bucket": "input", "prefix": "a/" },
        { "name": "val", "type": "validation", "bucket": "input", "prefix": "b/" },
    ]);
    prop_oneof![Just(both), some]
}

/// What else a job may hold.
fn any_rest() -> impl Strategy<Value = Value> {
    let rests = [
        json!({}),
        json!({ "maxRuntimeSeconds": 60, "outputUri": "s3://out/models/" }),
        json!({ "outputUri": "file:///mnt/elsewhere" }),
        json!({ "pvcName": "existing" }),
        json!({ "customHyperparameters": { "k": [1, null, { "$(x)": "$$" }] } }),
        json!({ "headImage": "registry.example/head:1", "workerImage": "registry.example/w:1" }),
    ];
    proptest::sample::select(rests.to_vec())
}

/// Statuses of no operator, made of the words that real ones use.
pub(super) fn any_status() -> BoxedStrategy<Value> {
    const WORDS: &[&str] = &[
        "",
        "True",
        "False",
        "Unknown",
        "Complete",
        "Failed",
        "Succeeded",
        "Suspended",
        "Running",
        "Available",
        "Progressing",
        "FAILED",
        "DeadlineExceeded",
        "ProgressDeadlineExceeded",
    ];
    const NAMES: &[&str] = &[
        "conditions",
        "type",
        "status",
        "reason",
        "message",
        "active",
        "ready",
        "succeeded",
        "failed",
        "startTime",
        "completionTime",
        "replicas",
        "readyReplicas",
        "replicaStatuses",
        "Worker",
        "Launcher",
        "jobDeploymentStatus",
        "jobStatus",
        "rayClusterName",
        "observedGeneration",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        proptest::sample::select(WORDS.to_vec()).prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let name = proptest::sample::select(NAMES.to_vec()).prop_map(str::to_owned);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
    .boxed()
}
