//! What Karmada does that nobody would expect of it, and that a job must not suffer from.

use serde_json::{Value, json};

use crate::harness::{App, Setup, all_plugins_dir, sample_form, until};

const MEMBER: &str = "member1";

fn on_one_member(name: &str) -> Value {
    let mut form = sample_form(name);
    form["targetClusters"] = json!([MEMBER]);
    form
}

/// Waits until Karmada says whether the member has RayJobs.
async fn karmada_knows(app: &App, present: bool) {
    until("Karmada knows the APIs of the member", async || {
        let cluster = app.sandbox.get(None, "cluster.karmada.io/v1alpha1", "Cluster", "", MEMBER);
        cluster.is_some_and(|cluster| cluster.to_string().contains("RayJob") == present)
    })
    .await;
}

#[tokio::test]
async fn workload_that_karmada_gave_up_on_runs_once_its_cluster_can_take_it() {
    let app = Setup::sqlite().start().await;
    // Placed while the member has the kind, scheduled by Karmada when it has not.
    app.sandbox.faults().fail_share("POST */rayjobs", 503, 100);
    let id = app.submit(&on_one_member("late")).await;
    app.job_until(&id, |job| job["clusters"] == json!([MEMBER])).await;
    app.sandbox.faults().remove_crds(Some(MEMBER), "ray.io");
    karmada_knows(&app, false).await;
    app.sandbox.faults().clear();
    let job = app.job_until(&id, |job| job["reason"] == "NoClusterFit").await;
    assert_eq!(job["phase"], "Submitted", "{job:#}");
    assert!(job["message"].as_str().unwrap().contains("API resource"), "{job:#}");
    app.sandbox.faults().install_crds(Some(MEMBER), "ray.io");
    app.job_in_phase(&id, "Succeeded").await;
    assert_eq!(app.members_with("ray.io/v1", "RayJob", "late"), [MEMBER]);
}

#[tokio::test]
async fn job_goes_on_while_karmadas_clusters_cannot_be_seen() {
    let app = Setup::sqlite().speed(2.0).start().await;
    let id = app.submit(&sample_form("followed")).await;
    app.job_in_phase(&id, "Running").await;
    app.sandbox.faults().aggregated_apiserver_down(true);
    app.sandbox.faults().drop_watches();
    app.job_in_phase(&id, "Succeeded").await;
    // One that needs a cluster waits for them, and says so.
    let next = app.submit(&sample_form("next")).await;
    let job = app.job_until(&next, |job| job["reason"] == "ControlPlaneUnavailable").await;
    assert_eq!(job["phase"], "Queued", "{job:#}");
    app.sandbox.faults().aggregated_apiserver_down(false);
    app.job_in_phase(&next, "Succeeded").await;
}

#[tokio::test]
async fn deletion_that_somebody_forbids_says_so_and_ends_when_it_may() {
    let app = Setup::sqlite().start().await;
    let id = app.submit(&sample_form("protected")).await;
    app.job_in_phase(&id, "Succeeded").await;
    let path = "/apis/ray.io/v1/namespaces/default/rayjobs/protected";
    let label = |value: Value| json!({"metadata": {"labels": {"resourcetemplate.karmada.io/deletion-protected": value}}});
    app.patch(path, &label(json!("Always"))).await;
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    until("whoever asks is told", async || {
        let explained = app.get(&format!("/api/v1/jobs/{id}/explain")).await.body;
        let sentence = explained["explanation"].as_str().unwrap_or_default();
        sentence.contains("make sure to remove the label")
    })
    .await;
    let job = app.get(&format!("/api/v1/jobs/{id}")).await.body;
    assert_eq!(job["lifecycle"], "Deleting", "{job:#}");
    assert_eq!(app.members_with("ray.io/v1", "RayJob", "protected").len(), 1);
    app.patch(path, &label(Value::Null)).await;
    app.job_gone(&id).await;
    assert!(app.members_with("ray.io/v1", "RayJob", "protected").is_empty());
}

#[tokio::test]
async fn failed_job_is_failed_although_karmada_cannot_write_its_status() {
    let setup = Setup::sqlite().own_plugins();
    std::fs::copy(
        all_plugins_dir().join("kube-job.wasm"),
        setup.plugins_dir().join("kube-job.wasm"),
    )
    .expect("a built plugin");
    let app = setup.start().await;
    for member in ["member1", "member2"] {
        let outcome = "sandbox.trainyard.dev/outcome";
        app.sandbox.faults().annotate(Some(member), "Job", "*", outcome, "fail");
    }
    let minimal = include_str!("../../../plugins/job/examples/minimal.json");
    let form: Value = serde_json::from_str(minimal).expect("an example");
    let id = app.submit(&form).await;
    let job = app.job_in_phase(&id, "Failed").await;
    assert_eq!(
        (&job["failure"], &job["reason"]),
        (&json!("user-code"), &json!("BackoffLimitExceeded"))
    );
    // What a user of `kubectl` sees on the control plane does not tell.
    let name = form["jobName"].as_str().expect("a name");
    let template = app.sandbox.get(None, "batch/v1", "Job", "default", name).expect("the workload");
    assert!(!template["status"].to_string().contains("Failed"), "{template:#}");
}
