//! The converter, natively: the cases that `trainyard-plugin check` takes through the component,
//! generated jobs, and the schemas of clusters.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests"
)]

use std::path::Path;

use jax::Plugin;
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

fn variable(form: &Value, name: &str) -> Value {
    let plan = run::<Plugin>(&job_of(form, "jax", &json!({})).to_string()).unwrap();
    let job: Value = serde_json::from_str(&plan.manifests.last().unwrap().document).unwrap();
    let env = job["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    env.iter().find(|variable| variable["name"] == name).cloned().unwrap_or_default()
}

#[test]
fn every_process_finds_the_coordinator_and_its_number() {
    let form = json!({ "jobName": "j", "resources": { "instanceCount": 4 } });
    assert_eq!(variable(&form, "JAX_COORDINATOR_ADDRESS")["value"], "j-0.j-pods:55527");
    assert_eq!(variable(&form, "JAX_NUM_PROCESSES")["value"], "4");
    assert!(variable(&form, "JAX_PROCESS_ID")["valueFrom"]["fieldRef"].is_object());
    let alone = json!({ "jobName": "j" });
    assert!(variable(&alone, "JAX_COORDINATOR_ADDRESS").is_null());
}

#[test]
fn the_data_axis_takes_what_the_others_leave() {
    let form = json!({
        "jobName": "j",
        "resources": { "instanceResources": { "gpuCount": 8 }, "instanceCount": 4 },
        "hyperparameters": { "jax": { "mesh_fsdp": 4, "mesh_tensor": 2 } },
    });
    assert_eq!(variable(&form, "HP_MESH_DATA")["value"], "4");
}

#[test]
fn empty_parameters_have_the_default_of_their_optimizer() {
    for (optimizer, b2, decay) in [
        ("adamw", "0.999", "0.0001"),
        ("lion", "0.99", "0.001"),
        ("sgd", "", ""),
        ("adam", "0.999", ""),
    ] {
        let form =
            json!({ "jobName": "j", "hyperparameters": { "jax": { "optimizer": optimizer } } });
        assert_eq!(variable(&form, "HP_B2")["value"], b2, "{optimizer}");
        assert_eq!(variable(&form, "HP_WEIGHT_DECAY")["value"], decay, "{optimizer}");
    }
}
