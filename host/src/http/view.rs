//! From the domain's values to the wire types.

use api_types::{
    AlgorithmView, ChangeView, ClusterSummary, ClusterView, EventView, JobView, KindView,
    ManifestView, NeededApi, PluginView, RoomView, StatusView,
};
use training::Timestamp;
use training::admit::Change;
use training::job::{Event, FailureClass, Job, Provenance};
use training::manifest::Bundle;
use training::phase::{Desired, Lifecycle, Phase};
use training::ports::{Cluster, PluginInfo};
use training::room::room;

/// RFC 3339 with microseconds, which is what the store keeps: an answer to a submission shows the
/// same time as every later one.
pub(super) fn time(at: Timestamp) -> String {
    format!("{at:.6}")
}

pub(super) fn phase(phase: Phase) -> api_types::Phase {
    match phase {
        Phase::Queued => api_types::Phase::Queued,
        Phase::Submitted => api_types::Phase::Submitted,
        Phase::Running => api_types::Phase::Running,
        Phase::Suspended => api_types::Phase::Suspended,
        Phase::Unknown => api_types::Phase::Unknown,
        Phase::Succeeded => api_types::Phase::Succeeded,
        Phase::Failed => api_types::Phase::Failed,
        Phase::Cancelled => api_types::Phase::Cancelled,
        Phase::TimedOut => api_types::Phase::TimedOut,
        Phase::Lost => api_types::Phase::Lost,
    }
}

pub(super) fn lifecycle(lifecycle: Lifecycle) -> api_types::Lifecycle {
    match lifecycle {
        Lifecycle::Active => api_types::Lifecycle::Active,
        Lifecycle::Deleting => api_types::Lifecycle::Deleting,
        Lifecycle::Deleted => api_types::Lifecycle::Deleted,
    }
}

fn desired(desired: Desired) -> api_types::Desired {
    match desired {
        Desired::Run => api_types::Desired::Run,
        Desired::Cancel => api_types::Desired::Cancel,
        Desired::Delete => api_types::Desired::Delete,
    }
}

fn failure(class: FailureClass) -> Option<api_types::FailureClass> {
    match class {
        FailureClass::None => None,
        FailureClass::UserCode => Some(api_types::FailureClass::UserCode),
        FailureClass::Timeout => Some(api_types::FailureClass::Timeout),
        FailureClass::Capacity => Some(api_types::FailureClass::Capacity),
        FailureClass::Infrastructure => Some(api_types::FailureClass::Infrastructure),
        FailureClass::Rejected => Some(api_types::FailureClass::Rejected),
        FailureClass::Stopped => Some(api_types::FailureClass::Stopped),
    }
}

/// The word of older clients.
pub(super) fn status(job: &Job) -> api_types::JobStatus {
    match job.phase.compat_status(job.last_known) {
        "Running" => api_types::JobStatus::Running,
        "Succeeded" => api_types::JobStatus::Succeeded,
        "Failed" => api_types::JobStatus::Failed,
        _ => api_types::JobStatus::Pending,
    }
}

pub(super) fn provenance(made_by: &Provenance) -> PluginView {
    PluginView {
        name: made_by.plugin_name.clone(),
        version: made_by.plugin_version.clone(),
        sha256: made_by.plugin_digest.to_string(),
        schema_sha256: made_by.schema_digest.to_string(),
    }
}

pub(super) fn job(job: Job, warnings: Vec<String>) -> JobView {
    JobView {
        status: status(&job),
        plugin: provenance(&job.provenance),
        explanation: training::explain::in_short(&job),
        id: job.id.to_string(),
        job_name: job.name.to_string(),
        namespace: job.namespace.to_string(),
        algorithm_alias: algorithm_alias(&job),
        algorithm: job.algorithm,
        priority: job.priority,
        request: job.request,
        message: job.message,
        created_at: time(job.created_at),
        updated_at: time(job.updated_at),
        phase: phase(job.phase),
        lifecycle: lifecycle(job.lifecycle),
        desired: desired(job.desired),
        suspend: job.suspend,
        attempt: job.attempt.number,
        first_attempt: job.attempt.first.map(|id| id.to_string()),
        abandoned_clusters: job.abandoned.iter().map(ToString::to_string).collect(),
        reason: job.reason,
        failure: failure(job.failure),
        progress: job.progress,
        clusters: job
            .placement
            .iter()
            .flat_map(|at| &at.clusters)
            .map(ToString::to_string)
            .collect(),
        placement_reason: job.placement.map(|placement| placement.reason),
        submitted_at: job.submitted_at.map(time),
        restarts: job.restarts,
        started_at: job.started_at.map(time),
        finished_at: job.finished_at.map(time),
        deleted_at: job.deleted_at.map(time),
        bundle_sha256: job.provenance.bundle_digest.to_string(),
        version: job.version,
        warnings,
    }
}

