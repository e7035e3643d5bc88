//! A job that serves: pods behind it, with logs, and nothing of it left when it is over.

use serde_json::{Value, json};

use crate::harness::{App, Setup, all_plugins_dir, until};

const MEMBERS: [&str; 2] = ["member1", "member2"];
const OUTCOME: &str = "sandbox.trainyard.dev/outcome";

/// A host with the plugin for services.
async fn serving() -> App {
    let setup = Setup::sqlite().own_plugins();
    let file = "kube-service.wasm";
    std::fs::copy(all_plugins_dir().join(file), setup.plugins_dir().join(file))
        .expect("the plugin is built");
    let app = setup.start().await;
    for member in MEMBERS {
        // The form takes a password from it, and pods wait for what they refer to.
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "tracker", "namespace": "default"},
            "stringData": {"password": "of no use"},
        });
        app.sandbox.create(Some(member), secret).expect("the password");
    }
    until("the plugin serves", async || {
        let list = app.get("/api/v1/algorithms").await.body;
        list.as_array().is_some_and(|list| list.len() == 1)
    })
    .await;
    app
}

/// The second form on the page of the algorithm, with more pods.
async fn form(app: &App, name: &str, instances: u32) -> Value {
    let described = app.get("/api/v1/algorithms/service").await.body;
    let mut form = described["examples"][1].clone();
    assert!(form.is_object(), "{described:#}");
    form["jobName"] = json!(name);
    form["resources"]["instanceCount"] = json!(instances);
    form
}

/// What of a job is on the clusters, by kind and name.
fn left(app: &App, name: &str) -> Vec<String> {
    let kinds = [
        ("apps/v1", "Deployment"),
        ("apps/v1", "ReplicaSet"),
        ("v1", "Pod"),
        ("v1", "Service"),
        ("networking.k8s.io/v1", "Ingress"),
    ];
    let mut left = Vec::new();
    for member in MEMBERS {
        for (api, kind) in kinds {
            let objects = app.sandbox.list(Some(member), api, kind);
            let names = objects.iter().filter_map(|one| one["metadata"]["name"].as_str());
            let own = names.filter(|other| other.starts_with(name));
            left.extend(own.map(|other| format!("{member} {kind} {other}")));
        }
    }
    left
}

async fn logs(app: &App, id: &str) -> String {
    let answer = app.get(&format!("/api/v1/jobs/{id}/logs")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body.as_str().expect("text").to_owned()
}

/// Waits until the explanation has all these words.
async fn told(app: &App, id: &str, words: &[&str]) {
    let mut last = Value::Null;
    let waiting = async {
        loop {
            last = app.get(&format!("/api/v1/jobs/{id}/explain")).await.body;
            let sentence = last["explanation"].as_str().unwrap_or_default();
            if words.iter().all(|word| sentence.contains(word)) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let patience = std::time::Duration::from_secs(60);
    let done = tokio::time::timeout(patience, waiting).await.is_ok();
    assert!(done, "never {words:?}; last: {last:#}");
}

#[tokio::test]
async fn service_runs_with_the_logs_of_its_pods_and_leaves_nothing() {
    let app = serving().await;
    let form = form(&app, "web", 2).await;
    let id = app.submit(&form).await;
    let job = app.job_in_phase(&id, "Running").await;
    let cluster = job["clusters"][0].as_str().expect("a cluster").to_owned();
    until("both pods serve", async || {
        let found = app.sandbox.get(Some(&cluster), "apps/v1", "Deployment", "default", "web");
        found.is_some_and(|found| found["status"]["readyReplicas"] == 2)
    })
    .await;
    let pods: Vec<String> = left(&app, "web")
        .iter()
        .filter_map(|one| Some(one.split_once(" Pod ")?.1.to_owned()))
        .collect();
    assert_eq!(pods.len(), 2, "{pods:?}");
    until("both pods have written", async || {
        let text = logs(&app, &id).await;
        pods.iter().all(|pod| text.contains(&format!("Starting {pod}")))
            && text.matches("Serving.").count() == 2
            && text.contains("GET /healthz 200")
    })
    .await;
    // It goes on, and is read on.
    let before = logs(&app, &id).await.lines().count();
    until("more lines come", async || logs(&app, &id).await.lines().count() > before + 4).await;

    let stopped = app.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).await;
    assert_eq!(stopped.status, 200, "{}", stopped.body);
    app.job_in_phase(&id, "Cancelled").await;
    until("nothing is left of the pods", async || {
        !left(&app, "web")
            .iter()
            .any(|one| ["Deployment", "ReplicaSet", "Pod"].iter().any(|kind| one.contains(kind)))
    })
    .await;
    let kept = logs(&app, &id).await;
    assert!(pods.iter().all(|pod| kept.contains(&format!("Starting {pod}"))), "{kept}");

    app.delete(&format!("/api/v1/jobs/{id}")).await;
    app.job_gone(&id).await;
    assert_eq!(left(&app, "web"), [""; 0]);
}

#[tokio::test]
async fn service_that_is_deleted_while_it_runs_leaves_nothing() {
    let app = serving().await;
    let id = app.submit(&form(&app, "web", 1).await).await;
    app.job_in_phase(&id, "Running").await;
    assert!(left(&app, "web").iter().any(|one| one.contains("Pod")), "{:?}", left(&app, "web"));
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    app.job_gone(&id).await;
    until("the pods are gone, too", async || left(&app, "web").is_empty()).await;
}

#[tokio::test]
async fn faults_of_a_service_are_explained() {
    let app = serving().await;
    for (outcome, words) in [
        ("image-pull", ["does not run yet", "cannot be pulled (ImagePullBackOff)"]),
        ("crash-loop", ["exit code 1, 5 times by now (CrashLoopBackOff)", "read the log of pod"]),
        ("unschedulable", ["no node takes pod unschedulable-", "label a node"]),
    ] {
        for member in MEMBERS {
            let faults = app.sandbox.faults();
            faults.annotate(Some(member), "Deployment", outcome, OUTCOME, outcome);
        }
        let id = app.submit(&form(&app, outcome, 1).await).await;
        told(&app, &id, &words).await;
        app.delete(&format!("/api/v1/jobs/{id}")).await;
        app.job_gone(&id).await;
        until("nothing is left", async || left(&app, outcome).is_empty()).await;
    }
}
