//! KubeRay's RayCluster controller of a member: head and worker pods, a head service, and a
//! status that is `ready` once all of them run.

use serde_json::{Value, json};

use super::{OUTCOME, RETRY, ROLE, events, mark, owner_reference, pod_from};
use crate::json::Tree as _;
use crate::{
    clock,
    json::{self as js, annotation, condition_is_true, int, is_terminating, list, meta, text},
    objects::{
        Key,
        resources::{POD, SERVICE},
    },
    sim::World,
};

pub(super) fn reconcile(world: &mut World, cluster: &str, key: &Key) {
    let Some(member) = world.members.get_mut(cluster) else { return };
    let Some(ray) = member.api.get(key).cloned() else { return };
    if is_terminating(&ray) {
        return;
    }
    let pods = member.api.owned_of(meta(&ray, "uid"), &POD);
    let living = |pod: &&std::sync::Arc<Value>| {
        !is_terminating(pod) && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
    };
    let of_group = |group: &str| {
        pods.iter()
            .filter(living)
            .filter(|pod| js::label(pod, "ray.io/group") == Some(group))
            .count()
    };
    let name = key.name.as_str();
    let service = format!("{name}-head-svc");
    member.api.ensure(
        &SERVICE,
        &key.namespace,
        json!({
            "metadata": {
                "name": service, "ownerReferences": owner_reference(&ray),
                "labels": { "ray.io/cluster": name, "ray.io/node-type": "head" },
            },
            "spec": {
                "ports": [{ "name": "dashboard", "port": 8265 }, { "name": "gcs", "port": 6379 }],
                "selector": { "ray.io/cluster": name, "ray.io/node-type": "head" },
            },
        }),
    );
    let create =
        |api: &mut crate::objects::Api, template: &Value, pod: &str, kind: &str, group: &str| {
            let labels = [
                ("ray.io/cluster", name),
                ("ray.io/node-type", kind),
                ("ray.io/group", group),
                ("ray.io/is-ray-node", "yes"),
                ("app.kubernetes.io/created-by", "kuberay-operator"),
                ("app.kubernetes.io/name", "kuberay"),
            ];
            let mut pod = pod_from(&ray, template, pod, &labels);
            mark(&mut pod, ROLE, "service");
            // A worker is made again under another name each time it is evicted.
            let outcome = annotation(&ray, OUTCOME);
            if let Some(outcome) = outcome.filter(|one| *one != "evict" || kind == "head") {
                mark(&mut pod, OUTCOME, outcome);
            }
            let Err(error) = api.try_ensure(&POD, &key.namespace, pod) else { return true };
            let (reason, what) = match kind {
                "head" => ("FailedToCreateHeadPod", "head"),
                _ => ("FailedToCreateWorkerPod", "worker"),
            };
            let message = format!(
                "Failed to create {what} Pod for the cluster {}/{name}, {}",
                key.namespace,
                error.message()
            );
            let source = "raycluster-controller";
            events::emit(api, &ray, source, "Warning", reason, &message);
            false
        };
    let mut refused = false;
    if of_group("headgroup") == 0 {
        let template = ray.at(&["spec", "headGroupSpec", "template"]);
        let pod = format!("{name}-head");
        refused |= !create(&mut member.api, template, &pod, "head", "headgroup");
    }
    let mut desired = 0_i64;
    for group in list(&ray, "/spec/workerGroupSpecs") {
        let group_name = text(group, "/groupName");
        let wanted = int(group, "/replicas").or(int(group, "/minReplicas")).unwrap_or_default();
        desired += wanted;
        let has = i64::try_from(of_group(group_name)).unwrap_or_default();
        for _ in has..wanted {
            let pod = format!("{name}-{group_name}-worker-{}", member.api.ids.suffix());
            if !create(&mut member.api, group.at(&["template"]), &pod, "worker", group_name) {
                refused = true;
                break;
            }
        }
    }
    if refused {
        world.wake_in(RETRY, Some(cluster), key);
    }
    let Some(member) = world.members.get_mut(cluster) else { return };

    let pods = member.api.owned_of(meta(&ray, "uid"), &POD);
    let running = |kind: &str| {
        pods.iter()
            .filter(|pod| js::label(pod, "ray.io/node-type") == Some(kind))
            .filter(|pod| condition_is_true(pod, "/status/conditions", "Ready"))
            .filter(|pod| text(pod, "/status/phase") == "Running" && !is_terminating(pod))
            .cloned()
            .collect::<Vec<_>>()
    };
    let (heads, workers) = (running("head"), running("worker"));
    let available = i64::try_from(workers.len()).unwrap_or_default();
    let ready = !heads.is_empty() && available >= desired;
    let was_ready = text(&ray, "/status/state") == "ready";
    let now = clock::stamp(world.now);
    let Some(member) = world.members.get_mut(cluster) else { return };
    member.api.edit(key, |ray| {
        let status = js::object(ray, &["status"]);
        status.insert("desiredWorkerReplicas".to_owned(), json!(desired));
        status.insert("minWorkerReplicas".to_owned(), json!(desired));
        status.insert("maxWorkerReplicas".to_owned(), json!(desired));
        status.insert("availableWorkerReplicas".to_owned(), json!(available));
        status.insert("readyWorkerReplicas".to_owned(), json!(available));
        status.insert("observedGeneration".to_owned(), json!(1));
        let ports = json!({ "client": "10001", "dashboard": "8265", "gcs-server": "6379", "metrics": "8080" });
        status.insert("endpoints".to_owned(), ports);
        if let Some(head) = heads.first() {
            status.insert(
                "head".to_owned(),
                json!({
                    "podIP": text(head, "/status/podIP"), "podName": meta(head, "name"),
                    "serviceIP": text(head, "/status/podIP"), "serviceName": service,
                }),
            );
        }
        if ready && !was_ready {
            status.insert("state".to_owned(), json!("ready"));
            status.insert("lastUpdateTime".to_owned(), json!(now));
        }
        for (kind, holds, reason) in [
            ("HeadPodReady", !heads.is_empty(), "HeadPodRunningAndReady"),
            ("RayClusterProvisioned", ready || was_ready, "AllPodRunningAndReadyFirstTime"),
        ] {
            js::set_condition(
                ray,
                &["status", "conditions"],
                json!({
                    "type": kind, "status": if holds { "True" } else { "False" },
                    "reason": if holds { reason } else { "PodsNotReady" }, "message": "",
                    "lastTransitionTime": now,
                }),
            );
        }
    });
}
