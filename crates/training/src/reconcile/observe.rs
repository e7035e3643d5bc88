//! Follows the clusters: reads what the control plane says of jobs that may run, lets the plugin
//! interpret it and [`decide`] move the job. Each round looks at the jobs whose workloads changed, and
//! at one part of all others: the [sweep](super::sweep) repairs what no change told of, and notices what
//! only time changes.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use serde_json::Value;

use super::poke::{Pokes, poke};
use super::reading::{AT_ONCE, Pauses, read};
use super::sweep::{Part, Sweep};
use super::{Reconcilers, StepError};
use crate::clock::Timestamp;
use crate::decide::{Away, Observation, decide};
use crate::id::JobId;
use crate::intent::IntentKind;
use crate::job::Job;
use crate::manifest::ObjectRef;
use crate::ports::{Cluster, Moved, Report, Seen, WorkloadRef};

/// Jobs of one part of a sweep: what changes meanwhile waits for it, some 10 ms.
const PART: u32 = 256;
/// Workloads that changed before a job was seen to have them, and jobs that are looked at again
/// although nothing changed: a round asks for all of them, and the sweep finds the others.
const MOST_AGAIN: usize = 1024;
/// Jobs that are woken when there is room again, those of the highest priority: as many as a large
/// cluster may take at once. The others come by themselves.
const WAKE: u32 = 512;
/// Between two times that they are woken; clusters change all the time.
const WAKE_PACE: Duration = Duration::from_secs(2);
/// How long a job may take to say that it was applied, after its workload changed. Longer than a
/// step of the dispatcher can take; after that it is somebody else's workload.
const LATE_ROW: Duration = Duration::from_secs(45);

/// What the rounds before saw.
#[derive(Default)]
pub(super) struct Memory {
    /// By the last look at each job, so that a status is interpreted only when it changed.
    jobs: HashMap<JobId, Last>,
    /// `None` until Karmada said which there are.
    clusters: Option<Vec<Cluster>>,
    /// Changed workloads, and since when, whose jobs do not say yet that they were applied.
    early: HashMap<ObjectRef, Timestamp>,
    /// Workloads to look at again soon: without a binding, or with a status that was not settled.
    again: HashSet<ObjectRef>,
    looked_again: Option<Timestamp>,
    sweep: Sweep,
    pauses: Pauses,
    pokes: Pokes,
    wakes: Wakes,
    /// Whether the clusters could not be seen the last time.
    blind: bool,
}

/// Whether jobs that wait for room are to be woken, which is not done all the time.
#[derive(Default)]
struct Wakes {
    /// Something opened that none of them was woken for yet.
    owed: bool,
    last: Option<Timestamp>,
}

impl Wakes {
    fn due(&self, now: Timestamp) -> bool {
        self.owed && self.last.is_none_or(|at| elapsed(at, now) >= WAKE_PACE)
    }
}

struct Last {
    seen: Seen,
    reports: Vec<(String, Report)>,
}

impl Reconcilers {
    /// One round. `true` if the next one has something to do whatever happens.
    pub(super) async fn observe_round(&self, memory: &mut Memory) -> Result<bool, StepError> {
        let started = self.clock.now();
        // Remembered first: what fails now is looked at by the next round.
        let changed = self.control.changed().await?;
        memory.early.extend(changed.into_iter().map(|object| (object, started)));
        let mut wanted: Vec<ObjectRef> = memory.early.keys().cloned().collect();
        let interval = self.config.observe_interval;
        if memory.looked_again.is_none_or(|at| elapsed(at, started) >= interval) {
            memory.looked_again = Some(started);
            wanted.extend(memory.again.drain().take(MOST_AGAIN));
        }
        let mut jobs = self.store.observed_among(&wanted).await?;
        let mut part = None;
        if memory.sweep.is_due(started) {
            let swept = self.store.observed(memory.sweep.position(), PART).await?;
            part = Some(Part::of(&swept, PART));
            let known: HashSet<JobId> = jobs.iter().map(|job| job.id.clone()).collect();
            jobs.extend(swept.into_iter().filter(|job| !known.contains(&job.id)));
        }
        // After the jobs were read, as is everything that decides on them: should this host sleep in
        // between, what it saw before is refused for every job that another host changed meanwhile.
        self.look_at_clusters(memory, started).await?;
        self.look(jobs, memory).await?;
        let over: Vec<ObjectRef> = memory.early.keys().cloned().collect();
        let known = self.look_at_rest(&over, &memory.pauses).await?;
        memory.early.retain(|object, _| !known.contains(object));
        let now = self.clock.now();
        memory.forget_strangers(now);
        let Some(part) = part else { return Ok(memory.sweep.is_due(now)) };
        if memory.sweep.end_part(part, elapsed(started, now), now, interval) {
            memory.jobs.retain(|id, _| memory.sweep.saw(id));
            memory.pauses.keep(|id| memory.sweep.saw(id));
            memory.pokes.keep(|id| memory.sweep.saw(id));
        }
        Ok(memory.sweep.is_due(now))
    }

