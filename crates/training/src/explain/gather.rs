//! Collects the evidence for an explanation. One deadline covers all of it, each source may fail
//! on its own, and the number of calls is bounded: some twenty for each cluster of the placement.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::evidence::{Evidence, MemberEvidence, Presence, workload};
use super::{Explanation, explain, pods};
use crate::clock::Clock;
use crate::id::ClusterName;
use crate::job::Job;
use crate::manifest::LABEL_JOB_ID;
use crate::phase::{Lifecycle, Phase};
use crate::ports::{
    ControlError, ControlPlane, EventSeen, JobStore, MemberError, Members, Plugins, PodSeen,
    Report, Trace, WorkloadRef,
};
use crate::propagation::policy_ref;
use crate::volumes;

/// Label selectors of a plugin that are followed.
const SELECTORS: usize = 4;
/// Objects beside the workload that its status names, and whose events are read.
const NAMED: usize = 3;
/// Pods whose events are read.
const PODS: usize = 3;
/// Clusters of one job that are asked.
const CLUSTERS: usize = 8;

/// Where evidence comes from.
pub struct Sources<'a> {
    /// The job's history.
    pub store: &'a dyn JobStore,
    /// Karmada.
    pub control: &'a dyn ControlPlane,
    /// What a status means, and which pods belong to it.
    pub plugins: &'a dyn Plugins,
    /// The member clusters.
    pub members: &'a dyn Members,
    /// The clusters that jobs of the namespace may use; `None` for all.
    pub allowed: Option<&'a [ClusterName]>,
    /// The time.
    pub clock: &'a dyn Clock,
}

/// Explains a job within `patience`. Never fails: what could not be read is unknown.
pub async fn explain_job(sources: &Sources<'_>, job: Job, patience: Duration) -> Explanation {
    let deadline = Instant::now() + patience;
    let evidence = gather(sources, job, deadline).await;
    explain(&evidence, sources.clock.now())
}

/// Waits for a source, but not beyond the deadline.
async fn within<T, E>(
    deadline: Instant,
    source: impl Future<Output = Result<T, E>>,
    late: impl FnOnce() -> E,
) -> Result<T, E> {
    tokio::time::timeout_at(deadline, source).await.unwrap_or_else(|_| Err(late()))
}

fn late_control() -> ControlError {
    ControlError::Unavailable { message: "no answer in time".to_owned() }
}

async fn gather(sources: &Sources<'_>, job: Job, deadline: Instant) -> Evidence {
    let gone = job.lifecycle == Lifecycle::Deleted;
    let history = async {
        let events = tokio::time::timeout_at(deadline, sources.store.events(&job.id)).await;
        events.ok().and_then(Result::ok).unwrap_or_default()
    };
    let ahead = async {
        let ahead = tokio::time::timeout_at(deadline, sources.store.ahead(&job.id)).await;
        ahead.ok().and_then(Result::ok).flatten()
    };
    let bound = async {
        // Where it is once it is placed, is on record.
        if gone || job.placement.is_some() {
            return None;
        }
        let found = async {
            let bundle = sources.store.bundle(&job.id).await.ok()??;
            let volumes = volumes::left_by_earlier_jobs(sources.store, &job, &bundle).await;
            let claims = volumes::foreign_claims(&bundle);
            let lacking = lacking(sources, &job, &claims).await;
            Some((volumes.ok()?.into_iter().next(), lacking))
        };
        tokio::time::timeout_at(deadline, found).await.ok().flatten()
    };
    let clusters = async {
        within(deadline, sources.control.clusters(), late_control)
            .await
            .map_err(|error| error.to_string())
    };
    let trace = async {
        // Nothing was written before a cluster was chosen, and nothing is left of a deleted job.
        if gone || job.placement.is_none() || never_written(&job) {
            return None;
        }
        let reference = WorkloadRef { object: workload(&job), uid: job.workload_uid.clone() };
        let policy = policy_ref(&job);
        let trace = sources.control.trace(&reference, &policy);
        let late = || Trace::unavailable("no answer in time");
        Some(tokio::time::timeout_at(deadline, trace).await.unwrap_or_else(|_| late()))
    };
    let members = async {
        let asked = job.placement.iter().flat_map(|placement| &placement.clusters);
        let asked = asked.take(CLUSTERS).filter(|_| !gone && is_worth_a_look(&job));
        let asked = asked.map(|cluster| member(sources, &job, cluster, deadline));
        futures_util::future::join_all(asked).await
    };
    let (history, ahead, bound, clusters, trace, members) =
        tokio::join!(history, ahead, bound, clusters, trace, members);
    let (home, lacking) = bound.unwrap_or_default();
    let allowed = sources.allowed.map(<[ClusterName]>::to_vec);
    Evidence { job, history, ahead, clusters, allowed, home, lacking, trace, members }
}

/// Which clusters that the job may use lack one of these claims.
async fn lacking(
    sources: &Sources<'_>,
    job: &Job,
    claims: &BTreeSet<String>,
) -> Vec<(ClusterName, String)> {
    if claims.is_empty() {
        return Vec::new();
    }
    let known = if job.target_clusters.is_empty() {
        sources.control.known_clusters()
    } else {
        job.target_clusters.clone()
    };
    let asked = known.into_iter().take(CLUSTERS).map(async |cluster| {
        let claim = volumes::lacking(sources.members, job, &cluster, claims).await?;
        Some((cluster, claim))
    });
    futures_util::future::join_all(asked).await.into_iter().flatten().collect()
}

/// Whether the control plane refused the first write.
fn never_written(job: &Job) -> bool {
    job.submitted_at.is_none() && matches!(job.phase, Phase::Queued | Phase::Failed)
}

