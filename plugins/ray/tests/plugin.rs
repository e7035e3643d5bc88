//! The converter, natively: the cases that `trainyard-plugin check` takes through the component,
//! generated jobs, and the schemas of clusters.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests"
)]

use std::path::Path;

use plugin_sdk::testing::{assert_cases, clusters, job_of, properties, run};
use ray_program::Plugin;
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

fn runtime_env(form: &Value) -> String {
    workload(form)["spec"]["runtimeEnvYAML"].as_str().unwrap().to_owned()
}

#[test]
fn the_runtime_environment_is_yaml_that_leaves_no_choice_of_type() {
    let form = serde_json::from_str(include_str!("../examples/train.json")).unwrap();
    let yaml = runtime_env(&form);
    let start = "pip:\n- 'torchmetrics==1.4.0'\n- 'pyarrow>=15'\nworking_dir: \
                 's3://code/churn/main.zip'\nenv_vars:\n  JOB_ID: 'ray-train-1a2b3c4d'\n";
    assert!(yaml.starts_with(start), "{yaml}");
    assert!(yaml.ends_with("  SWITCH: 'on'\n  TOKENIZERS_PARALLELISM: 'false'\n"), "{yaml}");
    // Nothing expands what Ray hands over, so nothing is escaped for it.
    let plain = runtime_env(&json!({
        "jobName": "r", "entrypoint": "python a.py", "outputDataConfig": { "artifactUri": "s3://a/$b" },
    }));
    assert!(plain.contains("  OUTPUT_URI: 's3://a/$b'\n"), "{plain}");
}

#[test]
fn secrets_reach_the_pods_by_reference_only() {
    let job = workload(&serde_json::from_str(include_str!("../examples/train.json")).unwrap());
    let cluster = &job["spec"]["rayClusterSpec"];
    for group in [&cluster["headGroupSpec"], &cluster["workerGroupSpecs"][0]] {
        let env = group["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
        let names: Vec<&str> = env.iter().map(|v| v["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
        assert!(env.iter().all(|v| v["valueFrom"]["secretKeyRef"].is_object()));
    }
    assert!(!job["spec"]["runtimeEnvYAML"].as_str().unwrap().contains("SECRET"));
}

#[test]
fn workers_are_as_many_as_gpus_or_instances() {
    for (gpus, parameters, expected) in
        [(0, json!({}), "3"), (2, json!({}), "6"), (2, json!({ "use_gpu": false }), "3")]
    {
        let form = json!({
            "jobName": "r", "entrypoint": "python a.py", "hyperparameters": { "ray": parameters },
            "resources": { "instanceResources": { "gpuCount": gpus }, "instanceCount": 3 },
        });
        let yaml = runtime_env(&form);
        assert!(yaml.contains(&format!("  HP_NUM_WORKERS: '{expected}'\n")), "{yaml}");
        let group = workload(&form)["spec"]["rayClusterSpec"]["workerGroupSpecs"][0].clone();
        assert_eq!(group["replicas"], 3);
    }
}
