//! Drains intents: places and applies new jobs; removal is in [`super::remove`].

use std::collections::BTreeSet;
use std::task::Poll;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::observe::workload_ref;
use super::{Reconcilers, StepError, proof};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::decide::{PENDING_REASON, has_waited_too_long, is_at_rest, waited_too_long};
use crate::hold::suspend_path;
use crate::id::ClusterName;
use crate::intent::{Claimed, IntentKind, backoff, removal_pace};
use crate::job::{FailureClass, Job, NewEvent, Placement};
use crate::manifest::Bundle;
use crate::phase::{Desired, Phase};
use crate::placement::{Bounds, lasting_sentence};
use crate::ports::{ControlError, Effects, Moved, StoreError};
use crate::{dependents, propagation, volumes};

/// Intents that a process holds at once. Few enough to finish well within the lease.
pub(super) const BATCH: u32 = 64;

/// Longest look for claims on one cluster.
const CLAIM_LOOK: Duration = Duration::from_secs(3);

/// Intents that were claimed together.
pub(super) struct Batch {
    pub(super) intents: Vec<Claimed>,
    /// When no step of them may go on.
    pub(super) deadline: Deadline,
}

/// A time by three clocks, past once it is by any. That which measures time stands still while a
/// machine is suspended, and with it the store's, which is counted on by it until the store is asked
/// again. The machine's own may be set back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    measured: Instant,
    stored: Timestamp,
    shown: Timestamp,
}

/// The clock that dates leases, and that of the machine.
#[derive(Clone, Copy)]
struct Clocks<'a> {
    store: &'a dyn Clock,
    machine: &'a dyn Clock,
}

impl Deadline {
    fn after(length: Duration, clocks: Clocks<'_>) -> Self {
        let Clocks { store, machine } = clocks;
        Self {
            measured: Instant::now() + length,
            stored: store.now() + length,
            shown: machine.now() + length,
        }
    }

    fn is_past(self, clocks: Clocks<'_>) -> bool {
        let Clocks { store, machine } = clocks;
        Instant::now() >= self.measured || store.now() >= self.stored || machine.now() >= self.shown
    }
}

/// How a step on one intent ended.
pub(super) enum Step {
    /// The intent is gone from the store.
    Settled,
    /// To be tried again; says why, for the row.
    Later(String),
    /// To be tried again at this time, and why.
    At(Timestamp, String),
}

impl Reconcilers {
    /// Claims what is due, `limit` at most.
    pub(super) async fn claim(&self, limit: u32) -> Result<Batch, StoreError> {
        // The leases run from the claim, also for what waits for its turn: a step that outlived its
        // lease would work on a job that another process has claimed. Measured from before it, so
        // that nobody trusts a lease for longer than the store does.
        let now = self.clock.now();
        let deadline = Deadline::after(self.config.lease.mul_f64(0.75), self.clocks());
        let intents = self.store.claim(&self.config.owner, now, self.config.lease, limit).await?;
        Ok(Batch { intents, deadline })
    }

