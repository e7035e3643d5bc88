//! The converter, natively: the cases that `trainyard-plugin check` takes through the component,
//! generated jobs, and the schemas of clusters.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests"
)]

use std::path::Path;

use deepspeed::Plugin;
use plugin_sdk::testing::{assert_cases, clusters, job_of, properties, run};
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

fn config(parameters: &Value, instances: u32) -> Value {
    let form = json!({
        "jobName": "z", "algorithm": { "imageUri": "a/b:1" },
        "resources": { "instanceResources": { "gpuCount": 8 }, "instanceCount": instances },
        "hyperparameters": { "deepspeed": parameters },
    });
    let plan = run::<Plugin>(&job_of(&form, "deepspeed", &json!({})).to_string()).unwrap();
    let documents = plan.manifests.iter().map(|m| serde_json::from_str(&m.document).unwrap());
    let map = documents.into_iter().find(|d: &Value| d["kind"] == "ConfigMap").unwrap();
    serde_json::from_str(map["data"]["ds_config.json"].as_str().unwrap()).unwrap()
}

#[test]
fn any_two_sizes_of_a_batch_make_the_third() {
    let all = "train_batch_size";
    let micro = "train_micro_batch_size_per_gpu";
    let steps = "gradient_accumulation_steps";
    for (given, expected) in [
        (json!({}), (16, 1, 1)),
        (json!({ all: 64 }), (64, 4, 1)),
        (json!({ micro: 4 }), (64, 4, 1)),
        (json!({ all: 256, micro: 4 }), (256, 4, 4)),
        (json!({ all: 256, steps: 8 }), (256, 2, 8)),
        (json!({ micro: 3, steps: 2 }), (96, 3, 2)),
        (json!({ all: 96, micro: 3, steps: 2 }), (96, 3, 2)),
    ] {
        let config = config(&given, 2);
        let found = [all, micro, steps].map(|name| config[name].as_u64().unwrap());
        assert_eq!(found, [expected.0, expected.1, expected.2], "{given}");
    }
}

#[test]
fn what_does_not_apply_is_left_to_the_library() {
    let plain = config(&json!({ "optimizer": "none" }), 1);
    for name in ["optimizer", "scheduler", "steps_per_print"] {
        assert!(plain[name].is_null(), "{name}");
    }
    assert!(plain["zero_optimization"]["stage3_prefetch_bucket_size"].is_null());
    assert_eq!(plain["fp16"], json!({ "enabled": false }));
    let third = config(&json!({ "zero_stage": 3 }), 1);
    assert_eq!(third["zero_optimization"]["stage3_prefetch_bucket_size"], 50_000_000);
}
