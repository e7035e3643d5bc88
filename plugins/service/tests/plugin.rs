//! The converter, natively: the cases that `trainyard-plugin check` takes through the component,
//! generated jobs, and the schemas of clusters.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::path::Path;

use kube_service::Plugin;
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

fn documents(form: &Value) -> Vec<Value> {
    let plan = run::<Plugin>(&job_of(form, "service", &json!({})).to_string()).unwrap();
    plan.manifests
        .iter()
        .map(|manifest| serde_json::from_str(&manifest.document).unwrap())
        .collect()
}

#[test]
fn the_service_leads_to_the_pods_and_to_no_others() {
    let form = serde_json::from_str(include_str!("../examples/ports.json")).unwrap();
    let found = documents(&form);
    let kind = |kind: &str| found.iter().find(|document| document["kind"] == kind).unwrap();
    let (service, deployment) = (kind("Service"), kind("Deployment"));
    let selector = &service["spec"]["selector"];
    assert_eq!(selector, &deployment["spec"]["selector"]["matchLabels"]);
    assert_eq!(selector, &deployment["spec"]["template"]["metadata"]["labels"]);
    assert_eq!(selector["training-job-id"], "tracker-1a2b3c4d");
    assert_eq!(service["spec"]["ports"][0]["port"], 80);
    assert_eq!(service["spec"]["ports"][0]["targetPort"], 8000);
}

#[test]
fn without_ports_and_host_there_is_nothing_to_reach() {
    let kinds = |parameters: Value| -> Vec<Value> {
        let form = json!({
            "jobName": "s", "algorithm": { "imageUri": "a/b:1" },
            "hyperparameters": { "service": parameters },
        });
        documents(&form).into_iter().map(|document| document["kind"].clone()).collect()
    };
    assert_eq!(kinds(json!({})), ["Deployment"]);
    assert_eq!(kinds(json!({ "ports": [{}] })), ["Service", "Deployment"]);
    assert_eq!(
        kinds(json!({ "ports": [{}], "host": "a.b" })),
        ["Service", "Ingress", "Deployment"]
    );
}
