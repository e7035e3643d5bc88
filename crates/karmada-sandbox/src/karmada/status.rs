//! Karmada's binding-status controllers: Works into `aggregatedStatus`, and from there into the
//! status of the template.

use std::time::Duration;

use serde_json::{Value, json};

use super::{MANAGER, binding, condition, event, interpreter, reference, uid};
use crate::json::Tree as _;
use crate::{
    json::{self as js, condition_is_true, int, is_terminating, list, text},
    objects::{
        Key,
        resources::{self as r, BINDING},
    },
    sim::World,
};

pub(super) fn reconcile(world: &mut World, key: &Key) {
    let Some(found) = world.control.get(key).cloned() else { return };
    if is_terminating(&found) || *key.res != BINDING {
        return;
    }
    let targets = binding::targets(&found);
    let mut items = Vec::new();
    let mut all_applied = !targets.is_empty();
    for cluster in targets.keys() {
        let work = world.control.get(&binding::work_key(&found, cluster)).cloned();
        let Some(work) = work.filter(|work| !is_terminating(work)) else {
            all_applied = false;
            continue;
        };
        let mut item = json!({ "clusterName": cluster });
        let manifest = list(&work, "/status/manifestStatuses").first();
        if let Some(status) = manifest.and_then(|manifest| manifest.get("status")) {
            js::set(&mut item, &["status"], status.clone());
        }
        let applied =
            list(&work, "/status/conditions").iter().find(|one| one.at(&["type"]) == "Applied");
        match applied {
            Some(applied) if applied.at(&["status"]) == "True" => {
                js::set(&mut item, &["applied"], true);
            }
            Some(applied) => {
                js::set(&mut item, &["appliedMessage"], applied.at(&["message"]).clone());
                all_applied = false;
            }
            None => all_applied = false,
        }
        let health = manifest.map_or("Unknown", |manifest| text(manifest, "/health"));
        js::set(&mut item, &["health"], health);
        items.push(item);
    }
    let applied = (!targets.is_empty()).then(|| {
        if all_applied {
            let message = "All works have been successfully applied";
            condition(world, "FullyApplied", true, "FullyAppliedSuccess", message)
        } else {
            let message = "Failed to apply all works, see status.aggregatedStatus for details";
            condition(world, "FullyApplied", false, "FullyAppliedFailed", message)
        }
    });
    world.control.edit(key, |binding| {
        if items.is_empty() {
            js::remove(binding, &["status", "aggregatedStatus"]);
        } else {
            js::set(binding, &["status", "aggregatedStatus"], items);
        }
        if let Some(applied) = applied {
            js::set_condition(binding, &["status", "conditions"], applied);
        }
    });
    template(world, key);
}

/// Writes the members' status into the template, for the kinds Karmada knows how to.
fn template(world: &mut World, key: &Key) {
    let Some(binding) = world.control.get(key).cloned() else { return };
    let Some(target) = reference(binding.at(&["spec", "resource"])) else { return };
    let known = [
        &r::RAY_JOB,
        &r::RAY_CLUSTER,
        &r::JOB,
        &r::DEPLOYMENT,
        &r::PVC,
        &r::POD,
        &r::INGRESS,
        &r::PYTORCH_JOB,
        &r::TF_JOB,
        &r::MPI_JOB,
    ];
    let script = interpreter::script(&world.control, target.res, interpreter::AGGREGATION);
    if script.is_none() && !known.contains(&target.res) {
        return;
    }
    let Some(template) = world.control.get(&target).cloned() else { return };
    if uid(&template) != text(&binding, "/spec/resource/uid") {
        return;
    }
    let statuses: Vec<&Value> = list(&binding, "/status/aggregatedStatus")
        .iter()
        .filter_map(|item| item.get("status"))
        .collect();
    let Some(status) = merge(&statuses) else { return };
    let status = match script {
        Some(script) => {
            let made = interpreter::aggregate(&script, &template, &interpreter::items(&binding));
            match made {
                Ok(made) if made.at(&["status"]).is_null() => return,
                Ok(made) => made.at(&["status"]).clone(),
                Err(message) => {
                    event(world, &template, "Warning", "AggregateStatusFailed", &message);
                    return;
                }
            }
        }
        None => status,
    };
    if *target.res == r::JOB && condition_is_true(&status, "/conditions", "Failed") {
        // Karmada leaves FailureTarget out; the API server refuses that, for ever.
        if world.karmada.failed_job_status_lost {
            let message = format!(
                "Job.batch \"{}\" is invalid: status.conditions: Invalid value: cannot set \
                 Failed=True condition without the FailureTarget=true condition",
                target.name
            );
            event(world, &template, "Warning", "AggregateStatusFailed", &message);
            return;
        }
    }
    let finished =
        ["Complete", "Failed"].iter().any(|kind| condition_is_true(&status, "/conditions", kind));
    let wrote = world.control.edit_as(MANAGER, &target, |template| {
        js::set(template, &["status"], status);
    });
    // The time to live was kept from the member; the control plane's own controller acts on it.
    if let (true, true, Some(ttl)) =
        (wrote, finished, int(&template, "/spec/ttlSecondsAfterFinished"))
    {
        let seconds = u64::try_from(ttl).unwrap_or_default();
        world.wake_in(Duration::from_secs(seconds), None, &target);
    }
}

/// One status is taken as it is; of several, the worst.
fn merge(statuses: &[&Value]) -> Option<Value> {
    let rank =
        |status: &Value| match (text(status, "/jobDeploymentStatus"), text(status, "/jobStatus")) {
            ("Failed" | "ValidationFailed", _) | (_, "FAILED") => 0,
            ("Initializing" | "Retrying" | "Suspended" | "Suspending" | "Waiting", _) => 1,
            ("Running", _) => 2,
            _ => 3,
        };
    statuses.iter().min_by_key(|status| rank(status)).map(|status| Value::clone(status))
}

/// Deletes a finished Job template whose time to live has passed.
pub(super) fn time_to_live(world: &mut World, key: &Key) {
    let Some(template) = world.control.get(key).cloned() else { return };
    let Some(ttl) = int(&template, "/spec/ttlSecondsAfterFinished") else { return };
    let end = list(&template, "/status/conditions")
        .iter()
        .find(|one| {
            matches!(text(one, "/type"), "Complete" | "Failed") && one.at(&["status"]) == "True"
        })
        .and_then(|one| text(one, "/lastTransitionTime").parse::<jiff::Timestamp>().ok());
    let Some(end) = end else { return };
    let wait = world.scaled(Duration::from_secs(u64::try_from(ttl).unwrap_or_default()));
    if world.now >= crate::clock::after(end, wait) {
        world.control.discard(key);
    }
}
