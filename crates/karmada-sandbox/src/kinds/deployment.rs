//! Deployments of a member: their replicas become ready after a moment. There are no pods behind
//! them.

use std::time::Duration;

use serde_json::json;

use super::outcome;
use crate::{
    clock,
    json::{self as js, int, is_terminating, meta},
    objects::Key,
    sim::World,
};

const ROLLOUT: Duration = Duration::from_secs(1);

pub(super) fn reconcile(world: &mut World, cluster: &str, key: &Key) {
    let Some(found) = world.members.get(cluster).and_then(|member| member.api.get(key)).cloned()
    else {
        return;
    };
    let generation = int(&found, "/metadata/generation").unwrap_or_default();
    let stage = format!("rollout {generation}");
    let uid = meta(&found, "uid").to_owned();
    if is_terminating(&found)
        || matches!(outcome(&found, 0), "hang" | "unschedulable" | "image-pull")
        || int(&found, "/status/observedGeneration") == Some(generation)
        || !world.has_been(cluster, key, &uid, &stage, ROLLOUT)
    {
        return;
    }
    let now = clock::stamp(world.now);
    let Some(member) = world.members.get_mut(cluster) else { return };
    member.api.edit(key, |deployment| {
        let replicas = int(deployment, "/spec/replicas").unwrap_or(1);
        js::set(
            deployment,
            &["status"],
            json!({
                "observedGeneration": generation, "replicas": replicas, "readyReplicas": replicas,
                "updatedReplicas": replicas, "availableReplicas": replicas,
                "conditions": [{
                    "type": "Available", "status": "True", "reason": "MinimumReplicasAvailable",
                    "message": "Deployment has minimum availability.", "lastTransitionTime": now,
                }],
            }),
        );
    });
}
