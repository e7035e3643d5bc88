//! Causes before a member has the job.

use serde_json::json;

use super::*;
use crate::flow::needed;
use crate::harness::until;

async fn all_clusters(app: &App, wanted: impl Fn(&Value) -> bool) {
    until("the host sees the clusters so", async || {
        let answer = app.get("/api/v1/clusters").await;
        let list = answer.body["clusters"].as_array().cloned().unwrap_or_default();
        list.len() == MEMBERS.len() && list.iter().all(&wanted)
    })
    .await;
}

#[tokio::test]
async fn explain_no_room() {
    let app = Setup::sqlite().start().await;
    let mut form = sample_form("greedy");
    form["resources"]["instanceResources"]["gpuCount"] = json!(64);
    let id = app.submit(&form).await;
    let words = ["waits in the queue", "16 GPUs free and the job needs 64", "ask for less"];
    told_wrong(&app, &id, &words, "placement").await;
    let job = app.job_until(&id, |job| job["reason"] == "NoClusterFits").await;
    // What is kept does not change with every sample of a cluster, or history would grow with them.
    let kept = job["explanation"].as_str().unwrap();
    assert!(kept.contains("has not the 64 GPUs free that the job needs"), "{job:#}");
    let status = app.get(&format!("/api/v1/jobs/{id}/status")).await.body;
    assert_eq!(status["explanation"], job["explanation"]);
}

#[tokio::test]
async fn explain_no_ready_cluster() {
    let app = Setup::sqlite().start().await;
    for member in MEMBERS {
        app.sandbox.faults().member_down(member);
    }
    all_clusters(&app, |cluster| cluster["ready"] == false).await;
    let id = app.submit(&sample_form("unready")).await;
    let words =
        ["cluster member1 is not ready (ClusterNotReachable", "when a cluster is ready again"];
    let told = told_wrong(&app, &id, &words, "placement").await;
    assert!(link(&told, "placement")["at"].is_string(), "{told:#}");
}

#[tokio::test]
async fn explain_tainted_clusters() {
    let app = Setup::sqlite().start().await;
    let taint = json!({"spec": {"taints": [{"key": "maintenance", "effect": "NoSchedule"}]}});
    for member in MEMBERS {
        app.patch(&format!("/apis/cluster.karmada.io/v1alpha1/clusters/{member}"), &taint).await;
    }
    all_clusters(&app, |cluster| cluster["taints"] == json!(["maintenance:NoSchedule"])).await;
    let id = app.submit(&sample_form("tainted")).await;
    let words = ["has the taint maintenance:NoSchedule", "remove the taint"];
    told_wrong(&app, &id, &words, "placement").await;
}

#[tokio::test]
async fn explain_missing_api() {
    let app = Setup::sqlite().start().await;
    for member in MEMBERS {
        app.sandbox.faults().remove_crds(Some(member), "ray.io");
    }
    all_clusters(&app, |cluster| needed(cluster, "RayJob")["present"] == false).await;
    let id = app.submit(&sample_form("alien")).await;
    let words = ["does not have the API ray.io/v1 RayJob", "install the operator"];
    told_wrong(&app, &id, &words, "placement").await;
}

#[tokio::test]
async fn explain_target_that_does_not_fit_offers_the_one_that_would() {
    let app = Setup::sqlite().start().await;
    app.sandbox.faults().remove_crds(Some("member1"), "ray.io");
    until("the host sees it", async || {
        let clusters = app.get("/api/v1/clusters").await.body;
        needed(&clusters["clusters"][0], "RayJob")["present"] == false
    })
    .await;
    let mut form = sample_form("choosy");
    form["targetClusters"] = json!(["member1"]);
    let id = app.submit(&form).await;
    let words = ["cluster member2 would fit", "`targetClusters`"];
    told_wrong(&app, &id, &words, "placement").await;
}

#[tokio::test]
async fn explain_absent_control_plane() {
    let app = Setup::sqlite().start().await;
    app.sandbox.faults().fail_share("*", 503, 100);
    app.sandbox.faults().drop_watches();
    let id = app.submit(&sample_form("patient")).await;
    let words = ["waits in the queue", "Karmada API is unavailable", "goes on by itself"];
    told_wrong(&app, &id, &words, "queue").await;
}

#[tokio::test]
async fn explain_missing_namespace() {
    let app = Setup::sqlite().start().await;
    let mut form = sample_form("homeless");
    form["namespace"] = json!("team-a");
    let id = app.submit(&form).await;
    let words = ["namespace \"team-a\" does not exist", "create the namespace"];
    told_wrong(&app, &id, &words, "template").await;
}

#[tokio::test]
async fn explain_name_conflict() {
    let app = Setup::sqlite().start().await;
    let theirs = json!({"apiVersion": "ray.io/v1", "kind": "RayJob",
        "metadata": {"name": "taken", "namespace": "default"}, "spec": {}});
    app.sandbox.create(None, theirs).expect("somebody's job");
    let id = app.submit(&sample_form("taken")).await;
    let words = ["failed", "belongs to somebody else", "under another name"];
    told_wrong(&app, &id, &words, "template").await;
}

#[tokio::test]
async fn explain_refused_write() {
    let app = Setup::sqlite().start().await;
    app.sandbox.faults().refuse(None, "rayjobs", "no training on Fridays");
    let id = app.submit(&sample_form("refused")).await;
    let words = ["failed", "no training on Fridays", "change the form"];
    told_wrong(&app, &id, &words, "template").await;
}

#[tokio::test]
async fn explain_binding_that_karmada_may_not_make() {
    let app = Setup::sqlite().start().await;
    let why = "exceeded quota: bindings, requested: count/resourcebindings=1";
    app.sandbox.faults().refuse(None, "resourcebindings", why);
    let id = app.submit(&sample_form("unbound")).await;
    let words = ["ApplyPolicyFailed", "exceeded quota: bindings", "tries again by itself"];
    let told = told_wrong(&app, &id, &words, "binding").await;
    assert_eq!(link(&told, "binding")["source"], "ResourceBinding default/unbound-rayjob");
}

#[tokio::test]
async fn explain_policy_that_somebody_edited() {
    let app = steered("hang").await;
    let id = app.submit(&sample_form("rerouted")).await;
    app.job_in_phase(&id, "Running").await;
    let path = "/apis/policy.karmada.io/v1alpha1/namespaces/default/propagationpolicies\
                /rerouted-propagation";
    let nowhere =
        json!({"spec": {"placement": {"clusterAffinity": {"clusterNames": ["nowhere"]}}}});
    app.patch(path, &nowhere).await;
    let words = ["Karmada cannot schedule the workload (NoClusterFit)", "cluster affinity"];
    let told = told_wrong(&app, &id, &words, "binding").await;
    assert!(link(&told, "binding")["at"].is_string(), "{told:#}");
}
