//! A control plane or a member that is away, slow or refuses.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Setup, sample_form};

#[tokio::test]
async fn job_waits_for_an_absent_karmada_says_why_and_runs_once() {
    let app = Setup::sqlite().start().await;
    app.sandbox.faults().fail_share("*", 503, 100);
    app.sandbox.faults().drop_watches();
    let id = app.submit(&sample_form("patient")).await;
    let job = app
        .job_until(&id, |job| {
            job["phase"] == "Queued" && job["reason"] != "Accepted" && job["reason"] != "Placed"
        })
        .await;
    assert!(!job["message"].as_str().unwrap().is_empty(), "{job:#}");
    assert_eq!(app.get("/readyz").await.status, 200, "the host takes jobs without Karmada");
    app.sandbox.faults().clear();
    app.job_in_phase(&id, "Succeeded").await;
    assert_eq!(app.creations("rayjobs", "patient"), 1);
}

#[tokio::test]
async fn errors_after_the_write_happened_never_run_a_job_twice() {
    let app = Setup::sqlite().start().await;
    // The API server does the work and the answer is lost on the way.
    app.sandbox.faults().fail_after_next("POST */rayjobs", 504, 2);
    let id = app.submit(&sample_form("echo")).await;
    app.job_in_phase(&id, "Succeeded").await;
    assert_eq!(app.members_with("ray.io/v1", "RayJob", "echo").len(), 1);
    let created: Vec<_> = app
        .sandbox
        .audit()
        .into_iter()
        .filter(|entry| entry.method == "POST" && entry.path.ends_with("/rayjobs"))
        .collect();
    assert!(created.len() >= 2, "it was tried again: {created:#?}");
}

#[tokio::test]
async fn refusals_and_throttling_are_told_apart() {
    let app = Setup::sqlite().start().await;
    app.sandbox.faults().fail_next("POST */rayjobs", 429, 3);
    let throttled = app.submit(&sample_form("throttled")).await;
    app.job_in_phase(&throttled, "Succeeded").await;
    app.sandbox.faults().fail_next("POST */rayjobs", 403, 1);
    let refused = app.submit(&sample_form("refused")).await;
    let job = app.job_in_phase(&refused, "Failed").await;
    assert_eq!(job["reason"], "ApplyRejected", "{job:#}");
    assert_eq!(job["failure"], "rejected");
}

#[tokio::test]
async fn broken_and_expired_watches_lose_no_status() {
    let app = Setup::sqlite().speed(4.0).start().await;
    let id = app.submit(&sample_form("watched")).await;
    app.job_in_phase(&id, "Submitted").await;
    app.sandbox.faults().expire_watches();
    app.sandbox.faults().drop_watches();
    app.job_in_phase(&id, "Succeeded").await;
}

#[tokio::test]
async fn missing_namespace_is_waited_for() {
    let app = Setup::sqlite().start().await;
    let mut form = sample_form("homeless");
    form["namespace"] = json!("team-a");
    // Without input and output there are no credentials to wait for.
    form["inputDataConfig"] = json!([]);
    form["outputDataConfig"] = json!({});
    let id = app.submit(&form).await;
    let job = app.job_until(&id, |job| job["reason"] == "PrerequisiteMissing").await;
    assert!(job["message"].as_str().unwrap().contains("team-a"), "{job:#}");
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a"}});
    app.sandbox.create(None, namespace).expect("the namespace");
    app.job_in_phase(&id, "Succeeded").await;
}

#[tokio::test]
async fn job_on_a_lost_cluster_is_unknown_and_recovers() {
    let mut setup = Setup::sqlite().speed(1.0);
    setup.env.push(("TRAINYARD__RECONCILE__UNKNOWN_AFTER_SECONDS", "1".to_owned()));
    let app = setup.start().await;
    let id = app.submit(&sample_form("dark")).await;
    let job = app.job_in_phase(&id, "Running").await;
    let cluster = job["clusters"][0].as_str().unwrap().to_owned();
    app.sandbox.faults().member_down(&cluster);
    let job = app.job_in_phase(&id, "Unknown").await;
    assert_eq!(job["status"], "Running", "the last known word for old clients");
    app.sandbox.faults().member_up(&cluster);
    app.job_in_phase(&id, "Succeeded").await;
    assert_eq!(app.members_with("ray.io/v1", "RayJob", "dark").len(), 1);
}

#[tokio::test]
async fn workload_deleted_by_somebody_else_is_lost_and_not_made_again() {
    let mut setup = Setup::sqlite().speed(1.0);
    setup.env.push(("TRAINYARD__RECONCILE__LOST_AFTER_MISSING_SECONDS", "1".to_owned()));
    let app = setup.start().await;
    let id = app.submit(&sample_form("stolen")).await;
    app.job_in_phase(&id, "Running").await;
    let client = reqwest::Client::new();
    let url = format!("{}/apis/ray.io/v1/namespaces/default/rayjobs/stolen", app.sandbox.url());
    assert!(client.delete(url).send().await.unwrap().status().is_success());
    let job = app.job_in_phase(&id, "Lost").await;
    assert_eq!(job["status"], "Failed");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(app.creations("rayjobs", "stolen"), 1);
}
