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
use sklearn::Plugin;

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

fn value(parameters: &Value, name: &str) -> String {
    let form = json!({ "jobName": "a", "hyperparameters": { "sklearn": parameters } });
    let plan = run::<Plugin>(&job_of(&form, "sklearn", &json!({})).to_string()).unwrap();
    let job: Value = serde_json::from_str(&plan.manifests.last().unwrap().document).unwrap();
    let env = job["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    let found = env.iter().find(|variable| variable["name"] == name).unwrap();
    found["value"].as_str().unwrap().to_owned()
}

#[test]
fn empty_parameters_have_the_default_of_their_estimator() {
    for (task, estimator, name, expected) in [
        ("classification", "random_forest", "HP_MIN_SAMPLES_LEAF", "1"),
        ("classification", "random_forest", "HP_MAX_FEATURES", "sqrt"),
        ("classification", "random_forest", "HP_BOOTSTRAP", "true"),
        ("classification", "extra_trees", "HP_BOOTSTRAP", "false"),
        ("regression", "random_forest", "HP_MAX_FEATURES", "all"),
        ("regression", "random_forest", "HP_CRITERION", "squared_error"),
        ("classification", "hist_gradient_boosting", "HP_MIN_SAMPLES_LEAF", "20"),
        ("classification", "hist_gradient_boosting", "HP_TOL", "1e-7"),
        ("classification", "hist_gradient_boosting", "HP_SCALING", "none"),
        ("classification", "svm", "HP_TOL", "0.001"),
        ("classification", "svm", "HP_MAX_ITER", ""),
        ("classification", "svm", "HP_SCALING", "standard"),
        ("regression", "ridge", "HP_SCORING", "r2"),
    ] {
        let parameters = json!({ "task": task, "estimator": estimator });
        assert_eq!(value(&parameters, name), expected, "{task} {estimator} {name}");
    }
}
