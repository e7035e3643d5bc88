//! From the form to a cluster, and back to the API.

use serde_json::{Value, json};

use super::suite::{Suite, case};
use super::target::is_ready;

const CLUSTERS: &str = "/apis/cluster.karmada.io/v1alpha1/clusters";

#[tokio::test]
async fn clusters_are_listed_as_karmada_knows_them() {
    case(async |suite: &Suite| {
        // Both sides may change; in the end they agree.
        suite
            .wait("the lists agree", async || {
                let known = suite.target.list(None, CLUSTERS).await;
                let known = known.iter().map(|each| (&each["metadata"]["name"], is_ready(each)));
                let shown = suite.get("/api/v1/clusters").await.body;
                let shown = shown["clusters"].as_array().cloned().unwrap_or_default();
                let shown = shown.iter().map(|each| (&each["name"], each["ready"] == true));
                let (mut known, mut shown): (Vec<_>, Vec<_>) = (known.collect(), shown.collect());
                known.sort_by_key(|(name, _)| name.to_string());
                shown.sort_by_key(|(name, _)| name.to_string());
                known == shown
            })
            .await;
        let shown = suite.get("/api/v1/proxy/clusters").await.body;
        for member in &suite.members {
            let shown = shown["clusters"].as_array().expect("a list");
            let found = shown.iter().find(|each| each["name"] == *member).expect("it is listed");
            assert_eq!(found["ready"], true, "{found:#}");
        }
    })
    .await;
}

#[tokio::test]
async fn job_with_two_targets_is_pinned_to_one_and_its_status_comes_back() {
    case(async |suite: &Suite| {
        suite.make_namespace().await;
        let (id, member) = suite.placed("one").await;
        let policy = suite.target.get(None, &suite.policy("one", "propagation")).await;
        let policy = policy.expect("a policy");
        let pinned = policy.pointer("/spec/placement/clusterAffinity/clusterNames");
        assert_eq!(pinned, Some(&json!([member])), "{policy:#}");

        let running = json!({ "jobDeploymentStatus": "Running", "jobStatus": "RUNNING" });
        suite.reported(&id, "one", &member, running, "Running").await;
        // By now Karmada has done all that it will do.
        let only = vec![member.clone()];
        assert_eq!(suite.members_with(&suite.ray_job("one")).await, only);
        assert_eq!(suite.members_with(&suite.volume("one")).await, only);

        let complete = json!({
            "jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED",
            "startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-01T00:10:00Z",
        });
        let job = suite.reported(&id, "one", &member, complete, "Succeeded").await;
        assert_eq!(
            (&job["status"], &job["clusters"]),
            (&json!("Succeeded"), &json!([member])),
            "{job:#}"
        );
        suite.delete(&id, "one", "?volumes=delete").await;
    })
    .await;
}

#[tokio::test]
async fn failure_comes_back_with_its_reason() {
    case(async |suite: &Suite| {
        suite.make_namespace().await;
        let (id, member) = suite.placed("doomed").await;
        let failed = json!({
            "jobDeploymentStatus": "Failed", "jobStatus": "FAILED",
            "reason": "AppFailed", "message": "division by zero",
        });
        let job = suite.reported(&id, "doomed", &member, failed, "Failed").await;
        assert_eq!(job["reason"], "AppFailed", "{job:#}");
        assert!(job["message"].as_str().unwrap().contains("division by zero"), "{job:#}");
    })
    .await;
}

#[tokio::test]
async fn suspend_and_resume_reach_the_member() {
    case(async |suite: &Suite| {
        suite.make_namespace().await;
        let (id, member) = suite.placed("held").await;
        let path = suite.ray_job("held");
        let is_held = async || {
            let found = suite.target.get(Some(&member), &path).await.unwrap_or_default();
            found["spec"]["suspend"].as_bool().unwrap_or_default()
        };
        assert!(!is_held().await);
        let wish = async |verb: &str| {
            let answer = suite.post(&format!("/api/v1/jobs/{id}/{verb}"), &json!({})).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        };
        wish("suspend").await;
        suite.wait("the member knows", &is_held).await;
        let suspended = json!({ "jobDeploymentStatus": "Suspended", "jobStatus": "" });
        suite.reported(&id, "held", &member, suspended, "Suspended").await;
        wish("resume").await;
        suite.wait("the member knows", async || !is_held().await).await;
        let running = json!({ "jobDeploymentStatus": "Running", "jobStatus": "RUNNING" });
        suite.reported(&id, "held", &member, running, "Running").await;
    })
    .await;
}

#[tokio::test]
async fn missing_namespace_is_waited_for() {
    case(async |suite: &Suite| {
        let id = suite.submit(&suite.form("homeless")).await;
        let waits = |job: &Value| job["reason"] == "PrerequisiteMissing";
        let job = suite.job_until(&id, waits).await;
        assert_eq!(job["phase"], "Queued");
        assert!(job["message"].as_str().unwrap().contains(&suite.namespace), "{job:#}");
        suite.make_namespace().await;
        let job = suite.job_until(&id, |job| job["phase"] != "Queued").await;
        let member = job["clusters"][0].as_str().expect("a cluster").to_owned();
        let path = suite.ray_job("homeless");
        suite
            .wait("the workload is there", async || {
                suite.target.get(Some(&member), &path).await.is_some()
            })
            .await;
    })
    .await;
}
