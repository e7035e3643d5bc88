//! Karmada's scheduler with its default plugins: filters clusters, picks by spread constraints,
//! divides replicas. Has no idea of GPUs, like the original.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{condition, reference, uid};
use crate::json::Tree as _;
use crate::{
    json::{self as js, int, is_terminating, list, text},
    objects::{
        Key,
        resources::{self as r, BINDING, CLUSTER},
        selectors::label_selector_matches,
    },
    sim::World,
};

enum Failure {
    /// No cluster passes the filters: the placement is cleared.
    NoFit(String),
    Error(String),
}

/// Schedules a binding if its spec changed or something asked for it. Returns whether it wrote.
pub(super) fn schedule(world: &mut World, key: &Key) -> bool {
    let Some(binding) = world.control.get(key).cloned() else { return false };
    let attached_only = binding.at(&["spec", "placement"]).is_null();
    let scheduler = text(&binding, "/spec/schedulerName");
    let foreign = !scheduler.is_empty() && scheduler != "default-scheduler";
    let suspended = js::flag(&binding, "/spec/suspension/scheduling");
    if is_terminating(&binding) || attached_only || foreign || suspended {
        return false;
    }
    let asked = world.karmada.reschedule.remove(key);
    let generation = int(&binding, "/metadata/generation");
    let observed = int(&binding, "/status/schedulerObservedGeneration");
    if !asked && observed.is_some() && generation == observed {
        return false;
    }
    let outcome = decide(world, &binding);
    let placement = binding.at(&["spec", "placement"]).to_string();
    let (clusters, group, scheduled) = match outcome {
        Ok((clusters, group)) => {
            let message = "Binding has been scheduled successfully.";
            (Some(clusters), group, condition(world, "Scheduled", true, "Success", message))
        }
        Err(Failure::NoFit(why)) => {
            (Some(Vec::new()), None, condition(world, "Scheduled", false, "NoClusterFit", &why))
        }
        Err(Failure::Error(why)) => {
            (None, None, condition(world, "Scheduled", false, "SchedulerError", &why))
        }
    };
    let mut wrote = world.control.edit(key, |binding| {
        match clusters {
            Some(clusters) if clusters.is_empty() => {
                js::remove(binding, &["spec", "clusters"]);
            }
            Some(clusters) => js::set(binding, &["spec", "clusters"], clusters),
            None => {}
        }
        let applied = "policy.karmada.io/applied-placement";
        js::set(binding, &["metadata", "annotations", applied], placement);
    });
    wrote |= world.control.edit(key, |binding| {
        js::set_condition(binding, &["status", "conditions"], scheduled);
        let generation = int(binding, "/metadata/generation");
        js::set(binding, &["status", "schedulerObservedGeneration"], json!(generation));
        if let Some(group) = group {
            js::set(binding, &["status", "schedulerObservingAffinityName"], group);
        }
    });
    wrote
}

type Chosen = (Vec<Value>, Option<String>);

fn decide(world: &World, binding: &Value) -> Result<Chosen, Failure> {
    let placement = binding.at(&["spec", "placement"]);
    let groups = list(placement, "/clusterAffinities");
    if groups.is_empty() {
        return place(world, binding, placement.at(&["clusterAffinity"]))
            .map(|found| (found, None));
    }
    let mut last = Failure::NoFit("no cluster affinity".to_owned());
    for group in groups {
        match place(world, binding, group) {
            Ok(found) => return Ok((found, Some(text(group, "/affinityName").to_owned()))),
            Err(failure) => last = failure,
        }
    }
    Err(last)
}

fn place(world: &World, binding: &Value, affinity: &Value) -> Result<Vec<Value>, Failure> {
    let placement = binding.at(&["spec", "placement"]);
    let current: Vec<&str> =
        list(binding, "/spec/clusters").iter().map(|one| text(one, "/name")).collect();
    let mut feasible = Vec::new();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut total = 0;
    for (key, cluster) in world.control.all(&CLUSTER, "") {
        total += 1;
        match obstacle(binding, affinity, cluster, current.contains(&key.name.as_str())) {
            None => feasible.push(key.name.as_str()),
            Some(reason) => *reasons.entry(reason).or_default() += 1,
        }
    }
    if feasible.is_empty() {
        let texts: Vec<String> =
            reasons.iter().map(|(why, count)| format!("{count} cluster(s) {why}")).collect();
        return Err(Failure::NoFit(format!(
            "0/{total} clusters are available: {}.",
            texts.join(", ")
        )));
    }
    // Where it is already counts most, then the name: all capacities look alike to Karmada.
    feasible.sort_by_key(|name| (!current.contains(name), *name));
    if let Some(cluster) = list(placement, "/spreadConstraints")
        .iter()
        .find(|one| one.at(&["spreadByField"]) == "cluster")
        .filter(|_| !ignores_spread(placement))
    {
        let min = count(cluster, "/minGroups");
        if feasible.len() < min {
            return Err(Failure::Error(format!(
                "failed to select clusters: the number of feasible clusters {} is less than \
                 spreadConstraint.MinGroups {min}",
                feasible.len()
            )));
        }
        feasible.truncate(count(cluster, "/maxGroups"));
        if feasible.is_empty() {
            return Err(Failure::Error(
                "failed to assign replicas: no clusters available to schedule".to_owned(),
            ));
        }
    }
    Ok(assign(binding, feasible))
}

fn count(value: &Value, pointer: &str) -> usize {
    int(value, pointer).and_then(|number| usize::try_from(number).ok()).unwrap_or_default()
}

