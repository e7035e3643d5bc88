//! The only place where an observation changes a phase. Pure: a job, what was seen, and the time go
//! in; what the job is now comes out. Table-tested; the loop around it is
//! [`crate::reconcile`].

mod again;

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::id::ClusterName;
use crate::intent::IntentKind;
use crate::job::{FailureClass, Job, NewEvent, Spread};
use crate::phase::{Desired, Phase};
use crate::ports::{BindingSeen, Effects, MemberSeen, Report, RunState, Seen};

pub use again::{is_at_rest, ran_again};

/// How patient the host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long a cluster may be unready before its jobs are [`Phase::Unknown`]. Karmada itself
    /// needs 30 s to notice, and short outages are common.
    pub unknown_after: Duration,
    /// How long a workload must be missing before it is [`Phase::Lost`].
    pub lost_after_missing: Duration,
    /// How long a cluster may be away before its jobs are lost; zero for ever.
    pub lost_after_unknown: Duration,
    /// How much longer than its limit a job may run before the host stops it, in addition to a
    /// tenth of the limit: the cluster enforces the limit itself and is given the first word.
    pub overrun: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            unknown_after: Duration::from_mins(1),
            lost_after_missing: Duration::from_mins(1),
            lost_after_unknown: Duration::from_hours(24),
            overrun: Duration::from_mins(1),
        }
    }
}

/// The cluster of a job that is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// Its name.
    pub cluster: String,
    /// Why, in Karmada's words.
    pub reason: String,
}

/// Everything that is known about a job from outside.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observation {
    /// What the control plane says.
    pub seen: Seen,
    /// What the plugin read from the status of each member that reported one.
    pub reports: Vec<(String, Report)>,
    /// The first cluster of the placement that is not ready or not registered.
    pub away: Option<Away>,
}

/// A change that an observation causes.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The job afterwards, still with its old version.
    pub after: Job,
    /// The line for its history.
    pub event: NewEvent,
    /// What else happens.
    pub effects: Effects,
}

/// Says what an observation makes of a job; `None` if nothing changes.
pub fn decide(
    job: &Job,
    observation: &Observation,
    patience: &Patience,
    now: Timestamp,
) -> Option<Decision> {
    if !job.phase.is_observed() {
        return None;
    }
    let mut after = job.clone();
    let mut effects = Effects::default();
    match &observation.seen.binding {
        Some(binding) => {
            after.missing_since = None;
            let mut read = after.clone();
            read_binding(&mut read, binding, observation, now);
            // The status of a cluster that is away is frozen: only an end that it reported before
            // is still true.
            if observation.away.is_none() || read.phase.is_terminal() {
                after = read;
            }
            stop_elsewhere(&mut after, binding, &mut effects);
        }
        None => read_absence(&mut after, observation.seen.exists, patience, now),
    }
    if !after.phase.is_terminal() {
        read_outage(&mut after, observation.away.as_ref(), patience, now);
    }
    if !after.phase.is_terminal() && !after.suspend {
        enforce_deadline(&mut after, &mut effects, patience, now);
    }
    if after.phase == Phase::Lost {
        // What is left of it must not run on unseen, should its cluster come back.
        effects.enqueue.push(IntentKind::Stop);
    }
    if after.phase.is_terminal() {
        after.finished_at.get_or_insert(now);
        after.stale_since = None;
        after.last_known = None;
    }
    if is_at_rest(&after) {
        // Its objects stay, and Karmada would make them anew for ever.
        effects.enqueue.push(IntentKind::Apply);
    }
    if after == *job {
        return None;
    }
    debug_assert!(job.phase.may_become(after.phase), "{} -> {}", job.phase, after.phase);
    after.updated_at = now;
    let event = NewEvent {
        kind: match () {
            () if after.phase != job.phase => "PhaseChanged",
            () if after.restarts > job.restarts => "Restarted",
            () => "StatusChanged",
        },
        actor: "observe",
        evidence: evidence(observation),
    };
    Some(Decision { after, event, effects })
}

