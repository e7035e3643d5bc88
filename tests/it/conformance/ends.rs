//! What is deleted, by us and by others, and what is not ours to touch.

use serde_json::json;

use super::suite::{Suite, case};

#[tokio::test]
async fn deletion_is_proven_everywhere_and_the_volume_stays() {
    case(async |suite: &Suite| {
        suite.make_namespace().await;
        let (id, member) = suite.placed("left").await;
        let (workload, volume) = (suite.ray_job("left"), suite.volume("left"));
        suite
            .wait("the volume is on the member", async || {
                suite.target.get(Some(&member), &volume).await.is_some()
            })
            .await;
        suite.delete(&id, "left", "").await;
        // Looked at once: the job is gone for the API only when this is so.
        assert_eq!(suite.target.get(None, &workload).await, None);
        assert_eq!(suite.members_with(&workload).await, Vec::<String>::new());
        assert_eq!(suite.target.get(None, &suite.policy("left", "propagation")).await, None);
        let namespace = &suite.namespace;
        let bindings =
            format!("/apis/work.karmada.io/v1alpha2/namespaces/{namespace}/resourcebindings");
        let binding = suite.target.get(None, &format!("{bindings}/left-rayjob")).await;
        assert_eq!(binding, None);
        let works = format!("/apis/work.karmada.io/v1alpha1/namespaces/karmada-es-{member}/works");
        let works = suite.target.list(None, &works).await;
        let about = |work: &serde_json::Value| {
            let manifests =
                work.pointer("/spec/workload/manifests").and_then(|list| list.as_array());
            manifests.is_some_and(|list| {
                list.iter().any(|it| {
                    it["kind"] == "RayJob"
                        && it["metadata"]["namespace"] == suite.namespace.as_str()
                })
            })
        };
        assert!(!works.iter().any(about), "a Work could make it again");
        assert!(suite.target.get(None, &volume).await.is_some(), "the data is the user's");
        assert_eq!(suite.members_with(&volume).await, [member]);
    })
    .await;
}

#[tokio::test]
async fn volume_goes_when_the_user_says_so() {
    case(async |suite: &Suite| {
        suite.make_namespace().await;
        let (id, member) = suite.placed("emptied").await;
        let volume = suite.volume("emptied");
        suite
            .wait("the volume is on the member", async || {
                suite.target.get(Some(&member), &volume).await.is_some()
            })
            .await;
        suite.delete(&id, "emptied", "?volumes=delete").await;
        assert_eq!(suite.target.get(None, &volume).await, None);
        assert_eq!(suite.members_with(&volume).await, Vec::<String>::new());
        for which in ["propagation", "storage"] {
            assert_eq!(suite.target.get(None, &suite.policy("emptied", which)).await, None);
        }
    })
    .await;
}

#[tokio::test]
async fn foreign_object_is_a_name_conflict_and_stays_as_it_is() {
    case(async |suite: &Suite| {
        suite.make_namespace().await;
        let path = suite.ray_job("taken");
        let his = json!({
            "apiVersion": "ray.io/v1", "kind": "RayJob",
            "metadata": { "name": "taken", "namespace": suite.namespace },
            "spec": { "entrypoint": "his", "rayClusterSpec": {
                "headGroupSpec": { "rayStartParams": {}, "template": { "spec": { "containers": [
                    { "name": "head", "image": "his" },
                ] } } },
            } },
        });
        let (collection, _) = path.rsplit_once('/').expect("a collection");
        suite
            .wait("the namespace takes objects", async || {
                suite.target.create(None, collection, &his).await;
                suite.target.get(None, &path).await.is_some()
            })
            .await;
        let before = suite.target.get(None, &path).await;
        let id = suite.submit(&suite.form("taken")).await;
        let job = suite.job_until(&id, |job| job["phase"] == "Failed").await;
        assert_eq!(job["reason"], "NameConflict", "{job:#}");
        suite.delete(&id, "taken", "?volumes=delete").await;
        assert_eq!(suite.target.get(None, &path).await, before);
        assert_eq!(suite.members_with(&path).await, Vec::<String>::new());
        suite.target.delete(None, &path).await;
    })
    .await;
}

#[tokio::test]
async fn workload_that_somebody_deletes_is_lost_and_not_made_again() {
    case(async |suite: &Suite| {
        suite.make_namespace().await;
        let (id, member) = suite.placed("stolen").await;
        let running = json!({ "jobDeploymentStatus": "Running", "jobStatus": "RUNNING" });
        suite.reported(&id, "stolen", &member, running, "Running").await;
        let path = suite.ray_job("stolen");
        suite.target.delete(None, &path).await;
        let job = suite.job_until(&id, |job| job["phase"] == "Lost").await;
        assert_eq!(job["status"], "Failed", "{job:#}");
        // The next job comes and goes; nothing brought the lost one back meanwhile.
        let (next, _) = suite.placed("next").await;
        assert_eq!(suite.target.get(None, &path).await, None);
        suite.delete(&next, "next", "?volumes=delete").await;
        assert_eq!(suite.target.get(None, &path).await, None);
        assert_eq!(suite.members_with(&path).await, Vec::<String>::new());
    })
    .await;
}