/// The trap: dividing without weights (and `replicaScheduling: {}` means exactly that once the
/// defaults are in) switches spread constraints off.
fn ignores_spread(placement: &Value) -> bool {
    let strategy = placement.at(&["replicaScheduling"]);
    let weights = strategy.at(&["weightPreference"]);
    let fixed = !list(weights, "/staticWeightList").is_empty()
        && text(weights, "/dynamicWeight").is_empty();
    text(strategy, "/replicaSchedulingType") == "Divided"
        && text(strategy, "/replicaDivisionPreference") == "Weighted"
        && (weights.is_null() || fixed)
}

fn obstacle(binding: &Value, affinity: &Value, cluster: &Value, placed: bool) -> Option<String> {
    let resource = binding.at(&["spec", "resource"]);
    let enabled = list(cluster, "/status/apiEnablements").iter().any(|group| {
        group.at(&["groupVersion"]) == resource.at(&["apiVersion"])
            && list(group, "/resources")
                .iter()
                .any(|one| one.at(&["kind"]) == resource.at(&["kind"]))
    });
    if !enabled {
        return Some("did not have the API resource".to_owned());
    }
    if !placed {
        let tolerations = list(binding, "/spec/placement/clusterTolerations");
        let untolerated = list(cluster, "/spec/taints")
            .iter()
            .filter(|taint| matches!(text(taint, "/effect"), "NoSchedule" | "NoExecute"))
            .find(|taint| !tolerations.iter().any(|one| tolerates(one, taint)));
        if let Some(taint) = untolerated {
            let value = text(taint, "/value");
            let shown = if value.is_empty() { String::new() } else { format!("={value}") };
            return Some(format!(
                "had untolerated taint {{{}{shown}:{}}}",
                text(taint, "/key"),
                text(taint, "/effect")
            ));
        }
    }
    (!affine(affinity, cluster))
        .then(|| "did not match the placement cluster affinity constraint".to_owned())
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let (key, effect) = (text(toleration, "/key"), text(toleration, "/effect"));
    let exists = text(toleration, "/operator") == "Exists";
    (effect.is_empty() || effect == text(taint, "/effect"))
        && (key == text(taint, "/key") || (key.is_empty() && exists))
        && (exists || text(toleration, "/value") == text(taint, "/value"))
}

fn affine(affinity: &Value, cluster: &Value) -> bool {
    let name = text(cluster, "/metadata/name");
    let names = list(affinity, "/clusterNames");
    let fields = list(affinity, "/fieldSelector/matchExpressions").iter().all(|term| {
        let found = match text(term, "/key") {
            "provider" => text(cluster, "/spec/provider"),
            "region" => text(cluster, "/spec/region"),
            _ => list(cluster, "/spec/zones").first().and_then(Value::as_str).unwrap_or_default(),
        };
        list(term, "/values").iter().any(|one| one == found) == (text(term, "/operator") == "In")
    });
    fields
        && (names.is_empty() || names.iter().any(|one| one == name))
        && !list(affinity, "/exclude").iter().any(|one| one == name)
        && label_selector_matches(
            affinity.at(&["labelSelector"]),
            cluster.at(&["metadata", "labels"]),
        )
}

fn assign(binding: &Value, clusters: Vec<&str>) -> Vec<Value> {
    let Some(replicas) = int(binding, "/spec/replicas") else {
        return clusters.into_iter().map(|name| json!({ "name": name })).collect();
    };
    let strategy = binding.at(&["spec", "placement", "replicaScheduling"]);
    if text(strategy, "/replicaSchedulingType") != "Divided" {
        return clusters
            .into_iter()
            .map(|name| json!({ "name": name, "replicas": replicas }))
            .collect();
    }
    if text(strategy, "/replicaDivisionPreference") == "Aggregated" {
        return clusters
            .into_iter()
            .take(1)
            .map(|name| json!({ "name": name, "replicas": replicas }))
            .collect();
    }
    let total = i64::try_from(clusters.len()).unwrap_or(1).max(1);
    clusters
        .into_iter()
        .enumerate()
        .map(|(at, name)| {
            let extra = i64::from(i64::try_from(at).unwrap_or_default() < replicas % total);
            json!({ "name": name, "replicas": replicas / total + extra })
        })
        .filter(|one| one.at(&["replicas"]) != 0)
        .collect()
}

/// Looks at every binding again, because a cluster's labels or taints changed.
pub(super) fn reschedule_all(world: &mut World) {
    let keys: Vec<Key> = world.control.all(&BINDING, "").map(|(key, _)| key.clone()).collect();
    for key in keys {
        world.karmada.reschedule.insert(key.clone());
        world.control.touch(key);
    }
}

/// A WorkloadRebalancer pokes the bindings of the workloads it lists, once.
pub(super) fn rebalance(world: &mut World, key: &Key) {
    let Some(rebalancer) = world.control.get(key).cloned() else { return };
    if rebalancer.at(&["status", "finishTime"]).is_string() || uid(&rebalancer).is_empty() {
        return;
    }
    let now = crate::clock::stamp(world.now);
    let mut observed = Vec::new();
    for workload in list(&rebalancer, "/spec/workloads") {
        let Some(target) = reference(workload) else { continue };
        let name = super::binding_name(&target.name, target.res.kind);
        let binding = Key::new(&r::BINDING, &target.namespace, &name);
        let found = world.control.get(&binding).is_some();
        if found {
            world.karmada.reschedule.insert(binding.clone());
            world.control.edit(&binding, |binding| {
                js::set(binding, &["spec", "rescheduleTriggeredAt"], now.as_str());
            });
            world.control.touch(binding);
        }
        let result = if found { "Successful" } else { "Failed" };
        observed.push(json!({ "workload": workload, "result": result }));
    }
    world.control.edit(key, |rebalancer| {
        js::set(rebalancer, &["status", "observedWorkloads"], observed);
        js::set(rebalancer, &["status", "finishTime"], now.as_str());
    });
}
