//! The converter, natively: the cases that `trainyard-plugin check` takes through the component,
//! generated jobs, and the schemas of clusters.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::path::Path;

use kube_job::Plugin;
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

fn workload(form: Value) -> Value {
    let plan = run::<Plugin>(&job_of(&form, "job", &json!({})).to_string()).unwrap();
    serde_json::from_str(&plan.manifests.last().unwrap().document).unwrap()
}

#[test]
fn texts_of_users_reach_the_program_unchanged() {
    let job = workload(json!({
        "jobName": "a", "algorithm": { "imageUri": "a/b:1" },
        "hyperparameters": { "job": { "env": { "PRICE": "$5 or $(HOME)" } } },
    }));
    let env = job["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    let price = env.iter().find(|variable| variable["name"] == "PRICE").unwrap();
    // Kubernetes makes one `$` of two, and expands only what follows a single one.
    assert_eq!(price["value"], "$$5 or $$(HOME)");
}

#[test]
fn final_exit_codes_are_in_the_order_that_kubernetes_demands() {
    let job = workload(json!({
        "jobName": "a", "algorithm": { "imageUri": "a/b:1" },
        "hyperparameters": { "job": { "failJobExitCodes": [42, 2, 3] } },
    }));
    let rules = &job["spec"]["podFailurePolicy"]["rules"];
    assert_eq!(rules[0]["action"], "Ignore");
    assert_eq!(rules[1]["onExitCodes"]["values"], json!([2, 3, 42]));
}
