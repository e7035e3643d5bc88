//! Takes what a job shares with others off its clusters, once no other job needs it there.
//!
//! The policy is read before the database is asked. A job is on record with its clusters before it
//! asks for what it refers to, and asking makes a new version of the policy: so a job that the
//! database did not show yet has changed what was read, and nothing is withdrawn.

use std::collections::BTreeSet;

use super::{Reconcilers, StepError};
use crate::dependents::shared;
use crate::id::ClusterName;
use crate::job::Job;
use crate::manifest::Bundle;
use crate::phase::{Desired, Phase};
use crate::ports::{ListQuery, Remaining, Shared, StoreError};

/// Jobs read at once.
const PAGE: u32 = 64;

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
        let mut remaining = Vec::new();
        for shared in shared(job, bundle) {
            let Some(reach) = self.control.reach(&shared).await? else { continue };
            let needed = self.needed(job, &shared, clusters).await?;
            let unneeded: Vec<ClusterName> =
                clusters.iter().filter(|cluster| !needed.contains(*cluster)).cloned().collect();
            if !unneeded.is_empty() {
                remaining.extend(self.control.withdraw(&shared, &unneeded, &reach).await?);
            }
        }
        Ok(remaining)
    }

    /// On which of these clusters another job needs the object: one that is to run and not over.
    /// What is being stopped starts no pod any more, and when it is gone it withdraws for itself.
    async fn needed(
        &self,
        job: &Job,
        object: &Shared,
        clusters: &[ClusterName],
    ) -> Result<BTreeSet<ClusterName>, StoreError> {
        let phases = Phase::ALL.iter().copied().filter(|phase| !phase.is_terminal()).collect();
        let mut query = ListQuery {
            namespace: Some(job.namespace.to_string()),
            phases,
            limit: Some(PAGE),
            ..ListQuery::default()
        };
        let mut needed = BTreeSet::new();
        loop {
            let others = self.store.list(&query).await?;
            for other in others.iter().filter(|other| other.id != job.id) {
                let placed = other.placement.iter().flat_map(|placement| &placement.clusters);
                let news: Vec<&ClusterName> = placed
                    .filter(|cluster| clusters.contains(cluster) && !needed.contains(*cluster))
                    .collect();
                if news.is_empty() || other.desired != Desired::Run {
                    continue;
                }
                let bundle = self.store.bundle(&other.id).await?;
                if bundle.is_some_and(|bundle| shared(other, &bundle).contains(object)) {
                    needed.extend(news.into_iter().cloned());
                }
                if needed.len() == clusters.len() {
                    return Ok(needed);
                }
            }
            match others.last() {
                Some(last) if others.len() == PAGE as usize => {
                    query.after = Some((last.created_at, last.id.clone()));
                }
                _ => return Ok(needed),
            }
        }
    }
}
