//! The one sentence. Where a job stands opens it, the strongest blame goes on, and what a person
//! can do ends it.

use super::placed::waits;
use super::{Blame, bare, inside};
use crate::decide::{DEADLINE_REASON, PENDING_REASON};
use crate::id::ClusterName;
use crate::job::{FailureClass, Job};
use crate::phase::{Desired, Lifecycle, Phase};

/// From the row alone.
pub(super) fn of_row(job: &Job) -> String {
    whole(job, None, None)
}

/// From everything. `remaining` is what history says is left of a job that is being removed.
pub(super) fn whole(job: &Job, blame: Option<&Blame>, remaining: Option<&str>) -> String {
    if job.lifecycle == Lifecycle::Deleted {
        let when = job.deleted_at.map(|at| format!(" since {at:.0}")).unwrap_or_default();
        return format!("The job was deleted, and nothing of it is left on any cluster{when}.");
    }
    if job.lifecycle == Lifecycle::Deleting {
        return leaving(job, "The job is being deleted", blame, remaining);
    }
    if job.phase.is_terminal() {
        return ended(job, blame);
    }
    if job.desired != Desired::Run {
        let opening = match job.reason.as_str() {
            DEADLINE_REASON => "The job ran longer than it was allowed to and is being stopped",
            PENDING_REASON => "The job waited longer than it was allowed to and is being stopped",
            _ => "The job is being stopped because somebody asked for it",
        };
        return leaving(job, opening, blame, remaining);
    }
    match job.phase {
        Phase::Queued if job.suspend && job.placement.is_none() => {
            "The job is held back in the queue because somebody asked for it; resume it, and it is \
             placed."
                .to_owned()
        }
        Phase::Queued => {
            let own = match job.reason.as_str() {
                "Accepted" => "it is about to be placed".to_owned(),
                "Placed" => format!("it is about to be written to {}", place(job)),
                _ => waits(&job.message),
            };
            with("The job waits in the queue", blame, &own, "")
        }
        Phase::Submitted => {
            let opening = format!("The job does not run yet on {}", place(job));
            // The message of a job that was just applied says why there.
            let own = match job.reason.as_str() {
                "Applied" => "the cluster has not reported anything about it yet",
                _ => bare(&job.message),
            };
            with(&opening, blame, own, "")
        }
        Phase::Suspended => {
            let opening = format!("The job is held back on {}", place(job));
            with(
                &opening,
                blame,
                bare(&job.message),
                "whoever suspended it, a person or the cluster's queue, has to resume it",
            )
        }
        Phase::Unknown => {
            let last = job.last_known.map(|last| format!(", last known to be {last}"));
            let opening = format!(
                "What the job does on {} is not known{}",
                place(job),
                last.unwrap_or_default()
            );
            with(
                &opening,
                blame,
                bare(&job.message),
                "it is never started a second time; its state is taken over when the cluster \
                 answers",
            )
        }
        _ => {
            let since = job.started_at.map(|at| format!(" since {at:.0}")).unwrap_or_default();
            let opening = format!("The job runs on {}{since}", place(job));
            match blame {
                None => format!("{opening}, and nothing is in its way."),
                Some(_) => with(&opening, blame, "", ""),
            }
        }
    }
}

/// `cluster member1`, or what is known.
fn place(job: &Job) -> String {
    let names: Vec<&str> = job
        .placement
        .iter()
        .flat_map(|placement| &placement.clusters)
        .map(ClusterName::as_str)
        .collect();
    match names.as_slice() {
        [] => "its cluster".to_owned(),
        [one] => format!("cluster {one}"),
        many => format!("the clusters {}", many.join(", ")),
    }
}

