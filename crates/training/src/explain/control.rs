//! The links on the control plane: the workload there, its policy, its binding.

use std::time::Duration;

use super::evidence::{Evidence, workload};
use super::placed::waits;
use super::{Found, LinkState, Step, Weight, bare};
use crate::clock::Timestamp;
use crate::id::ClusterName;
use crate::job::Job;
use crate::phase::Phase;
use crate::ports::{BindingTrace, ControlError, EventSeen};
use crate::propagation::policy_ref;

/// How long Karmada may take before its silence is odd. It needs a tenth of a second for one
/// workload and some ten seconds for a burst; a kind that is new to it takes it half a minute.
const USUAL: Duration = Duration::from_mins(1);

/// What was refused, or cannot be written yet, by the control plane; `None` if nothing was tried.
pub(super) fn refused_write(job: &Job) -> Option<Found> {
    let found = |state, text: &str| {
        Found::new(Step::Template, state, text, format!("Karmada API, {}", workload(job)))
            .at(Some(job.updated_at))
    };
    let message = waits(&job.message);
    match (job.phase, job.reason.as_str()) {
        (Phase::Queued, "PrerequisiteMissing") => {
            let remedy = if message.contains("namespace \"") {
                "create the namespace on the Karmada control plane, and the job goes on by itself"
            } else if message.contains("the right to") {
                "an operator has to grant the host's account this right, and then the job goes on \
                 by itself"
            } else if message.contains("a free name") {
                "the job goes on by itself when the predecessor is gone"
            } else {
                "an operator has to install it on the Karmada control plane, and then the job goes \
                 on by itself"
            };
            Some(found(LinkState::Wrong, &job.message).blame(Weight::Refused, &message, remedy))
        }
        (Phase::Failed, "NameConflict") => Some(found(LinkState::Wrong, &job.message).blame(
            Weight::Refused,
            &message,
            "submit it under another name, or have the owner of that object delete it",
        )),
        (Phase::Failed, "ApplyRejected") => Some(found(LinkState::Wrong, &job.message).blame(
            Weight::Refused,
            &message,
            "change the form as the refusal says, or ask an operator of the control plane, and \
             submit it again",
        )),
        (Phase::Failed, "BundleMissing") => Some(found(LinkState::Wrong, &job.message).blame(
            Weight::Refused,
            &message,
            "the database lost a part of the job: submit it again, and tell an operator",
        )),
        (Phase::Queued, _) => None,
        _ => Some(found(LinkState::Ok, "Nothing was left on the control plane.")),
    }
}

/// A part that could not be read.
fn unseen(step: Step, error: &ControlError, source: String) -> Found {
    let text = format!("It could not be looked at: {error}.");
    Found::new(step, LinkState::Unknown, text, source).blame(
        Weight::Complaint,
        &error.to_string(),
        "ask again when Karmada answers",
    )
}

/// The workload on the control plane.
pub(super) fn template(evidence: &Evidence) -> Found {
    let job = &evidence.job;
    if let Some(found) = refused_write(job).filter(|found| found.blame.is_some()) {
        return found;
    }
    let object = evidence.workload();
    let source = object.to_string();
    let found = |state, text: &str| Found::new(Step::Template, state, text, source.clone());
    let Some(trace) = &evidence.trace else {
        return found(LinkState::Unknown, "Nobody looked.");
    };
    let seen = match &trace.template {
        Ok(seen) => seen,
        Err(error) => return unseen(Step::Template, error, source.clone()),
    };
    match seen {
        Some(seen) if job.workload_uid.as_deref().is_some_and(|uid| uid != seen.uid) => {
            let text = "Another object has this name on the control plane now.";
            let found = found(LinkState::Wrong, text).at(seen.created_at);
            if evidence.should_exist() {
                found.blame(
                    Weight::Control,
                    "somebody replaced the workload on the control plane by another object",
                    "find out who did, and submit the job again under another name",
                )
            } else {
                found
            }
        }
        Some(seen) if seen.terminating => {
            let state = if evidence.is_leaving() { LinkState::Waiting } else { LinkState::Wrong };
            found(state, "It is being deleted from the control plane.").at(seen.created_at)
        }
        Some(seen) => {
            found(LinkState::Ok, "The workload is on the control plane.").at(seen.created_at)
        }
        None if evidence.should_exist() => {
            found(LinkState::Wrong, "The workload is missing on the control plane.")
                .at(job.missing_since)
                .blame(
                    Weight::Control,
                    "the workload is missing on the control plane, and not by our doing",
                    "it is not made again by itself: find out who deleted it, and submit the job \
                     again",
                )
        }
        None => {
            let gone = "The workload is gone from the control plane.";
            let state = if job.phase == Phase::Lost { LinkState::Wrong } else { LinkState::Ok };
            found(state, gone).at(job.missing_since)
        }
    }
}

