//! What is made, what is adopted and what is left alone.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use training::ports::{ControlError, ControlPlane, Write};

use crate::harness::{
    Harness, ORIGIN, TIMEOUT, client_of, id, order, policy, policy_ref, ray_job, volume,
};

#[tokio::test]
async fn write_twice_returns_the_same_uids_and_changes_nothing() {
    let harness = Harness::start().await;
    let orders = [
        policy("a", &ray_job("a").1, false),
        order(volume("a").0, Write::CreateOrKeep),
        order(ray_job("a").0, Write::Create),
    ];
    let first = harness.client.write(&id("a"), &orders).await.unwrap();
    let second = harness.client.write(&id("a"), &orders).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(first.len(), 3);
    let made = harness.get(None, &ray_job("a").1).unwrap();
    assert_eq!(made["metadata"]["uid"], json!(first[2]));
    assert_eq!(made["metadata"]["generation"], json!(1));
    harness.stop().await;
}

#[tokio::test]
async fn lost_answer_of_a_create_is_found_again() {
    let harness = Harness::start().await;
    harness.sandbox.faults().fail_after_next("POST */rayjobs*", 504, 1);
    let orders = [order(ray_job("a").0, Write::Create)];
    let error = harness.client.write(&id("a"), &orders).await.unwrap_err();
    assert!(matches!(error, ControlError::Unavailable { .. }), "{error}");
    let uids = harness.client.write(&id("a"), &orders).await.unwrap();
    let made = harness.get(None, &ray_job("a").1).unwrap();
    assert_eq!(made["metadata"]["uid"], json!(uids[0]));
    harness.stop().await;
}

#[tokio::test]
async fn foreign_objects_are_a_conflict_and_stay_as_they_are() {
    let harness = Harness::start().await;
    let foreign = [
        json!({}),
        json!({"training-job-id": id("a").as_str()}),
        json!({"training-job-id": "a-00000002", "trainyard.dev/origin": ORIGIN}),
    ];
    for (number, labels) in foreign.into_iter().enumerate() {
        let name = format!("foreign{number}");
        let (mut document, at) = ray_job(&name);
        let ours = document.clone();
        document["metadata"]["labels"] = labels;
        let before = harness.sandbox.create(None, document).unwrap();
        let write = [order(ours, Write::Create)];
        let error = harness.client.write(&id("a"), &write).await.unwrap_err();
        assert!(matches!(error, ControlError::NameConflict { .. }), "{error}");
        assert_eq!(harness.get(None, &at).unwrap(), before);
    }
    harness.stop().await;
}

#[tokio::test]
async fn foreign_policy_is_never_applied_over() {
    let harness = Harness::start().await;
    let order = policy("a", &ray_job("a").1, false);
    let mut foreign = order.document.clone();
    foreign["metadata"]["labels"] = json!({});
    foreign["spec"]["placement"]["clusterAffinity"]["clusterNames"] = json!(["member2"]);
    harness.sandbox.create(None, foreign).unwrap();
    let error = harness.client.write(&id("a"), &[order]).await.unwrap_err();
    assert!(matches!(error, ControlError::NameConflict { .. }), "{error}");
    let kept = harness.get(None, &policy_ref("a")).unwrap();
    let names = &kept["spec"]["placement"]["clusterAffinity"]["clusterNames"];
    assert_eq!(*names, json!(["member2"]));
    harness.stop().await;
}

#[tokio::test]
async fn own_policy_is_applied_again_and_volume_of_another_job_is_kept() {
    let harness = Harness::start().await;
    let mut order_ = policy("a", &ray_job("a").1, false);
    let volume = order(volume("a").0, Write::CreateOrKeep);
    let first = harness.client.write(&id("a"), &[order_.clone(), volume.clone()]).await.unwrap();
    order_.document["spec"]["placement"]["clusterAffinity"]["clusterNames"] = json!(["member2"]);
    let second = harness.client.write(&id("b"), &[order_, volume]).await.unwrap();
    assert_eq!(first, second);
    let kept = harness.get(None, &policy_ref("a")).unwrap();
    let names = &kept["spec"]["placement"]["clusterAffinity"]["clusterNames"];
    assert_eq!(*names, json!(["member2"]));
    harness.stop().await;
}

#[tokio::test]
async fn name_of_a_dying_predecessor_is_waited_for() {
    let harness = Harness::start().await;
    let (mut document, at) = ray_job("a");
    let ours = document.clone();
    document["metadata"]["finalizers"] = json!(["test/held"]);
    document["metadata"]["labels"]["training-job-id"] = json!("a-0000000f");
    harness.sandbox.create(None, document).unwrap();
    let removal = training::ports::Removal {
        object: at,
        job_id: training::JobId::parse("a-0000000f").unwrap(),
        shared: false,
        clusters: Vec::new(),
    };
    harness.client.remove(&removal).await.unwrap();
    let error = harness.client.write(&id("a"), &[order(ours, Write::Create)]).await.unwrap_err();
    assert!(error.retryable() && error.to_string().contains("being deleted"), "{error}");
    harness.stop().await;
}

