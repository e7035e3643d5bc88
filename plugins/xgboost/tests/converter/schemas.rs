//! The plugin's own schemas, and those of the clusters its manifests go to.

use std::path::PathBuf;

use plugin_sdk::testing::run;
use plugin_sdk::testing::snapshots::cases;
use plugin_sdk::{Failure, guest};
use serde_json::{Value, json};
use xgboost::Xgboost;

use crate::cases::directory;

pub(crate) fn hyperparameters() -> Value {
    serde_json::from_str(&guest::describe::<Xgboost>().hyperparameters_schema).unwrap()
}

#[test]
fn every_hyperparameter_has_what_a_form_needs() {
    let schema = hyperparameters();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    let properties = schema["properties"].as_object().unwrap();
    assert_eq!(properties.len(), 42);
    for (name, property) in properties {
        for word in ["title", "description", "default", "x-group"] {
            assert!(property.get(word).is_some(), "{name} has no {word}: {property}");
        }
        assert!(property.get("$ref").is_none(), "{name}");
        let validator = jsonschema::draft202012::new(property).unwrap();
        assert!(validator.is_valid(&property["default"]), "{name}: {property}");
        for (other, words) in
            property.get("x-visible-when").and_then(Value::as_object).iter().flat_map(|o| o.iter())
        {
            let known = properties[other]["enum"].as_array().unwrap();
            assert!(words.as_array().unwrap().iter().all(|w| known.contains(w)), "{name}: {other}");
        }
    }
    let groups: Vec<&str> = properties.values().map(|p| p["x-group"].as_str().unwrap()).collect();
    assert!(groups.is_sorted_by_key(|g| groups.iter().position(|other| other == g)));
}

#[test]
fn defaults_are_those_of_the_predecessors_form() {
    let schema = hyperparameters();
    let sample: Value = serde_json::from_str(include_str!("../../cases/sample/job.json")).unwrap();
    for (name, value) in sample["hyperparameters"].as_object().unwrap() {
        let default = &schema["properties"][name]["default"];
        let same = match (default.as_f64(), value.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() < f64::EPSILON,
            _ => default == value,
        };
        assert!(same, "{name}: {default} is not {value}");
    }
}

#[test]
fn the_schema_takes_and_refuses_what_it_should() {
    let validator = jsonschema::draft202012::new(&hyperparameters()).unwrap();
    for good in [
        json!({}),
        json!({ "num_round": 100.0 }),
        json!({ "early_stopping_rounds": null }),
        json!({ "nthread": 4 }),
        json!({ "nthread": "4" }),
        json!({ "nthread": "auto" }),
        json!({ "eval_metric": "rmse" }),
        json!({ "eval_metric": [] }),
        json!({ "eval_metric": ["error@0.5", "ndcg@10", "map@5-", "auc"] }),
        json!({ "eval_metric": "error@.7" }),
        json!({ "updater": "" }),
        json!({ "updater": "refresh,prune" }),
        json!({ "subsample": 0.05, "base_score": 250_000 }),
        json!({ "num_class": 2, "seed": 0 }),
        json!({ "num_class": null, "seed": null }),
    ] {
        let errors: Vec<String> = validator.iter_errors(&good).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{good}: {errors:?}");
        let mut job: Value =
            serde_json::from_str(include_str!("../../cases/minimal/job.json")).unwrap();
        job["hyperparameters"] = good;
        assert!(!matches!(run::<Xgboost>(&job.to_string()), Err(Failure::Internal(_))));
    }
    for bad in [
        json!({ "eta": "0.3" }),
        json!({ "eta": null }),
        json!({ "eta": 1.01 }),
        json!({ "eta": -0.01 }),
        json!({ "num_round": 0 }),
        json!({ "num_round": 0.5 }),
        json!({ "num_round": 3_000_000_000_u32 }),
        json!({ "max_depth": 1025 }),
        json!({ "subsample": 0 }),
        json!({ "tweedie_variance_power": 2 }),
        json!({ "nthread": 0 }),
        json!({ "nthread": "0" }),
        json!({ "nthread": "many" }),
        json!({ "nthread": 1.5 }),
        json!({ "eval_metric": "error@t" }),
        json!({ "eval_metric": ["error@t"] }),
        json!({ "eval_metric": ["rmse,mae"] }),
        json!({ "eval_metric": [1] }),
        json!({ "eval_metric": "nonsense" }),
        json!({ "objective": "multi" }),
        json!({ "updater": "rm -rf" }),
        json!({ "learning_rate": 0.1 }),
        json!({ "num_class": 1 }),
        json!({ "verbosity": 4 }),
    ] {
        assert!(!validator.is_valid(&bad), "{bad} was taken");
    }
}

