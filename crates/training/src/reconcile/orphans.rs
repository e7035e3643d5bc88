//! Objects of ours on the control plane whose job is gone: what is left when everything else failed,
//! such as an order that was carried out later than any proof of deletion waits. The most dangerous
//! loop there is, because it deletes what nobody asked it to delete; so it is full of cautions, and
//! whoever does not want it turns it off.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use super::{Reconcilers, Stop, report, wait};
use crate::clock::Timestamp;
use crate::id::JobId;
use crate::job::{Job, NewEvent};
use crate::phase::Lifecycle;
use crate::ports::{ControlError, Effects, Owned, StoreError};

/// So many orphans in a pass are no accident; beyond them, and beyond [`MASS_SHARE`], nothing is
/// deleted, because something else must be wrong: another database, a restored one.
const MASS: usize = 20;

/// One in so many of all objects, see [`MASS`].
const MASS_SHARE: usize = 50;

/// What is done about orphans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrphanMode {
    /// Nobody looks for them.
    Off,
    /// They are reported in the log.
    Report,
    /// Those whose job the database says is deleted are removed; those of jobs that it does not
    /// know are reported. It never forgets a job, so it may be an old copy of itself.
    Deleted,
    /// Those of unknown jobs are removed, too.
    All,
}

/// How orphans are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orphans {
    /// What is done about them.
    pub mode: OrphanMode,
    /// How old an object must be. Twice in this time there is a look, and only what two of them
    /// find is an orphan.
    pub age: Duration,
}

impl Default for Orphans {
    /// Removes those of deleted jobs after two minutes.
    fn default() -> Self {
        Self { mode: OrphanMode::Deleted, age: Duration::from_mins(2) }
    }
}

/// What became of orphans since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrphanCounts {
    /// Found in the last pass.
    pub found: u64,
    /// Removed so far.
    pub removed: u64,
    /// Whether the last pass removed nothing because there were too many.
    pub held: bool,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    found: AtomicU64,
    removed: AtomicU64,
    held: AtomicU64,
}

/// Objects that were orphans in the pass before, by uid, with the time they were first.
type Suspects = HashMap<String, Timestamp>;

/// An object without a job.
struct Orphan {
    object: Owned,
    /// The deleted job; `None` if the database does not know it.
    job: Option<Job>,
}

impl Reconcilers {
    /// Whether anybody looks for orphans: then [`Self::collect`] is wanted.
    pub fn collects_orphans(&self) -> bool {
        self.config.orphans.mode != OrphanMode::Off
    }

    /// What became of orphans so far, for metrics.
    pub fn orphan_counts(&self) -> OrphanCounts {
        OrphanCounts {
            found: self.orphans.found.load(Ordering::Relaxed),
            removed: self.orphans.removed.load(Ordering::Relaxed),
            held: self.orphans.held.load(Ordering::Relaxed) > 0,
        }
    }

    /// Looks for orphans until `stop`. Run it once per process; several processes may.
    pub async fn collect(&self, mut stop: Stop) {
        let pause = self.config.orphans.age / 2;
        let mut suspects = Suspects::new();
        while !*stop.borrow() {
            wait(std::future::pending(), pause, &mut stop).await;
            if *stop.borrow() {
                return;
            }
            if let Err(error) = self.orphan_pass(&mut suspects).await {
                // Who could not look at everything knows nothing.
                suspects.clear();
                report("orphans", &error);
            }
        }
    }

    async fn orphan_pass(&self, suspects: &mut Suspects) -> Result<(), StoreError> {
        let objects = self.objects_of_ours().await;
        let now = self.clock.now();
        let mut orphans = Vec::new();
        for object in &objects {
            // An error of the database ends the pass: only a positive answer counts.
            if is_old_enough(object, now, self.config.orphans.age)
                && let Ok(id) = JobId::parse(&object.job_id)
            {
                match self.store.find(&id).await? {
                    None => orphans.push(Orphan { object: object.clone(), job: None }),
                    Some(job) if job.lifecycle == Lifecycle::Deleted => {
                        orphans.push(Orphan { object: object.clone(), job: Some(job) });
                    }
                    Some(_) => {}
                }
            }
        }
        let due = confirmed(suspects, &orphans, now, self.config.orphans.age / 2);
        self.orphans.found.store(orphans.len() as u64, Ordering::Relaxed);
        let held = is_mass(orphans.len(), objects.len());
        self.orphans.held.store(u64::from(held), Ordering::Relaxed);
        if held {
            tracing::error!(
                "{} of {} objects have no job, which is no accident: none is removed. Is this the \
                 database of this control plane, and is it not an old copy?",
                orphans.len(),
                objects.len()
            );
            return Ok(());
        }
        for index in due {
            if let Some(orphan) = orphans.get(index) {
                self.remove_orphan(orphan).await?;
            }
        }
        Ok(())
    }

