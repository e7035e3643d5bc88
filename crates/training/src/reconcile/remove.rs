//! Takes jobs off the clusters, in the one order that is safe: the workload first, then what
//! leaves with it, volumes if the user said so, and policies last; each proven gone, on the
//! control plane and on the members, before the next. What it shared with other jobs stays as long as
//! one of them needs it.

use serde_json::json;

use super::dispatch::Step;
use super::{Reconcilers, StepError, proof};
use crate::decide::{PENDING_REASON, is_limit, waited_too_long};
use crate::id::ClusterName;
use crate::intent::{Claimed, IntentKind};
use crate::job::{FailureClass, Job, NewEvent};
use crate::manifest::{Bundle, Manifest, ObjectRef, Role};
use crate::phase::{Lifecycle, Phase};
use crate::ports::{Effects, Moved, Remaining, Removal};
use crate::propagation::{policy_ref, storage_policy_ref};
use crate::volumes;

impl Reconcilers {
    /// One step of a stop or a deletion.
    pub(super) async fn remove(&self, intent: &Claimed) -> Result<Step, StepError> {
        self.ledger.release(&intent.job_id);
        let first_look = self.ledger.first_look(&intent.job_id, self.clock.now());
        let Some(job) = self.store.find(&intent.job_id).await? else {
            return self.settle_removal(intent).await;
        };
        let superseded = intent.kind == IntentKind::Stop && job.lifecycle != Lifecycle::Active;
        if superseded || job.lifecycle == Lifecycle::Deleted {
            return self.settle_removal(intent).await;
        }
        if let Some(logs) = &self.logs
            && let Some(why) = logs.hold(&job, intent.created_at).await?
        {
            return Ok(Step::Later(why));
        }
        let bundle = self.store.bundle(&job.id).await?;
        let remaining = match &bundle {
            Some(bundle) => self.remove_objects(&job, bundle, intent.kind).await?,
            None => Vec::new(),
        };
        if !remaining.is_empty() {
            let text = sentence(&remaining);
            let why = text.clone();
            if !job.phase.is_terminal() || job.lifecycle == Lifecycle::Deleting {
                self.note_remaining(job, text).await?;
            }
            return Ok(Step::Later(why));
        }
        let now = self.clock.now();
        if let Some(until) = proof::due(&job, intent, first_look, &self.config)
            && now < until
            && !proof::was_answered(&self.store.events(&job.id).await?)
        {
            let text = proof::sentence(until);
            if !job.phase.is_terminal() || job.lifecycle == Lifecycle::Deleting {
                self.note_remaining(job, text.clone()).await?;
            }
            // What arrives meanwhile should not run for long.
            return Ok(Step::At(until.min(now + proof::LOOK), text));
        }
        self.finish(intent, job).await
    }

    async fn settle_removal(&self, intent: &Claimed) -> Result<Step, StepError> {
        self.ledger.forget(&intent.job_id);
        self.store.settle(intent.id, &self.config.owner).await?;
        Ok(Step::Settled)
    }

    /// Removes what comes next and tells what is still there; empty once nothing is.
    async fn remove_objects(
        &self,
        job: &Job,
        bundle: &Bundle,
        kind: IntentKind,
    ) -> Result<Vec<Remaining>, StepError> {
        let placed = job.placement.iter().flat_map(|placement| &placement.clusters);
        let clusters: Vec<ClusterName> =
            placed.filter(|cluster| !job.abandoned.contains(cluster)).cloned().collect();
        for role in [Role::Workload, Role::Config] {
            let manifests = bundle.with_role(role);
            let remaining = self.remove_all(job, manifests, false, &clusters).await?;
            if !remaining.is_empty() {
                return Ok(remaining);
            }
        }
        if kind == IntentKind::Delete && job.delete_volumes {
            let remaining = self.remove_volumes(job, bundle, &clusters).await?;
            if !remaining.is_empty() {
                return Ok(remaining);
            }
        }
        let remaining = self.remove_one(job, policy_ref(job), false, &[]).await?;
        if !remaining.is_empty() {
            return Ok(remaining);
        }
        self.withdraw(job, bundle, &clusters).await
    }

