//! The Deployment controller of a member: a ReplicaSet for the present template, those of earlier
//! templates on their way out, and a status that says how far it is.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{RETRY, events, groups::pass_on, owner_reference};
use crate::json::Tree as _;
use crate::{
    clock,
    json::{self as js, annotation, flag, int, is_terminating, list, meta, text},
    objects::{
        Api, Key,
        resources::{POD, REPLICA_SET},
    },
    sim::World,
};

const SOURCE: &str = "deployment-controller";
/// Tells the pods of one template from those of another.
const HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";

pub(super) fn reconcile(world: &mut World, cluster: &str, key: &Key) {
    let Some(member) = world.members.get_mut(cluster) else { return };
    let Some(deployment) = member.api.get(key).cloned() else { return };
    if is_terminating(&deployment) {
        return;
    }
    let template = bare(deployment.at(&["spec", "template"]));
    let (current, old) = sets(&member.api, &deployment, &template);
    let mut refusal = None;
    if flag(&deployment, "/spec/paused") {
        // Nothing is rolled out, but what there is follows the number that is wanted.
        if let Some(newest) = current.iter().chain(&old).max_by_key(|set| revision(set)) {
            scale(&mut member.api, &deployment, newest, wanted(&deployment));
        }
    } else {
        let goes_first = text(&deployment, "/spec/strategy/type") == "Recreate";
        let waits = goes_first && take_away(&mut member.api, &deployment, &old);
        if current.is_none() && !waits {
            refusal = create(&mut member.api, &deployment, &template, &old).err();
        }
        let (current, old) = sets(&member.api, &deployment, &template);
        if let Some(current) = current.filter(|_| !waits) {
            mark_revision(&mut member.api, key, &current, &old);
            if goes_first {
                scale(&mut member.api, &deployment, &current, wanted(&deployment));
            } else {
                roll(&mut member.api, &deployment, &current, &old);
            }
        }
        if Progress::of(&member.api, &deployment, &template).complete {
            forget(&mut member.api, &deployment, &old);
        }
    }
    if refusal.is_some() {
        world.wake_in(RETRY, Some(cluster), key);
    }
    set_status(world, cluster, key, &template, refusal.as_deref());
}

fn wanted(deployment: &Value) -> i64 {
    int(deployment, "/spec/replicas").unwrap_or(1)
}

fn count(set: &Value, field: &str) -> i64 {
    int(set, field).unwrap_or_default()
}

