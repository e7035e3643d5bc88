//! The converter, natively: the cases that `trainyard-plugin check` takes through the component,
//! generated jobs, and the schemas of clusters.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests"
)]

use std::path::Path;

use plugin_sdk::testing::{assert_cases, clusters, job_of, properties, run};
use serde_json::{Value, json};
use tensorflow::Plugin;

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

fn container(form: &Value) -> Value {
    let plan = run::<Plugin>(&job_of(form, "tensorflow", &json!({})).to_string()).unwrap();
    let job: Value = serde_json::from_str(&plan.manifests.last().unwrap().document).unwrap();
    job["spec"]["template"]["spec"]["containers"][0].clone()
}

fn value(container: &Value, name: &str) -> Option<String> {
    let env = container["env"].as_array().unwrap();
    let found = env.iter().find(|variable| variable["name"] == name)?;
    found["value"].as_str().map(str::to_owned)
}

#[test]
fn every_worker_finds_the_cluster_and_itself() {
    let container = container(&json!({ "jobName": "k", "resources": { "instanceCount": 3 } }));
    // What Kubernetes makes of it in the second pod.
    let config = value(&container, "TF_CONFIG").unwrap().replace("$(INSTANCE_INDEX)", "1");
    let config: Value = serde_json::from_str(&config).unwrap();
    let workers = ["k-0.k-pods:2222", "k-1.k-pods:2222", "k-2.k-pods:2222"];
    assert_eq!(
        config,
        json!({ "cluster": { "worker": workers }, "task": { "type": "worker", "index": 1 } })
    );
    // Kubernetes expands only what stands before.
    let names: Vec<&Value> =
        container["env"].as_array().unwrap().iter().map(|variable| &variable["name"]).collect();
    let position = |name: &str| names.iter().position(|other| *other == name).unwrap();
    assert!(position("INSTANCE_INDEX") < position("TF_CONFIG"));
}

/// Runs the launcher as the pod with this number would.
fn part_of(container: &Value, index: u32) -> Value {
    let words = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let command = words(&container["command"]);
    let output = std::process::Command::new(&command[0])
        .args(&command[1..])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("INSTANCE_INDEX", index.to_string())
        .env("TF_WORKERS", value(container, "TF_WORKERS").unwrap())
        .env("TF_CLUSTER", value(container, "TF_CLUSTER").unwrap())
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn with_parameter_servers_every_pod_learns_its_part() {
    let container = container(&json!({
        "jobName": "k", "resources": { "instanceCount": 5 }, "entrypoint": "echo \"$TF_CONFIG\"",
        "hyperparameters": { "tensorflow": { "strategy": "parameter_server", "num_ps": 2 } },
    }));
    let cluster = json!({
        "chief": ["k-0.k-pods:2222"],
        "worker": ["k-1.k-pods:2222", "k-2.k-pods:2222"],
        "ps": ["k-3.k-pods:2222", "k-4.k-pods:2222"],
    });
    for (pod, part, index) in
        [(0, "chief", 0), (1, "worker", 0), (2, "worker", 1), (3, "ps", 0), (4, "ps", 1)]
    {
        let expected = json!({ "cluster": cluster, "task": { "type": part, "index": index } });
        assert_eq!(part_of(&container, pod), expected);
    }
}

#[test]
fn one_pod_is_no_cluster() {
    let container = container(&json!({ "jobName": "k" }));
    assert_eq!(value(&container, "TF_CONFIG"), None);
    assert_eq!(value(&container, "HP_STRATEGY").as_deref(), Some("none"));
    assert_eq!(value(&container, "HP_LEARNING_RATE").as_deref(), Some("0.001"));
}