/// The policy of the workload.
pub(super) fn policy(evidence: &Evidence) -> Found {
    let object = policy_ref(&evidence.job);
    let source = object.to_string();
    let found = |state, text: String| Found::new(Step::Policy, state, text, source.clone());
    let Some(trace) = &evidence.trace else {
        return found(LinkState::Unknown, "Nobody looked.".to_owned());
    };
    let claimed = evidence.template().and_then(|seen| seen.claimed_by.as_deref());
    let seen = match &trace.policy {
        Ok(seen) => seen,
        Err(error) => return unseen(Step::Policy, error, source.clone()),
    };
    let own = format!("{}/{}", object.namespace, object.name);
    match (seen, claimed) {
        (_, Some(other)) if other != own && evidence.should_exist() => {
            let cause = format!("the policy {other} selects the workload, and wins over ours");
            found(LinkState::Wrong, format!("{}.", cause.replacen("the", "The", 1))).blame(
                Weight::Control,
                &cause,
                "narrow that policy, so that it leaves alone what Trainyard makes",
            )
        }
        (Some(seen), _) => {
            let state = match (seen.terminating, evidence.is_leaving()) {
                (false, _) => LinkState::Ok,
                (true, true) => LinkState::Waiting,
                (true, false) => LinkState::Wrong,
            };
            let names = evidence.job.placement.iter().flat_map(|placement| &placement.clusters);
            let names: Vec<&str> = names.map(ClusterName::as_str).collect();
            found(state, format!("The policy pins the workload to {}.", names.join(", ")))
                .at(seen.created_at)
        }
        (None, _) if evidence.should_exist() => {
            found(LinkState::Wrong, "The policy of the workload is missing.".to_owned()).blame(
                Weight::Waits,
                "its policy is missing on the control plane, and not by our doing",
                "find out who deleted it, and submit the job again",
            )
        }
        (None, _) => found(LinkState::Ok, "The policy is gone.".to_owned()),
    }
}

/// The binding of the workload.
pub(super) fn binding(evidence: &Evidence, now: Timestamp) -> Found {
    let job = &evidence.job;
    let name = format!("{}-{}", job.name, job.workload_kind).to_lowercase();
    let source = format!("ResourceBinding {}/{name}", job.namespace);
    let found = |state, text: String| Found::new(Step::Binding, state, text, source.clone());
    let Some(trace) = &evidence.trace else {
        return found(LinkState::Unknown, "Nobody looked.".to_owned());
    };
    match &trace.binding {
        Err(error) => unseen(Step::Binding, error, source.clone()),
        Ok(Some(binding)) => bound(evidence, binding, found),
        Ok(None) if !evidence.should_exist() => {
            found(LinkState::Ok, "Karmada has no binding for it any more.".to_owned())
        }
        Ok(None) => unbound(evidence, now, found),
    }
}

fn bound(
    evidence: &Evidence,
    binding: &BindingTrace,
    found: impl Fn(LinkState, String) -> Found,
) -> Found {
    let at = binding.scheduled_at.or(binding.created_at);
    let placement = evidence.job.placement.as_ref();
    let ours = |name: &String| {
        placement.is_none_or(|placement| placement.clusters.iter().any(|own| own.as_str() == name))
    };
    if let Some(elsewhere) = binding.seen.clusters.iter().find(|name| !ours(name)) {
        let cause = format!(
            "Karmada placed the workload on cluster {elsewhere}, which was not chosen, because \
             another policy selects it"
        );
        return found(LinkState::Wrong, format!("{cause}.")).at(at).blame(
            Weight::Refused,
            &cause,
            "narrow that policy, so that it leaves alone what Trainyard makes",
        );
    }
    match &binding.seen.scheduled {
        None => found(
            LinkState::Waiting,
            "Karmada's scheduler has not looked at the workload yet.".to_owned(),
        )
        .at(at),
        Some((true, ..)) => {
            let text = format!("Karmada scheduled it to {}.", binding.seen.clusters.join(", "));
            found(LinkState::Ok, text).at(at)
        }
        Some((false, reason, message)) => {
            let cause = format!("Karmada cannot schedule the workload ({reason}): {message}");
            let remedy = if message.contains("untolerated taint") {
                "remove the taint from the Cluster, and Karmada tries again by itself"
            } else if message.contains("did not have the API resource") {
                "install the operator that brings the kind on the cluster; Karmada does not notice \
                 that by itself, so delete the job and submit it again"
            } else if message.contains("placement cluster affinity") {
                "have the cluster joined to Karmada again, or delete the job and submit it for \
                 another one"
            } else {
                "delete the job and submit it for another cluster"
            };
            found(LinkState::Wrong, format!("{}.", bare(&cause))).at(at).blame(
                Weight::Refused,
                &cause,
                remedy,
            )
        }
    }
}

/// No binding: Karmada says why in an event of the workload, or says nothing.
fn unbound(
    evidence: &Evidence,
    now: Timestamp,
    found: impl Fn(LinkState, String) -> Found,
) -> Found {
    let events = evidence.trace.as_ref().and_then(|trace| trace.events.as_ref().ok());
    // Every first apply is complained about so, and means nothing.
    let telling = |event: &&EventSeen| {
        event.warning
            && event.reason.contains("Failed")
            && !(event.message.contains("resourcebindings")
                && event.message.contains("already exists"))
    };
    if let Some(event) = events.and_then(|events| events.iter().rev().find(telling)) {
        let cause =
            format!("Karmada cannot bind the workload ({}): {}", event.reason, event.message);
        return found(LinkState::Wrong, format!("{}.", bare(&cause))).at(event.last_at).blame(
            Weight::Refused,
            &cause,
            "mend what it names on the control plane, and Karmada tries again by itself",
        );
    }
    let since = evidence.job.submitted_at;
    let waited = since.and_then(|at| Duration::try_from(now.duration_since(at)).ok());
    if waited.is_some_and(|waited| waited > USUAL) {
        let text = "Karmada has made no binding for the workload, and does not say why.";
        return found(LinkState::Wrong, text.to_owned()).at(since).blame(
            Weight::Control,
            "Karmada has made no binding for the workload, and does not say why",
            "an operator has to look at the log of karmada-controller-manager",
        );
    }
    let text = "Karmada has not bound the workload yet.".to_owned();
    found(LinkState::Waiting, text).at(since).blame(
        Weight::Waits,
        "Karmada has not bound the workload yet",
        "wait a moment",
    )
}
