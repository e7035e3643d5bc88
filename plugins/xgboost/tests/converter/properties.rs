//! What holds for every job that the schema and the rules let through.

use plugin_sdk::testing::run;
use plugin_sdk::{Failure, guest};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use xgboost::Xgboost;

use crate::schemas::hyperparameters;

/// Any value that the schema of one property allows, with its default as the likeliest.
fn value_for(schema: &Value) -> BoxedStrategy<Value> {
    let default = schema["default"].clone();
    if let Some(words) = schema["enum"].as_array() {
        return proptest::sample::select(words.clone()).boxed();
    }
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let low = bound("minimum").or(bound("exclusiveMinimum").map(|b| b + 1e-9)).unwrap_or(-1e9);
    let high = bound("maximum").or(bound("exclusiveMaximum").map(|b| b - 1e-9)).unwrap_or(1e12);
    let kind = schema["type"].to_string();
    let other: BoxedStrategy<Value> = if kind.contains("array") {
        let metric = proptest::sample::select(vec!["rmse", "auc", "mae", "error@0.7", "ndcg@3"]);
        prop_oneof![
            metric.clone().prop_map(Value::from),
            proptest::collection::vec(metric, 0..4).prop_map(Value::from),
        ]
        .boxed()
    } else if kind.contains("integer") {
        let whole = (low as i64..=high as i64).prop_map(Value::from);
        prop_oneof![
            whole.clone(),
            (low as i64..=(low as i64 + 3).min(high as i64)).prop_map(|n| json!(n as f64)),
            whole
        ]
        .boxed()
    } else if kind.contains("number") {
        (low..=high).prop_map(Value::from).boxed()
    } else {
        proptest::sample::select(vec!["auto", "refresh", "prune,refresh", ""])
            .prop_map(Value::from)
            .boxed()
    };
    prop_oneof![3 => Just(default), 1 => other].boxed()
}

fn any_hyperparameters() -> impl Strategy<Value = Value> {
    let schema = hyperparameters();
    let members: Vec<_> = schema["properties"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, schema)| (Just(name.clone()), proptest::option::of(value_for(schema))))
        .collect();
    members.prop_map(|members| {
        let present = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Value::Object(present.collect::<Map<_, _>>())
    })
}

fn any_resources() -> impl Strategy<Value = Value> {
    (1..512_u32, 0..4096_u32, 0..16_u32, prop_oneof![0..20_u32, Just(u32::MAX)], 0..9000_u32).prop_map(
        |(cpu, memory, gpu, instances, volume)| {
            json!({ "cpuCores": cpu, "memoryGiB": memory, "gpuCount": gpu, "instanceCount": instances, "volumeSizeGB": volume })
        },
    )
}

fn any_channels() -> impl Strategy<Value = Value> {
    let channel = (
        proptest::sample::select(vec!["train", "validation", "test", "other"]),
        proptest::sample::select(vec!["train", "validation", "test"]),
        proptest::sample::select(vec!["aws", "minio", "gcs", "azure", "custom"]),
        "\\PC{0,20}",
    )
        .prop_map(|(name, channel_type, provider, text)| {
            json!({ "name": name, "type": channel_type, "provider": provider, "endpoint": text, "bucket": text, "prefix": text, "labelName": text, "featureNames": [text] })
        });
    proptest::collection::vec(channel, 0..4).prop_map(Value::from)
}

/// Texts that YAML readers take for something else, or stumble over.
fn tricky_text() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(vec![
            "on",
            "off",
            "yes",
            "NO",
            "y",
            "null",
            "~",
            "true",
            "1e5",
            "0.3",
            "0o7",
            "010",
            "0x1F",
            "1_000",
            "1:30",
            ".inf",
            "NaN",
            "2001-01-01",
            "=",
            "<<",
            "",
            " ",
            " x ",
            "a: b",
            "#x",
            "x #y",
            "- a",
            "? a",
            "---",
            "...",
            "'",
            "\"",
            "\\",
            "\\n",
            "\n",
            "\r\n",
            "\t",
            "a\nb\n",
            "%",
            "@",
            "`",
            "{a}",
            "[a]",
            "*a",
            "&a",
            "!a",
            "|",
            ">",
            "\u{85}",
            "\u{2028}",
            "\u{feff}",
            "\u{7f}",
            "\u{0}",
            "\u{1b}[0m",
            "日本",
            "🚂",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ]
}

fn any_custom() -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::btree_map(
        "[a-z][a-z0-9_]{3,12}_x|on|yes|no|y|n|null|true|e1",
        tricky_text(),
        0..6,
    )
    .prop_map(|map| map.into_iter().collect())
}

fn job(
    resources: Value,
    channels: Value,
    hyperparameters: Value,
    custom: &[(String, String)],
) -> String {
    let custom: Map<String, Value> =
        custom.iter().map(|(k, v)| (k.clone(), Value::from(v.clone()))).collect();
    json!({
        "id": "iris-6f4274ce", "name": "iris", "namespace": "default", "algorithm": "xgboost",
        "attempt": 1, "priority": 1, "resources": resources, "channels": channels,
        "hyperparameters": hyperparameters, "customHyperparameters": custom, "settings": {}
    })
    .to_string()
}

/// Every value of a member with this name, wherever it stands.
fn find<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                if key == name {
                    found.push(member);
                }
                find(member, name, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| find(item, name, found)),
        _ => {}
    }
}

