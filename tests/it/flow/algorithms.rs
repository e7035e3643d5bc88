//! Every converter of this repository in a whole host: its own smallest form runs to its end.

use serde_json::{Value, json};

use crate::harness::{App, Setup, all_plugins_dir, until_within};

/// Every algorithm that users of the predecessors know, or that the design names.
const ALGORITHMS: [&str; 11] = [
    "deepspeed",
    "horovod",
    "jax",
    "job",
    "lightgbm",
    "pytorch",
    "ray",
    "service",
    "sklearn",
    "tensorflow",
    "xgboost",
];
/// For eleven components that nothing has compiled yet, on a busy machine.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(4);

async fn every_plugin() -> App {
    let setup = Setup::sqlite().own_plugins();
    for entry in std::fs::read_dir(all_plugins_dir()).expect("the built plugins") {
        let built = entry.expect("an entry").path();
        let name = built.file_name().expect("a name").to_owned();
        std::fs::copy(&built, setup.plugins_dir().join(name)).expect("a copy");
    }
    let app = setup.start().await;
    until_within(PATIENCE, "every plugin serves", async || {
        let list = app.get("/api/v1/algorithms").await.body;
        list.as_array().is_some_and(|list| list.len() == ALGORITHMS.len())
    })
    .await;
    app
}

/// The smallest form of an algorithm, by its own example.
async fn smallest(app: &App, algorithm: &str) -> Value {
    let described = app.get(&format!("/api/v1/algorithms/{algorithm}")).await.body;
    let mut form = described["examples"][0].clone();
    assert!(form.is_object(), "{algorithm} has an example: {described}");
    form["jobName"] = json!(format!("smallest-{algorithm}"));
    form
}

#[tokio::test]
async fn smallest_form_of_every_algorithm_runs_to_its_end() {
    let app = every_plugin().await;
    let list = app.get("/api/v1/algorithms").await.body;
    let names: Vec<&str> =
        list.as_array().unwrap().iter().map(|each| each["name"].as_str().unwrap()).collect();
    assert_eq!(names, ALGORITHMS);
    let mut ids = Vec::new();
    for algorithm in ALGORITHMS {
        ids.push((algorithm, app.submit(&smallest(&app, algorithm).await).await));
    }
    for (algorithm, id) in ids {
        // A service runs until it is stopped.
        let end = if algorithm == "service" { "Running" } else { "Succeeded" };
        let job = app.job_in_phase(&id, end).await;
        let clusters = job["clusters"].as_array().unwrap();
        assert_eq!(clusters.len(), 1, "{algorithm}: {job:#}");
        let verified = app.post(&format!("/api/v1/jobs/{id}/verify"), &json!({})).await;
        assert_eq!(verified.body["verdict"], "same", "{algorithm}: {}", verified.body);
        if algorithm == "service" {
            let stopped = app.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).await;
            assert_eq!(stopped.status, 200, "{}", stopped.body);
            app.job_in_phase(&id, "Cancelled").await;
        }
    }
}

#[tokio::test]
async fn wrong_parameter_of_every_algorithm_is_answered_with_its_pointer() {
    let app = every_plugin().await;
    for algorithm in ALGORITHMS {
        let mut form = smallest(&app, algorithm).await;
        form["hyperparameters"][algorithm]["no_such_parameter"] = json!(1);
        let answer = app.post("/api/v1/jobs", &form).await;
        assert_eq!(answer.status, 400, "{algorithm}: {}", answer.body);
        let pointer = format!("/hyperparameters/{algorithm}/no_such_parameter");
        assert_eq!(answer.pointers(), [pointer.as_str()], "{algorithm}: {}", answer.body);
    }
}

#[tokio::test]
async fn names_of_the_predecessor_lead_to_their_converters() {
    let app = every_plugin().await;
    for (alias, algorithm) in [
        ("torch-mpi", "pytorch"),
        ("tensorflow-cnn", "tensorflow"),
        ("tensorflow-transformer", "tensorflow"),
        ("tf-distributed", "tensorflow"),
        ("jax-pjit", "jax"),
        ("horovod-mpi", "horovod"),
        ("deepspeed-zero3", "deepspeed"),
    ] {
        let described = app.get(&format!("/api/v1/algorithms/{alias}")).await;
        assert_eq!(
            (described.status, &described.body["name"]),
            (200, &json!(algorithm)),
            "{alias}"
        );
    }
}
