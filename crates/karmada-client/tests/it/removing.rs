//! Removal: only ours, only this object, and only done when nothing is left anywhere.

use std::time::Duration;

use serde_json::json;
use training::ports::{ControlError, ControlPlane, Write};

use crate::harness::{Harness, id, order, policy, policy_ref, ray_job, removal, volume};

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn removal_ends_when_the_member_has_nothing_left() {
    let harness = Harness::start().await;
    harness.submit("a").await;
    let (_, at) = ray_job("a");
    assert!(harness.get(Some("member1"), &at).is_some());
    let left = harness.remove("a", &at).await;
    assert_eq!(left[0].place, "control-plane", "{left:?}");
    harness.remove_wholly("a", &at).await;
    assert!(harness.get(None, &at).is_none() && harness.get(Some("member1"), &at).is_none());
    assert!(harness.remove("a", &at).await.is_empty(), "a removal may be repeated");
    harness.remove_wholly("a", &policy_ref("a")).await;
    assert!(harness.get(None, &policy_ref("a")).is_none());
    harness.stop().await;
}

#[tokio::test]
async fn object_of_another_job_is_left_alone() {
    let harness = Harness::start().await;
    let uid = harness.submit("a").await;
    let (_, at) = ray_job("a");
    assert!(harness.remove("b", &at).await.is_empty());
    assert_eq!(harness.get(None, &at).unwrap()["metadata"]["uid"], json!(uid));
    let deletes = harness.sandbox.audit().into_iter().filter(|entry| entry.method == "DELETE");
    assert_eq!(deletes.filter(|entry| entry.path.contains("rayjobs")).count(), 0);
    harness.stop().await;
}

#[tokio::test]
async fn object_without_our_origin_is_left_alone() {
    let harness = Harness::start().await;
    let (mut document, at) = ray_job("a");
    document["metadata"]["labels"]["trainyard.dev/origin"] = json!("another");
    harness.sandbox.create(None, document).unwrap();
    harness.remove("a", &at).await;
    assert!(harness.get(None, &at).unwrap()["metadata"].get("deletionTimestamp").is_none());
    harness.stop().await;
}

#[tokio::test]
async fn object_that_took_the_name_during_a_removal_stays() {
    let harness = Harness::start().await;
    let (document, at) = ray_job("a");
    harness.sandbox.create(None, document.clone()).unwrap();
    let faults = harness.sandbox.faults();
    faults.latency("DELETE */rayjobs*", Duration::from_millis(400));
    let replace = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        faults.remove_crds(None, "ray.io");
        faults.install_crds(None, "ray.io");
        harness.sandbox.create(None, document).unwrap()["metadata"]["uid"].clone()
    };
    let (left, uid) = tokio::join!(harness.remove("a", &at), replace);
    assert_eq!(left[0].why, "it was replaced meanwhile", "{left:?}");
    let kept = harness.get(None, &at).unwrap();
    assert_eq!(kept["metadata"]["uid"], uid);
    assert!(kept["metadata"].get("deletionTimestamp").is_none());
    harness.stop().await;
}

#[tokio::test]
async fn member_that_is_down_keeps_the_removal_open() {
    let harness = Harness::start().await;
    harness.submit("a").await;
    let (_, at) = ray_job("a");
    harness.sandbox.faults().member_down("member1");
    harness.sandbox.step(MINUTE).await;
    for _ in 0..3 {
        harness.remove("a", &at).await;
        harness.sandbox.step(MINUTE).await;
    }
    assert!(harness.get(None, &at).is_none());
    let left = harness.remove("a", &at).await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].place, "member1");
    assert!(left[0].why.starts_with("cluster not ready: "), "{left:?}");
    harness.sandbox.faults().member_up("member1");
    harness.sandbox.step(MINUTE).await;
    harness.remove_wholly("a", &at).await;
    assert!(harness.get(Some("member1"), &at).is_none());
    harness.stop().await;
}

#[tokio::test]
async fn work_that_is_left_is_found_by_a_client_that_never_saw_the_binding() {
    let harness = Harness::start().await;
    harness.submit("a").await;
    let (_, at) = ray_job("a");
    harness.sandbox.faults().member_down("member1");
    for _ in 0..3 {
        harness.remove("a", &at).await;
        harness.sandbox.step(MINUTE).await;
    }
    let (tasks, stop) = Default::default();
    let kubeconfig = harness.sandbox.kubeconfig();
    let fresh = crate::harness::client_of(&kubeconfig, MINUTE, &tasks, &stop).await;
    let removal = training::ports::Removal {
        object: at,
        job_id: id("a"),
        shared: false,
        clusters: Vec::new(),
    };
    let left = fresh.remove(&removal).await.unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!((&*left[0].place, &*left[0].why), ("member1", "its Work is still there"));
    stop.cancel();
    harness.stop().await;
}

