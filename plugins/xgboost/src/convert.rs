//! From a validated job to its manifests.

mod env;
mod rayjob;

pub(crate) use env::{is_reserved, storage_path};
use plugin_sdk::manifest::meta::{Metadata, Pairs};
use plugin_sdk::manifest::pvc::PersistentVolumeClaim;
use plugin_sdk::{Failure, Job, Plan, runtime_env};

use crate::channels::Inputs;
use crate::{Hyperparameters, Settings, rules};

pub(crate) type XgboostJob<'a> = Job<'a, Hyperparameters, Settings>;

/// Where results live in the pods, and what the volume behind it is called.
pub(crate) const STORAGE_PATH: &str = "/home/ray/result-storage";
const STORAGE_VOLUME: &str = "result-storage";

pub(crate) fn convert(job: &XgboostJob<'_>) -> Result<Plan, Failure> {
    let inputs = Inputs::of(&job.channels);
    let mut plan = Plan::new();
    plan.warnings = rules::warnings(job, &inputs);
    let storage = Storage::of(job);
    let labels =
        [("app", &*job.name), ("training-job-id", &*job.id), ("algorithm", &*job.algorithm)];
    let [app, id, _] = labels;
    if let Storage::NewClaim(claim) = &storage {
        let metadata = Metadata {
            name: claim,
            namespace: &job.namespace,
            labels: Pairs(&[app, id]),
            annotations: Pairs::default(),
        };
        let size = format!("{}Gi", job.resources.volume_size_gb);
        let class = given(job.settings.storage_class_name.as_deref());
        plan.push("storage", &PersistentVolumeClaim::shared(metadata, &size, class))?;
    }
    let metadata = Metadata {
        name: &job.name,
        namespace: &job.namespace,
        labels: Pairs(&labels),
        annotations: Pairs(&[id]),
    };
    let runtime_env = runtime_env::to_yaml(|to| env::list(to, job, &inputs))?;
    rayjob::push(&mut plan, job, metadata, &runtime_env, &storage)?;
    Ok(plan)
}

/// What is behind the path for results.
enum Storage<'a> {
    /// Named by the user.
    ExistingClaim(&'a str),
    /// Created with the job; outlives it.
    NewClaim(String),
    /// Leaves with the pod.
    Ephemeral,
}

impl<'a> Storage<'a> {
    fn of(job: &'a XgboostJob<'_>) -> Self {
        match given(job.pvc_name.as_deref()) {
            Some(claim) => Self::ExistingClaim(claim),
            None if job.resources.volume_size_gb > 0 => Self::NewClaim(format!("{}-pvc", job.name)),
            None => Self::Ephemeral,
        }
    }
}

/// An empty text in a form or a setting means the same as none.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
