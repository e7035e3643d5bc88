//! Room that is given away but not used yet. The figures of a cluster show a job only when its
//! pods are there; until then it stands here, so that jobs which come together spread.
//!
//! Lives in memory and is a hint: after a restart the first status round fills it again, and a
//! wrong figure costs balance, never correctness.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::clock::Timestamp;
use crate::id::{ClusterName, JobId};
use crate::job::{Demand, FailureClass, Job};
use crate::phase::{Desired, Phase};
use crate::placement::{Choice, Standing, Unfit, choose};
use crate::ports::Cluster;

/// Ends of jobs that are remembered of each cluster.
const REMEMBERED: usize = 20;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    waiting: Mutex<HashMap<JobId, Entry>>,
    /// How the last jobs of each cluster ended: whether the cluster did not spoil them.
    ends: Mutex<HashMap<String, VecDeque<bool>>>,
    /// What was last said of a removal, so that history does not repeat it.
    said: Mutex<HashMap<JobId, String>>,
    /// When this process first worked on the removal of a job.
    looked: Mutex<HashMap<JobId, Timestamp>>,
}

#[derive(Debug)]
struct Entry {
    clusters: Vec<ClusterName>,
    demand: Demand,
    /// Seen by a status round; until then it is a reservation of this process.
    applied: bool,
}

impl Ledger {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<JobId, Entry>) -> T) -> T {
        // A panic elsewhere left at worst one entry too many.
        work(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Chooses and reserves in one step, so that two jobs never see the same room.
    pub(super) fn reserve(
        &self,
        job: &Job,
        clusters: &[Cluster],
        allowed: Option<&[ClusterName]>,
    ) -> Result<Choice, Vec<Unfit>> {
        self.with(|waiting| {
            let mut standings: BTreeMap<&str, Standing> = BTreeMap::new();
            for Entry { clusters, demand, .. } in waiting.values() {
                for cluster in clusters {
                    let standing = standings.entry(cluster.as_str()).or_default();
                    let sum = &mut standing.load;
                    sum.cpu_millis = sum.cpu_millis.saturating_add(demand.cpu_millis);
                    sum.memory_bytes = sum.memory_bytes.saturating_add(demand.memory_bytes);
                    sum.gpus = sum.gpus.saturating_add(demand.gpus);
                    standing.waiting += 1;
                }
            }
            let choice = choose(job, clusters, allowed, &|name| Standing {
                reliability: self.reliability(name),
                ..standings.get(name).copied().unwrap_or_default()
            })?;
            let clusters = choice.placement.clusters.clone();
            let entry = Entry { clusters, demand: job.demand, applied: false };
            waiting.insert(job.id.clone(), entry);
            Ok(choice)
        })
    }

    /// Remembers how a job ended, for the choices to come.
    pub(super) fn ended(&self, job: &Job) {
        let fine = !matches!(
            job.failure,
            FailureClass::Infrastructure | FailureClass::Capacity | FailureClass::Rejected
        );
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        for cluster in job.placement.iter().flat_map(|placement| &placement.clusters) {
            let ends = ends.entry(cluster.to_string()).or_default();
            ends.push_back(fine);
            if ends.len() > REMEMBERED {
                ends.pop_front();
            }
        }
    }

    fn reliability(&self, cluster: &str) -> f64 {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ends) = ends.get(cluster).filter(|ends| !ends.is_empty()) else { return 1.0 };
        ends.iter().filter(|fine| **fine).count() as f64 / ends.len() as f64
    }

    /// The job will not use the room, or no longer.
    pub(super) fn release(&self, id: &JobId) {
        self.with(|waiting| waiting.remove(id));
    }

    /// When this process first looked after the removal of the job: now, if it never did.
    pub(super) fn first_look(&self, id: &JobId, now: Timestamp) -> Timestamp {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        *looked.entry(id.clone()).or_insert(now)
    }

