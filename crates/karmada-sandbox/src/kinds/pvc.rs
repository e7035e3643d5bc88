//! The volume provisioner of a member: a claim is bound a moment after it appears.

use std::time::Duration;

use serde_json::json;

use super::{OUTCOME, events};
use crate::json::Tree as _;
use crate::{
    json::{self as js, annotation, is_terminating, meta, text},
    objects::Key,
    sim::World,
};

const PROVISIONING: Duration = Duration::from_millis(300);

pub(super) fn reconcile(world: &mut World, cluster: &str, key: &Key) {
    let Some(claim) = world.members.get(cluster).and_then(|member| member.api.get(key)).cloned()
    else {
        return;
    };
    let uid = meta(&claim, "uid").to_owned();
    if text(&claim, "/status/phase") == "Bound"
        || is_terminating(&claim)
        || !world.has_been(cluster, key, &uid, "provisioning", PROVISIONING)
    {
        return;
    }
    let Some(member) = world.members.get_mut(cluster) else { return };
    if annotation(&claim, OUTCOME) == Some("unbound") {
        let class = text(&claim, "/spec/storageClassName");
        let why = format!("storageclass.storage.k8s.io \"{class}\" not found");
        let source = "persistentvolume-controller";
        events::emit(&mut member.api, &claim, source, "Warning", "ProvisioningFailed", &why);
        return;
    }
    member.api.edit(key, |claim| {
        js::set(claim, &["spec", "volumeName"], format!("pvc-{uid}"));
        let capacity = claim.at(&["spec", "resources", "requests"]).clone();
        let modes = claim.at(&["spec", "accessModes"]).clone();
        js::set(
            claim,
            &["status"],
            json!({ "phase": "Bound", "capacity": capacity, "accessModes": modes }),
        );
    });
}
