//! Stops, deletes, or gives up on a job. Only records the wish; [`crate::reconcile`] carries it
//! out.

use serde_json::{Value, json};

use crate::clock::Clock;
use crate::id::{ClusterName, JobId};
use crate::intent::IntentKind;
use crate::job::{Job, NewEvent};
use crate::phase::{Desired, Lifecycle};
use crate::ports::{Effects, JobStore, Moved, StoreError};

/// Asks for the removal of everything of the job. The volumes that were created for it go only
/// with `delete_volumes`. Asking again changes nothing, but may add the volumes.
///
/// `None` if there is no such job, or it is already proven gone.
///
/// # Errors
/// The store's.
pub async fn delete(
    store: &dyn JobStore,
    clock: &dyn Clock,
    id: &JobId,
    delete_volumes: bool,
) -> Result<Option<Job>, StoreError> {
    let wish = |job: &Job| {
        let known = job.lifecycle == Lifecycle::Deleting && (job.delete_volumes || !delete_volumes);
        (!known).then(|| {
            let mut after = Job {
                lifecycle: Lifecycle::Deleting,
                desired: Desired::Delete,
                delete_volumes: job.delete_volumes || delete_volumes,
                updated_at: clock.now(),
                ..job.clone()
            };
            // The reason of a finished job is its outcome and stays.
            if !job.phase.is_terminal() {
                "The job is being removed from the clusters.".clone_into(&mut after.message);
                "DeleteRequested".clone_into(&mut after.reason);
            }
            after
        })
    };
    let evidence = json!({ "deleteVolumes": delete_volumes });
    change(store, id, wish, user("DeleteRequested", evidence, IntentKind::Delete)).await
}

/// Asks for the removal of a job that has been over for longer than jobs are kept. Its volumes
/// stay.
///
/// # Errors
/// The store's.
pub(crate) async fn expire(
    store: &dyn JobStore,
    clock: &dyn Clock,
    id: &JobId,
) -> Result<Option<Job>, StoreError> {
    let wish = |job: &Job| {
        let expired = job.phase.is_terminal() && job.lifecycle == Lifecycle::Active;
        expired.then(|| Job {
            lifecycle: Lifecycle::Deleting,
            desired: Desired::Delete,
            updated_at: clock.now(),
            ..job.clone()
        })
    };
    let enqueue = Some(IntentKind::Delete);
    let how = How { kind: "Expired", actor: "reap", evidence: json!({}), enqueue };
    change(store, id, wish, how).await
}

/// Gives up on some clusters: a stop or deletion that is under way no longer waits for the proof
/// that the job is gone from them. What may still be there is nobody's from then on.
///
/// # Errors
/// See [`AbandonError`].
pub async fn abandon(
    store: &dyn JobStore,
    clock: &dyn Clock,
    id: &JobId,
    clusters: &[ClusterName],
    by: &str,
) -> Result<Job, AbandonError> {
    let removes = |job: &Job| job.desired != Desired::Run || job.lifecycle == Lifecycle::Deleting;
    let wish = |job: &Job| {
        let new: Vec<_> =
            clusters.iter().filter(|name| !job.abandoned.contains(name)).cloned().collect();
        (removes(job) && !new.is_empty()).then(|| Job {
            abandoned: [&job.abandoned[..], &new].concat(),
            updated_at: clock.now(),
            ..job.clone()
        })
    };
    let names: Vec<&str> = clusters.iter().map(ClusterName::as_str).collect();
    let evidence = json!({ "clusters": names, "by": by });
    let how = How { kind: "Abandoned", actor: "user", evidence, enqueue: None };
    let job = change(store, id, wish, how).await?.ok_or(AbandonError::Unknown)?;
    if removes(&job) { Ok(job) } else { Err(AbandonError::NothingRemoved) }
}

/// Why a cluster cannot be given up on.
#[derive(Debug, thiserror::Error)]
pub enum AbandonError {
    /// There is no such job, or it is already proven gone.
    #[error("there is no such job")]
    Unknown,
    /// Nothing of the job is being removed.
    #[error("nothing of the job is being removed")]
    NothingRemoved,
    /// The store failed.
    #[error("the job could not be changed")]
    Store(#[from] StoreError),
}

/// Asks for the end of the run; the record stays. A job that is over stays as it is.
///
/// `None` if there is no such job, or it is already proven gone.
///
/// # Errors
/// The store's.
pub async fn cancel(
    store: &dyn JobStore,
    clock: &dyn Clock,
    id: &JobId,
) -> Result<Option<Job>, StoreError> {
    let wish = |job: &Job| {
        let wanted = job.desired == Desired::Run && !job.phase.is_terminal();
        wanted.then(|| Job {
            desired: Desired::Cancel,
            message: "The job is being stopped.".to_owned(),
            reason: "CancelRequested".to_owned(),
            updated_at: clock.now(),
            ..job.clone()
        })
    };
    change(store, id, wish, user("CancelRequested", json!({}), IntentKind::Stop)).await
}

/// What is recorded with a wish.
pub(crate) struct How {
    /// Kind of the event.
    pub(crate) kind: &'static str,
    /// Who wishes.
    pub(crate) actor: &'static str,
    /// Evidence of the event.
    pub(crate) evidence: Value,
    /// What carries it out; `None` if that is under way already.
    pub(crate) enqueue: Option<IntentKind>,
}

/// A wish of a user.
pub(crate) fn user(kind: &'static str, evidence: Value, intent: IntentKind) -> How {
    How { kind, actor: "user", evidence, enqueue: Some(intent) }
}

/// Reads, changes and writes until nobody came between. `wish` returns the job as it should be, or
/// `None` if it is so already.
pub(crate) async fn change(
    store: &dyn JobStore,
    id: &JobId,
    wish: impl Fn(&Job) -> Option<Job>,
    how: How,
) -> Result<Option<Job>, StoreError> {
    let event = NewEvent { kind: how.kind, actor: how.actor, evidence: how.evidence };
    let effects = Effects { enqueue: how.enqueue.into_iter().collect(), settle: None };
    loop {
        let job = store.find(id).await?;
        let Some(job) = job.filter(|job| job.lifecycle != Lifecycle::Deleted) else {
            return Ok(None);
        };
        let Some(after) = wish(&job) else { return Ok(Some(job)) };
        if store.transition(&after, &event, &effects).await? == Moved::Done {
            return Ok(Some(Job { version: after.version + 1, ..after }));
        }
    }
}
