//! Karmada's cluster controllers: the `Cluster` objects, their readiness, taints, capacity and
//! API lists.

use serde_json::{Value, json};

use super::{condition, execution_namespace, scheduler};
use crate::json::Tree as _;
use crate::{
    clock,
    json::{self as js, condition_is_true, list, text},
    objects::{
        Key,
        resources::{self as r, CLUSTER, NAMESPACE},
    },
    sim::World,
};

const NOT_READY: &str = "cluster.karmada.io/not-ready";

/// Whether Karmada can and will talk to a member.
pub(super) fn is_ready(world: &World, cluster: &str) -> bool {
    let reachable = world.members.get(cluster).is_some_and(|member| member.reachable);
    reachable
        && world
            .control
            .find(&CLUSTER, "", cluster)
            .is_some_and(|found| condition_is_true(found, "/status/conditions", "Ready"))
}

/// Registers a member, as `karmadactl join` does.
pub(crate) fn join(world: &mut World, name: &str) {
    let Some(member) = world.members.get(name) else { return };
    let config = member.config.clone();
    let labels: serde_json::Map<String, Value> =
        config.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let address = member.address();
    let id = world.control.ids.uid();
    let es = json!({ "metadata": { "name": execution_namespace(name) } });
    world.control.ensure(&NAMESPACE, "", es);
    world.control.ensure(
        &CLUSTER,
        "",
        json!({
            "metadata": { "name": name, "labels": labels, "finalizers": ["karmada.io/cluster-controller"] },
            "spec": {
                "syncMode": "Push", "apiEndpoint": format!("https://{address}"), "id": id,
                "provider": config.provider, "region": config.region, "zones": [config.zone],
                "zone": config.zone,
            },
        }),
    );
    readiness(world, name);
    poll(world, name);
}

/// A member's readiness catches up with its reachability.
pub(crate) fn readiness(world: &mut World, name: &str) {
    let Some(member) = world.members.get(name) else { return };
    let up = member.reachable;
    let ready = if up {
        condition(
            world,
            "Ready",
            true,
            "ClusterReady",
            "cluster is healthy and ready to accept workloads",
        )
    } else {
        condition(world, "Ready", false, "ClusterNotReachable", "cluster is not reachable")
    };
    let since = clock::stamp(world.now);
    world.control.edit(&Key::new(&CLUSTER, "", name), |cluster| {
        js::set_condition(cluster, &["status", "conditions"], ready);
        let mut taints: Vec<Value> = list(cluster, "/spec/taints").to_vec();
        taints.retain(|taint| text(taint, "/key") != NOT_READY);
        if !up {
            taints.push(json!({ "key": NOT_READY, "effect": "NoSchedule", "timeAdded": since }));
        }
        if taints.is_empty() {
            js::remove(cluster, &["spec", "taints"]);
        } else {
            js::set(cluster, &["spec", "taints"], taints);
        }
    });
    if up {
        poll(world, name);
        resync(world, name);
    }
}

/// Looks at every Work of a member again.
pub(crate) fn resync(world: &mut World, name: &str) {
    if !is_ready(world, name) {
        return;
    }
    let namespace = execution_namespace(name);
    let works: Vec<Key> =
        world.control.all(&r::WORK, &namespace).map(|(key, _)| key.clone()).collect();
    for work in works {
        world.control.touch(work);
    }
}

/// Samples a member's APIs and capacity. Frozen while it cannot be reached.
pub(crate) fn poll(world: &mut World, name: &str) {
    let Some(member) = world.members.get(name) else { return };
    if !member.reachable {
        return;
    }
    let mut groups: Vec<Value> = Vec::new();
    for res in r::ALL.iter().filter(|res| member.api.serves(res)) {
        let version = res.api_version();
        let entry = json!({ "name": res.plural, "kind": res.kind });
        let found = groups.iter_mut().find(|group| group.at(&["groupVersion"]) == version.as_str());
        match found.and_then(|group| group.get_mut("resources")?.as_array_mut()) {
            Some(resources) => resources.push(entry),
            None => groups.push(json!({ "groupVersion": version, "resources": [entry] })),
        }
    }
    groups.sort_by(|a, b| text(a, "/groupVersion").cmp(text(b, "/groupVersion")));
    let summary = member.nodes.summary();
    let nodes = member.nodes.count();
    let version = member.config.kubernetes_version.clone();
    let complete = condition(
        world,
        "CompleteAPIEnablements",
        true,
        "Complete",
        "might collect complete API enablements from cluster",
    );
    world.control.edit(&Key::new(&CLUSTER, "", name), |cluster| {
        js::set(cluster, &["status", "kubernetesVersion"], version);
        js::set(cluster, &["status", "apiEnablements"], groups);
        js::set(
            cluster,
            &["status", "nodeSummary"],
            json!({ "totalNum": nodes, "readyNum": nodes }),
        );
        js::set(cluster, &["status", "resourceSummary"], summary);
        js::set_condition(cluster, &["status", "conditions"], complete);
    });
}

/// The scheduler reacts to a cluster's labels and spec (taints), never to its status.
pub(super) fn reconcile(world: &mut World, key: &Key) {
    let Some(cluster) = world.control.get(key) else { return };
    let seen = format!("{}{}", cluster.at(&["metadata", "labels"]), cluster.at(&["spec"]));
    let print = clock::fnv64(&seen);
    let before = world.karmada.clusters_seen.insert(key.name.clone(), print);
    if before.is_some_and(|before| before != print) {
        scheduler::reschedule_all(world);
    }
}