    /// Every object that carries our label and a job's, of the kinds that plugins emit. Volumes and
    /// policies are not among them: the former outlive jobs, the latter do nothing by themselves.
    async fn objects_of_ours(&self) -> Vec<Owned> {
        let catalog = self.plugins.catalog();
        let infos = catalog.versions.iter().map(|version| &version.info);
        let mut kinds: Vec<(String, String)> = infos
            .flat_map(|info| &info.kinds)
            .filter(|kind| kind.workload)
            .map(|kind| (kind.api_version.clone(), kind.kind.clone()))
            .collect();
        kinds.sort();
        kinds.dedup();
        let mut objects = Vec::new();
        for (api_version, kind) in &kinds {
            match self.control.owned(api_version, kind).await {
                Ok(some) => objects.extend(some),
                Err(ControlError::Missing { .. }) => {}
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "No look for orphans among the {kind} objects");
                }
            }
        }
        objects
    }

    async fn remove_orphan(&self, orphan: &Orphan) -> Result<(), StoreError> {
        let Orphan { object: Owned { object, uid, job_id, .. }, job } = orphan;
        let removes = match self.config.orphans.mode {
            OrphanMode::Off | OrphanMode::Report => false,
            OrphanMode::Deleted => job.is_some(),
            OrphanMode::All => true,
        };
        let why = if job.is_some() { "is deleted" } else { "is unknown to the database" };
        if !removes {
            tracing::warn!("{object} is an orphan, because job `{job_id}` {why}; it stays");
            return Ok(());
        }
        match self.control.remove_exactly(&orphan.object).await {
            Ok(()) => {}
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "The orphan {object} could not be removed");
                return Ok(());
            }
        }
        self.orphans.removed.fetch_add(1, Ordering::Relaxed);
        tracing::warn!("Removed the orphan {object}, because job `{job_id}` {why}");
        if let Some(job) = job {
            let evidence = json!({"object": object.to_string(), "uid": uid});
            let event = NewEvent { kind: "OrphanRemoved", actor: "orphans", evidence };
            let after = Job { updated_at: self.clock.now(), ..job.clone() };
            // Stale means that another host says the same.
            self.store.transition(&after, &event, &Effects::default()).await?;
        }
        Ok(())
    }
}

/// What is being deleted needs nobody, and what is young may belong to a job that is being stored.
fn is_old_enough(object: &Owned, now: Timestamp, age: Duration) -> bool {
    !object.terminating && object.created_at.is_some_and(|created| created + age <= now)
}

/// Remembers the orphans of this pass, and tells which were seen before, at least `apart` ago.
fn confirmed(
    suspects: &mut Suspects,
    orphans: &[Orphan],
    now: Timestamp,
    apart: Duration,
) -> Vec<usize> {
    let before = std::mem::take(suspects);
    let mut due = Vec::new();
    for (index, orphan) in orphans.iter().enumerate() {
        let uid = &orphan.object.uid;
        let first = before.get(uid).copied().unwrap_or(now);
        if before.contains_key(uid) && first + apart <= now {
            due.push(index);
        }
        suspects.insert(uid.clone(), first);
    }
    due
}

fn is_mass(orphans: usize, objects: usize) -> bool {
    orphans > MASS.max(objects / MASS_SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::ObjectRef;

    fn owned(uid: &str, created: i64) -> Owned {
        Owned {
            object: ObjectRef {
                api_version: "batch/v1".to_owned(),
                kind: "Job".to_owned(),
                namespace: "default".to_owned(),
                name: uid.to_owned(),
            },
            uid: uid.to_owned(),
            job_id: "a-00000001".to_owned(),
            created_at: Timestamp::from_second(created).ok(),
            terminating: false,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn young_terminating_and_undated_objects_are_no_orphans() {
        let age = Duration::from_mins(2);
        assert!(is_old_enough(&owned("a", 0), at(120), age));
        assert!(!is_old_enough(&owned("a", 0), at(119), age));
        let undated = Owned { created_at: None, ..owned("a", 0) };
        assert!(!is_old_enough(&undated, at(1000), age));
        let going = Owned { terminating: true, ..owned("a", 0) };
        assert!(!is_old_enough(&going, at(1000), age));
    }

    #[test]
    fn only_what_two_passes_in_a_row_find_is_due() {
        let apart = Duration::from_mins(1);
        let mut suspects = Suspects::new();
        let pass = |names: &[&str]| -> Vec<Orphan> {
            names.iter().map(|uid| Orphan { object: owned(uid, 0), job: None }).collect()
        };
        let both = pass(&["a", "b"]);
        assert_eq!(confirmed(&mut suspects, &both, at(0), apart), Vec::<usize>::new());
        assert_eq!(confirmed(&mut suspects, &both, at(59), apart), Vec::<usize>::new());
        let second = pass(&["b"]);
        assert_eq!(confirmed(&mut suspects, &second, at(60), apart), [0]);
        assert_eq!(confirmed(&mut suspects, &both, at(61), apart), [1], "`a` was away meanwhile");
    }

    #[test]
    fn many_orphans_at_once_are_no_accident() {
        assert!(!is_mass(20, 20));
        assert!(is_mass(21, 30));
        assert!(!is_mass(100, 5000), "two in a hundred");
        assert!(is_mass(101, 5000));
    }
}