fn all<'v>(value: &'v Value, name: &str) -> Vec<&'v Value> {
    let mut found = Vec::new();
    find(value, name, &mut found);
    found
}

fn check_plan(job: &str) -> Result<(), TestCaseError> {
    let plan = match run::<Xgboost>(job) {
        Ok(plan) => plan,
        Err(Failure::Invalid(findings)) => {
            for finding in findings {
                let known = ["/hyperparameters/xgboost/", "/inputDataConfig", "/customHyper"];
                prop_assert!(known.iter().any(|k| finding.pointer.starts_with(k)), "{finding:?}");
            }
            return Ok(());
        }
        Err(failure) => return Err(TestCaseError::fail(format!("{failure:?}"))),
    };
    let asked: Value = serde_json::from_str(job).unwrap();
    let asked = &asked["resources"];
    let instances = asked["instanceCount"].as_u64().unwrap().clamp(1, i32::MAX as u64);
    let mut workloads = 0;
    for manifest in &plan.manifests {
        let document: Value = serde_json::from_str(&manifest.document).unwrap();
        workloads += usize::from(manifest.role == "workload");
        prop_assert_eq!(document["metadata"]["namespace"].as_str(), Some("default"));
        for amounts in all(&document, "limits").into_iter().chain(all(&document, "requests")) {
            for (name, amount) in amounts.as_object().unwrap() {
                let number =
                    amount.as_str().unwrap().trim_end_matches("Gi").parse::<u64>().unwrap();
                let most = match &**name {
                    "cpu" => &asked["cpuCores"],
                    "memory" => &asked["memoryGiB"],
                    "nvidia.com/gpu" => &asked["gpuCount"],
                    "storage" => &asked["volumeSizeGB"],
                    other => panic!("asks for {other}"),
                };
                prop_assert_eq!(Some(number), most.as_u64());
            }
        }
        for replicas in all(&document, "replicas") {
            prop_assert_eq!(replicas.as_u64(), Some(instances));
        }
        for replicas in all(&document, "maxReplicas") {
            prop_assert_eq!(replicas.as_u64(), Some((instances * 5).clamp(5, i32::MAX as u64)));
        }
        for pod in all(&document, "template") {
            let spec = &pod["spec"];
            let volumes: Vec<&Value> =
                spec["volumes"].as_array().unwrap().iter().map(|v| &v["name"]).collect();
            for mount in spec["containers"][0]["volumeMounts"].as_array().unwrap() {
                prop_assert!(volumes.contains(&&mount["name"]));
            }
            for variable in spec["containers"][0]["env"].as_array().iter().flat_map(|v| v.iter()) {
                prop_assert!(
                    variable.get("value").is_none()
                        && variable["valueFrom"]["secretKeyRef"].is_object()
                );
            }
        }
        if let Some(yaml) = document["spec"]["runtimeEnvYAML"].as_str() {
            let read: Value = serde_saphyr::from_str(yaml).unwrap();
            let variables = read["env_vars"].as_object().unwrap();
            prop_assert!(
                !variables.contains_key("S3_ACCESS_KEY")
                    && !variables.contains_key("S3_SECRET_KEY")
            );
            prop_assert!(variables.values().all(Value::is_string));
        }
    }
    prop_assert_eq!(workloads, 1);
    let again = guest::convert::<Xgboost>(job).unwrap();
    let documents = |plan: &plugin_sdk::Plan| -> Vec<String> {
        plan.manifests.iter().map(|m| m.document.clone()).collect()
    };
    prop_assert_eq!(documents(&plan), documents(&again));
    Ok(())
}

proptest! {
    #[test]
    fn a_form_that_passes_the_schema_never_breaks_the_converter(
        hyperparameters in any_hyperparameters(),
        resources in any_resources(),
        channels in any_channels(),
    ) {
        let validator = jsonschema::draft202012::new(&crate::schemas::hyperparameters()).unwrap();
        prop_assert!(validator.is_valid(&hyperparameters), "{hyperparameters}");
        check_plan(&job(resources, channels, hyperparameters, &[]))?;
    }

    #[test]
    fn jobs_without_conflicts_ask_for_what_the_user_asked_for(
        resources in any_resources(),
        custom in any_custom(),
    ) {
        check_plan(&job(resources, json!([]), json!({}), &custom))?;
    }

    #[test]
    fn every_text_comes_back_from_the_yaml(custom in any_custom()) {
        let resources = json!({ "cpuCores": 1, "memoryGiB": 1, "gpuCount": 0, "instanceCount": 1, "volumeSizeGB": 0 });
        let plan = run::<Xgboost>(&job(resources, json!([]), json!({}), &custom)).unwrap();
        let rayjob: Value = serde_json::from_str(&plan.manifests[0].document).unwrap();
        let yaml = rayjob["spec"]["runtimeEnvYAML"].as_str().unwrap();
        let read: Value = serde_saphyr::from_str(yaml).unwrap();
        for (key, text) in &custom {
            prop_assert_eq!(read["env_vars"][key.to_uppercase()].as_str(), Some(&**text), "{}", yaml);
        }
        // Nothing is left to a reader's idea of types: every line is `NAME: 'text'`, with quotes.
        for line in yaml.lines().skip(1) {
            let (_, value) = line.split_once(": ").unwrap();
            prop_assert!(value.starts_with(['\'', '"']), "{}", line);
        }
    }
}