    async fn remove_all<'a>(
        &self,
        job: &Job,
        manifests: impl Iterator<Item = &'a Manifest> + Send,
        shared: bool,
        clusters: &[ClusterName],
    ) -> Result<Vec<Remaining>, StepError> {
        let objects: Vec<ObjectRef> = manifests.map(Manifest::object_ref).collect();
        let mut remaining = Vec::new();
        for object in objects {
            remaining.extend(self.remove_one(job, object, shared, clusters).await?);
        }
        Ok(remaining)
    }

    async fn remove_one(
        &self,
        job: &Job,
        object: ObjectRef,
        shared: bool,
        clusters: &[ClusterName],
    ) -> Result<Vec<Remaining>, StepError> {
        let removal =
            Removal { object, job_id: job.id.clone(), shared, clusters: clusters.to_vec() };
        let mut remaining = self.control.remove(&removal).await?;
        remaining.retain(|left| !job.abandoned.iter().any(|name| name.as_str() == left.place));
        Ok(remaining)
    }

    /// Volumes are kept by their policy when they are deleted on the control plane; so the policy
    /// lets go of them first.
    async fn remove_volumes(
        &self,
        job: &Job,
        bundle: &Bundle,
        clusters: &[ClusterName],
    ) -> Result<Vec<Remaining>, StepError> {
        let claims: Vec<ObjectRef> =
            bundle.with_role(Role::Storage).map(Manifest::object_ref).collect();
        if claims.is_empty() {
            return Ok(Vec::new());
        }
        let earlier = volumes::left_by_earlier_jobs(&*self.store, job, bundle).await?;
        let mut everywhere = clusters.to_vec();
        everywhere.extend(
            earlier
                .into_iter()
                .filter(|earlier| !clusters.contains(earlier) && !job.abandoned.contains(earlier)),
        );
        let policy = storage_policy_ref(job);
        if !self.control.release(&policy, &claims).await? {
            return Ok(vec![Remaining {
                object: policy,
                place: "control-plane".to_owned(),
                why: "still protects the volumes".to_owned(),
            }]);
        }
        let remaining =
            self.remove_all(job, bundle.with_role(Role::Storage), true, &everywhere).await?;
        if !remaining.is_empty() {
            return Ok(remaining);
        }
        self.remove_one(job, policy, true, &[]).await
    }

    /// Tells what is still there: in the message of a job that is not over; of a finished one the
    /// message is its outcome and stays, so there it is a line of history.
    pub(super) async fn note_remaining(&self, job: Job, text: String) -> Result<(), StepError> {
        if !job.phase.is_terminal() {
            // The reason that the host stopped it for is its outcome and stays.
            let reason = if is_limit(&job.reason) { job.reason.clone() } else { "Removing".into() };
            return Ok(self.note(job, "Removing", "remove", &reason, text).await?);
        }
        if self.ledger.is_news(&job.id, &text, self.clock.now()) {
            let event = NewEvent {
                kind: "Removing",
                actor: "remove",
                evidence: json!({"remaining": text}),
            };
            let after = Job { updated_at: self.clock.now(), ..job };
            self.store.transition(&after, &event, &Effects::default()).await?;
        }
        Ok(())
    }

    /// Nothing is left on any cluster: the run is over, and a deleted job is deleted.
    async fn finish(&self, intent: &Claimed, job: Job) -> Result<Step, StepError> {
        let now = self.clock.now();
        let mut after = job.clone();
        if !job.phase.is_terminal() {
            let timed_out = is_limit(&job.reason);
            after.phase = if timed_out { Phase::TimedOut } else { Phase::Cancelled };
            if after.phase == Phase::Cancelled {
                "Cancelled".clone_into(&mut after.reason);
                "The job was stopped and nothing of it runs.".clone_into(&mut after.message);
            } else {
                after.failure = FailureClass::Timeout;
                let why = if job.reason == PENDING_REASON {
                    waited_too_long(&job)
                } else {
                    "The job ran longer than it was allowed to".to_owned()
                };
                after.message = format!("{why} and was stopped.");
            }
            after.finished_at = Some(now);
            after.stale_since = None;
            after.last_known = None;
        }
        if intent.kind == IntentKind::Delete {
            after.lifecycle = Lifecycle::Deleted;
            after.deleted_at = Some(now);
        }
        let effects = Effects { enqueue: Vec::new(), settle: Some(intent.id) };
        if after == job {
            return self.settle_removal(intent).await;
        }
        after.updated_at = now;
        let kind = if intent.kind == IntentKind::Delete { "Deleted" } else { "Stopped" };
        let event = NewEvent { kind, actor: "remove", evidence: json!({"provenGone": true}) };
        match self.store.transition(&after, &event, &effects).await? {
            Moved::Done => {
                self.ledger.forget(&after.id);
                tracing::info!(job.id = %after.id, "Job `{}` is {}", after.id, kind.to_lowercase());
                Ok(Step::Settled)
            }
            Moved::Stale => Ok(Step::Later("the job changed meanwhile".to_owned())),
        }
    }
}

/// `Still there: RayJob default/a on member1 (cluster not ready).`
fn sentence(remaining: &[Remaining]) -> String {
    let parts: Vec<String> = remaining
        .iter()
        .map(|left| format!("{} on {} ({})", left.object, left.place, left.why))
        .collect();
    format!("Still there: {}.", parts.join("; "))
}
