//! Room that is given away and that the figures of its cluster do not show yet, so that jobs which
//! come together spread.
//!
//! Karmada takes the figures of a member every ten seconds, and they contain a job as soon as it has
//! pods, running or not. So a job stands here from the choice of its cluster until its program has
//! run for [`SAMPLED`]: the next sample has its pods. One that does not start stands here for
//! [`STARTING`] at most: by then its pods are in the figures, or there are none, because an operator
//! or a queue of the cluster holds them back.
//!
//! Lives in memory and is a hint: after a restart the first status round fills it again, and a
//! wrong figure costs balance, never correctness.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::{ClusterName, JobId};
use crate::job::{Demand, FailureClass, Job};
use crate::phase::{Desired, Phase};
use crate::placement::{Bounds, Choice, Standing, Unfit, choose};
use crate::ports::Cluster;

/// Ends of jobs that are remembered of each cluster.
const REMEMBERED: usize = 20;
/// After so long, a sample of the cluster was taken and came here.
const SAMPLED: Duration = Duration::from_secs(20);
/// So long after a job was applied, its pods exist or something holds them back.
const STARTING: Duration = Duration::from_mins(2);
/// How long a job may take from the choice of its cluster to its application. Each try begins anew;
/// one whose tries end belongs to another process, or is gone.
const APPLYING: Duration = Duration::from_mins(5);
/// A removal is tried every half minute at least. One that this process has not worked on for so
/// long is another's, which may have finished it.
const REMOVING: Duration = Duration::from_mins(10);

#[derive(Debug, Default)]
pub(super) struct Ledger {
    given: Mutex<HashMap<JobId, Entry>>,
    /// How the last jobs of each cluster ended: whether the cluster did not spoil them.
    ends: Mutex<HashMap<String, VecDeque<bool>>>,
    removals: Mutex<Removals>,
}

/// What this process knows of removals that it works on.
#[derive(Debug, Default)]
struct Removals {
    jobs: HashMap<JobId, Removing>,
    /// When those were last forgotten that nobody here works on any more.
    swept: Option<Timestamp>,
}

#[derive(Debug)]
struct Removing {
    /// When this process first worked on it, and last.
    first: Timestamp,
    last: Timestamp,
    /// What was last said of it, so that history does not repeat it.
    said: Option<String>,
}

impl Removals {
    fn of(&mut self, id: &JobId, now: Timestamp) -> &mut Removing {
        if self.swept.is_none_or(|swept| after(swept, REMOVING) <= now) {
            self.jobs.retain(|_, removing| after(removing.last, REMOVING) > now);
            self.swept = Some(now);
        }
        let removing = self.jobs.entry(id.clone());
        let removing = removing.or_insert(Removing { first: now, last: now, said: None });
        removing.last = now;
        removing
    }
}

#[derive(Debug)]
struct Entry {
    clusters: Vec<ClusterName>,
    demand: Demand,
    /// Whether it has begun to run: then `until` is settled.
    runs: bool,
    until: Timestamp,
}

impl Entry {
    fn of(job: &Job, clusters: Vec<ClusterName>, until: Timestamp) -> Self {
        Self { clusters, demand: job.demand, runs: false, until }
    }
}

/// Room that was given to a job. Given back unless it is kept.
#[derive(Debug)]
pub(super) struct Reservation<'a> {
    ledger: &'a Ledger,
    id: JobId,
    kept: bool,
}

impl Reservation<'_> {
    /// The placement is on record.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.ledger.release(&self.id);
        }
    }
}

fn after(now: Timestamp, length: Duration) -> Timestamp {
    now.checked_add(length).unwrap_or(Timestamp::MAX)
}

