//! Accepts a job: resolve, validate, convert, admit, and one transaction. Never calls the cluster.

mod conversion;
mod reading;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::admit::{Change, Policy};
use crate::clock::{Clock, IdSource};
use crate::id::JobId;
use crate::job::{FailureClass, Job, JobSpec, NewEvent, Provenance};
use crate::manifest::Bundle;
use crate::phase::{Desired, Lifecycle, Phase};
use crate::ports::{
    Audience, FieldError, Idempotency, Inserted, JobStore, NewJob, PluginFault, PluginInfo,
    Plugins, StoreError, VersionState,
};
use crate::propagation;

pub(crate) use conversion::with_alias_defaults;
pub use conversion::{Converted, Terms, convert};
pub use reading::{algorithm_of, algorithm_pointer, audience_of, read_form};

/// What a submission needs.
#[derive(Clone)]
pub struct SubmitPorts {
    /// Keeps the job.
    pub store: Arc<dyn JobStore>,
    /// Converts it.
    pub plugins: Arc<dyn Plugins>,
    /// Dates it.
    pub clock: Arc<dyn Clock>,
    /// Names it.
    pub ids: Arc<dyn IdSource>,
    /// What its manifests may hold.
    pub policy: Arc<Policy>,
    /// Identity of this installation, from [`JobStore::origin`].
    pub origin: String,
    /// Version of this host.
    pub host_version: String,
}

impl SubmitPorts {
    /// The same for one request: its calls of plugins share one deadline, which begins now.
    #[must_use]
    pub fn for_request(&self) -> Self {
        let plugins = self.plugins.for_request();
        Self { plugins: plugins.unwrap_or_else(|| Arc::clone(&self.plugins)), ..self.clone() }
    }
}

/// A job as it would be stored, and what would be applied.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The row.
    pub job: Job,
    /// The frozen manifests.
    pub bundle: Bundle,
    /// The policies, pinned to the target clusters as given; the real ones are pinned to the one
    /// cluster that is chosen when the job is placed.
    pub policies: Vec<Value>,
    /// What the host set or changed in the plugin's manifests.
    pub changes: Vec<Change>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// How a submission ended well.
#[derive(Debug, Clone)]
pub enum Submitted {
    /// Stored and durable, with what the user should know.
    New(Box<Job>, Vec<String>),
    /// The same request came before; this is its job as it stands now.
    Replayed(Box<Job>),
}