/// The name of the algorithm in the form, unless it is the canonical one.
fn algorithm_alias(job: &Job) -> Option<String> {
    let written = training::submit::algorithm_of(&job.request)?;
    (written != job.algorithm).then(|| written.to_owned())
}

pub(super) fn job_status(job: Job) -> StatusView {
    let clusters: Vec<String> =
        job.placement.iter().flat_map(|at| &at.clusters).map(ToString::to_string).collect();
    let runs = u32::try_from(clusters.len().max(1)).unwrap_or(u32::MAX);
    let status = status(&job);
    let count = |of: api_types::JobStatus| if status == of { runs } else { 0 };
    StatusView {
        status,
        phase: phase(job.phase),
        active: count(api_types::JobStatus::Running),
        succeeded: count(api_types::JobStatus::Succeeded),
        failed: count(api_types::JobStatus::Failed),
        explanation: training::explain::in_short(&job),
        reason: job.reason,
        message: job.message,
        start_time: job.started_at.map(time),
        completion_time: job.finished_at.map(time),
        cluster_distribution: clusters.into_iter().map(|name| (name, 1)).collect(),
    }
}

pub(super) fn event(event: Event) -> EventView {
    EventView {
        seq: event.seq,
        at: time(event.at),
        kind: event.kind,
        from: event.from.map(phase),
        to: phase(event.to),
        actor: event.actor,
        reason: event.reason,
        message: event.message,
        evidence: event.evidence,
    }
}

pub(super) fn manifests(bundle: &Bundle) -> Vec<ManifestView> {
    let manifests = bundle.manifests().iter();
    manifests
        .map(|manifest| ManifestView {
            role: manifest.role.as_str().to_owned(),
            document: manifest.document.clone(),
        })
        .collect()
}

pub(super) fn change(change: Change) -> ChangeView {
    let Change { pointer, rule, detail } = change;
    ChangeView { pointer, rule, detail }
}

pub(super) fn cluster_summary(cluster: &Cluster) -> ClusterSummary {
    ClusterSummary {
        name: cluster.name.to_string(),
        ready: cluster.ready,
        region: cluster.region.clone(),
        zone: cluster.zone.clone(),
    }
}

pub(super) fn cluster(
    cluster: Cluster,
    needed_apis: Vec<NeededApi>,
    running_jobs: Option<u64>,
    gpus: &[String],
) -> ClusterView {
    let rooms = room(&cluster.resources);
    let capacity = rooms.into_iter().map(|room| RoomView {
        gpu: gpus.contains(&room.resource),
        allocatable: room.write(room.allocatable),
        allocated: room.write(room.allocated),
        allocating: room.write(room.allocating),
        free: room.write(room.free()),
        resource: room.resource,
    });
    ClusterView {
        summary: cluster_summary(&cluster),
        ready_reason: cluster.ready_reason,
        ready_since: cluster.ready_since.map(time),
        provider: cluster.provider,
        kubernetes_version: cluster.version,
        nodes_ready: cluster.nodes.map(|(ready, _)| ready),
        nodes_total: cluster.nodes.map(|(_, total)| total),
        taints: cluster.taints,
        apis: cluster.apis,
        needed_apis,
        capacity: capacity.collect(),
        running_jobs,
        resources: cluster.resources,
    }
}

/// `with_examples` only where they are asked for: they are as large as everything else.
pub(super) fn algorithm(plugin: &PluginInfo, with_examples: bool) -> AlgorithmView {
    let name = plugin.algorithm();
    let kinds = plugin.kinds.iter();
    AlgorithmView {
        aliases: plugin.algorithms.iter().filter(|alias| *alias != name).cloned().collect(),
        title: plugin.title.clone(),
        summary: plugin.summary.clone(),
        plugin: PluginView {
            name: plugin.name.clone(),
            version: plugin.version.clone(),
            sha256: plugin.digest.to_string(),
            schema_sha256: plugin.schema_digest.to_string(),
        },
        kinds: kinds
            .map(|kind| KindView {
                api_version: kind.api_version.clone(),
                kind: kind.kind.clone(),
                workload: kind.workload,
                max_name_length: kind.max_name_length,
            })
            .collect(),
        schema_path: format!("/api/v1/algorithms/{name}/schema"),
        schema: None,
        examples: if with_examples { plugin.examples.clone() } else { Vec::new() },
        name: name.to_owned(),
    }
}
