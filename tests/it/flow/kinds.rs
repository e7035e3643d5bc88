//! Kinds of workloads that operators choose for a plugin: a job of each runs to its end, with logs,
//! and can be held back.

use serde_json::{Value, json};

use crate::harness::{App, Setup, all_plugins_dir, until_within};

/// For five components that nothing has compiled yet, on a busy machine.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(3);
const PLUGINS: [&str; 5] = ["deepspeed", "horovod", "jax", "pytorch", "tensorflow"];

/// A host whose operator has chosen these kinds, as `plugin = kind`.
async fn host_with(kinds: &[(&str, &str)]) -> App {
    let settings: String = kinds
        .iter()
        .map(|(plugin, kind)| format!("[plugins.settings.{plugin}]\nworkloadKind = \"{kind}\"\n"))
        .collect();
    let setup = Setup::sqlite().own_plugins().config(&settings);
    for plugin in PLUGINS {
        let file = format!("{plugin}.wasm");
        std::fs::copy(all_plugins_dir().join(&file), setup.plugins_dir().join(&file))
            .expect("a built plugin");
    }
    let app = setup.start().await;
    until_within(PATIENCE, "every plugin serves", async || {
        let list = app.get("/api/v1/algorithms").await.body;
        list.as_array().is_some_and(|list| list.len() == PLUGINS.len())
    })
    .await;
    app
}

fn form(algorithm: &str, name: &str, instances: u32) -> Value {
    json!({
        "jobName": name,
        "algorithm": { "algorithmName": algorithm, "imageUri": "registry.example/team/train:1" },
        "resources": {
            "instanceResources": { "cpuCores": 1, "memoryGiB": 1, "gpuCount": 0 },
            "instanceCount": instances,
        },
        "entrypoint": "python train.py",
    })
}

async fn runs_to_its_end(app: &App, form: &Value, api: &str, kind: &str) {
    let name = form["jobName"].as_str().expect("a name").to_owned();
    let id = app.submit(form).await;
    let job = app.job_in_phase(&id, "Succeeded").await;
    assert_eq!(app.members_with(api, kind, &name).len(), 1, "{job:#}");
    let plural = format!("{}s", kind.to_lowercase());
    assert_eq!(app.creations(&plural, &name), 1, "{kind} {name} is created once");
    // The bindings tell the end before the log may be complete in the archive.
    until_within(PATIENCE, "the logs are complete", async || {
        let logs = app.get(&format!("/api/v1/jobs/{id}/logs")).await;
        logs.body.to_string().contains("Training finished.")
    })
    .await;
}

#[tokio::test]
async fn pytorch_runs_as_a_pytorch_job() {
    let app = host_with(&[("pytorch", "PyTorchJob")]).await;
    runs_to_its_end(&app, &form("pytorch", "single", 1), "kubeflow.org/v1", "PyTorchJob").await;
    let mut wide = form("pytorch", "wide", 3);
    wide["entrypoint"] = json!("torchrun train.py");
    wide["resources"]["volumeSizeGB"] = json!(1);
    runs_to_its_end(&app, &wide, "kubeflow.org/v1", "PyTorchJob").await;
}

#[tokio::test]
async fn every_other_kind_runs_to_its_end() {
    let app = host_with(&[
        ("deepspeed", "MPIJob"),
        ("horovod", "MPIJob"),
        ("jax", "TrainJob"),
        ("pytorch", "TrainJob"),
        ("tensorflow", "TFJob"),
    ])
    .await;
    let mut optax = form("jax", "optax", 2);
    optax["hyperparameters"] = json!({ "jax": { "learning_rate": 0.1 } });
    let mut servers = form("tensorflow", "servers", 4);
    servers["hyperparameters"] = json!({ "tensorflow": { "strategy": "parameter_server" } });
    let (v1, v2) = ("kubeflow.org/v1", "kubeflow.org/v2beta1");
    let trainer = "trainer.kubeflow.org/v1alpha1";
    for (form, api, kind) in [
        (form("tensorflow", "keras", 2), v1, "TFJob"),
        (servers, v1, "TFJob"),
        (form("horovod", "ring", 1), v2, "MPIJob"),
        (form("deepspeed", "zero", 2), v2, "MPIJob"),
        (optax, trainer, "TrainJob"),
        (form("pytorch", "nodes", 2), trainer, "TrainJob"),
    ] {
        runs_to_its_end(&app, &form, api, kind).await;
    }
}

#[tokio::test]
async fn jobs_of_every_kind_are_held_back_and_go_on() {
    let app =
        host_with(&[("pytorch", "PyTorchJob"), ("jax", "TrainJob"), ("horovod", "MPIJob")]).await;
    let mut optax = form("jax", "optax", 1);
    optax["hyperparameters"] = json!({ "jax": { "learning_rate": 0.1 } });
    for form in [form("pytorch", "torch", 2), optax, form("horovod", "ring", 1)] {
        let id = app.submit(&form).await;
        app.job_in_phase(&id, "Running").await;
        let held = app.post(&format!("/api/v1/jobs/{id}/suspend"), &json!({})).await;
        assert_eq!(held.status, 200, "{}", held.body);
        app.job_in_phase(&id, "Suspended").await;
        let resumed = app.post(&format!("/api/v1/jobs/{id}/resume"), &json!({})).await;
        assert_eq!(resumed.status, 200, "{}", resumed.body);
        app.job_in_phase(&id, "Succeeded").await;
    }
}

#[tokio::test]
async fn name_that_is_too_long_for_the_chosen_kind_is_the_users_to_shorten() {
    let app = host_with(&[("pytorch", "PyTorchJob")]).await;
    let answer = app.post("/api/v1/jobs", &form("pytorch", &"n".repeat(46), 1)).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.pointers(), ["/jobName"], "{}", answer.body);
}
