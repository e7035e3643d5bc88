//! The links to one member: Karmada's order to it, the member itself, the workload there.

use super::evidence::{Evidence, MemberEvidence, Presence};
use super::pods::MEMORY_REMEDY;
use super::{Found, LinkState, Step, Weight, bare};
use crate::job::Job;
use crate::ports::{MemberError, RunState};

/// Karmada's order to the member.
pub(super) fn work(evidence: &Evidence, member: &MemberEvidence) -> Found {
    let name = &member.cluster;
    let unseen = || {
        let trace = evidence.trace.as_ref()?;
        trace.works.as_ref().err().map(ToString::to_string)
    };
    let Some(work) = evidence.work(name) else {
        let source = format!("Works of cluster {name}");
        let found = |state, text: String| Found::new(Step::Work, state, text, source.clone());
        return match unseen() {
            Some(why) => found(LinkState::Unknown, format!("It could not be looked at: {why}.")),
            None if !evidence.should_exist() => {
                found(LinkState::Ok, "Karmada has no order for the cluster any more.".to_owned())
            }
            None => {
                let text = format!("Karmada has not told cluster {name} about the workload yet.");
                found(LinkState::Waiting, text)
            }
        };
    };
    let source = format!("Work karmada-es-{name}/{}", work.name);
    let found = |state, text: String| Found::new(Step::Work, state, text, source.clone());
    if work.terminating {
        let text = format!("Karmada is to take the workload off cluster {name}.");
        let state = if evidence.is_leaving() { LinkState::Waiting } else { LinkState::Wrong };
        return found(state, text).at(work.applied_at);
    }
    if work.suspended && evidence.job.phase.is_terminal() {
        let text = format!("The workload stays as it is on cluster {name}, because it is over.");
        return found(LinkState::Ok, text).at(work.applied_at);
    }
    if work.suspended {
        let text = format!("Karmada is told to hold the workload back from cluster {name}.");
        return found(LinkState::Wrong, text).at(work.applied_at).blame(
            Weight::Refused,
            "dispatching of the workload is suspended in Karmada",
            "whoever suspended it has to resume it",
        );
    }
    match &work.applied {
        None => {
            let text = format!("Karmada has not written the workload to cluster {name} yet.");
            found(LinkState::Waiting, text)
        }
        Some((true, _)) => {
            let text = format!("The workload is written to cluster {name}.");
            found(LinkState::Ok, text).at(work.applied_at)
        }
        Some((false, message)) => {
            let cause = format!("cluster {name} does not take the workload: {message}");
            found(LinkState::Wrong, format!("{}.", bare(&cause).replacen('c', "C", 1)))
                .at(work.applied_at)
                .blame(Weight::Refused, &cause, refusal_remedy(evidence, member, message))
        }
    }
}

/// What to do about a member that refuses.
fn refusal_remedy(evidence: &Evidence, member: &MemberEvidence, message: &str) -> String {
    let (name, namespace) = (&member.cluster, &evidence.job.namespace);
    if message.contains("already exists in the cluster") {
        format!(
            "an object that Karmada does not manage has the name there: delete it on cluster \
             {name}, or submit the job under another name"
        )
    } else if message.contains("exceeded quota") || message.contains("quota") {
        format!(
            "raise the quota of namespace {namespace} on cluster {name} or free some of it, and \
             Karmada tries again by itself"
        )
    } else if message.contains("no matches for kind") {
        format!("install the operator that brings the kind on cluster {name}")
    } else if message.contains("namespaces \"") && message.contains("not found") {
        format!("create the namespace {namespace} on cluster {name}")
    } else if message.contains("forbidden") || message.contains("denied the request") {
        format!(
            "an admission rule of cluster {name} refuses it: change the form as it says, or ask \
             whoever runs the cluster"
        )
    } else {
        "Karmada tries again by itself; if it goes on, ask whoever runs the cluster".to_owned()
    }
}

/// The member itself.
pub(super) fn cluster(evidence: &Evidence, member: &MemberEvidence) -> Found {
    let name = &member.cluster;
    let source = format!("Cluster {name}");
    let found = |state, text: String| Found::new(Step::Cluster, state, text, source.clone());
    if let Err(why) = &evidence.clusters {
        let text = format!("Nobody knows how cluster {name} is: {}.", bare(why));
        return found(LinkState::Unknown, text);
    }
    match evidence.cluster(name) {
        None => {
            let text = format!("Cluster {name} is no longer registered with Karmada.");
            found(LinkState::Wrong, text).blame(
                Weight::Away,
                &format!("cluster {name} is no longer registered with Karmada"),
                "have it joined again, or cancel the job",
            )
        }
        Some(seen) if seen.ready => {
            let text = format!("Cluster {name} is ready.");
            found(LinkState::Ok, text).at(seen.ready_since)
        }
        Some(seen) => {
            let since = seen.ready_since.map(|at| format!(" since {at:.0}")).unwrap_or_default();
            let cause = format!("cluster {name} is not ready{since} ({})", seen.ready_reason);
            found(LinkState::Wrong, format!("{}.", cause.replacen('c', "C", 1)))
                .at(seen.ready_since)
                .blame(
                    Weight::Away,
                    &cause,
                    "what runs there goes on unseen and is never started a second time; ask \
                     whoever runs the cluster",
                )
        }
    }
}