    fn clocks(&self) -> Clocks<'_> {
        Clocks { store: &*self.clock, machine: &SystemClock }
    }

    /// Does one step for one intent and records how it went.
    pub(super) async fn carry_out(&self, intent: Claimed, deadline: Deadline) {
        let step = async {
            match intent.kind {
                IntentKind::Apply => self.apply(&intent).await,
                IntentKind::Stop | IntentKind::Delete => self.remove(&intent).await,
            }
        };
        let result = within(deadline, self.clocks(), step)
            .await
            .unwrap_or_else(|| Ok(Step::Later("the control plane is too slow".to_owned())));
        let mut at = None;
        let why = match result {
            Ok(Step::Settled) => return,
            Ok(Step::Later(why)) => why,
            Ok(Step::At(time, why)) => {
                at = Some(time);
                why
            }
            Err(error) => {
                tracing::warn!(
                    job.id = %intent.job_id,
                    intent.kind = intent.kind.as_str(),
                    error = &error as &dyn std::error::Error,
                    "Step for job `{}` failed and is tried again",
                    intent.job_id
                );
                self.note_failed_removal(&intent, &error).await;
                error.to_string()
            }
        };
        let jitter = self.ids.next();
        let delay = match intent.kind {
            IntentKind::Apply => backoff(intent.attempts, jitter),
            IntentKind::Stop | IntentKind::Delete => removal_pace(intent.attempts, jitter),
        };
        let not_before = at.unwrap_or_else(|| self.clock.now() + delay);
        let postponed = self.store.postpone(intent.id, &self.config.owner, not_before, &why).await;
        if let Err(error) = postponed {
            // The lease runs out and the intent is claimed again.
            tracing::warn!(
                job.id = %intent.job_id,
                error = &error as &dyn std::error::Error,
                "Intent could not be postponed"
            );
        }
    }

    /// Tells the user why a stop or a deletion does not get on. What cannot be written now is
    /// written in a later round.
    async fn note_failed_removal(&self, intent: &Claimed, error: &StepError) {
        let StepError::Control(error) = error else { return };
        if intent.kind == IntentKind::Apply {
            return;
        }
        let Ok(Some(job)) = self.store.find(&intent.job_id).await else { return };
        if let Err(error) = self.note_remaining(job, format!("Waiting: {error}.")).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "No note on a removal");
        }
    }

    /// Drops an intent that has become pointless.
    async fn drop_intent(&self, intent: &Claimed) -> Result<Step, StepError> {
        self.ledger.release(&intent.job_id);
        self.store.settle(intent.id, &self.config.owner).await?;
        Ok(Step::Settled)
    }

    async fn apply(&self, intent: &Claimed) -> Result<Step, StepError> {
        let Some(job) = self.store.find(&intent.job_id).await? else {
            return self.drop_intent(intent).await;
        };
        if job.desired != Desired::Run {
            return self.drop_intent(intent).await;
        }
        if job.phase.is_observed() {
            return self.hold(intent, job).await;
        }
        if is_at_rest(&job) {
            return self.seal(intent, &job).await;
        }
        // Once it is placed, parts of it may have been written: it is written to the end, and
        // held back there.
        let held = job.suspend && job.placement.is_none();
        if job.phase != Phase::Queued || held {
            return self.drop_intent(intent).await;
        }
        if has_waited_too_long(&job, self.clock.now()) {
            return self.give_up_waiting(intent, job).await;
        }
        let Some(bundle) = self.store.bundle(&job.id).await? else {
            return self.fail(intent, job, "BundleMissing", "Its manifests are lost.").await;
        };
        let volumes = volumes::left_by_earlier_jobs(&*self.store, &job, &bundle).await?;
        let job = match self.place(job, &bundle, &volumes).await? {
            Ok(job) => job,
            Err(step) => return Ok(step),
        };
        self.write(intent, job, &bundle, &volumes).await
    }

    /// Makes the workload's field `suspend` what the user wants.
    async fn hold(&self, intent: &Claimed, job: Job) -> Result<Step, StepError> {
        let path = match suspend_path(&*self.plugins, &job).await {
            Ok(Some(path)) => path,
            Ok(None) => return self.drop_intent(intent).await,
            Err(fault) => return Ok(Step::Later(fault.to_string())),
        };
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let set = self.control.set_flag(&workload_ref(&job), &path, job.suspend).await;
        match set {
            // If it is gone, the next look at the cluster says what that means.
            Ok(_) => {}
            Err(error) if error.retryable() => return Ok(Step::Later(error.to_string())),
            Err(error) => {
                let text = format!("The cluster does not take the change: {error}.");
                self.note(job, "SuspendRefused", "dispatch", "SuspendRefused", text).await?;
            }
        }
        self.store.settle(intent.id, &self.config.owner).await?;
        Ok(Step::Settled)
    }

    /// Ends a job that nothing was written of.
    async fn give_up_waiting(&self, intent: &Claimed, job: Job) -> Result<Step, StepError> {
        let message = format!("{}; last: {}", waited_too_long(&job), job.message);
        let end = End {
            phase: Phase::TimedOut,
            reason: PENDING_REASON,
            failure: FailureClass::Timeout,
            message,
        };
        self.end(intent, job, end).await
    }

    /// Makes sure that the job has a placement. It is on record before anything is written, so
    /// that no retry ever chooses another cluster.
    async fn place(
        &self,
        job: Job,
        bundle: &Bundle,
        volumes: &[ClusterName],
    ) -> Result<Result<Job, Step>, StepError> {
        if job.placement.is_some() {
            self.ledger.hold(&job, self.clock.now());
            return Ok(Ok(job));
        }
        let clusters = match self.control.clusters().await {
            Ok(clusters) => clusters,
            Err(error) => return Ok(Err(self.wait_for(job, &error).await?)),
        };
        let allowed = self.config.allowed_clusters.get(job.namespace.as_str());
        let claims = volumes::foreign_claims(bundle);
        let mut lacking: Vec<(ClusterName, String)> = Vec::new();
        // A cluster is asked for claims once it is chosen, so that a job which fits nowhere costs no
        // call. Each round rules out a cluster.
        let reserved = loop {
            let bounds = Bounds {
                allowed: allowed.map(Vec::as_slice),
                home: volumes.first(),
                lacking: &lacking,
            };
            let now = self.clock.now();
            let (choice, reservation) = match self.ledger.reserve(&job, &clusters, &bounds, now) {
                Ok(reserved) => reserved,
                Err(refused) => break Err(refused),
            };
            let found = self.lacking(&job, &choice.placement.clusters, &claims).await;
            if found.is_empty() {
                break Ok((choice, reservation));
            }
            lacking.extend(found);
        };
        let (choice, reservation) = match reserved {
            Ok(reserved) => reserved,
            Err(refused) => {
                let text = if refused.is_empty() {
                    "No member cluster is registered with Karmada.".to_owned()
                } else {
                    format!("No cluster can take the job: {}.", lasting_sentence(&refused))
                };
                let why = text.clone();
                self.note(job, "Waiting", "dispatch", "NoClusterFits", text).await?;
                return Ok(Err(Step::Later(why)));
            }
        };
        let event = NewEvent { kind: "Placed", actor: "dispatch", evidence: choice.evidence() };
        let placement = choice.placement;
        let after = Job {
            message: placement.reason.clone(),
            reason: "Placed".to_owned(),
            placement: Some(placement),
            updated_at: self.clock.now(),
            ..job
        };
        match self.store.transition(&after, &event, &Effects::default()).await? {
            Moved::Done => {
                reservation.keep();
                Ok(Ok(Job { version: after.version + 1, ..after }))
            }
            Moved::Stale => Ok(Err(Step::Later("the job changed meanwhile".to_owned()))),
        }
    }

    /// Which of the chosen clusters lack one of these claims, as far as they can be asked.
    async fn lacking(
        &self,
        job: &Job,
        chosen: &[ClusterName],
        claims: &BTreeSet<String>,
    ) -> Vec<(ClusterName, String)> {
        let Some(members) = self.members.as_deref().filter(|_| !claims.is_empty()) else {
            return Vec::new();
        };
        let asked = chosen.iter().map(async |cluster| {
            // One that hangs must not use up the step, which has yet to write the job.
            let asked = volumes::lacking(members, job, cluster, claims);
            let claim = tokio::time::timeout(CLAIM_LOOK, asked).await.ok().flatten()?;
            Some((cluster.clone(), claim))
        });
        futures_util::future::join_all(asked).await.into_iter().flatten().collect()
    }

    async fn write(
        &self,
        intent: &Claimed,
        job: Job,
        bundle: &Bundle,
        volumes: &[ClusterName],
    ) -> Result<Step, StepError> {
        let clusters = job.placement.as_ref().map(|Placement { clusters, .. }| clusters.clone());
        let clusters = clusters.unwrap_or_default();
        let dependents = dependents::orders(&job, bundle, &clusters, &self.config.dependents);
        let orders = propagation::write_orders(&job, bundle, &clusters, volumes, dependents);
        let uids = match self.control.write(&job.id, &orders).await {
            Ok(uids) => uids,
            Err(error) if error.retryable() => return Ok(self.wait_for(job, &error).await?),
            Err(error @ ControlError::NameConflict { .. }) => {
                return self.fail(intent, job, "NameConflict", &error.to_string()).await;
            }
            Err(error) => return self.fail(intent, job, "ApplyRejected", &error.to_string()).await,
        };
        let now = self.clock.now();
        let placed = job.placement.as_ref().map(|placement| placement.reason.clone());
        let after = Job {
            phase: Phase::Submitted,
            reason: "Applied".to_owned(),
            message: placed.unwrap_or_default(),
            workload_uid: uids.last().cloned(),
            submitted_at: Some(now),
            updated_at: now,
            ..job
        };
        let evidence = json!({ "uids": uids, proof::EARLIER_TRIES: intent.attempts });
        let event = NewEvent { kind: proof::APPLIED, actor: "dispatch", evidence };
        let again = after.suspend.then_some(IntentKind::Apply);
        let effects = Effects { enqueue: again.into_iter().collect(), settle: Some(intent.id) };
        match self.store.transition(&after, &event, &effects).await? {
            Moved::Done => {
                tracing::info!(job.id = %after.id, "Applied job `{}`", after.id);
                // Its status may have come before this row.
                self.control.hint().notify_one();
                Ok(Step::Settled)
            }
            // Cancelled or deleted meanwhile: the next try drops the intent, and the removal
            // finds the objects by their labels.
            Moved::Stale => Ok(Step::Later("the job changed meanwhile".to_owned())),
        }
    }

    /// Keeps a job queued and tells its user why.
    async fn wait_for(&self, job: Job, error: &ControlError) -> Result<Step, StoreError> {
        let reason = match error {
            ControlError::Missing { .. } => "PrerequisiteMissing",
            _ => "ControlPlaneUnavailable",
        };
        let why = error.to_string();
        self.note(job, "Waiting", "dispatch", reason, format!("Waiting: {why}.")).await?;
        Ok(Step::Later(why))
    }

    /// Changes reason and message of a job, once: repeats of the same text are not history.
    pub(super) async fn note(
        &self,
        job: Job,
        kind: &'static str,
        actor: &'static str,
        reason: &str,
        message: String,
    ) -> Result<(), StoreError> {
        if job.reason == reason && job.message == message {
            return Ok(());
        }
        let event = NewEvent { kind, actor, evidence: json!({}) };
        let after = Job { reason: reason.to_owned(), message, updated_at: self.clock.now(), ..job };
        // If it is stale, the next round reads the job again.
        self.store.transition(&after, &event, &Effects::default()).await?;
        Ok(())
    }

    /// Ends a job that can never be applied, and removes what was.
    async fn fail(
        &self,
        intent: &Claimed,
        job: Job,
        reason: &str,
        message: &str,
    ) -> Result<Step, StepError> {
        let (phase, failure) = (Phase::Failed, FailureClass::Rejected);
        self.end(intent, job, End { phase, reason, failure, message: message.to_owned() }).await
    }

    /// Ends a job, and removes what was written of it.
    async fn end(&self, intent: &Claimed, job: Job, end: End<'_>) -> Result<Step, StepError> {
        self.ledger.release(&job.id);
        let now = self.clock.now();
        let after = Job {
            phase: end.phase,
            reason: end.reason.to_owned(),
            message: end.message,
            failure: end.failure,
            finished_at: Some(now),
            updated_at: now,
            ..job
        };
        let event = NewEvent { kind: "PhaseChanged", actor: "dispatch", evidence: json!({}) };
        let effects = Effects { enqueue: vec![IntentKind::Stop], settle: Some(intent.id) };
        match self.store.transition(&after, &event, &effects).await? {
            Moved::Done => Ok(Step::Settled),
            Moved::Stale => Ok(Step::Later("the job changed meanwhile".to_owned())),
        }
    }
}

