//! Room that is given away but not used yet. The figures of a cluster show a job only when its
//! pods are there; until then it stands here, so that jobs which come together spread.
//!
//! Lives in memory and is a hint: after a restart the first status round fills it again, and a
//! wrong figure costs balance, never correctness.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use crate::id::{ClusterName, JobId};
use crate::job::{Demand, Job, Placement};
use crate::phase::Phase;
use crate::placement::{Unfit, choose};
use crate::ports::Cluster;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    waiting: Mutex<HashMap<JobId, (Vec<ClusterName>, Demand)>>,
}

impl Ledger {
    fn with<T>(
        &self,
        work: impl FnOnce(&mut HashMap<JobId, (Vec<ClusterName>, Demand)>) -> T,
    ) -> T {
        // A panic elsewhere left at worst one entry too many.
        work(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Chooses and reserves in one step, so that two jobs never see the same room.
    pub(super) fn reserve(&self, job: &Job, clusters: &[Cluster]) -> Result<Placement, Vec<Unfit>> {
        self.with(|waiting| {
            let mut load: BTreeMap<&str, Demand> = BTreeMap::new();
            for (placed, demand) in waiting.values() {
                for cluster in placed {
                    let sum = load.entry(cluster.as_str()).or_default();
                    sum.cpu_millis += demand.cpu_millis;
                    sum.memory_bytes += demand.memory_bytes;
                    sum.gpus += demand.gpus;
                }
            }
            let placement =
                choose(job, clusters, &|name| load.get(name).copied().unwrap_or_default())?;
            waiting.insert(job.id.clone(), (placement.clusters.clone(), job.demand));
            Ok(placement)
        })
    }

    /// The job will not use the room.
    pub(super) fn release(&self, id: &JobId) {
        self.with(|waiting| waiting.remove(id));
    }

    /// Takes over what a status round saw: applied jobs wait for room, running ones have it.
    pub(super) fn observe(&self, jobs: &[Job]) {
        self.with(|waiting| {
            for job in jobs {
                match &job.placement {
                    Some(placement) if job.phase == Phase::Submitted => {
                        let entry = (placement.clusters.clone(), job.demand);
                        waiting.insert(job.id.clone(), entry);
                    }
                    _ => {
                        waiting.remove(&job.id);
                    }
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing_values::{cluster, job};

    fn chosen(ledger: &Ledger, name: &str) -> String {
        let clusters = [cluster("a", 10), cluster("b", 10)];
        ledger.reserve(&job(name), &clusters).unwrap().clusters[0].to_string()
    }

    #[test]
    fn jobs_that_come_together_spread() {
        let ledger = Ledger::default();
        let names = ["j1", "j2", "j3", "j4"].map(|name| chosen(&ledger, name));
        assert_eq!(names, ["a", "b", "a", "b"]);
        let clusters = [cluster("a", 10), cluster("b", 10)];
        assert!(ledger.reserve(&job("j5"), &clusters).is_err(), "both are given away");
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
}
