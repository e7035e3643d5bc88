//! Holds a job back and lets it go on. Only records the wish; [`crate::reconcile`] carries it out,
//! by the field that the workload's kind has for it.

use serde_json::json;

use crate::cancel::{change, user};
use crate::clock::Clock;
use crate::id::JobId;
use crate::intent::IntentKind;
use crate::job::Job;
use crate::phase::{Desired, Phase};
use crate::ports::{JobStore, StoreError};

/// Where the kinds of Kubernetes have their field `suspend`. It belongs to the kind, whatever
/// algorithm runs in it.
pub(crate) fn suspend_path(job: &Job) -> Option<&'static [&'static str]> {
    let group = job.workload_api_version.split('/').next().unwrap_or_default();
    match (group, job.workload_kind.as_str()) {
        ("batch", "Job")
        | ("ray.io", "RayJob" | "RayCluster")
        | ("jobset.x-k8s.io", "JobSet")
        | ("trainer.kubeflow.org", "TrainJob") => Some(&["spec", "suspend"]),
        ("kubeflow.org", "PyTorchJob" | "TFJob" | "MPIJob" | "XGBoostJob" | "JAXJob") => {
            Some(&["spec", "runPolicy", "suspend"])
        }
        _ => None,
    }
}

/// Why a job cannot be held back or let go.
#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    /// There is no such job, or it is already proven gone.
    #[error("there is no such job")]
    Unknown,
    /// The job is not one for this, as a sentence.
    #[error("{0}")]
    Impossible(String),
    /// The store failed.
    #[error("the job could not be changed")]
    Store(#[from] StoreError),
}

/// Holds a job back, or lets it go on. One that waits is not placed meanwhile; one that runs is
/// ended by its cluster and begins anew when it goes on, from its checkpoint if it has one. Asking
/// again changes nothing.
///
/// # Errors
/// See [`HoldError`].
pub async fn set_suspended(
    store: &dyn JobStore,
    clock: &dyn Clock,
    id: &JobId,
    suspend: bool,
) -> Result<Job, HoldError> {
    let wish = |job: &Job| {
        (why_not(job).is_none() && job.suspend != suspend).then(|| {
            let (reason, message) = words(job, suspend);
            Job {
                suspend,
                reason: reason.to_owned(),
                message: message.to_owned(),
                updated_at: clock.now(),
                ..job.clone()
            }
        })
    };
    let kind = if suspend { "SuspendRequested" } else { "ResumeRequested" };
    let job = change(store, id, wish, user(kind, json!({}), IntentKind::Apply)).await?;
    let job = job.ok_or(HoldError::Unknown)?;
    match why_not(&job) {
        Some(why) => Err(HoldError::Impossible(why)),
        None => Ok(job),
    }
}

fn why_not(job: &Job) -> Option<String> {
    if job.phase.is_terminal() {
        return Some(format!("The job is over: {}.", job.phase));
    }
    if job.desired != Desired::Run {
        return Some("The job is being stopped.".to_owned());
    }
    if suspend_path(job).is_none() {
        return Some(format!("A {} cannot be suspended.", job.workload_kind));
    }
    None
}

fn words(job: &Job, suspend: bool) -> (&'static str, &'static str) {
    match (job.phase, suspend) {
        (Phase::Queued, true) => {
            ("Suspended", "The job is held back and not placed until it is resumed.")
        }
        (Phase::Queued, false) => ("Resumed", "The job is resumed and waits to be placed."),
        (_, true) => ("SuspendRequested", "The job is being suspended."),
        (_, false) => ("ResumeRequested", "The job is being resumed."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing_values::job;

    #[test]
    fn kinds_have_their_field_in_two_places_or_none() {
        for (api, kind, expected) in [
            ("batch/v1", "Job", Some(&["spec", "suspend"][..])),
            ("ray.io/v1", "RayJob", Some(&["spec", "suspend"])),
            ("jobset.x-k8s.io/v1alpha2", "JobSet", Some(&["spec", "suspend"])),
            ("kubeflow.org/v1", "PyTorchJob", Some(&["spec", "runPolicy", "suspend"])),
            ("apps/v1", "Deployment", None),
            ("batch.volcano.sh/v1alpha1", "Job", None),
        ] {
            let mut job = job("a");
            job.workload_api_version = api.to_owned();
            job.workload_kind = kind.to_owned();
            assert_eq!(suspend_path(&job), expected, "{api} {kind}");
        }
    }

    #[test]
    fn what_is_over_or_being_stopped_is_not_held_back() {
        let mut waiting = job("a");
        assert_eq!(why_not(&waiting), None);
        waiting.desired = Desired::Cancel;
        assert!(why_not(&waiting).is_some_and(|why| why.contains("being stopped")));
        waiting.phase = Phase::Succeeded;
        assert!(why_not(&waiting).is_some_and(|why| why.contains("over: Succeeded")));
    }
}