#[test]
fn every_setting_has_a_default() {
    let schema: Value =
        serde_json::from_str(&guest::describe::<Xgboost>().settings_schema).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    for (name, property) in schema["properties"].as_object().unwrap() {
        let validator = jsonschema::draft202012::new(property).unwrap();
        let default = property.get("default").unwrap_or_else(|| panic!("{name} has no default"));
        assert!(validator.is_valid(default), "{name}: {property}");
        assert!(property.get("description").is_some(), "{name}");
    }
}

#[test]
fn examples_pass_the_schema() {
    let validator = jsonschema::draft202012::new(&hyperparameters()).unwrap();
    let description = guest::describe::<Xgboost>();
    assert_eq!(description.algorithms, ["xgboost"]);
    assert!(description.examples.is_sorted_by_key(|e| e.contains("early_stopping_rounds")));
    for example in &description.examples {
        let form: Value = serde_json::from_str(example).unwrap();
        assert!(validator.is_valid(&form["hyperparameters"]["xgboost"]), "{example}");
    }
}

/// The schemas are not part of this repository; `TRAINYARD_SCHEMAS` names a folder that has them.
#[test]
fn clusters_take_every_manifest() {
    let Some(folder) = std::env::var_os("TRAINYARD_SCHEMAS").map(PathBuf::from) else {
        eprintln!(
            "SKIPPED: set TRAINYARD_SCHEMAS to check manifests against the schemas of KubeRay"
        );
        return;
    };
    let text = std::fs::read_to_string(folder.join("crd/ray.io_rayjobs.yaml")).unwrap();
    let crd: Value = serde_saphyr::from_str(&text).unwrap();
    let version = crd["spec"]["versions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|v| v["name"] == "v1")
        .unwrap_or_else(|| panic!("no version v1"));
    let mut schema = version["schema"]["openAPIV3Schema"].clone();
    refuse_unknown_fields(&mut schema);
    let rayjob = jsonschema::draft4::new(&schema).unwrap();

    let text = std::fs::read_to_string(folder.join("openapi/api__v1_openapi.json")).unwrap();
    let mut openapi: Value = serde_json::from_str(&text).unwrap();
    openapi["$ref"] = json!("#/components/schemas/io.k8s.api.core.v1.PersistentVolumeClaim");
    let claim = jsonschema::draft202012::new(&openapi).unwrap();

    let mut seen = 0;
    for case in cases(directory()).unwrap() {
        let Ok(plan) = run::<Xgboost>(&case.job) else { continue };
        for manifest in plan.manifests {
            let document: Value = serde_json::from_str(&manifest.document).unwrap();
            let validator = if manifest.role == "workload" { &rayjob } else { &claim };
            let errors: Vec<String> = validator
                .iter_errors(&document)
                .map(|e| format!("{}: {e}", e.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{}: {errors:#?}", case.name);
            seen += 1;
        }
    }
    assert!(seen >= 8, "only {seen} manifests were checked");
}

/// A cluster prunes fields that its schema does not know, so a misspelt one would vanish there.
fn refuse_unknown_fields(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let closed = members.get("properties").is_some_and(Value::is_object)
                && !members.contains_key("additionalProperties")
                && !members.contains_key("x-kubernetes-preserve-unknown-fields");
            members.values_mut().for_each(refuse_unknown_fields);
            if closed {
                members.insert("additionalProperties".into(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(refuse_unknown_fields),
        _ => {}
    }
}