/// Why a job was not accepted. Nothing was stored.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Fields of the form are wrong.
    #[error("the form is invalid")]
    Invalid(Vec<FieldError>),
    /// No plugin serves this algorithm.
    #[error("no plugin serves the algorithm `{name}`")]
    UnknownAlgorithm {
        /// As the user wrote it.
        name: String,
        /// What there is.
        known: Vec<String>,
        /// Where the form names it.
        pointer: String,
    },
    /// A job of this name exists, or is not proven gone.
    #[error("the name is taken by job `{id}`")]
    NameTaken {
        /// Its holder.
        id: JobId,
    },
    /// The idempotency key came before with another body.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// The same request came before, and its job was deleted since.
    #[error("job `{id}`, which this request made, is deleted")]
    Deleted {
        /// The job.
        id: JobId,
    },
    /// The plugin or its sandbox failed.
    #[error("the plugin failed")]
    Plugin(#[source] PluginFault),
    /// The plugin's manifests break the host's rules.
    #[error("the plugin's manifests were refused")]
    Rejected {
        /// Name of the plugin.
        plugin: String,
        /// Every violation; pointers are into the list of manifests.
        errors: Vec<FieldError>,
    },
    /// The store failed. After [`StoreError::Unavailable`] the job may nevertheless exist.
    #[error("the job could not be stored")]
    Store(#[source] StoreError),
}

/// Moves pointers from the hyperparameter object to the form.
fn located(errors: Vec<FieldError>, algorithm: &str) -> Vec<FieldError> {
    let escaped = algorithm.replace('~', "~0").replace('/', "~1");
    errors
        .into_iter()
        .map(|error| FieldError {
            pointer: format!("/hyperparameters/{escaped}{}", error.pointer),
            ..error
        })
        .collect()
}

/// Does everything of a submission but the transaction.
///
/// # Errors
/// See [`SubmitError`]; never [`SubmitError::Store`].
pub async fn render(ports: &SubmitPorts, spec: JobSpec) -> Result<Rendered, SubmitError> {
    let audience = Audience { namespace: spec.namespace.as_str(), job_name: spec.name.as_str() };
    let Some(plugin) = ports.plugins.resolve(&spec.algorithm, audience) else {
        let known = ports
            .plugins
            .list()
            .iter()
            .flat_map(|plugin| plugin.algorithms.iter().cloned())
            .collect();
        return Err(match quarantined(&*ports.plugins, &spec.algorithm) {
            Some(plugin) => SubmitError::Plugin(PluginFault::Quarantined { plugin }),
            None => SubmitError::UnknownAlgorithm {
                name: spec.algorithm,
                known,
                pointer: "/algorithm/algorithmName".to_owned(),
            },
        });
    };
    let id = JobId::from_name(&spec.name, ports.ids.next());
    let terms = Terms { policy: &ports.policy, origin: &ports.origin };
    let Converted { id, spec, bundle, evidence, changes, warnings } =
        convert(&*ports.plugins, &plugin, id, spec, terms).await?;
    let mut job = new_job(ports, id, spec, &plugin, &bundle);
    job.provenance.settings = Some(evidence.settings.to_string());
    job.provenance.input_digest = Some(evidence.input);
    job.provenance.plan_digest = Some(evidence.plan);
    let policies = propagation::policies(&job, &bundle, &job.target_clusters, &[]);
    Ok(Rendered { job, bundle, policies, changes, warnings })
}

/// The plugin that would serve an algorithm if it were not in quarantine.
fn quarantined(plugins: &dyn Plugins, algorithm: &str) -> Option<String> {
    let versions = plugins.catalog().versions.into_iter();
    let mut shut_out = versions.filter(|version| version.state == VersionState::Quarantined);
    shut_out
        .find(|version| version.info.algorithms.iter().any(|name| name == algorithm))
        .map(|version| version.info.name.clone())
}

/// The name must fit the kind of the workload; a plugin with several kinds is held to the widest,
/// and [`admit`](mod@crate::admit) to the one it chose.
fn check_name(name: &str, plugin: &PluginInfo) -> Vec<FieldError> {
    let workloads = plugin.kinds.iter().filter(|kind| kind.workload);
    let Some(widest) = workloads.max_by_key(|kind| kind.max_name_length) else {
        return Vec::new();
    };
    let length = name.chars().count();
    if length <= widest.max_name_length as usize {
        return Vec::new();
    }
    vec![FieldError::new(
        "/jobName",
        "name-too-long",
        format!(
            "The job name has {length} characters; a {} allows {}.",
            widest.kind, widest.max_name_length
        ),
    )]
}

fn new_job(
    ports: &SubmitPorts,
    id: JobId,
    spec: JobSpec,
    plugin: &PluginInfo,
    bundle: &Bundle,
) -> Job {
    let now = ports.clock.now();
    let demand = spec.demand();
    let workload = bundle.workload().map(crate::manifest::Manifest::object_ref);
    let (workload_api_version, workload_kind) =
        workload.map(|object| (object.api_version, object.kind)).unwrap_or_default();
    Job {
        id,
        name: spec.name,
        namespace: spec.namespace,
        algorithm: plugin.algorithm().to_owned(),
        priority: spec.priority,
        request: spec.request,
        target_clusters: spec.target_clusters,
        spread: spec.spread,
        max_runtime_seconds: spec.max_runtime_seconds,
        max_pending_seconds: spec.max_pending_seconds,
        attempt: spec.attempt,
        demand,
        workload_api_version,
        workload_kind,
        provenance: Provenance {
            plugin_name: plugin.name.clone(),
            plugin_version: plugin.version.clone(),
            plugin_digest: plugin.digest,
            schema_digest: plugin.schema_digest,
            bundle_digest: bundle.digest(),
            host_version: ports.host_version.clone(),
            settings: None,
            input_digest: None,
            plan_digest: None,
        },
        created_at: now,
        version: 1,
        phase: Phase::Queued,
        lifecycle: Lifecycle::Active,
        desired: Desired::Run,
        suspend: false,
        reason: "Accepted".to_owned(),
        message: "The job is accepted and waits to be placed.".to_owned(),
        failure: FailureClass::None,
        progress: None,
        last_known: None,
        stale_since: None,
        placement: None,
        workload_uid: None,
        missing_since: None,
        pending_since: None,
        run_began: None,
        restarts: 0,
        delete_volumes: false,
        abandoned: Vec::new(),
        updated_at: now,
        submitted_at: None,
        started_at: None,
        finished_at: None,
        deleted_at: None,
    }
}

/// The job that the same request made before, as it stands now. Ask before anything else of the
/// request is looked at: what was valid then may be refused now, and was accepted.
///
/// # Errors
/// [`SubmitError::Deleted`] if the job is deleted and its key not yet forgotten: a late duplicate
/// must not run it again. Else the store's.
pub async fn repeated(ports: &SubmitPorts, key: &Idempotency) -> Result<Option<Job>, SubmitError> {
    let now = ports.clock.now();
    let before = ports.store.find_repeated(key, now).await.map_err(SubmitError::Store)?;
    before.map(living).transpose()
}

fn living(job: Job) -> Result<Job, SubmitError> {
    if job.lifecycle == Lifecycle::Deleted {
        return Err(SubmitError::Deleted { id: job.id });
    }
    Ok(job)
}

/// Accepts a job. After `Ok` it is durable and will be applied.
///
/// # Errors
/// See [`SubmitError`].
pub async fn submit(
    ports: &SubmitPorts,
    spec: JobSpec,
    key: Option<Idempotency>,
) -> Result<Submitted, SubmitError> {
    let Rendered { job, bundle, changes, warnings, .. } = render(ports, spec).await?;
    let changes: Vec<Value> = changes.iter().map(Change::to_value).collect();
    let event = NewEvent {
        kind: "Accepted",
        actor: "user",
        evidence: json!({
            "plugin": job.provenance.plugin_name,
            "pluginVersion": job.provenance.plugin_version,
            "pluginSha256": job.provenance.plugin_digest.to_string(),
            "bundleSha256": job.provenance.bundle_digest.to_string(),
            "warnings": warnings,
            "changes": changes,
        }),
    };
    let new = NewJob { job, bundle, event, idempotency: key };
    match ports.store.insert(&new).await.map_err(SubmitError::Store)? {
        Inserted::New => {
            tracing::info!(
                job.id = %new.job.id,
                plugin.name = %new.job.provenance.plugin_name,
                "Accepted job `{}`",
                new.job.id
            );
            Ok(Submitted::New(Box::new(new.job), warnings))
        }
        Inserted::SameAs(id) => {
            let job = ports.store.find(&id).await.map_err(SubmitError::Store)?;
            let job = living(job.ok_or(SubmitError::NameTaken { id })?)?;
            Ok(Submitted::Replayed(Box::new(job)))
        }
        Inserted::KeyReused => Err(SubmitError::KeyReused),
        Inserted::NameTaken(id) => Err(SubmitError::NameTaken { id }),
    }
}
