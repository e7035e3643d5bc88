//! The converter, natively: the cases that `trainyard-plugin check` takes through the component,
//! generated jobs, and the schemas of clusters.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::path::Path;

use plugin_sdk::testing::{assert_cases, clusters, job_of, properties, run};
use ray_job::Plugin;
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
    let plan = run::<Plugin>(&job_of(form, "ray", &json!({})).to_string()).unwrap();
    serde_json::from_str(&plan.manifests.last().unwrap().document).unwrap()
}

#[test]
fn the_runtime_environment_is_yaml_that_leaves_no_choice_of_type() {
    let job = workload(&serde_json::from_str(include_str!("../examples/train.json")).unwrap());
    assert_eq!(
        job["spec"]["runtimeEnvYAML"],
        "pip:\n- 'torchmetrics==1.4.0'\n- 'pyarrow>=15'\nworking_dir: \
         's3://code/churn/main.zip'\nenv_vars:\n  SWITCH: 'on'\n  TOKENIZERS_PARALLELISM: 'false'\n"
    );
    let plain = workload(&json!({ "jobName": "r", "entrypoint": "python a.py" }));
    assert!(plain["spec"].get("runtimeEnvYAML").is_none());
}

#[test]
fn workers_are_as_many_as_gpus_or_instances() {
    for (gpus, parameters, expected) in
        [(0, json!({}), "3"), (2, json!({}), "6"), (2, json!({ "use_gpu": false }), "3")]
    {
        let job = workload(&json!({
            "jobName": "r", "entrypoint": "python a.py", "hyperparameters": { "ray": parameters },
            "resources": { "instanceResources": { "gpuCount": gpus }, "instanceCount": 3 },
        }));
        let group = &job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0];
        let env = group["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
        let workers = env.iter().find(|v| v["name"] == "HP_NUM_WORKERS").unwrap();
        assert_eq!(workers["value"], expected);
        assert_eq!(group["replicas"], 3);
    }
}
