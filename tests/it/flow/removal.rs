//! Stop and delete, with proof on every cluster.

use serde_json::{Value, json};

use crate::harness::{App, Setup, sample_form, until};

const POLICY: &str = "policy.karmada.io/v1alpha1";

fn policies(app: &App, name: &str) -> usize {
    ["propagation", "storage"]
        .iter()
        .filter(|suffix| {
            let policy = format!("{name}-{suffix}");
            app.sandbox.get(None, POLICY, "PropagationPolicy", "default", &policy).is_some()
        })
        .count()
}

async fn running(app: &App, name: &str) -> String {
    let id = app.submit(&sample_form(name)).await;
    app.job_in_phase(&id, "Running").await;
    id
}

/// Nothing of the workload is left anywhere.
fn assert_workload_gone(app: &App, name: &str) {
    assert!(app.sandbox.get(None, "ray.io/v1", "RayJob", "default", name).is_none());
    assert!(app.members_with("ray.io/v1", "RayJob", name).is_empty());
    for member in ["member1", "member2"] {
        let pods = app.sandbox.list(Some(member), "v1", "Pod");
        assert_eq!(pods, Vec::<serde_json::Value>::new(), "pods hold GPUs on {member}");
    }
}

#[tokio::test]
async fn delete_removes_rayjob_pods_and_policy_and_keeps_the_volume() {
    let app = Setup::sqlite().speed(2.0).start().await;
    let id = running(&app, "kept").await;
    let cluster = app.members_with("v1", "PersistentVolumeClaim", "kept-pvc");
    assert_eq!(cluster.len(), 1);
    let answer = app.delete(&format!("/api/v1/jobs/{id}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body["message"].is_string());
    assert_eq!(app.delete(&format!("/api/v1/jobs/{id}")).await.status, 200, "asking again is fine");
    app.job_gone(&id).await;
    assert_workload_gone(&app, "kept");
    assert_eq!(app.members_with("v1", "PersistentVolumeClaim", "kept-pvc"), cluster);
    assert_eq!(policies(&app, "kept"), 1, "only the volume's own policy stays");
    assert_eq!(app.delete(&format!("/api/v1/jobs/{id}")).await.status, 404);
    assert_eq!(app.get("/api/v1/jobs").await.body, json!([]));
}

#[tokio::test]
async fn delete_with_volumes_removes_the_claim_from_control_plane_and_member() {
    let app = Setup::sqlite().speed(2.0).start().await;
    let id = running(&app, "emptied").await;
    let answer = app.delete(&format!("/api/v1/jobs/{id}?volumes=delete")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    app.job_gone(&id).await;
    assert_workload_gone(&app, "emptied");
    let claim =
        |place| app.sandbox.get(place, "v1", "PersistentVolumeClaim", "default", "emptied-pvc");
    for place in [None, Some("member1"), Some("member2")] {
        assert!(claim(place).is_none(), "{place:?}");
    }
    assert_eq!(policies(&app, "emptied"), 0);
}

#[tokio::test]
async fn volume_of_a_deleted_job_serves_the_next_one_of_its_name() {
    let app = Setup::sqlite().start().await;
    let on = |clusters: &[&str]| {
        let mut form = sample_form("again");
        form["targetClusters"] = json!(clusters);
        form
    };
    let run = async |form: Value, query: &str| {
        let id = app.submit(&form).await;
        let job = app.job_in_phase(&id, "Succeeded").await;
        app.delete(&format!("/api/v1/jobs/{id}{query}")).await;
        app.job_gone(&id).await;
        job["clusters"].clone()
    };
    let with_claim = || app.members_with("v1", "PersistentVolumeClaim", "again-pvc");
    // The second cluster, because an empty one without further reason would be the first.
    assert_eq!(run(on(&["member2"]), "").await, json!(["member2"]));
    assert_eq!(run(on(&[]), "").await, json!(["member2"]), "it follows its volume");
    assert_eq!(app.creations("persistentvolumeclaims", "again-pvc"), 1);
    // Whoever names a cluster gets it, with a volume of its own there.
    assert_eq!(run(on(&["member1"]), "").await, json!(["member1"]));
    assert_eq!(with_claim(), ["member1", "member2"]);
    assert_eq!(run(on(&[]), "?volumes=delete").await, json!(["member1"]), "the latest");
    assert_eq!(with_claim(), Vec::<&str>::new(), "wherever they were");
}

#[tokio::test]
async fn cancel_stops_the_run_and_keeps_the_record() {
    let app = Setup::sqlite().speed(2.0).start().await;
    let id = running(&app, "halted").await;
    let answer = app.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).await;
    assert!((200..300).contains(&answer.status), "{}", answer.body);
    let job = app.job_in_phase(&id, "Cancelled").await;
    assert_eq!((&job["status"], &job["lifecycle"]), (&json!("Failed"), &json!("Active")));
    assert_workload_gone(&app, "halted");
    // A finished job stays as it is.
    app.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).await;
    assert_eq!(app.get(&format!("/api/v1/jobs/{id}")).await.body["phase"], "Cancelled");
}

#[tokio::test]
async fn delete_before_anything_was_applied_leaves_nothing() {
    let app = Setup::sqlite().start().await;
    app.sandbox.faults().member_down("member1");
    app.sandbox.faults().member_down("member2");
    until("both clusters are away", async || {
        let answer = app.get("/api/v1/proxy/clusters").await;
        let list = answer.body["clusters"].as_array().cloned().unwrap_or_default();
        list.len() == 2 && list.iter().all(|cluster| cluster["ready"] == false)
    })
    .await;
    let id = app.submit(&sample_form("never")).await;
    let job = app.job_until(&id, |job| job["reason"] == "NoClusterFits").await;
    assert_eq!(job["phase"], "Queued");
    assert!(job["message"].as_str().unwrap().contains("is not ready"), "{job:#}");
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    app.job_gone(&id).await;
    assert_eq!(app.creations("rayjobs", "never"), 0);
}

#[tokio::test]
async fn delete_while_the_member_is_away_ends_when_it_is_back() {
    let app = Setup::sqlite().speed(2.0).start().await;
    let id = running(&app, "remote").await;
    let cluster = app.members_with("ray.io/v1", "RayJob", "remote")[0];
    app.sandbox.faults().member_down(cluster);
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    let job = app
        .job_until(&id, |job| job["message"].as_str().is_some_and(|text| text.contains(cluster)))
        .await;
    assert_eq!(job["lifecycle"], "Deleting", "{job:#}");
    app.sandbox.faults().member_up(cluster);
    app.job_gone(&id).await;
    assert_workload_gone(&app, "remote");
}