/// Opening, cause and remedy. The row's own words stand in for a blame that nobody found.
fn with(opening: &str, blame: Option<&Blame>, own: &str, own_remedy: &str) -> String {
    let (cause, remedy) = match blame {
        Some(blame) => (blame.cause.clone(), blame.remedy.as_str()),
        None => (inside(own), own_remedy),
    };
    let mut text = opening.to_owned();
    if !cause.is_empty() {
        text = format!("{text}: {}", lower_first(&cause));
    }
    if !remedy.is_empty() {
        text = format!("{text}; {remedy}");
    }
    format!("{text}.")
}

/// A job on its way out: what is still there.
fn leaving(job: &Job, opening: &str, blame: Option<&Blame>, remaining: Option<&str>) -> String {
    // A finished job keeps its outcome as its message; what remains stands in its history.
    let own = if job.phase.is_terminal() { remaining.unwrap_or_default() } else { &job.message };
    let remedy = "it ends by itself when everything is proven gone; a cluster that does not \
                  answer holds it up until it answers";
    match blame.filter(|blame| blame.weight == super::Weight::Away) {
        Some(away) => {
            let both = format!("{}, {}", bare(own), away.cause);
            with(opening, None, both.trim_start_matches(", "), remedy)
        }
        None => with(opening, None, bare(own), remedy),
    }
}

fn ended(job: &Job, blame: Option<&Blame>) -> String {
    let when = job.finished_at.map(|at| format!(" at {at:.0}")).unwrap_or_default();
    let own = bare(&job.message);
    match job.phase {
        Phase::Succeeded => format!("The job succeeded on {}{when}.", place(job)),
        Phase::Cancelled if job.failure == FailureClass::Stopped || job.desired == Desired::Run => {
            with(
                &format!("The job was stopped on its cluster{when}"),
                None,
                own,
                "submit it again to run it",
            )
        }
        Phase::Cancelled => {
            format!(
                "The job was cancelled{when} because somebody asked for it; submit it again to run it."
            )
        }
        Phase::TimedOut if job.started_at.is_none() && job.max_pending_seconds.is_some() => {
            format!(
                "The job was stopped{when} because it did not start within its {} s; raise \
                 `maxPendingSeconds`, or submit it for a cluster with more room.",
                job.max_pending_seconds.unwrap_or_default()
            )
        }
        Phase::TimedOut => {
            let opening = match job.max_runtime_seconds {
                Some(limit) => {
                    format!("The job was stopped{when} because it ran longer than its {limit} s")
                }
                None => format!("The job ran out of time{when}"),
            };
            format!("{opening}; raise `maxRuntimeSeconds`, or make it faster, and submit it again.")
        }
        Phase::Lost => with(
            &format!("The job was lost{when}"),
            None,
            own,
            "it is never run again by itself: look at what it wrote, and submit it again if need be",
        ),
        _ => with(&format!("The job failed{when}"), blame, own, remedy(job)),
    }
}

/// What to do about a failure that nothing else explains.
fn remedy(job: &Job) -> &'static str {
    match job.failure {
        FailureClass::UserCode => {
            "its log says why: mend the program or its data, and submit it again"
        }
        FailureClass::Timeout => {
            "raise `maxRuntimeSeconds`, or make it faster, and submit it again"
        }
        FailureClass::Capacity => "submit it again for a cluster with more room, or ask for less",
        FailureClass::Rejected => "change the form as the refusal says, and submit it again",
        FailureClass::Stopped => "ask who stopped it on the cluster, and submit it again",
        FailureClass::Infrastructure => "the program is not to blame: submit it again",
        FailureClass::None => "submit it again when the cause is mended",
    }
}

/// Words that begin sentences of ours and are no names.
const COMMON: [&str; 10] =
    ["The", "No", "It", "Its", "A", "An", "Cluster", "Nothing", "Nobody", "Still"];

/// A sentence as it goes on after a colon.
fn lower_first(text: &str) -> String {
    let first = text.split(' ').next().unwrap_or_default();
    match text.split_at_checked(1) {
        Some((head, tail)) if COMMON.contains(&first) => format!("{}{tail}", head.to_lowercase()),
        _ => text.to_owned(),
    }
}
