//! The converter, natively: the cases that `trainyard-plugin check` takes through the component,
//! generated jobs, and the schemas of clusters.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests"
)]

use std::path::Path;

use lightgbm::Plugin;
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

fn environment(instances: u32, name: &str) -> Vec<(String, Value)> {
    let form = json!({
        "jobName": name, "resources": { "instanceCount": instances },
        "hyperparameters": { "lightgbm": { "local_listen_port": 15000 } },
    });
    let plan = run::<Plugin>(&job_of(&form, "lightgbm", &json!({})).to_string()).unwrap();
    let job: Value = serde_json::from_str(&plan.manifests.last().unwrap().document).unwrap();
    let env = &job["spec"]["template"]["spec"]["containers"][0]["env"];
    let variables = env.as_array().unwrap().iter();
    variables.map(|v| (v["name"].as_str().unwrap().to_owned(), v["value"].clone())).collect()
}

fn value<'v>(env: &'v [(String, Value)], name: &str) -> Option<&'v str> {
    env.iter().find(|(other, _)| other == name).and_then(|(_, value)| value.as_str())
}

#[test]
fn several_pods_know_every_machine_and_the_way_to_learn_together() {
    let env = environment(3, "iris");
    assert_eq!(value(&env, "HP_NUM_MACHINES"), Some("3"));
    assert_eq!(
        value(&env, "HP_MACHINES"),
        Some("iris-0.iris-pods:15000,iris-1.iris-pods:15000,iris-2.iris-pods:15000")
    );
    assert_eq!(value(&env, "HP_TREE_LEARNER"), Some("data"));
}

#[test]
fn one_pod_knows_of_no_others() {
    let env = environment(1, "iris");
    assert_eq!(value(&env, "HP_MACHINES"), None);
    assert_eq!(value(&env, "HP_TREE_LEARNER"), Some("serial"));
}

#[test]
fn a_list_too_long_for_a_variable_is_refused_and_a_shorter_name_helps() {
    let refused = |name: &str| {
        let form = json!({ "jobName": name, "resources": { "instanceCount": 1000 } });
        run::<Plugin>(&job_of(&form, "lightgbm", &json!({})).to_string()).is_err()
    };
    assert!(refused(&"n".repeat(55)));
    assert!(!refused("iris"));
}
