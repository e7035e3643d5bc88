//! Accepts a job: resolve, validate, convert, admit, and one transaction. Never calls the cluster.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::admit::{Owner, Policy, admit};
use crate::clock::{Clock, IdSource};
use crate::id::{JobId, Sha256Digest};
use crate::job::{FailureClass, Job, JobSpec, NewEvent, Provenance};
use crate::manifest::Bundle;
use crate::phase::{Desired, Lifecycle, Phase};
use crate::placement;
use crate::ports::{
    Audience, ConversionInput, ConvertRefusal, FieldError, Idempotency, Inserted, JobStore, NewJob,
    PluginFault, PluginInfo, Plugins, StoreError,
};

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
    /// The plugin or its sandbox failed.
    #[error("the plugin failed")]
    Plugin(#[source] PluginFault),
    /// The plugin's manifests break the host's rules. Operators see the list in the log.
    #[error("the plugin's manifests were refused")]
    Rejected {
        /// Name of the plugin.
        plugin: String,
        /// Every violation.
        errors: Vec<FieldError>,
    },
    /// The store failed. After [`StoreError::Unavailable`] the job may nevertheless exist.
    #[error("the job could not be stored")]
    Store(#[source] StoreError),
}

/// Checks the hyperparameters alone, so that a form with other mistakes still answers all of them
/// at once. Empty if the algorithm is unknown.
pub fn check_hyperparameters(
    plugins: &dyn Plugins,
    algorithm: &str,
    audience: Audience<'_>,
    hyperparameters: &Value,
) -> Vec<FieldError> {
    let Some(plugin) = plugins.resolve(algorithm, audience) else { return Vec::new() };
    match plugins.prepare(&plugin.digest, hyperparameters) {
        Ok(prepared) => located(prepared.errors, algorithm),
        Err(_) => Vec::new(),
    }
}

/// Codes of [`admit`] that a form can cause.
const TOO_LARGE: [&str; 2] = ["string-too-long", "bundle-too-large"];

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
        return Err(SubmitError::UnknownAlgorithm { name: spec.algorithm, known });
    };
    let mut errors = check_name(spec.name.as_str(), &plugin);
    let prepared = ports
        .plugins
        .prepare(&plugin.digest, &spec.hyperparameters)
        .map_err(SubmitError::Plugin)?;
    let schema_holds = prepared.errors.is_empty();
    errors.extend(located(prepared.errors, &spec.algorithm));

    let id = JobId::from_name(&spec.name, ports.ids.next());
    let spec = JobSpec { hyperparameters: prepared.hyperparameters, ..spec };
    let settings = ports.plugins.settings(&plugin.digest).map_err(SubmitError::Plugin)?;
    let input = ConversionInput { id, spec, settings: Some(settings) };
    if schema_holds {
        let findings =
            ports.plugins.validate(&plugin.digest, &input).await.map_err(SubmitError::Plugin)?;
        errors.extend(findings);
    }
    if !errors.is_empty() {
        return Err(SubmitError::Invalid(errors));
    }
    let conversion =
        match ports.plugins.convert(&plugin.digest, &input).await.map_err(SubmitError::Plugin)? {
            Ok(conversion) => conversion,
            Err(ConvertRefusal::Invalid(errors)) => return Err(SubmitError::Invalid(errors)),
            Err(ConvertRefusal::Unsupported(detail)) => {
                return Err(SubmitError::Invalid(vec![FieldError::new("", "unsupported", detail)]));
            }
        };
    let text =
        ports.plugins.input_text(&plugin.digest, &input).await.map_err(SubmitError::Plugin)?;
    let ConversionInput { id, spec, settings } = input;
    let owner = Owner {
        job_id: &id,
        name: &spec.name,
        namespace: &spec.namespace,
        algorithm: plugin.algorithm(),
        origin: &ports.origin,
        resources: spec.resources,
    };
    let bundle = admit(&conversion, &plugin.kinds, owner, &ports.policy).map_err(|errors| {
        // What is too large is so because of what the form holds, and only its user can shorten it.
        if errors.iter().all(|error| TOO_LARGE.contains(&error.code.as_str())) {
            let detail = "The form makes manifests that are larger than a cluster takes; shorten \
                          its lists and texts.";
            return SubmitError::Invalid(vec![FieldError::new("", "too-large", detail)]);
        }
        SubmitError::Rejected { plugin: plugin.name.clone(), errors }
    })?;
    let mut job = new_job(ports, id, spec, &plugin, &bundle);
    job.provenance.settings = settings.map(|settings| settings.to_string());
    job.provenance.input_digest = Some(Sha256Digest::of(text));
    job.provenance.plan_digest = Some(conversion.digest());
    let policies = placement::policies(&job, &bundle, &job.target_clusters);
    Ok(Rendered { job, bundle, policies, warnings: conversion.warnings })
}

/// Checks the length of the name alone, for a form with other mistakes. Empty if the algorithm is
/// unknown.
pub fn check_name_length(
    plugins: &dyn Plugins,
    algorithm: &str,
    audience: Audience<'_>,
) -> Vec<FieldError> {
    let plugin = plugins.resolve(algorithm, audience);
    plugin.map(|plugin| check_name(audience.job_name, &plugin)).unwrap_or_default()
}

/// The name must fit the kind of the workload; a plugin with several kinds is held to the widest,
/// and [`admit`] to the one it chose.
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
        reason: "Accepted".to_owned(),
        message: "The job is accepted and waits to be placed.".to_owned(),
        failure: FailureClass::None,
        progress: None,
        last_known: None,
        stale_since: None,
        placement: None,
        workload_uid: None,
        missing_since: None,
        delete_volumes: false,
        updated_at: now,
        submitted_at: None,
        started_at: None,
        finished_at: None,
        deleted_at: None,
    }
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
    if let Some(key) = &key {
        // Before anything else: what was valid then may be refused now, and was accepted.
        let before = ports.store.find_repeated(key).await.map_err(SubmitError::Store)?;
        if let Some(job) = before.filter(|job| job.lifecycle != Lifecycle::Deleted) {
            return Ok(Submitted::Replayed(Box::new(job)));
        }
    }
    let Rendered { job, bundle, warnings, .. } = render(ports, spec).await?;
    let event = NewEvent {
        kind: "Accepted",
        actor: "user",
        evidence: json!({
            "plugin": job.provenance.plugin_name,
            "pluginVersion": job.provenance.plugin_version,
            "pluginSha256": job.provenance.plugin_digest.to_string(),
            "bundleSha256": job.provenance.bundle_digest.to_string(),
            "warnings": warnings,
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
            job.map(|job| Submitted::Replayed(Box::new(job))).ok_or(SubmitError::NameTaken { id })
        }
        Inserted::KeyReused => Err(SubmitError::KeyReused),
        Inserted::NameTaken(id) => Err(SubmitError::NameTaken { id }),
    }
}
