//! What the controllers of a member complain about.

use super::evidence::{Evidence, MemberEvidence};
use super::member::unread;
use super::{Found, LinkState, Step, Weight, bare};
use crate::ports::EventSeen;

/// Complaints that are quoted; the newest say most.
const QUOTED: usize = 3;

/// Whether an event says that something cannot be made or mounted, which no pod will tell.
fn is_grave(event: &EventSeen) -> bool {
    event.reason.starts_with("FailedCreate")
        || event.reason.starts_with("FailedToCreate")
        || event.reason.starts_with("FailedAttach")
        || matches!(event.reason.as_str(), "FailedMount" | "ProvisioningFailed")
        || event.message.contains("exceeded quota")
}

/// The link.
pub(super) fn events(evidence: &Evidence, member: &MemberEvidence) -> Found {
    let (name, namespace) = (&member.cluster, &evidence.job.namespace);
    let whole = format!("cluster {name}, Events in {namespace}");
    let events = match &member.events {
        Ok(events) => events,
        Err(error) => return unread(Step::Events, evidence, member, error, whole),
    };
    let warnings: Vec<&EventSeen> = events.iter().filter(|event| event.warning).collect();
    let Some(last) = warnings.last() else {
        let text = "The cluster's controllers have no complaint.";
        return Found::new(Step::Events, LinkState::Ok, text, whole);
    };
    let quoted: Vec<String> =
        warnings.iter().rev().take(QUOTED).map(|event| quote(event)).collect();
    let text = format!("{}.", quoted.join("; "));
    // A job that runs has got over what was complained about before.
    let grave = warnings.iter().rev().find(|event| is_grave(event));
    match grave.filter(|_| !evidence.job.phase.is_terminal() && evidence.job.started_at.is_none()) {
        Some(event) => {
            let source =
                format!("cluster {name}, Event on {} {namespace}/{}", event.kind, event.name);
            let cause = format!(
                "cluster {name} cannot go on with {} {}: {}",
                event.kind, event.name, event.message
            );
            Found::new(Step::Events, LinkState::Wrong, text, source).at(event.last_at).blame(
                Weight::Events,
                &cause,
                remedy(event, namespace.as_str()),
            )
        }
        None => Found::new(Step::Events, LinkState::Ok, text, whole).at(last.last_at),
    }
}

fn quote(event: &EventSeen) -> String {
    let times = if event.count > 1 { format!(" ({} times)", event.count) } else { String::new() };
    format!("{} on {} {}{times}: {}", event.reason, event.kind, event.name, bare(&event.message))
}

fn remedy(event: &EventSeen, namespace: &str) -> String {
    if event.message.contains("quota") {
        return format!(
            "raise the quota of namespace {namespace} there or free some of it, and it goes on by \
             itself"
        );
    }
    if event.message.contains("forbidden") || event.message.contains("denied the request") {
        return "an admission rule of the cluster refuses it: change the form as it says, or ask \
                whoever runs the cluster"
            .to_owned();
    }
    match event.reason.as_str() {
        "FailedMount" | "ProvisioningFailed" => {
            "check the volume and its storage class on this cluster".to_owned()
        }
        _ => "ask whoever runs the cluster".to_owned(),
    }
}