/// Why a member could not be read, with how long it is away as far as Karmada knows.
pub(super) fn unread(
    step: Step,
    evidence: &Evidence,
    member: &MemberEvidence,
    error: &MemberError,
    source: String,
) -> Found {
    let away = evidence.cluster(&member.cluster).filter(|cluster| !cluster.ready);
    let since = away.and_then(|cluster| cluster.ready_since);
    let text = match (error, since) {
        (MemberError::Unavailable { cluster, .. }, Some(at)) => {
            format!("Cluster {cluster} does not answer since {at:.0}.")
        }
        // Addresses inside the clusters are nobody's business.
        (MemberError::Unavailable { cluster, .. }, None) => {
            format!("Cluster {cluster} does not answer.")
        }
        _ => {
            let words = error.to_string();
            let (first, rest) = words.split_at_checked(1).unwrap_or(("", words.as_str()));
            format!("{}{}.", first.to_uppercase(), bare(rest))
        }
    };
    Found::new(step, LinkState::Unknown, text, source).at(since)
}

/// The workload on the member.
pub(super) fn object(evidence: &Evidence, member: &MemberEvidence) -> Found {
    let name = &member.cluster;
    let source = format!("cluster {name}, {}", evidence.workload());
    let found = |state, text: String| Found::new(Step::Object, state, text, source.clone());
    let there = match &member.object {
        Ok(there) => *there,
        Err(error) => return unread(Step::Object, evidence, member, error, source.clone()),
    };
    if there == Presence::Foreign {
        let text = format!("Cluster {name} has an object of this name that is not this job's.");
        let state = if evidence.should_exist() { LinkState::Wrong } else { LinkState::Ok };
        return found(state, text);
    }
    if there == Presence::Absent {
        let applied =
            evidence.work(name).is_some_and(|work| matches!(work.applied, Some((true, _))));
        return match (evidence.should_exist(), applied) {
            (false, _) => found(LinkState::Ok, format!("It is gone from cluster {name}.")),
            (true, false) => found(LinkState::Waiting, format!("It is not on cluster {name} yet.")),
            (true, true) => {
                let cause = format!("the workload vanished from cluster {name}");
                found(LinkState::Wrong, format!("It vanished from cluster {name}.")).blame(
                    Weight::Object,
                    &cause,
                    "find out who deletes it there; Karmada makes it again",
                )
            }
        };
    }
    if evidence.is_leaving() {
        let text = format!("It is still on cluster {name}.");
        return found(LinkState::Waiting, text);
    }
    let Some(report) = &member.report else {
        let text = format!("It is on cluster {name}, and its status cannot be read.");
        return found(LinkState::Unknown, text);
    };
    let text = format!("{} ({}){}", report.message, report.reason, begun_anew(&evidence.job));
    let at = report.finished_at.or(report.started_at);
    let cause = bare(&report.message).to_owned();
    match report.state {
        RunState::Succeeded | RunState::Running => found(LinkState::Ok, text).at(at),
        RunState::Pending | RunState::Unknown => found(LinkState::Waiting, text).at(at).blame(
            Weight::Waits,
            &cause,
            "wait; nothing says that something is wrong",
        ),
        RunState::Suspended => found(LinkState::Waiting, text).at(at).blame(
            Weight::Object,
            &cause,
            "whoever suspended it, a person or the cluster's queue, has to resume it",
        ),
        // The pods that ran out of it are often gone by then.
        RunState::Failed if tells_of_memory(&report.message) => {
            found(LinkState::Wrong, text).at(at).blame(Weight::Events, &cause, MEMORY_REMEDY)
        }
        RunState::Failed => found(LinkState::Wrong, text).at(at),
    }
}

/// What is to be known of a run that is not the first of its workload.
fn begun_anew(job: &Job) -> String {
    let times = match job.restarts {
        0 => return String::new(),
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    let last = job.run_began.map(|at| format!(", last at {at:.0}")).unwrap_or_default();
    format!(" The cluster began the run anew {times}{last}.")
}

/// Whether words of an operator or a program are about memory that did not suffice.
fn tells_of_memory(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["outofmemory", "oomkilled", "out of memory", "low on memory", "memoryerror"]
        .into_iter()
        .any(|sign| words.contains(sign))
}