/// Whether the clusters can add to what is on record.
fn is_worth_a_look(job: &Job) -> bool {
    let over = matches!(job.phase, Phase::Succeeded | Phase::Cancelled);
    !never_written(job) && (!over || job.lifecycle == Lifecycle::Deleting)
}

async fn member(
    sources: &Sources<'_>,
    job: &Job,
    cluster: &ClusterName,
    deadline: Instant,
) -> MemberEvidence {
    let late = || MemberError::Unavailable {
        cluster: cluster.clone(),
        message: "no answer in time".to_owned(),
    };
    let reference = workload(job);
    let object = within(deadline, sources.members.object(cluster, &reference), late).await;
    let failed = |error: &MemberError| MemberEvidence {
        cluster: cluster.clone(),
        object: Err(error.clone()),
        report: None,
        pods: Err(error.clone()),
        events: Err(error.clone()),
    };
    let object = match object {
        Ok(object) => object,
        // Whoever does not answer is not asked again and again. One right may be missing, though,
        // where another is there.
        Err(error @ (MemberError::Denied { .. } | MemberError::NotFound { .. })) => {
            let pods = pods_of(sources, job, cluster, None, deadline).await;
            let events = events_of(sources, job, cluster, None, pods.as_deref(), deadline).await;
            return MemberEvidence { pods, events, ..failed(&error) };
        }
        Err(error) => return failed(&error),
    };
    let own = |object: &Value| {
        let label = object.pointer("/metadata/labels").and_then(|labels| labels.get(LABEL_JOB_ID));
        label.and_then(Value::as_str) == Some(job.id.as_str())
    };
    let presence = match &object {
        Some(object) if own(object) => Presence::There,
        Some(_) => Presence::Foreign,
        None => Presence::Absent,
    };
    // Whatever a stranger's object says is nothing of this job.
    let object = object.filter(|_| presence == Presence::There);
    let report = match &object {
        Some(object) => report(sources, job, object, deadline).await,
        None => None,
    };
    let pods = pods_of(sources, job, cluster, report.as_ref(), deadline).await;
    let events = events_of(sources, job, cluster, object.as_ref(), pods.as_deref(), deadline).await;
    MemberEvidence { cluster: cluster.clone(), object: Ok(presence), report, pods, events }
}

async fn report(
    sources: &Sources<'_>,
    job: &Job,
    object: &Value,
    deadline: Instant,
) -> Option<Report> {
    // A plugin is shown no more than it is when the job is followed.
    let shown = serde_json::json!({
        "apiVersion": job.workload_api_version,
        "kind": job.workload_kind,
        "metadata": {"name": job.name.as_str(), "namespace": job.namespace.as_str()},
        "status": object.get("status").cloned().unwrap_or(Value::Null),
    });
    let digest = &job.provenance.plugin_digest;
    let read = sources.plugins.interpret(digest, &job.algorithm, &shown);
    tokio::time::timeout_at(deadline, read).await.ok()?.ok()
}

/// The pods that the plugin says belong to the job, and those that carry its label.
async fn pods_of(
    sources: &Sources<'_>,
    job: &Job,
    cluster: &ClusterName,
    report: Option<&Report>,
    deadline: Instant,
) -> Result<Vec<PodSeen>, MemberError> {
    let own = format!("{LABEL_JOB_ID}={}", job.id);
    let targets = report.iter().flat_map(|report| &report.logs);
    let mut selectors: Vec<&str> =
        targets.map(|target| target.label_selector.as_str()).take(SELECTORS).collect();
    selectors.push(&own);
    selectors.dedup();
    let late = || MemberError::Unavailable {
        cluster: cluster.clone(),
        message: "no answer in time".to_owned(),
    };
    let asked = selectors.into_iter().map(|labels| {
        let pods = sources.members.pods(cluster, job.namespace.as_str(), labels);
        within(deadline, pods, late)
    });
    let mut all = Vec::new();
    for pods in futures_util::future::join_all(asked).await {
        all.extend(pods?);
    }
    all.sort_by(|a: &PodSeen, b| a.name.cmp(&b.name));
    all.dedup_by(|a, b| a.name == b.name);
    Ok(all)
}

async fn events_of(
    sources: &Sources<'_>,
    job: &Job,
    cluster: &ClusterName,
    object: Option<&Value>,
    pods: Result<&[PodSeen], &MemberError>,
    deadline: Instant,
) -> Result<Vec<EventSeen>, MemberError> {
    let mut names = vec![job.name.to_string()];
    if let Some(status) = object.and_then(|object| object.get("status")) {
        let prefix = format!("{}-", job.name);
        let mut named = Vec::new();
        collect_names(status, &prefix, &mut named);
        names.extend(named.into_iter().take(NAMED));
    }
    names.extend(pods::troubled(pods.unwrap_or_default(), PODS));
    let late = || MemberError::Unavailable {
        cluster: cluster.clone(),
        message: "no answer in time".to_owned(),
    };
    let asked = names.iter().map(|name| {
        let events = sources.members.events(cluster, job.namespace.as_str(), name);
        within(deadline, events, late)
    });
    let mut all = Vec::new();
    for events in futures_util::future::join_all(asked).await {
        all.extend(events?);
    }
    all.sort_by_key(|event| event.last_at);
    Ok(all)
}

/// What an operator makes for a workload it names after it, and most put the name into the
/// status: no kind has to be known for that.
fn collect_names(value: &Value, prefix: &str, names: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            let is_name = text.starts_with(prefix) && text.len() <= 253 && text.bytes().all(plain);
            if is_name && !names.contains(text) {
                names.push(text.clone());
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_names(item, prefix, names)),
        Value::Object(members) => {
            members.values().for_each(|value| collect_names(value, prefix, names));
        }
        _ => {}
    }
}
