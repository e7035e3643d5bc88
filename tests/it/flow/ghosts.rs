//! Orders that the API server carries out long after everybody gave them up: what they make must
//! neither run beside a deletion nor outlive it.

use serde_json::{Value, json};

use crate::harness::{App, Setup, sample_form, until};

const RAY: (&str, &str) = ("ray.io/v1", "RayJob");

fn on_control_plane(app: &App, name: &str) -> Option<Value> {
    app.sandbox.get(None, RAY.0, RAY.1, "default", name)
}

/// A host that waits so many seconds for the proof, and looks after orphans as it is told.
fn setup(proof: &str, orphans: &str) -> Setup {
    let mut setup = Setup::sqlite();
    setup.env = vec![
        ("TRAINYARD__RECONCILE__PROOF_SECONDS", proof.to_owned()),
        ("TRAINYARD__RECONCILE__ORPHANS", orphans.to_owned()),
        ("TRAINYARD__RECONCILE__ORPHAN_AGE_SECONDS", "2".to_owned()),
    ];
    setup
}

#[tokio::test]
async fn workload_that_is_made_after_everything_was_gone_is_found_by_the_last_look() {
    let app = setup("15", "off").start().await;
    let faults = app.sandbox.faults();
    let late = faults.late_next("POST */rayjobs", 504, 1);
    faults.fail_share("POST */rayjobs", 503, 100);
    let id = app.submit(&sample_form("ghost")).await;
    app.job_until(&id, |job| job["reason"] == "ControlPlaneUnavailable").await;
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    let waits = app
        .job_until(&id, |job| {
            job["message"].as_str().is_some_and(|text| text.contains("A last look follows at"))
        })
        .await;
    assert_eq!(waits["lifecycle"], "Deleting", "{waits:#}");
    assert_eq!(waits["reason"], "Removing", "{waits:#}");
    let taken = app.post("/api/v1/jobs", &sample_form("ghost")).await;
    assert_eq!((taken.status, &taken.body["code"]), (409, &json!("name-taken")));
    late.carry_out();
    until("the order was carried out", async || app.creations("rayjobs", "ghost") == 1).await;
    app.job_gone(&id).await;
    assert_eq!(on_control_plane(&app, "ghost"), None);
    assert_eq!(app.members_with(RAY.0, RAY.1, "ghost"), Vec::<&str>::new());
}

#[tokio::test]
async fn stop_waits_for_the_proof_too() {
    let app = setup("8", "off").start().await;
    app.sandbox.faults().fail_share("POST */rayjobs", 503, 100);
    let id = app.submit(&sample_form("halted")).await;
    app.job_until(&id, |job| job["reason"] == "ControlPlaneUnavailable").await;
    app.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).await;
    let job = app
        .job_until(&id, |job| {
            job["message"].as_str().is_some_and(|text| text.contains("A last look follows at"))
        })
        .await;
    assert_eq!(job["phase"], "Queued", "not over before it is proven: {job:#}");
    app.job_in_phase(&id, "Cancelled").await;
}

#[tokio::test]
async fn job_of_which_nothing_was_written_goes_at_once() {
    // An hour: if it waited at all, the test would end first.
    let app = setup("3600", "off").start().await;
    let mut form = sample_form("never");
    form["resources"]["instanceResources"]["gpuCount"] = json!(64);
    let id = app.submit(&form).await;
    app.job_until(&id, |job| job["reason"] == "NoClusterFits").await;
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    app.job_gone(&id).await;
    assert_eq!(app.creations("rayjobs", "never"), 0);
}

#[tokio::test]
async fn job_that_was_written_at_the_first_try_goes_at_once_and_another_does_not() {
    let app = setup("3600", "off").start().await;
    let first = app.submit(&sample_form("first")).await;
    app.job_in_phase(&first, "Running").await;
    app.delete(&format!("/api/v1/jobs/{first}")).await;
    app.job_gone(&first).await;

    app.sandbox.faults().fail_next("POST */rayjobs", 503, 1);
    let second = app.submit(&sample_form("second")).await;
    app.job_in_phase(&second, "Running").await;
    app.delete(&format!("/api/v1/jobs/{second}")).await;
    app.job_until(&second, |job| {
        job["message"].as_str().is_some_and(|text| text.contains("A last look follows at"))
    })
    .await;
}

/// An object as the job `id` of the installation `origin` would have made it.
fn stray(name: &str, id: &str, origin: &str) -> Value {
    let labels = json!({"training-job-id": id, "trainyard.dev/origin": origin});
    json!({
        "apiVersion": RAY.0, "kind": RAY.1,
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "spec": {"entrypoint": "true"},
    })
}

#[tokio::test]
async fn orphan_of_a_deleted_job_is_removed_and_what_may_be_somebodys_stays() {
    let app = setup("0", "deleted").start().await;
    let late = app.sandbox.faults().late_next("POST */rayjobs", 504, 1);
    let id = app.submit(&sample_form("late")).await;
    app.job_in_phase(&id, "Succeeded").await;
    let made = on_control_plane(&app, "late").expect("it was made by the second try");
    let origin = made["metadata"]["labels"]["trainyard.dev/origin"].as_str().expect("an origin");
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    app.job_gone(&id).await;
    let own = app.submit(&sample_form("own")).await;
    app.job_in_phase(&own, "Succeeded").await;
    let strays = [
        stray("unknown", "unknown-0000aaaa", origin),
        stray("foreign", &id, "0123456789abcdef"),
        stray("nameless", "not.an.id", origin),
    ];
    for object in strays {
        app.sandbox.create(None, object).expect("an object");
    }
    late.carry_out();
    until("the ghost is there", async || app.creations("rayjobs", "late") == 2).await;
    until("the ghost is gone", async || on_control_plane(&app, "late").is_none()).await;
    until("the unknown one is reported", async || app.host.log().contains("default/unknown")).await;
    for name in ["unknown", "foreign", "nameless", "own"] {
        assert!(on_control_plane(&app, name).is_some(), "{name}");
    }
    until("history says so", async || {
        app.events(&id).await.iter().any(|event| event["kind"] == "OrphanRemoved")
    })
    .await;
    until("the metric counts it", async || {
        let metrics = app.get("/metrics").await.body;
        metrics.as_str().is_some_and(|text| text.contains("trainyard_orphans_removed_total 1"))
    })
    .await;
}
