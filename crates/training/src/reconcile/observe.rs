//! Follows the clusters: reads what the control plane says of every job that may run, lets the
//! plugin interpret it and [`decide`] move the job.

use std::collections::HashMap;

use serde_json::Value;

use super::{Reconcilers, StepError};
use crate::decide::{Away, Observation, decide};
use crate::id::JobId;
use crate::intent::IntentKind;
use crate::job::Job;
use crate::manifest::ObjectRef;
use crate::ports::{Cluster, Moved, Report, Seen, WorkloadRef};

/// What the last round saw, so that a status is interpreted only when it changed.
#[derive(Default)]
pub(super) struct Memory {
    jobs: HashMap<JobId, (Seen, Vec<(String, Report)>)>,
    clusters: Vec<Cluster>,
}

impl Reconcilers {
    /// One round.
    pub(super) async fn observe_round(&self, memory: &mut Memory) -> Result<(), StepError> {
        let clusters = self.control.clusters().await?;
        if clusters != memory.clusters {
            // A queued job may have waited for just this: a cluster that came back, or room.
            self.store.wake_intents(IntentKind::Apply, self.clock.now()).await?;
            memory.clusters = clusters;
        }
        let jobs = self.store.observed().await?;
        self.ledger.observe(&jobs);
        let workloads: Vec<WorkloadRef> = jobs.iter().map(workload_ref).collect();
        let seen = self.control.observe(&workloads).await?;
        let mut next = HashMap::with_capacity(jobs.len());
        for (job, seen) in jobs.into_iter().zip(seen) {
            let (reports, complete) = match memory.jobs.remove(&job.id) {
                Some((before, reports)) if before == seen => (reports, true),
                _ => self.interpret(&job, &seen).await,
            };
            let id = job.id.clone();
            let settled = self.settle_observation(job, &seen, &reports, &memory.clusters).await;
            match settled {
                Ok(()) => {}
                Err(StepError::Store(error)) if !error.retryable() => {
                    // One job that cannot be written must not hold up the others.
                    tracing::error!(
                        job.id = %id,
                        error = &error as &dyn std::error::Error,
                        "What was seen of job `{id}` cannot be recorded"
                    );
                }
                Err(error) => return Err(error),
            }
            // What the plugin failed to read is read again in the next round.
            if complete {
                next.insert(id, (seen, reports));
            }
        }
        memory.jobs = next;
        Ok(())
    }

    async fn settle_observation(
        &self,
        job: Job,
        seen: &Seen,
        reports: &[(String, Report)],
        clusters: &[Cluster],
    ) -> Result<(), StepError> {
        let observation = Observation {
            seen: seen.clone(),
            reports: reports.to_vec(),
            away: away(&job, clusters),
        };
        let now = self.clock.now();
        let Some(decision) = decide(&job, &observation, &self.config.patience, now) else {
            return Ok(());
        };
        let moved =
            self.store.transition(&decision.after, &decision.event, &decision.effects).await?;
        if moved == Moved::Done && decision.after.phase.is_terminal() {
            self.ledger.ended(&decision.after);
        }
        tracing::debug!(
            job.id = %job.id,
            moved = ?moved,
            "Job `{}` went from {} to {}: {}",
            job.id,
            job.phase,
            decision.after.phase,
            decision.after.reason
        );
        // A stale one is read again in the next round.
        Ok(())
    }

    /// Lets the plugin read what each member reports, and says whether it read all. A plugin that
    /// fails on a status is logged, and the job keeps its phase.
    async fn interpret(&self, job: &Job, seen: &Seen) -> (Vec<(String, Report)>, bool) {
        let mut reports = Vec::new();
        let mut complete = true;
        for member in seen.binding.iter().flat_map(|binding| &binding.members) {
            let Some(status) = &member.status else { continue };
            let object = reported(job, status);
            let digest = &job.provenance.plugin_digest;
            match self.plugins.interpret(digest, &job.algorithm, &object).await {
                Ok(report) => reports.push((member.cluster.clone(), report)),
                Err(error) => {
                    complete = false;
                    tracing::warn!(
                        job.id = %job.id,
                        cluster.name = %member.cluster,
                        error = &error as &dyn std::error::Error,
                        "Status of job `{}` could not be interpreted",
                        job.id
                    );
                }
            }
        }
        (reports, complete)
    }
}

/// A job's workload with a status that a member reported, as its plugin reads it.
pub(crate) fn reported(job: &Job, status: &Value) -> Value {
    serde_json::json!({
        "apiVersion": job.workload_api_version,
        "kind": job.workload_kind,
        "metadata": {"name": job.name.as_str(), "namespace": job.namespace.as_str()},
        "status": status,
    })
}

/// Where the workload of a job is found.
pub(crate) fn workload_ref(job: &Job) -> WorkloadRef {
    WorkloadRef {
        object: ObjectRef {
            api_version: job.workload_api_version.clone(),
            kind: job.workload_kind.clone(),
            namespace: job.namespace.to_string(),
            name: job.name.to_string(),
        },
        uid: job.workload_uid.clone(),
    }
}

/// The first cluster of the job's placement that does not answer.
fn away(job: &Job, clusters: &[Cluster]) -> Option<Away> {
    let placed = job.placement.iter().flat_map(|placement| &placement.clusters);
    placed.map(|name| (name, clusters.iter().find(|cluster| cluster.name == *name))).find_map(
        |(name, cluster)| {
            let reason = match cluster {
                Some(cluster) if cluster.ready => return None,
                Some(cluster) => cluster.ready_reason.clone(),
                None => "it is no longer registered with Karmada".to_owned(),
            };
            Some(Away { cluster: name.to_string(), reason })
        },
    )
}