#[tokio::test]
async fn missing_namespace_and_kind_are_named() {
    let harness = Harness::start().await;
    let (mut document, _) = ray_job("a");
    document["metadata"]["namespace"] = json!("nowhere");
    let write = [order(document, Write::Create)];
    let error = harness.client.write(&id("a"), &write).await.unwrap_err();
    assert_eq!(error.to_string(), "namespace \"nowhere\" does not exist on the control plane");

    for (api_version, kind) in [("ray.io/v1", "RayNothing"), ("nobody.example/v1", "Thing")] {
        let (mut document, _) = ray_job("a");
        document["apiVersion"] = json!(api_version);
        document["kind"] = json!(kind);
        let write = [order(document, Write::Create)];
        let error = harness.client.write(&id("a"), &write).await.unwrap_err();
        let expected = format!("kind {api_version} {kind} does not exist on the control plane");
        assert_eq!(error.to_string(), expected);
    }
    harness.stop().await;
}

#[tokio::test]
async fn kind_that_is_removed_and_installed_again_is_asked_for_again() {
    let harness = Harness::start().await;
    let write = [order(ray_job("a").0, Write::Create)];
    harness.client.write(&id("a"), &write).await.unwrap();
    harness.sandbox.faults().remove_crds(None, "ray.io");
    let error = harness.client.write(&id("a"), &write).await.unwrap_err();
    assert!(matches!(error, ControlError::Missing { .. }), "{error}");
    harness.sandbox.faults().install_crds(None, "ray.io");
    harness.client.write(&id("a"), &write).await.unwrap();
    harness.stop().await;
}

#[tokio::test]
async fn refusals_and_outages_are_told_apart() {
    let harness = Harness::start().await;
    let mut order_ = policy("a", &ray_job("a").1, false);
    order_.document["spec"]["resourceSelectors"] = json!([]);
    let error = harness.client.write(&id("a"), &[order_]).await.unwrap_err();
    assert!(matches!(error, ControlError::Refused { .. }), "{error}");

    harness.sandbox.faults().webhook_down(true);
    let good = [policy("a", &ray_job("a").1, false)];
    let error = harness.client.write(&id("a"), &good).await.unwrap_err();
    assert!(matches!(error, ControlError::Unavailable { .. }), "{error}");
    harness.sandbox.faults().webhook_down(false);

    harness.sandbox.faults().fail_next("POST *", 429, 1);
    let before = harness.client.counters().calls;
    let error = harness.client.write(&id("a"), &good).await.unwrap_err();
    assert!(matches!(error, ControlError::Unavailable { .. }), "{error}");
    assert_eq!(harness.client.counters().calls, before + 1, "no call is retried by the client");
    harness.stop().await;
}

#[tokio::test]
async fn hung_call_ends_with_its_deadline() {
    let harness = Harness::start().await;
    harness.sandbox.faults().hang("POST *");
    let start = Instant::now();
    let write = [order(ray_job("a").0, Write::Create)];
    let error = harness.client.write(&id("a"), &write).await.unwrap_err();
    assert!(matches!(error, ControlError::Unavailable { .. }), "{error}");
    assert!(start.elapsed() < TIMEOUT + Duration::from_secs(2), "{:?}", start.elapsed());
    harness.sandbox.faults().clear();
    harness.client.ping().await.unwrap();
    harness.stop().await;
}

#[tokio::test]
async fn client_starts_and_answers_without_a_control_plane() {
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "k",
        "clusters": [{"name": "k", "cluster": {"server": "http://127.0.0.1:9"}}],
        "contexts": [{"name": "k", "context": {"cluster": "k", "user": "k"}}],
        "users": [{"name": "k", "user": {"token": "sEcReT"}}],
    });
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let client = client_of(&kubeconfig.to_string(), Duration::from_mins(1), &tasks, &stop).await;
    assert!(!client.watch_healthy() && client.known_clusters().is_empty());
    let write = [order(ray_job("a").0, Write::Create)];
    for error in [
        client.ping().await.unwrap_err(),
        client.write(&id("a"), &write).await.unwrap_err(),
        client.observe(&[]).await.unwrap_err(),
        client.clusters().await.unwrap_err(),
    ] {
        assert!(matches!(error, ControlError::Unavailable { .. }), "{error}");
        assert!(!error.to_string().contains("sEcReT"));
    }
    stop.cancel();
    tasks.close();
    tokio::time::timeout(Duration::from_secs(5), tasks.wait()).await.unwrap();
}
