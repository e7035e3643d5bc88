//! The parts that the suite plays on the members.

use std::time::Duration;

use serde_json::{Value, json};

use super::target::Target;
use crate::harness::until_within;

/// Longest wait for what Karmada looks at from time to time: new kinds every half minute, the room
/// of its members every ten seconds.
const PATIENCE: Duration = Duration::from_secs(180);

/// Marks whatever the suite makes for its own sake.
pub(super) const MARK: &str = "trainyard-conformance";

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Makes the places fit for a RayJob: the kind is known, and the members have room. What is there
/// already stays as it is; what is added stays, for the next run.
pub(super) async fn furnish(target: &Target, members: &[String]) {
    let places = std::iter::once(None).chain(members.iter().map(|name| Some(name.as_str())));
    for place in places {
        if target.get(place, "/apis/ray.io/v1").await.is_none() {
            target.create(place, CRDS, &ray_jobs()).await;
        }
    }
    for member in members {
        if target.list(Some(member), "/api/v1/nodes").await.is_empty() {
            add_node(target, member).await;
        }
    }
    until_within(PATIENCE, "the members have the kind and room", async || {
        for member in members {
            let path = format!("/apis/cluster.karmada.io/v1alpha1/clusters/{member}");
            let cluster = target.get(None, &path).await.unwrap_or_default();
            let known = cluster["status"]["apiEnablements"].as_array();
            let known = known.is_some_and(|apis| {
                apis.iter().any(|api| {
                    let kinds = api["resources"].as_array();
                    api["groupVersion"] == "ray.io/v1"
                        && kinds.is_some_and(|kinds| kinds.iter().any(|it| it["kind"] == "RayJob"))
                })
            });
            let summary = &cluster["status"]["resourceSummary"];
            let room = summary.is_null() || summary["allocatable"]["cpu"].is_string();
            if !known || !room {
                return false;
            }
        }
        true
    })
    .await;
}

/// The kind as far as Karmada and we need it; what is in it is the operator's business.
fn ray_jobs() -> Value {
    let open = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": "rayjobs.ray.io", "labels": { MARK: "true" } },
        "spec": {
            "group": "ray.io",
            "scope": "Namespaced",
            "names": {
                "plural": "rayjobs", "singular": "rayjob", "kind": "RayJob", "listKind": "RayJobList",
            },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": open },
            }],
        },
    })
}

/// A member without nodes has no room. Nothing ever runs on this one.
async fn add_node(target: &Target, member: &str) {
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": MARK, "labels": { MARK: "true" } },
    });
    target.create(Some(member), "/api/v1/nodes", &node).await;
    let room = json!({ "cpu": "256", "memory": "1Ti", "pods": "1000" });
    let status = json!({ "status": {
        "capacity": room, "allocatable": room,
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "",
        }],
    }});
    target.patch(Some(member), &format!("/api/v1/nodes/{MARK}/status"), &status).await;
}

/// Writes a status as the operator would, unless it is there; one that writes itself is outvoted
/// by repeating this.
pub(super) async fn report(target: &Target, member: &str, path: &str, status: &Value) {
    let Some(found) = target.get(Some(member), path).await else { return };
    let told = status.as_object().into_iter().flatten();
    if told.clone().all(|(key, value)| found["status"].get(key) == Some(value)) {
        return;
    }
    let patch = json!({ "status": status });
    target.patch(Some(member), &format!("{path}/status"), &patch).await;
}

/// Lets go of an object that is being deleted, as the controller that holds it would.
pub(super) async fn let_go(target: &Target, member: &str, path: &str) {
    let Some(found) = target.get(Some(member), path).await else { return };
    let meta = &found["metadata"];
    let held = meta["finalizers"].as_array().is_some_and(|holders| !holders.is_empty());
    if held && meta["deletionTimestamp"].is_string() {
        target.patch(Some(member), path, &json!({ "metadata": { "finalizers": null } })).await;
    }
}