/// Sets phase, reason and message together. While a stop is under way, reason and message say so
/// until the run is over, because the loop that stops the job reads and writes them.
fn set(job: &mut Job, phase: Phase, reason: &str, message: &str) {
    job.phase = phase;
    if job.desired != Desired::Run && !phase.is_terminal() {
        return;
    }
    reason.clone_into(&mut job.reason);
    message.clone_into(&mut job.message);
}

fn read_binding(job: &mut Job, binding: &BindingSeen, observation: &Observation, now: Timestamp) {
    let before = resumed_phase(job);
    let obstacle = obstacle(binding);
    let chosen = chosen(job);
    let ours = |cluster: &str| chosen.is_empty() || chosen.contains(&cluster);
    let reports: Vec<&Report> = observation
        .reports
        .iter()
        .filter(|(cluster, _)| ours(cluster))
        .map(|(_, report)| report)
        .collect();
    let expected = chosen.len().max(1);
    // A program that began has its room and its workload, whatever is said of them by now: what
    // stands in the way then concerns a later change of the workload.
    let report = leading_report(&reports, expected, job.spread)
        .filter(|report| obstacle.is_none() || has_begun(report.state));
    let Some(report) = report else {
        if let Some((reason, text)) = obstacle {
            set(job, before, &reason, &text);
        }
        return;
    };
    // Operators count from the first preparation; for us a job starts when its program does.
    if has_begun(report.state)
        && let Some(began) = report.started_at
    {
        job.started_at.get_or_insert(began);
        // Of several clusters, now one leads and now another.
        if expected == 1 && job.run_began.is_some_and(|earlier| earlier < began) {
            job.restarts = job.restarts.saturating_add(1);
        }
        job.run_began = Some(began);
    }
    job.progress = report.progress.or(job.progress);
    job.failure = report.failure;
    let phase = match report.state {
        RunState::Unknown => before,
        RunState::Pending if before == Phase::Running => Phase::Running,
        RunState::Pending => Phase::Submitted,
        RunState::Running => {
            job.started_at.get_or_insert(now);
            Phase::Running
        }
        RunState::Suspended => {
            // It will begin anew, and so does its time.
            if job.started_at.take().is_some() {
                job.pending_since = Some(now);
            }
            job.run_began = None;
            Phase::Suspended
        }
        RunState::Succeeded => Phase::Succeeded,
        RunState::Failed => match (report.failure, job.desired) {
            (FailureClass::Timeout, _) => Phase::TimedOut,
            (FailureClass::Stopped, Desired::Cancel) if is_limit(&job.reason) => Phase::TimedOut,
            // Our own removal looks like a stop from outside.
            (FailureClass::Stopped, Desired::Cancel | Desired::Delete) => Phase::Cancelled,
            _ => Phase::Failed,
        },
    };
    if phase.is_terminal() {
        job.finished_at = report.finished_at.or(Some(now));
    }
    match obstacle {
        Some((reason, text)) if !phase.is_terminal() => set(job, phase, &reason, &text),
        _ if report.state == RunState::Unknown => job.phase = phase,
        _ => set(job, phase, &report.reason, &report.message),
    }
}

/// What Karmada, or a cluster through it, has against the workload: reason and sentence.
fn obstacle(binding: &BindingSeen) -> Option<(String, String)> {
    if let Some((false, reason, message)) = &binding.scheduled {
        let text = format!("Karmada cannot schedule the workload: {message}");
        return Some((reason.clone(), text));
    }
    let refused = |member: &&MemberSeen| !member.applied && !member.applied_message.is_empty();
    let member = binding.members.iter().find(refused)?;
    let (cluster, message) = (&member.cluster, &member.applied_message);
    let text = format!("Cluster {cluster} does not take the workload: {message}");
    Some(("NotApplied".to_owned(), text))
}