/// Runs a step until the deadline, and not a single poll beyond it. A timeout alone would look at the
/// clock only after the step had gone on: a process that was suspended would first do what comes
/// next, such as writing an object, on behalf of a lease that it lost long ago. `None` if it did not
/// end in time.
async fn within<T>(
    deadline: Deadline,
    clocks: Clocks<'_>,
    step: impl Future<Output = T>,
) -> Option<T> {
    let mut step = std::pin::pin!(step);
    let in_time = std::future::poll_fn(|context| {
        if deadline.is_past(clocks) {
            return Poll::Ready(None);
        }
        step.as_mut().poll(context).map(Some)
    });
    tokio::time::timeout_at(deadline.measured, in_time).await.unwrap_or(None)
}

/// How a job ends that never ran.
struct End<'a> {
    phase: Phase,
    reason: &'a str,
    failure: FailureClass,
    message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    /// What is written after a wait by the store's clock and the machine's, if anything.
    async fn written_after(
        wait: impl AsyncFnOnce(&ManualClock, &ManualClock),
    ) -> Option<&'static str> {
        let [store, machine] = [(), ()].map(|()| ManualClock::new(Timestamp::UNIX_EPOCH));
        let clocks = Clocks { store: &store, machine: &machine };
        let deadline = Deadline::after(Duration::from_secs(20), clocks);
        within(deadline, clocks, async {
            wait(&store, &machine).await;
            tokio::task::yield_now().await;
            "written"
        })
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn step_goes_on_within_its_lease_and_not_beyond_by_whichever_clock() {
        const LONG: Duration = Duration::from_mins(5);
        type Shown = ManualClock;
        assert_eq!(written_after(async |_, _| ()).await, Some("written"));
        let suspended = async |_: &Shown, machine: &Shown| machine.advance(LONG);
        assert_eq!(written_after(suspended).await, None, "the machine was suspended");
        let corrected = async |store: &Shown, _: &Shown| store.advance(LONG);
        assert_eq!(written_after(corrected).await, None, "the store says that it is late");
        let slept = async |_: &Shown, _: &Shown| tokio::time::sleep(LONG).await;
        assert_eq!(written_after(slept).await, None, "it took too long");
    }
}
