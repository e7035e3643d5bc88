//! Takes what a job shares with others off its clusters, once no other job needs it there.
//!
//! The policy is read before the database is asked. A job is on record with its clusters before it
//! asks for what it refers to, and asking makes a new version of the policy: so a job that the
//! database did not show yet has changed what was read, and nothing is withdrawn.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Reconcilers, StepError};
use crate::dependents::shared;
use crate::id::{ClusterName, JobId};
use crate::job::Job;
use crate::manifest::Bundle;
use crate::phase::{Desired, Phase};
use crate::ports::{ListQuery, Reach, Remaining, Shared, StoreError};

/// Jobs read at once.
const PAGE: u32 = 64;
/// Jobs of which is remembered what they share; some hundred bytes each.
const REMEMBERED: usize = 20_000;

/// What jobs share, so that a removal does not read the bundle of every other job again. A bundle
/// never changes, and neither does what it refers to.
#[derive(Debug, Default)]
pub(super) struct References(Mutex<HashMap<JobId, Arc<[Shared]>>>);

impl References {
    fn get(&self, job: &JobId) -> Option<Arc<[Shared]>> {
        self.lock().get(job).cloned()
    }

    fn remember(&self, job: &JobId, shared: Arc<[Shared]>) {
        let mut known = self.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(job.clone(), shared);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Arc<[Shared]>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reconcilers {
    /// One step; tells what is still there, and is empty once nothing is.
    pub(super) async fn withdraw(
        &self,
        job: &Job,
        bundle: &Bundle,
        clusters: &[ClusterName],
    ) -> Result<Vec<Remaining>, StepError> {
        if !self.config.dependents.share || clusters.is_empty() {
            return Ok(Vec::new());
        }
        let mut reached: Vec<(Shared, Reach)> = Vec::new();
        for shared in shared(job, bundle) {
            if let Some(reach) = self.control.reach(&shared).await? {
                reached.push((shared, reach));
            }
        }
        let needed = self.needed(job, &reached, clusters).await?;
        let mut remaining = Vec::new();
        for ((shared, reach), needed) in reached.iter().zip(needed) {
            let unneeded: Vec<ClusterName> =
                clusters.iter().filter(|cluster| !needed.contains(*cluster)).cloned().collect();
            if !unneeded.is_empty() {
                remaining.extend(self.control.withdraw(shared, &unneeded, reach).await?);
            }
        }
        Ok(remaining)
    }

    /// On which of these clusters another job needs each of the objects: one that is to run and not
    /// over. What is being stopped starts no pod any more, and when it is gone it withdraws for
    /// itself. The jobs are read once for all objects, and no further than needed.
    async fn needed(
        &self,
        job: &Job,
        objects: &[(Shared, Reach)],
        clusters: &[ClusterName],
    ) -> Result<Vec<BTreeSet<ClusterName>>, StoreError> {
        let mut needed = vec![BTreeSet::new(); objects.len()];
        let phases = Phase::ALL.iter().copied().filter(|phase| !phase.is_terminal()).collect();
        let mut query = ListQuery {
            namespace: Some(job.namespace.to_string()),
            phases,
            limit: Some(PAGE),
            ..ListQuery::default()
        };
        while needed.iter().any(|needed| needed.len() < clusters.len()) {
            let others = self.store.list(&query).await?;
            for other in others.iter().filter(|other| other.id != job.id) {
                let placed = other.placement.iter().flat_map(|placement| &placement.clusters);
                let here: Vec<&ClusterName> =
                    placed.filter(|cluster| clusters.contains(cluster)).collect();
                if here.is_empty() || other.desired != Desired::Run {
                    continue;
                }
                let shares = self.shares(other).await?;
                for ((object, _), needed) in objects.iter().zip(&mut needed) {
                    if shares.contains(object) {
                        needed.extend(here.iter().copied().cloned());
                    }
                }
            }
            match others.last() {
                Some(last) if others.len() == PAGE as usize => {
                    query.after = Some((last.created_at, last.id.clone()));
                }
                _ => break,
            }
        }
        Ok(needed)
    }

    /// What another job shares.
    async fn shares(&self, other: &Job) -> Result<Arc<[Shared]>, StoreError> {
        if let Some(known) = self.references.get(&other.id) {
            return Ok(known);
        }
        // One that was deleted meanwhile needs nothing.
        let Some(bundle) = self.store.bundle(&other.id).await? else { return Ok(Arc::new([])) };
        let shares: Arc<[Shared]> = shared(other, &bundle).into();
        self.references.remember(&other.id, Arc::clone(&shares));
        Ok(shares)
    }
}
