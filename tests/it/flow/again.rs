//! Programs that are over, and whose objects somebody deletes on the member: Karmada would make them
//! anew, and they would run a second time.

use serde_json::{Value, json};

use crate::harness::{App, Setup, sample_form, until};

const API: &str = "ray.io/v1";
const KIND: &str = "RayJob";
/// The request by which Karmada is told to leave a workload as it is.
const SEAL: &str = "PATCH */propagationpolicies/*-propagation";

fn on_member(app: &App, name: &str) -> Option<Value> {
    let cluster = app.members_with(API, KIND, name).first().copied()?;
    app.sandbox.get(Some(cluster), API, KIND, "default", name)
}

fn uid(object: &Value) -> &Value {
    &object["metadata"]["uid"]
}

/// Somebody with `kubectl` on the member.
fn delete_on_member(app: &App, name: &str) {
    let cluster = app.members_with(API, KIND, name)[0];
    assert!(app.sandbox.delete_member_object(cluster, API, KIND, "default", name));
}

/// Whether Karmada holds the workload back.
fn is_sealed(app: &App, name: &str) -> bool {
    let works = app.sandbox.list(None, "work.karmada.io/v1alpha1", "Work");
    works.iter().any(|work| {
        let manifest = &work["spec"]["workload"]["manifests"][0];
        (&manifest["kind"], &manifest["metadata"]["name"]) == (&json!(KIND), &json!(name))
            && work["spec"]["suspendDispatching"] == true
    })
}

async fn told(app: &App, id: &str) -> Value {
    let mut event = Value::Null;
    until("the second run is told of", async || {
        let events = app.events(id).await;
        let told: Vec<&Value> = events.iter().filter(|e| e["kind"] == "RanAgain").collect();
        assert!(told.len() < 2, "{told:#?}");
        event = told.first().map(|event| Value::clone(event)).unwrap_or_default();
        !event.is_null()
    })
    .await;
    event
}

#[tokio::test]
async fn program_that_is_over_does_not_run_again_when_its_object_is_deleted_on_the_member() {
    let app = Setup::sqlite().start().await;
    let id = app.submit(&sample_form("over")).await;
    let job = app.job_in_phase(&id, "Succeeded").await;
    until("Karmada is told to leave it as it is", async || is_sealed(&app, "over")).await;
    let explained = app.get(&format!("/api/v1/jobs/{id}/explain")).await.body;
    assert!(!explained.to_string().contains("whoever suspended it"), "{explained:#}");
    delete_on_member(&app, "over");
    // Time passes, and Karmada looks at everything once more.
    let next = app.submit(&sample_form("next")).await;
    app.job_in_phase(&next, "Succeeded").await;
    app.sandbox.settle().await;
    assert_eq!(on_member(&app, "over"), None, "nobody made it again");
    let now = app.get(&format!("/api/v1/jobs/{id}")).await.body;
    assert_eq!((&now["phase"], &now["finishedAt"]), (&json!("Succeeded"), &job["finishedAt"]));
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    app.job_gone(&id).await;
}

#[tokio::test]
async fn program_that_runs_again_all_the_same_is_told_of_and_stopped() {
    let app = Setup::sqlite().speed(4.0).start().await;
    app.sandbox.faults().fail_share(SEAL, 503, 100);
    let id = app.submit(&sample_form("revived")).await;
    let job = app.job_in_phase(&id, "Succeeded").await;
    delete_on_member(&app, "revived");
    let event = told(&app, &id).await;
    assert_eq!((&event["to"], &event["evidence"]["stopped"]), (&json!("Succeeded"), &json!(true)));
    until("it is stopped", async || {
        app.sandbox.get(None, API, KIND, "default", "revived").is_none()
            && app.members_with(API, KIND, "revived").is_empty()
    })
    .await;
    let now = app.get(&format!("/api/v1/jobs/{id}")).await.body;
    assert_eq!((&now["phase"], &now["restarts"]), (&json!("Succeeded"), &json!(1)));
    assert_eq!(now["finishedAt"], job["finishedAt"], "what it came to is settled");
}

#[tokio::test]
async fn second_run_that_ended_while_no_host_was_there_is_told_of() {
    let mut app = Setup::sqlite().start().await;
    app.sandbox.faults().fail_share(SEAL, 503, 100);
    let id = app.submit(&sample_form("unwatched")).await;
    app.job_in_phase(&id, "Succeeded").await;
    app.host.kill();
    let first = on_member(&app, "unwatched").expect("it is there");
    // A run begins in whole seconds.
    let began = first["status"]["startTime"].clone();
    delete_on_member(&app, "unwatched");
    let mut second = Value::Null;
    until("it ran a second time", async || {
        second = on_member(&app, "unwatched").unwrap_or_default();
        let over = second["status"]["jobDeploymentStatus"] == "Complete";
        if over && second["status"]["startTime"] == began {
            delete_on_member(&app, "unwatched");
            return false;
        }
        over
    })
    .await;
    assert_ne!(uid(&first), uid(&second));
    app.sandbox.faults().clear();
    app.restart().await;
    let event = told(&app, &id).await;
    assert_eq!(event["evidence"]["stopped"], false, "{event:#}");
    until("there is no third", async || is_sealed(&app, "unwatched")).await;
    assert_eq!(app.get(&format!("/api/v1/jobs/{id}")).await.body["phase"], "Succeeded");
}