fn has_begun(state: RunState) -> bool {
    matches!(state, RunState::Running | RunState::Succeeded | RunState::Failed)
}

/// Names of the clusters of the placement.
fn chosen(job: &Job) -> Vec<&str> {
    let clusters = job.placement.iter().flat_map(|placement| &placement.clusters);
    clusters.map(ClusterName::as_str).collect()
}

/// A policy of somebody else can win the workload and copy it to further clusters: a second run,
/// so all of them are stopped.
fn stop_elsewhere(job: &mut Job, binding: &BindingSeen, effects: &mut Effects) {
    let chosen = chosen(job);
    if chosen.is_empty() || job.desired != Desired::Run {
        return;
    }
    let elsewhere = binding.clusters.iter().find(|name| !chosen.contains(&name.as_str()));
    let Some(elsewhere) = elsewhere else { return };
    if job.phase.is_terminal() {
        // Over where it was to run, and perhaps not there.
        effects.enqueue.push(IntentKind::Stop);
        return;
    }
    let text = format!(
        "Karmada placed the workload on cluster {elsewhere}, which was not chosen: another policy \
         selects it. The job is being stopped, so that it does not run twice."
    );
    let phase = job.phase;
    set(job, phase, "PlacedElsewhere", &text);
    job.desired = Desired::Cancel;
    effects.enqueue.push(IntentKind::Stop);
}

/// The phase to go on from: the one before an outage, if there was one.
fn resumed_phase(job: &Job) -> Phase {
    match (job.phase, job.last_known) {
        (Phase::Unknown, Some(last)) => last,
        (Phase::Unknown, None) => Phase::Submitted,
        (phase, _) => phase,
    }
}

/// The one report that speaks for the job.
///
/// Success needs every cluster; failure needs one failed and none that still runs. So the order is:
/// anything that is not over, then failures, then successes, and success only when all reported.
fn leading_report<'a>(
    reports: &[&'a Report],
    expected: usize,
    spread: Spread,
) -> Option<&'a Report> {
    let rank = |report: &Report| match report.state {
        RunState::Running => 0,
        RunState::Suspended => 1,
        RunState::Pending => 2,
        RunState::Unknown => 3,
        RunState::Failed => 4,
        RunState::Succeeded => 5,
    };
    let leading = reports.iter().copied().min_by_key(|report| rank(report))?;
    let over = matches!(leading.state, RunState::Failed | RunState::Succeeded);
    if over && spread == Spread::All && reports.len() < expected {
        return None;
    }
    Some(leading)
}

fn read_absence(job: &mut Job, exists: Option<bool>, patience: &Patience, now: Timestamp) {
    match exists {
        None => {}
        Some(true) => {
            job.missing_since = None;
            let phase = if job.stale_since.is_none() { resumed_phase(job) } else { job.phase };
            let text = "The workload exists, and Karmada has no binding for it.";
            set(job, phase, "WaitingForBinding", text);
        }
        // Our own doing: the loop that removes it says when it is gone.
        Some(false) if job.desired != Desired::Run => {}
        Some(false) => {
            let since = *job.missing_since.get_or_insert(now);
            if elapsed(since, now) >= patience.lost_after_missing {
                let text = "The workload vanished from the control plane without our doing. It \
                            is not run again by itself.";
                set(job, Phase::Lost, "ObjectMissing", text);
                job.failure = FailureClass::Infrastructure;
            } else if job.phase != Phase::Unknown {
                job.last_known = Some(job.phase);
                let text = "The workload is missing on the control plane; looking again.";
                set(job, Phase::Unknown, "ObjectMissing", text);
            }
        }
    }
}