fn revision(set: &Value) -> i64 {
    annotation(set, REVISION).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// A template as its author wrote it.
fn bare(template: &Value) -> Value {
    let mut template = template.clone();
    js::remove_and_tidy(&mut template, &["metadata", "labels", HASH]);
    template
}

type Sets = Vec<Arc<Value>>;

/// The ReplicaSet of the present template, and the others, oldest first.
fn sets(api: &Api, deployment: &Value, template: &Value) -> (Option<Arc<Value>>, Sets) {
    let mut old = api.owned_of(meta(deployment, "uid"), &REPLICA_SET);
    old.retain(|set| !is_terminating(set));
    old.sort_by_key(|set| revision(set));
    let at = old.iter().position(|set| bare(set.at(&["spec", "template"])) == *template);
    (at.map(|at| old.remove(at)), old)
}

/// Ends the pods of earlier templates. Says whether there still are some.
fn take_away(api: &mut Api, deployment: &Value, old: &[Arc<Value>]) -> bool {
    let mut left = false;
    for set in old {
        scale(api, deployment, set, 0);
        let pods = api.owned_of(meta(set, "uid"), &POD);
        left |=
            pods.iter().any(|pod| !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed"));
    }
    left
}

fn create(
    api: &mut Api,
    deployment: &Value,
    template: &Value,
    old: &[Arc<Value>],
) -> Result<(), String> {
    let hash = clock::safe_encode(clock::fnv64(&template.to_string()), 9);
    let mut template = template.clone();
    js::set(&mut template, &["metadata", "labels", HASH], hash.as_str());
    let mut selector = deployment.at(&["spec", "selector"]).clone();
    js::set(&mut selector, &["matchLabels", HASH], hash.as_str());
    let revision = old.iter().map(|set| revision(set)).max().unwrap_or_default() + 1;
    let mut set = json!({
        "metadata": {
            "name": format!("{}-{hash}", meta(deployment, "name")),
            "labels": template.at(&["metadata", "labels"]),
            "annotations": { REVISION: revision.to_string() },
            "ownerReferences": owner_reference(deployment),
        },
        "spec": {
            "replicas": 0, "selector": selector, "template": template,
            "minReadySeconds": int(deployment, "/spec/minReadySeconds").unwrap_or_default(),
        },
    });
    pass_on(deployment, &mut set);
    let created = api.try_ensure(&REPLICA_SET, meta(deployment, "namespace"), set);
    created.map(drop).map_err(|error| {
        let message = format!("Failed to create new replica set: {}", error.message());
        events::emit(api, deployment, SOURCE, "Warning", "ReplicaSetCreateError", &message);
        message
    })
}

/// The present ReplicaSet has the highest number, also when its template is an earlier one.
fn mark_revision(api: &mut Api, key: &Key, current: &Value, old: &[Arc<Value>]) {
    let highest = old.iter().map(|set| revision(set)).max().unwrap_or_default();
    let number = revision(current).max(highest + 1).to_string();
    for key in [Key::of(&REPLICA_SET, current), key.clone()] {
        api.edit(&key, |object| {
            js::set(object, &["metadata", "annotations", REVISION], number.as_str());
        });
    }
}

fn scale(api: &mut Api, deployment: &Value, set: &Value, to: i64) {
    let key = Key::of(&REPLICA_SET, set);
    let from = api.get(&key).map_or(0, |set| count(set, "/spec/replicas"));
    if from == to {
        return;
    }
    api.edit(&key, |set| js::set(set, &["spec", "replicas"], to));
    let way = if to > from { "up" } else { "down" };
    let message = format!("Scaled {way} replica set {} from {from} to {to}", key.name);
    events::emit(api, deployment, SOURCE, "Normal", "ScalingReplicaSet", &message);
}

/// One step of a rolling update: as many new pods as `maxSurge` has room for, and as many old ones
/// away as `maxUnavailable` allows, those first that do not serve.
fn roll(api: &mut Api, deployment: &Value, current: &Value, old: &[Arc<Value>]) {
    let wanted = wanted(deployment);
    let (surge, missing) = bounds(deployment, wanted);
    let new = count(current, "/spec/replicas");
    let others: i64 = old.iter().map(|set| count(set, "/spec/replicas")).sum();
    let room = (wanted + surge - new - others).max(0);
    let new = if new > wanted { wanted } else { new + room.min(wanted - new) };
    scale(api, deployment, current, new);
    let least = wanted - missing;
    let serving = count(current, "/status/availableReplicas").min(new);
    // What the new ones still owe is not taken from the old ones.
    let mut spare = (new + others - least - (new - serving)).max(0);
    let mut available = serving;
    let mut left = Vec::new();
    for set in old {
        let has = count(set, "/spec/replicas");
        let serve = count(set, "/status/availableReplicas").min(has);
        let idle = (has - serve).min(spare);
        spare -= idle;
        available += serve;
        left.push((set, has - idle));
    }
    let mut spare = (available - least).max(0);
    for (set, has) in left {
        let away = has.min(spare);
        spare -= away;
        scale(api, deployment, set, has - away);
    }
}

/// `maxSurge` and `maxUnavailable` in pods; a share is rounded up for the one, down for the other.
fn bounds(deployment: &Value, wanted: i64) -> (i64, i64) {
    let bound = |field: &str, up: bool| {
        let value = deployment.at(&["spec", "strategy", "rollingUpdate", field]);
        let share = value.as_str().and_then(|text| text.strip_suffix('%')?.parse::<i64>().ok());
        match share {
            Some(share) => (wanted * share + if up { 99 } else { 0 }) / 100,
            None => value.as_i64().unwrap_or_default(),
        }
    };
    match (bound("maxSurge", true), bound("maxUnavailable", false)) {
        (0, 0) => (0, 1),
        bounds => bounds,
    }
}

/// Deletes earlier ReplicaSets that have no pods, but for so many of the latest.
fn forget(api: &mut Api, deployment: &Value, old: &[Arc<Value>]) {
    let kept = int(deployment, "/spec/revisionHistoryLimit").unwrap_or(10);
    let surplus = old.len().saturating_sub(usize::try_from(kept).unwrap_or_default());
    for set in old.iter().take(surplus) {
        let is_empty = ["/spec/replicas", "/status/replicas"].iter().all(|it| count(set, it) == 0);
        if is_empty {
            api.discard(&Key::of(&REPLICA_SET, set));
        }
    }
}

/// How far a Deployment is.
struct Progress {
    wanted: i64,
    replicas: i64,
    updated: i64,
    ready: i64,
    available: i64,
    /// Every pod is of the present template, and serves.
    complete: bool,
    /// The ReplicaSet of the present template.
    current: Option<String>,
    /// Why some pod could not be created.
    failure: Option<String>,
}

impl Progress {
    fn of(api: &Api, deployment: &Value, template: &Value) -> Self {
        let (current, mut all) = sets(api, deployment, template);
        let new = |field: &str| current.as_ref().map_or(0, |set| count(set, field));
        let (updated, serving) = (new("/status/replicas"), new("/status/availableReplicas"));
        let name = current.as_ref().map(|set| meta(set, "name").to_owned());
        all.extend(current);
        let sum = |field: &str| all.iter().map(|set| count(set, field)).sum::<i64>();
        let (wanted, replicas) = (wanted(deployment), sum("/status/replicas"));
        let failure = all
            .iter()
            .flat_map(|set| list(set, "/status/conditions"))
            .find(|one| text(one, "/type") == "ReplicaFailure")
            .map(|one| text(one, "/message").to_owned());
        Self {
            wanted,
            replicas,
            updated,
            ready: sum("/status/readyReplicas"),
            available: sum("/status/availableReplicas"),
            complete: [updated, replicas, serving].iter().all(|count| *count == wanted),
            current: name,
            failure,
        }
    }

    fn counts(&self) -> [(&'static str, i64); 5] {
        let unavailable = self.replicas.max(self.wanted) - self.available;
        [
            ("replicas", self.replicas),
            ("updatedReplicas", self.updated),
            ("readyReplicas", self.ready),
            ("availableReplicas", self.available),
            ("unavailableReplicas", unavailable.max(0)),
        ]
    }

    /// The condition `Progressing`.
    fn verdict(&self, late: bool, refusal: Option<&str>) -> (&'static str, &'static str, String) {
        if let Some(message) = refusal {
            return ("False", "ReplicaSetCreateError", message.to_owned());
        }
        let name = self.current.as_deref().unwrap_or_default();
        let told = |what: &str| format!("ReplicaSet \"{name}\" {what}.");
        if self.complete {
            ("True", "NewReplicaSetAvailable", told("has successfully progressed"))
        } else if late {
            ("False", "ProgressDeadlineExceeded", told("has timed out progressing"))
        } else {
            ("True", "ReplicaSetUpdated", told("is progressing"))
        }
    }
}

fn set_status(
    world: &mut World,
    cluster: &str,
    key: &Key,
    template: &Value,
    refusal: Option<&str>,
) {
    let Some(member) = world.members.get(cluster) else { return };
    let Some(deployment) = member.api.get(key).cloned() else { return };
    let progress = Progress::of(&member.api, &deployment, template);
    let mut told = Vec::new();
    // What has once been rolled out is not late when a pod of it ends.
    let rolled_out = progress.replicas == progress.updated
        && reason_of(&deployment, "Progressing") == Some("NewReplicaSetAvailable");
    if !rolled_out {
        let late = !progress.complete && is_late(world, cluster, key, &deployment, &progress);
        told.push(("Progressing", progress.verdict(late, refusal)));
    }
    let least = match text(&deployment, "/spec/strategy/type") {
        "Recreate" => progress.wanted,
        _ => progress.wanted - bounds(&deployment, progress.wanted).1,
    };
    told.push(if progress.available >= least {
        let message = "Deployment has minimum availability.";
        ("Available", ("True", "MinimumReplicasAvailable", message.to_owned()))
    } else {
        let message = "Deployment does not have minimum availability.";
        ("Available", ("False", "MinimumReplicasUnavailable", message.to_owned()))
    });
    if let Some(message) = &progress.failure {
        told.push(("ReplicaFailure", ("True", "FailedCreate", message.clone())));
    }
    let now = clock::stamp(world.now);
    let Some(member) = world.members.get_mut(cluster) else { return };
    member.api.edit(key, |deployment| {
        let generation = deployment.at(&["metadata", "generation"]).clone();
        let status = js::object(deployment, &["status"]);
        status.insert("observedGeneration".to_owned(), generation);
        for (field, count) in progress.counts() {
            if count > 0 {
                status.insert(field.to_owned(), json!(count));
            } else {
                status.shift_remove(field);
            }
        }
        if progress.failure.is_none() {
            let mut kept = list(deployment, "/status/conditions").to_vec();
            kept.retain(|one| text(one, "/type") != "ReplicaFailure");
            js::set(deployment, &["status", "conditions"], kept);
        }
        for (kind, told) in told {
            set_condition(deployment, kind, told, &now);
        }
    });
}

fn condition<'a>(deployment: &'a Value, kind: &str) -> Option<&'a Value> {
    list(deployment, "/status/conditions").iter().find(|one| text(one, "/type") == kind)
}

fn reason_of<'a>(deployment: &'a Value, kind: &str) -> Option<&'a str> {
    condition(deployment, kind).map(|one| text(one, "/reason"))
}

/// Sets a condition; one that says the same already keeps its times.
fn set_condition(
    deployment: &mut Value,
    kind: &str,
    (status, reason, message): (&str, &str, String),
    now: &str,
) {
    let same = condition(deployment, kind).is_some_and(|one| {
        [("/status", status), ("/reason", reason), ("/message", message.as_str())]
            .iter()
            .all(|(field, value)| text(one, field) == *value)
    });
    if !same {
        js::set_condition(
            deployment,
            &["status", "conditions"],
            json!({
                "type": kind, "status": status, "reason": reason, "message": message,
                "lastUpdateTime": now, "lastTransitionTime": now,
            }),
        );
    }
}

/// Whether nothing has got on for as long as the Deployment allows.
fn is_late(
    world: &mut World,
    cluster: &str,
    key: &Key,
    deployment: &Value,
    progress: &Progress,
) -> bool {
    let allowed = int(deployment, "/spec/progressDeadlineSeconds").unwrap_or(600);
    let allowed = Duration::from_secs(u64::try_from(allowed).unwrap_or_default());
    let memory = format!("{}/progress", meta(deployment, "uid"));
    let stage = format!("{:?} {:?}", progress.current, progress.counts());
    world.has_been(cluster, key, &memory, &stage, allowed)
}
