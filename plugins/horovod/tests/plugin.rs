//! The converter, natively: the cases that `trainyard-plugin check` takes through the component,
//! generated jobs, and the schemas of clusters.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::path::Path;

use horovod::Plugin;
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

fn workload(form: &Value) -> Value {
    let plan = run::<Plugin>(&job_of(form, "horovod", &json!({})).to_string()).unwrap();
    serde_json::from_str(&plan.manifests.last().unwrap().document).unwrap()
}

#[test]
fn the_launcher_passes_every_variable_on_and_leads_without_gpus() {
    let job = workload(&serde_json::from_str(include_str!("../examples/mpi.json")).unwrap());
    let launcher = &job["spec"]["mpiReplicaSpecs"]["Launcher"]["template"]["spec"]["containers"][0];
    let args: Vec<&str> =
        launcher["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    assert_eq!(args[..2], ["-np", "16"]);
    for variable in launcher["env"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        assert!(args.windows(2).any(|pair| pair == ["-x", name]), "{name} stays behind");
    }
    assert!(launcher["resources"]["limits"]["nvidia.com/gpu"].is_null());
    let worker = &job["spec"]["mpiReplicaSpecs"]["Worker"];
    assert_eq!(worker["replicas"], 4);
    let limits = &worker["template"]["spec"]["containers"][0]["resources"]["limits"];
    assert_eq!(limits["nvidia.com/gpu"], "4");
}

#[test]
fn one_pod_needs_no_operator() {
    let job = workload(&json!({
        "jobName": "h", "algorithm": { "imageUri": "a/b:1" }, "entrypoint": "python t.py",
        "resources": { "instanceResources": { "gpuCount": 2 } },
    }));
    assert_eq!(job["kind"], "Job");
    assert_eq!(
        job["spec"]["template"]["spec"]["containers"][0]["command"],
        json!(["horovodrun", "-np", "2", "-H", "localhost:2", "/bin/sh", "-c", "python t.py"])
    );
}