fn read_outage(job: &mut Job, away: Option<&Away>, patience: &Patience, now: Timestamp) {
    let Some(away) = away else {
        let was_away = job.stale_since.take().is_some();
        if was_away && job.phase == Phase::Unknown {
            let phase = resumed_phase(job);
            set(job, phase, "ClusterReady", "The cluster answers again.");
        }
        if job.phase != Phase::Unknown {
            job.last_known = None;
        }
        return;
    };
    let since = *job.stale_since.get_or_insert(now);
    let gone = elapsed(since, now);
    if gone >= patience.lost_after_unknown && !patience.lost_after_unknown.is_zero() {
        let text = format!("Cluster {} has not answered since {since}.", away.cluster);
        set(job, Phase::Lost, "ClusterLost", &text);
        job.failure = FailureClass::Infrastructure;
    } else if gone >= patience.unknown_after {
        if job.phase != Phase::Unknown {
            job.last_known = Some(job.phase);
        }
        let known = job.last_known.unwrap_or(Phase::Submitted);
        let text = format!(
            "Cluster {} is not ready ({}) since {since}; last known: {known}.",
            away.cluster, away.reason
        );
        set(job, Phase::Unknown, "ClusterNotReady", &text);
    }
}

fn enforce_deadline(job: &mut Job, effects: &mut Effects, patience: &Patience, now: Timestamp) {
    if job.desired != Desired::Run {
        return;
    }
    let (reason, message) = match (job.started_at, job.max_runtime_seconds) {
        (None, _) if has_waited_too_long(job, now) => (PENDING_REASON, waited_too_long(job)),
        (Some(started), Some(limit)) => {
            let limit = Duration::from_secs(u64::from(limit));
            if elapsed(started, now) <= limit + limit / 10 + patience.overrun {
                return;
            }
            let text = format!("The job ran longer than its {} s", limit.as_secs());
            (DEADLINE_REASON, text)
        }
        _ => return,
    };
    job.desired = Desired::Cancel;
    reason.clone_into(&mut job.reason);
    job.message = format!("{message} and is being stopped.");
    effects.enqueue.push(IntentKind::Stop);
}

/// Whether a job that has not started has waited for longer than its user allows. A job that is
/// held back waits for nobody.
pub(crate) fn has_waited_too_long(job: &Job, now: Timestamp) -> bool {
    let limit = job.max_pending_seconds.filter(|_| !job.suspend && job.started_at.is_none());
    let since = job.pending_since.unwrap_or(job.created_at);
    limit.is_some_and(|limit| elapsed(since, now) > Duration::from_secs(u64::from(limit)))
}

/// The first half of a sentence.
pub(crate) fn waited_too_long(job: &Job) -> String {
    format!("The job did not start within its {} s", job.max_pending_seconds.unwrap_or_default())
}

/// Reason of a job that the host stops because it ran for too long; the loop that stops it reads
/// it.
pub const DEADLINE_REASON: &str = "DeadlineExceeded";
/// The same because it did not start in time.
pub const PENDING_REASON: &str = "PendingTooLong";

/// Whether the host stops the job because of one of its limits.
pub(crate) fn is_limit(reason: &str) -> bool {
    [DEADLINE_REASON, PENDING_REASON].contains(&reason)
}

fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

/// What was seen, cut to what a reader needs.
fn evidence(observation: &Observation) -> Value {
    /// A raw status above this size is left out: it is on the cluster, and history is for ever.
    const LARGEST_STATUS: usize = 4096;
    let members: Vec<Value> = observation
        .seen
        .binding
        .iter()
        .flat_map(|binding| &binding.members)
        .map(|member| {
            let status =
                member.status.as_ref().filter(|status| status.to_string().len() <= LARGEST_STATUS);
            json!({
                "cluster": member.cluster,
                "applied": member.applied,
                "appliedMessage": member.applied_message,
                "status": status,
            })
        })
        .collect();
    json!({
        "bound": observation.seen.binding.is_some(),
        "exists": observation.seen.exists,
        "members": members,
        "away": observation.away.as_ref().map(|away| {
            json!({"cluster": away.cluster, "reason": away.reason})
        }),
    })
}

#[cfg(test)]
mod tests;
