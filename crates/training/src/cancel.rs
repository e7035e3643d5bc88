//! Stops or deletes a job. Only records the wish; [`crate::reconcile`] carries it out.

use serde_json::json;

use crate::clock::Clock;
use crate::id::JobId;
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
    change(
        store,
        id,
        |job| {
            let known =
                job.lifecycle == Lifecycle::Deleting && (job.delete_volumes || !delete_volumes);
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
        },
        "DeleteRequested",
        IntentKind::Delete,
    )
    .await
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
    change(
        store,
        id,
        |job| {
            let wanted = job.desired == Desired::Run && !job.phase.is_terminal();
            wanted.then(|| Job {
                desired: Desired::Cancel,
                message: "The job is being stopped.".to_owned(),
                reason: "CancelRequested".to_owned(),
                updated_at: clock.now(),
                ..job.clone()
            })
        },
        "CancelRequested",
        IntentKind::Stop,
    )
    .await
}

/// Reads, changes and writes until nobody came between.
async fn change(
    store: &dyn JobStore,
    id: &JobId,
    wish: impl Fn(&Job) -> Option<Job>,
    kind: &'static str,
    intent: IntentKind,
) -> Result<Option<Job>, StoreError> {
    loop {
        let job = store.find(id).await?;
        let Some(job) = job.filter(|job| job.lifecycle != Lifecycle::Deleted) else {
            return Ok(None);
        };
        let Some(after) = wish(&job) else { return Ok(Some(job)) };
        let event = NewEvent {
            kind,
            actor: "user",
            evidence: json!({ "deleteVolumes": after.delete_volumes }),
        };
        let effects = Effects { enqueue: vec![intent], settle: None };
        if store.transition(&after, &event, &effects).await? == Moved::Done {
            return Ok(Some(Job { version: after.version + 1, ..after }));
        }
    }
}