#[tokio::test]
async fn member_without_the_kind_has_nothing_left() {
    let harness = Harness::start().await;
    harness.sandbox.faults().remove_crds(Some("member1"), "ray.io");
    assert!(harness.remove("a", &ray_job("a").1).await.is_empty());
    harness.stop().await;
}

#[tokio::test]
async fn unregistered_cluster_is_reported() {
    let harness = Harness::start().await;
    let removal = training::ports::Removal {
        object: ray_job("a").1,
        job_id: id("a"),
        shared: false,
        clusters: vec![training::ClusterName::parse("atlantis").unwrap()],
    };
    let left = harness.client.remove(&removal).await.unwrap();
    assert_eq!(left[0].place, "atlantis");
    assert!(left[0].why.contains("no longer registered"), "{left:?}");
    harness.stop().await;
}

#[tokio::test]
async fn volume_stays_on_the_member_unless_its_policy_lets_go() {
    let harness = Harness::start().await;
    let (document, at) = volume("a");
    let orders = [policy("a", &at, true), order(document, Write::CreateOrKeep)];
    for release in [false, true] {
        harness.client.write(&id("a"), &orders).await.unwrap();
        harness.sandbox.step(MINUTE).await;
        assert!(harness.get(Some("member1"), &at).is_some());
        if release {
            for _ in 0..20 {
                let objects = std::slice::from_ref(&at);
                if harness.client.release(&policy_ref("a"), objects).await.unwrap() {
                    break;
                }
                harness.sandbox.step(MINUTE).await;
            }
            harness.remove_wholly("a", &at).await;
            assert!(harness.get(Some("member1"), &at).is_none());
        } else {
            for _ in 0..5 {
                harness.remove("a", &at).await;
                harness.sandbox.step(MINUTE).await;
            }
            assert!(harness.get(None, &at).is_none());
            assert!(harness.get(Some("member1"), &at).is_some());
            // The next round takes the volume up again under a policy that may overwrite it.
            harness.sandbox.delete_member_object(
                "member1",
                "v1",
                "PersistentVolumeClaim",
                "team",
                "a",
            );
            harness.remove_wholly("a", &policy_ref("a")).await;
        }
    }
    harness.stop().await;
}

#[tokio::test]
async fn release_of_what_is_gone_is_done() {
    let harness = Harness::start().await;
    let (_, at) = volume("a");
    assert!(harness.client.release(&policy_ref("a"), &[at]).await.unwrap());
    harness.stop().await;
}

#[tokio::test]
async fn path_that_something_in_between_does_not_know_proves_nothing() {
    let harness = Harness::start().await;
    harness.submit("a").await;
    let (_, at) = ray_job("a");
    let fresh = harness.fresh_client().await;
    harness.sandbox.faults().fail_next("GET /apis/ray.io/v1", 404, 1);
    let error = fresh.remove(&removal("a", &at)).await.unwrap_err();
    assert!(matches!(error, ControlError::Unavailable { .. }), "{error}");
    assert!(harness.get(None, &at).is_some());
    harness.stop().await;
}

#[tokio::test]
async fn kind_that_is_gone_does_not_hide_what_a_member_still_has() {
    let harness = Harness::start().await;
    harness.submit("a").await;
    let (_, at) = ray_job("a");
    let faults = harness.sandbox.faults();
    faults.member_down("member1");
    harness.sandbox.step(MINUTE).await;
    faults.remove_crds(None, "ray.io");
    let fresh = harness.fresh_client().await;
    for _ in 0..3 {
        harness.sandbox.step(MINUTE).await;
        let left = fresh.remove(&removal("a", &at)).await.unwrap();
        assert!(!left.is_empty(), "the member may run it for ever");
    }
    assert!(harness.get(Some("member1"), &at).is_some());
    faults.member_up("member1");
    harness.sandbox.step(MINUTE).await;
    harness.sandbox.step(MINUTE).await;
    assert_eq!(fresh.remove(&removal("a", &at)).await.unwrap(), []);
    assert!(harness.get(Some("member1"), &at).is_none());
    harness.stop().await;
}
