//! The converter, natively: the cases that `trainyard-plugin check` takes through the component,
//! generated jobs, and the schemas of clusters.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests"
)]

use std::path::Path;

use plugin_sdk::testing::{assert_cases, clusters, job_of, properties, run};
use pytorch::Plugin;
use serde_json::{Value, json};

fn cases() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/cases"))
}

#[test]
fn every_case_gives_what_it_says() {
    assert_cases::<Plugin>(cases());
}

#[test]
fn every_parameter_has_what_a_form_needs() {
    properties::describe_every_parameter::<Plugin>();
}

#[test]
fn no_job_breaks_it() {
    properties::hold::<Plugin>();
}

#[test]
fn no_status_breaks_it() {
    properties::read_any_status::<Plugin>();
}

#[test]
fn clusters_take_every_manifest() {
    clusters::accept::<Plugin>(cases());
}

fn environment(form: &Value) -> Vec<(String, Value)> {
    let plan = run::<Plugin>(&job_of(form, "pytorch", &json!({})).to_string()).unwrap();
    let job: Value = serde_json::from_str(&plan.manifests.last().unwrap().document).unwrap();
    let env = &job["spec"]["template"]["spec"]["containers"][0]["env"];
    let variables = env.as_array().unwrap().iter();
    variables.map(|v| (v["name"].as_str().unwrap().to_owned(), v.clone())).collect()
}

fn value<'v>(env: &'v [(String, Value)], name: &str) -> Option<&'v str> {
    env.iter().find(|(other, _)| other == name).and_then(|(_, variable)| variable["value"].as_str())
}

#[test]
fn the_launcher_finds_its_flags_and_the_first_pod() {
    let env = environment(&json!({
        "jobName": "mlp",
        "resources": { "instanceResources": { "cpuCores": 16, "gpuCount": 4 }, "instanceCount": 2 },
    }));
    for (name, expected) in [
        ("PET_NNODES", "2"),
        ("PET_NPROC_PER_NODE", "4"),
        ("PET_RDZV_BACKEND", "static"),
        ("PET_MASTER_ADDR", "mlp-0.mlp-pods"),
        ("PET_MASTER_PORT", "29500"),
        ("OMP_NUM_THREADS", "4"),
        ("HP_BACKEND", "nccl"),
    ] {
        assert_eq!(value(&env, name), Some(expected), "{name}");
    }
    let rank = env.iter().find(|(name, _)| name == "PET_NODE_RANK").unwrap();
    assert!(rank.1["valueFrom"]["fieldRef"].is_object());
    // Four processes share the pod, so its number is nobody's rank.
    assert_eq!(value(&env, "WORLD_SIZE"), None);
}

#[test]
fn programs_without_a_launcher_find_their_rank() {
    let env = environment(&json!({ "jobName": "mlp", "resources": { "instanceCount": 3 } }));
    assert_eq!(value(&env, "WORLD_SIZE"), Some("3"));
    assert_eq!(value(&env, "MASTER_ADDR"), Some("mlp-0.mlp-pods"));
    assert!(env.iter().any(|(name, v)| name == "RANK" && v["valueFrom"]["fieldRef"].is_object()));
}

#[test]
fn weight_decay_has_the_default_of_its_optimizer() {
    for (optimizer, decay) in [("adamw", "0.01"), ("adam", "0.0"), ("sgd", "0.0")] {
        let env = environment(&json!({
            "jobName": "mlp", "hyperparameters": { "pytorch": { "optimizer": optimizer } },
        }));
        assert_eq!(value(&env, "HP_WEIGHT_DECAY"), Some(decay), "{optimizer}");
    }
}
