//! Holds a job back and lets it go on. Only records the wish; [`crate::reconcile`] carries it out,
//! by the field that the workload's kind has for it.

use std::collections::BTreeMap;

use serde_json::json;

use crate::cancel::{change, user};
use crate::clock::Clock;
use crate::id::JobId;
use crate::intent::IntentKind;
use crate::job::Job;
use crate::phase::{Desired, Phase};
use crate::ports::{JobStore, PluginFault, Plugins, StoreError};

/// Where the workload of a job has the field that holds it back, if it has one. The plugin that
/// made the job knows; its version of then is loaded again if need be.
pub(crate) async fn suspend_path(
    plugins: &dyn Plugins,
    job: &Job,
) -> Result<Option<Vec<String>>, PluginFault> {
    let plugin = match plugins.load(&job.provenance.plugin_digest).await {
        Ok(plugin) => Some(plugin),
        Err(PluginFault::NotLoaded(_)) => None,
        Err(fault) => return Err(fault),
    };
    let said = plugin.as_ref().and_then(|plugin| plugin.suspend.as_ref());
    Ok(path_of(said, &job.workload_api_version, &job.workload_kind))
}

/// `said` is what the plugin says of all its kinds, if it does.
fn path_of(
    said: Option<&BTreeMap<String, String>>,
    api_version: &str,
    kind: &str,
) -> Option<Vec<String>> {
    let pointer = match said {
        Some(fields) => fields.get(&format!("{api_version}/{kind}"))?,
        None => before_plugins_said_so(api_version, kind)?,
    };
    Some(pointer.split('/').skip(1).map(str::to_owned).collect())
}

/// Plugins of the first version could not say where their kinds have the field, and jobs of theirs
/// are still there. Nothing is ever added here.
fn before_plugins_said_so(api_version: &str, kind: &str) -> Option<&'static str> {
    match (api_version.split('/').next().unwrap_or_default(), kind) {
        ("batch", "Job")
        | ("ray.io", "RayJob" | "RayCluster")
        | ("jobset.x-k8s.io", "JobSet")
        | ("trainer.kubeflow.org", "TrainJob") => Some("/spec/suspend"),
        ("kubeflow.org", "PyTorchJob" | "TFJob" | "MPIJob" | "XGBoostJob" | "JAXJob") => {
            Some("/spec/runPolicy/suspend")
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
    /// What the job's plugin says of its kinds could not be read.
    #[error("the plugin of the job could not be asked")]
    Plugin(#[source] PluginFault),
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
    plugins: &dyn Plugins,
    clock: &dyn Clock,
    id: &JobId,
    suspend: bool,
) -> Result<Job, HoldError> {
    let known = store.find(id).await?.ok_or(HoldError::Unknown)?;
    // What is over needs no plugin to be told so.
    let can = known.phase.is_terminal()
        || suspend_path(plugins, &known).await.map_err(HoldError::Plugin)?.is_some();
    let wish = |job: &Job| {
        (why_not(job, can).is_none() && job.suspend != suspend).then(|| {
            let (reason, message) = words(job, suspend);
            Job {
                suspend,
                pending_since: if suspend { job.pending_since } else { Some(clock.now()) },
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
    match why_not(&job, can) {
        Some(why) => Err(HoldError::Impossible(why)),
        None => Ok(job),
    }
}

/// `can`: its workload has a field for it.
fn why_not(job: &Job, can: bool) -> Option<String> {
    if job.phase.is_terminal() {
        return Some(format!("The job is over: {}.", job.phase));
    }
    if job.desired != Desired::Run {
        return Some("The job is being stopped.".to_owned());
    }
    if !can {
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
    fn plugins_say_where_their_kinds_are_held_back() {
        let path = |said: Option<&BTreeMap<String, String>>, api: &str, kind: &str| {
            path_of(said, api, kind).map(|path| path.join("."))
        };
        let field = ("a.b/v1/C".to_owned(), "/spec/policy/hold".to_owned());
        let said = BTreeMap::from([field]);
        assert_eq!(path(Some(&said), "a.b/v1", "C").as_deref(), Some("spec.policy.hold"));
        assert_eq!(path(Some(&said), "a.b/v2", "C"), None);
        assert_eq!(path(Some(&said), "batch/v1", "Job"), None, "it says what it does not name");
        for (api, kind, expected) in [
            ("batch/v1", "Job", Some("spec.suspend")),
            ("ray.io/v1", "RayJob", Some("spec.suspend")),
            ("kubeflow.org/v2beta1", "MPIJob", Some("spec.runPolicy.suspend")),
            ("apps/v1", "Deployment", None),
            ("batch.volcano.sh/v1alpha1", "Job", None),
        ] {
            assert_eq!(path(None, api, kind).as_deref(), expected, "{api} {kind}");
        }
    }

    #[test]
    fn what_is_over_or_being_stopped_is_not_held_back() {
        let mut waiting = job("a");
        assert_eq!(why_not(&waiting, true), None);
        assert!(why_not(&waiting, false).is_some_and(|why| why.contains("cannot be suspended")));
        waiting.desired = Desired::Cancel;
        assert!(why_not(&waiting, true).is_some_and(|why| why.contains("being stopped")));
        waiting.phase = Phase::Succeeded;
        assert!(why_not(&waiting, true).is_some_and(|why| why.contains("over: Succeeded")));
    }
}