impl Ledger {
    fn with<T>(&self, work: impl FnOnce(&mut HashMap<JobId, Entry>) -> T) -> T {
        // A panic elsewhere left at worst one entry too many.
        work(&mut self.given.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Chooses and reserves in one step, so that two jobs never see the same room.
    pub(super) fn reserve(
        &self,
        job: &Job,
        clusters: &[Cluster],
        bounds: &Bounds<'_>,
        now: Timestamp,
    ) -> Result<(Choice, Reservation<'_>), Vec<Unfit>> {
        self.with(|given| {
            // What an earlier try of the same job left must not stand in its own way.
            given.retain(|id, entry| *id != job.id && entry.until > now);
            let mut standings: BTreeMap<&str, Standing> = BTreeMap::new();
            for Entry { clusters, demand, .. } in given.values() {
                for cluster in clusters {
                    let standing = standings.entry(cluster.as_str()).or_default();
                    let sum = &mut standing.load;
                    sum.cpu_millis = sum.cpu_millis.saturating_add(demand.cpu_millis);
                    sum.memory_bytes = sum.memory_bytes.saturating_add(demand.memory_bytes);
                    sum.gpus = sum.gpus.saturating_add(demand.gpus);
                    standing.waiting += 1;
                }
            }
            let choice = choose(job, clusters, bounds, &|name| Standing {
                reliability: self.reliability(name),
                ..standings.get(name).copied().unwrap_or_default()
            })?;
            let entry = Entry::of(job, choice.placement.clusters.clone(), after(now, APPLYING));
            given.insert(job.id.clone(), entry);
            let reservation = Reservation { ledger: self, id: job.id.clone(), kept: false };
            Ok((choice, reservation))
        })
    }

    /// A job that was placed before is tried again: its room is not free meanwhile.
    pub(super) fn hold(&self, job: &Job, now: Timestamp) {
        let Some(placement) = &job.placement else { return };
        let entry = Entry::of(job, placement.clusters.clone(), after(now, APPLYING));
        self.with(|given| given.insert(job.id.clone(), entry));
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
        self.with(|given| given.remove(id));
    }

    fn removals(&self) -> MutexGuard<'_, Removals> {
        self.removals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When this process first looked after the removal of the job: now, if it never did or has
    /// forgotten.
    pub(super) fn first_look(&self, id: &JobId, now: Timestamp) -> Timestamp {
        self.removals().of(id, now).first
    }

    /// The removal of the job is over.
    pub(super) fn forget(&self, id: &JobId) {
        self.removals().jobs.remove(id);
    }

    /// Takes over what was seen of these jobs.
    pub(super) fn observe<'a>(&self, jobs: impl IntoIterator<Item = &'a Job>, now: Timestamp) {
        self.with(|given| {
            for job in jobs {
                match (job.phase, &job.placement, job.desired) {
                    (Phase::Submitted, Some(placement), Desired::Run) => {
                        let until = after(job.submitted_at.unwrap_or(now), STARTING);
                        let entry = Entry::of(job, placement.clusters.clone(), until);
                        given.insert(job.id.clone(), entry);
                    }
                    (Phase::Running, ..) => {
                        if let Some(entry) = given.get_mut(&job.id).filter(|entry| !entry.runs) {
                            entry.runs = true;
                            entry.until = after(now, SAMPLED);
                        }
                    }
                    _ => {
                        given.remove(&job.id);
                    }
                }
            }
            given.retain(|_, entry| entry.until > now);
        });
    }

    /// Whether this was not said of the job before.
    pub(super) fn is_news(&self, id: &JobId, text: &str, now: Timestamp) -> bool {
        let mut removals = self.removals();
        let said = removals.of(id, now).said.replace(text.to_owned());
        said.as_deref() != Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Placement;
    use crate::testing_values::{cluster, job};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// Where a job goes at this second; its placement is kept.
    fn chosen_at(ledger: &Ledger, name: &str, second: i64) -> Option<String> {
        let clusters = [cluster("a", 10), cluster("b", 10)];
        let reserved = ledger.reserve(&job(name), &clusters, &Bounds::default(), at(second));
        let (choice, reservation) = reserved.ok()?;
        reservation.keep();
        Some(choice.placement.clusters[0].to_string())
    }

    fn chosen(ledger: &Ledger, name: &str) -> String {
        chosen_at(ledger, name, 0).unwrap()
    }

    fn placed(name: &str, phase: Phase) -> Job {
        let clusters = vec![ClusterName::parse("a").unwrap()];
        let placement = Some(Placement { clusters, reason: String::new() });
        Job { phase, placement, submitted_at: Some(at(0)), ..job(name) }
    }

    #[test]
    fn cluster_that_spoils_jobs_is_chosen_last() {
        let ledger = Ledger::default();
        let mut spoiled = placed("j0", Phase::Failed);
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
        assert_eq!(chosen_at(&ledger, "j5", 0), None, "both are given away");
    }

    #[test]
    fn reservation_that_comes_to_nothing_is_given_back() {
        let ledger = Ledger::default();
        let clusters = [cluster("a", 4)];
        let bounds = Bounds::default();
        let reserved = ledger.reserve(&job("j1"), &clusters, &bounds, at(0));
        assert!(ledger.reserve(&job("j2"), &clusters, &bounds, at(0)).is_err());
        drop(reserved);
        let (_, reservation) = ledger.reserve(&job("j2"), &clusters, &bounds, at(0)).unwrap();
        reservation.keep();
        // Its own reservation does not stand in its way.
        assert!(ledger.reserve(&job("j2"), &clusters, &bounds, at(0)).is_ok());
    }

    #[test]
    fn room_whose_job_is_never_applied_is_free_again() {
        let ledger = Ledger::default();
        let names = ["j1", "j2", "j3", "j4"].map(|name| chosen(&ledger, name));
        assert_eq!(names.len(), 4);
        assert_eq!(chosen_at(&ledger, "j5", 299), None);
        // It is tried again and again.
        ledger.hold(&placed("j1", Phase::Queued), at(299));
        assert_eq!(chosen_at(&ledger, "j5", 300).as_deref(), Some("b"));
    }

    #[test]
    fn removal_is_told_once_and_dated_from_its_first_look() {
        let ledger = Ledger::default();
        let id = job("j1").id;
        assert_eq!(ledger.first_look(&id, at(0)), at(0));
        assert!(ledger.is_news(&id, "there", at(1)));
        ledger.release(&id);
        assert!(!ledger.is_news(&id, "there", at(2)), "giving room back is no news");
        assert_eq!(ledger.first_look(&id, at(9)), at(0));
        ledger.forget(&id);
        assert_eq!(ledger.first_look(&id, at(9)), at(9));
    }

    #[test]
    fn removals_that_another_process_finishes_are_forgotten() {
        let ledger = Ledger::default();
        let known = || ledger.removals().jobs.len();
        for number in 0..100 {
            let id = job(&format!("j{number}")).id;
            ledger.first_look(&id, at(0));
            assert!(ledger.is_news(&id, "there", at(0)));
        }
        let kept = job("j0").id;
        assert!(!ledger.is_news(&kept, "there", at(599)), "it is still worked on");
        assert_eq!(ledger.first_look(&job("new").id, at(600)), at(600));
        assert_eq!(known(), 2, "the new one, and the one that was worked on");
        assert_eq!(ledger.first_look(&kept, at(601)), at(0), "its date is kept");
        assert_eq!(ledger.first_look(&job("j1").id, at(602)), at(602));
    }

    /// Room counts while the cluster's own figures may not have it, and no longer.
    #[test]
    fn room_counts_until_a_sample_of_the_cluster_has_it() {
        let taken = |seen: &[(Phase, i64)], second: i64| {
            let ledger = Ledger::default();
            for (phase, second) in seen {
                ledger.observe([&placed("j1", *phase)], at(*second));
            }
            chosen_at(&ledger, "j2", second).unwrap() == "b"
        };
        use Phase::{Cancelled, Failed, Running, Submitted, Suspended};
        for (seen, second, expected) in [
            (&[(Submitted, 1)][..], 1, true),
            (&[(Submitted, 1)], 119, true),
            // Its pods wait for their image, in the figures; or a queue holds them back.
            (&[(Submitted, 1), (Submitted, 119)], 120, false),
            (&[(Submitted, 1), (Running, 50)], 69, true),
            (&[(Submitted, 1), (Running, 50), (Running, 60)], 70, false),
            // After a restart of the host.
            (&[(Running, 50)], 50, false),
            (&[(Submitted, 1), (Suspended, 2)], 3, false),
            (&[(Submitted, 1), (Failed, 2)], 3, false),
            (&[(Submitted, 1), (Running, 2), (Cancelled, 3)], 4, false),
        ] {
            assert_eq!(taken(seen, second), expected, "{seen:?} at {second}");
        }
    }
}