    /// The removal of the job is over.
    pub(super) fn forget(&self, id: &JobId) {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.looked.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Drops every applied job that a whole pass did not see: it has ended.
    pub(super) fn keep_seen(&self, seen: impl Fn(&JobId) -> bool) {
        self.with(|waiting| waiting.retain(|id, entry| !entry.applied || seen(id)));
    }

    /// Takes over what was seen of these jobs: applied ones wait for room, all others have it or do
    /// not need it.
    pub(super) fn observe<'a>(&self, jobs: impl IntoIterator<Item = &'a Job>) {
        self.with(|waiting| {
            for job in jobs {
                waiting.remove(&job.id);
                if let Some(placement) = &job.placement
                    && job.phase == Phase::Submitted
                    && job.desired == Desired::Run
                {
                    let clusters = placement.clusters.clone();
                    let entry = Entry { clusters, demand: job.demand, applied: true };
                    waiting.insert(job.id.clone(), entry);
                }
            }
        });
    }

    /// Whether this was not said of the job before.
    pub(super) fn is_news(&self, id: &JobId, text: &str) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.insert(id.clone(), text.to_owned()).as_deref() != Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Placement;
    use crate::testing_values::{cluster, job};

    fn chosen(ledger: &Ledger, name: &str) -> String {
        let clusters = [cluster("a", 10), cluster("b", 10)];
        let choice = ledger.reserve(&job(name), &clusters, None).unwrap();
        choice.placement.clusters[0].to_string()
    }

    #[test]
    fn cluster_that_spoils_jobs_is_chosen_last() {
        let ledger = Ledger::default();
        let mut spoiled = job("j0");
        spoiled.placement = Some(Placement {
            clusters: vec![ClusterName::parse("a").unwrap()],
            reason: String::new(),
        });
        spoiled.failure = FailureClass::Infrastructure;
        ledger.ended(&spoiled);
        assert_eq!(chosen(&ledger, "j1"), "b");
        spoiled.failure = FailureClass::UserCode;
        for _ in 0..REMEMBERED {
            ledger.ended(&spoiled);
        }
        ledger.release(&job("j1").id);
        assert_eq!(chosen(&ledger, "j2"), "a", "long ago");
    }

    #[test]
    fn jobs_that_come_together_spread() {
        let ledger = Ledger::default();
        let names = ["j1", "j2", "j3", "j4"].map(|name| chosen(&ledger, name));
        assert_eq!(names, ["a", "b", "a", "b"]);
        let clusters = [cluster("a", 10), cluster("b", 10)];
        assert!(ledger.reserve(&job("j5"), &clusters, None).is_err(), "both are given away");
    }

    #[test]
    fn removal_is_told_once_and_dated_from_its_first_look() {
        let ledger = Ledger::default();
        let id = job("j1").id;
        let early = Timestamp::UNIX_EPOCH;
        let late = early + std::time::Duration::from_secs(9);
        assert_eq!(ledger.first_look(&id, early), early);
        assert!(ledger.is_news(&id, "there"));
        ledger.release(&id);
        assert!(!ledger.is_news(&id, "there"), "giving room back is no news");
        assert_eq!(ledger.first_look(&id, late), early);
        ledger.forget(&id);
        assert_eq!(ledger.first_look(&id, late), late);
    }

    #[test]
    fn running_and_released_jobs_no_longer_count() {
        let ledger = Ledger::default();
        assert_eq!(chosen(&ledger, "j1"), "a");
        let mut running = job("j1");
        running.phase = Phase::Running;
        ledger.observe(&[running]);
        assert_eq!(chosen(&ledger, "j2"), "a");
        ledger.release(&job("j2").id);
        assert_eq!(chosen(&ledger, "j3"), "a");
    }

    #[test]
    fn job_that_ends_without_running_gives_its_room_back() {
        let ledger = Ledger::default();
        assert_eq!(chosen(&ledger, "j1"), "a");
        let mut submitted = job("j1");
        submitted.phase = Phase::Submitted;
        submitted.placement = Some(Placement {
            clusters: vec![ClusterName::parse("a").unwrap()],
            reason: String::new(),
        });
        ledger.observe(&[submitted]);
        assert_eq!(chosen(&ledger, "j2"), "b");
        // It failed: the next pass no longer sees it.
        ledger.keep_seen(|_| false);
        assert_eq!(chosen(&ledger, "j3"), "a");
    }
}