    /// Brings what is known of the clusters up to date. They come from another server than
    /// everything else: while it is away, jobs are followed with what it said last.
    async fn look_at_clusters(&self, memory: &mut Memory, now: Timestamp) -> Result<(), StepError> {
        let clusters = match self.control.clusters().await {
            Ok(clusters) => clusters,
            Err(error) => {
                if !std::mem::replace(&mut memory.blind, true) {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "The clusters cannot be seen; jobs are followed as far as possible"
                    );
                }
                return Ok(());
            }
        };
        memory.blind = false;
        let known = memory.clusters.as_deref().unwrap_or_default();
        // A queued job may have waited for just this: a cluster that came back, or room.
        if memory.clusters.is_none() || opens(known, &clusters) {
            memory.wakes.owed = true;
        }
        if memory.wakes.due(now) {
            self.store.wake_intents(IntentKind::Apply, now, WAKE).await?;
            memory.wakes = Wakes { owed: false, last: Some(now) };
        }
        if readiness(&clusters) != readiness(known) {
            memory.sweep.start_over();
        }
        memory.clusters = Some(clusters);
        Ok(())
    }

    /// Looks at jobs and settles what is seen of them.
    async fn look(&self, jobs: Vec<Job>, memory: &mut Memory) -> Result<(), StepError> {
        self.ledger.observe(&jobs, self.clock.now());
        let workloads: Vec<WorkloadRef> = jobs.iter().map(workload_ref).collect();
        let seen = self.control.observe(&workloads).await?;
        let Memory { jobs: known, clusters, early, again, pauses, pokes, .. } = memory;
        let clusters = clusters.as_deref();
        let mut stuck = Vec::new();
        pauses.begin();
        let looks: Vec<_> = jobs
            .into_iter()
            .zip(seen)
            .zip(workloads)
            .map(|((job, seen), workload)| (known.remove(&job.id), job, seen, workload))
            .collect();
        let pauses = &*pauses;
        let mut readings = stream::iter(looks)
            .map(async |(last, job, seen, workload)| {
                let reading = match last {
                    Some(last) if last.seen == seen => (last.reports, true),
                    _ => read(&*self.plugins, &*self.clock, pauses, &job, &seen).await,
                };
                (job, seen, workload, reading)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((job, seen, workload, (reports, complete))) = readings.next().await {
            let id = job.id.clone();
            if pokes.is_due(&job, &seen, clusters, self.clock.now()) {
                stuck.push(job.clone());
            }
            let settled = self.settle_observation(job, &seen, &reports, clusters).await;
            let settled = match settled {
                Ok(moved) => moved != Some(Moved::Stale),
                Err(StepError::Store(error)) if !error.retryable() => {
                    // One job that cannot be written must not hold up the others.
                    tracing::error!(
                        job.id = %id,
                        error = &error as &dyn std::error::Error,
                        "What was seen of job `{id}` cannot be recorded"
                    );
                    false
                }
                Err(error) => return Err(error),
            };
            early.remove(&workload.object);
            if !settled || !complete || seen.binding.is_none() {
                again.insert(workload.object);
            }
            // What the plugin failed to read is read again.
            if complete {
                known.insert(id, Last { seen, reports });
            }
        }
        poke(&*self.control, &stuck).await;
        Ok(())
    }

    async fn settle_observation(
        &self,
        job: Job,
        seen: &Seen,
        reports: &[(String, Report)],
        clusters: Option<&[Cluster]>,
    ) -> Result<Option<Moved>, StepError> {
        let observation = Observation {
            seen: seen.clone(),
            reports: reports.to_vec(),
            away: clusters.and_then(|clusters| away(&job, clusters)),
        };
        let now = self.clock.now();
        let Some(decision) = decide(&job, &observation, &self.config.patience, now) else {
            return Ok(None);
        };
        let moved =
            self.store.transition(&decision.after, &decision.event, &decision.effects).await?;
        if moved == Moved::Done {
            self.ledger.observe([&decision.after], now);
            if decision.after.phase.is_terminal() {
                self.ledger.ended(&decision.after);
            }
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
        Ok(Some(moved))
    }
}

impl Memory {
    /// Forgets changed workloads that no job turned out to have.
    fn forget_strangers(&mut self, now: Timestamp) {
        self.early.retain(|_, since| elapsed(*since, now) < LATE_ROW);
        if self.early.len() > MOST_AGAIN {
            let mut times: Vec<Timestamp> = self.early.values().copied().collect();
            let (_, oldest_kept, _) =
                times.select_nth_unstable_by(MOST_AGAIN - 1, |one, other| other.cmp(one));
            let oldest_kept = *oldest_kept;
            self.early.retain(|_, since| *since > oldest_kept);
        }
    }
}

/// Whether a job that no cluster could take may now find one: a cluster is new or back, or has
/// another API, one taint less, or more room.
fn opens(before: &[Cluster], now: &[Cluster]) -> bool {
    now.iter().any(|cluster| {
        let Some(known) = before.iter().find(|known| known.name == cluster.name) else {
            return true;
        };
        let more = match (known.free, cluster.free) {
            (Some(known), Some(free)) => {
                free.cpu_millis > known.cpu_millis
                    || free.memory_bytes > known.memory_bytes
                    || free.gpus > known.gpus
            }
            (known, free) => known != free,
        };
        let same = (known.ready, &known.apis, &known.taints)
            == (cluster.ready, &cluster.apis, &cluster.taints);
        more || !same
    })
}

/// Which clusters answer, and why not; the rest of what is known of them moves all the time.
fn readiness(clusters: &[Cluster]) -> Vec<(&str, bool, &str)> {
    clusters
        .iter()
        .map(|cluster| (cluster.name.as_str(), cluster.ready, &*cluster.ready_reason))
        .collect()
}

/// A clock that was set back makes nothing older.
fn elapsed(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_that_opens_too_soon_is_owed_until_the_pace_allows_it() {
        let at = |ms: i64| Timestamp::from_millisecond(ms).unwrap();
        let pace = i64::try_from(WAKE_PACE.as_millis()).unwrap();
        let mut wakes = Wakes::default();
        assert!(!wakes.due(at(0)), "nothing opened");
        wakes.owed = true;
        assert!(wakes.due(at(0)));
        wakes = Wakes { owed: true, last: Some(at(0)) };
        assert!(!wakes.due(at(pace - 1)));
        assert!(wakes.due(at(pace)), "still owed");
    }
}
