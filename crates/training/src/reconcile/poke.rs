//! Has Karmada schedule what it gave up on. It found that the chosen cluster lacks an API or is not
//! ready, and does not look again by itself when only the status of the cluster changes, so the
//! workload would wait for ever.

use std::collections::HashMap;
use std::time::Duration;

use super::observe::workload_ref;
use crate::clock::Timestamp;
use crate::id::JobId;
use crate::job::Job;
use crate::manifest::ObjectRef;
use crate::phase::{Desired, Phase};
use crate::ports::{Cluster, ControlPlane, Seen};

/// Karmada's word for a workload that no cluster can take.
const NO_CLUSTER_FITS: &str = "NoClusterFit";
/// Between two tries for the same job.
const PACE: Duration = Duration::from_secs(30);

/// How long the jobs that are not stuck wait for the answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// When Karmada was last asked about each job.
#[derive(Debug, Default)]
pub(super) struct Pokes(HashMap<JobId, Timestamp>);

impl Pokes {
    /// Whether Karmada is to be asked about this job now.
    pub(super) fn is_due(
        &mut self,
        job: &Job,
        seen: &Seen,
        clusters: Option<&[Cluster]>,
        now: Timestamp,
    ) -> bool {
        if !is_stuck(job, seen) || !clusters.is_some_and(|clusters| fits(job, clusters)) {
            self.0.remove(&job.id);
            return false;
        }
        let early = self
            .0
            .get(&job.id)
            .is_some_and(|last| now.checked_sub(PACE).is_ok_and(|since| *last > since));
        if !early {
            self.0.insert(job.id.clone(), now);
        }
        !early
    }

    /// Forgets jobs that nobody looks at any more.
    pub(super) fn keep(&mut self, seen: impl Fn(&JobId) -> bool) {
        self.0.retain(|id, _| seen(id));
    }
}

/// A program that has begun is not begun again: it may not be repeatable.
fn is_stuck(job: &Job, seen: &Seen) -> bool {
    let scheduled = seen.binding.as_ref().and_then(|binding| binding.scheduled.as_ref());
    job.phase == Phase::Submitted
        && job.desired == Desired::Run
        && job.started_at.is_none()
        && scheduled.is_some_and(|(yes, reason, _)| !yes && reason == NO_CLUSTER_FITS)
}

/// Whether every cluster of the placement could take the workload by now.
fn fits(job: &Job, clusters: &[Cluster]) -> bool {
    let Some(placement) = &job.placement else { return false };
    placement.clusters.iter().all(|name| {
        let cluster = clusters.iter().find(|cluster| cluster.name == *name);
        cluster.is_some_and(|cluster| {
            cluster.ready && cluster.has_api(&job.workload_api_version, &job.workload_kind)
        })
    })
}

/// Asks, and leaves it to a later round if that fails.
pub(super) async fn poke(control: &dyn ControlPlane, jobs: &[Job]) {
    let workloads: Vec<ObjectRef> = jobs.iter().map(|job| workload_ref(job).object).collect();
    if workloads.is_empty() {
        return;
    }
    let count = workloads.len();
    match tokio::time::timeout(PATIENCE, control.reschedule(&workloads)).await {
        Ok(Ok(())) => tracing::info!("Asked Karmada to schedule {count} workloads again"),
        Err(_) => tracing::warn!("Karmada takes too long to schedule {count} workloads again"),
        Ok(Err(error)) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "Karmada could not be asked to schedule {count} workloads again"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ClusterName;
    use crate::job::Placement;
    use crate::ports::BindingSeen;
    use crate::testing_values;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn stuck() -> (Job, Seen) {
        let mut job = testing_values::job("j");
        job.phase = Phase::Submitted;
        let clusters = vec![ClusterName::parse("m").unwrap()];
        job.placement = Some(Placement { clusters, reason: String::new() });
        let scheduled = Some((false, NO_CLUSTER_FITS.to_owned(), "0/2".to_owned()));
        let binding = BindingSeen { scheduled, ..BindingSeen::default() };
        (job, Seen { binding: Some(binding), exists: Some(true) })
    }

    #[test]
    fn job_is_asked_about_once_its_cluster_can_take_it_and_then_now_and_again() {
        let (job, seen) = stuck();
        let ready = [testing_values::cluster("m", 8)];
        let mut without = ready.clone();
        without[0].apis.clear();
        let mut away = ready.clone();
        away[0].ready = false;
        let mut pokes = Pokes::default();
        assert!(!pokes.is_due(&job, &seen, Some(&without), at(0)));
        assert!(!pokes.is_due(&job, &seen, Some(&away), at(0)));
        assert!(!pokes.is_due(&job, &seen, None, at(0)));
        assert!(pokes.is_due(&job, &seen, Some(&ready), at(0)));
        assert!(!pokes.is_due(&job, &seen, Some(&ready), at(29)));
        assert!(pokes.is_due(&job, &seen, Some(&ready), at(30)));
        pokes.keep(|_| false);
        assert!(pokes.0.is_empty());
    }

    #[test]
    fn what_ran_or_is_stopped_or_was_refused_otherwise_is_left_alone() {
        let ready = [testing_values::cluster("m", 8)];
        let due = |change: &dyn Fn(&mut Job, &mut Seen)| {
            let (mut job, mut seen) = stuck();
            change(&mut job, &mut seen);
            Pokes::default().is_due(&job, &seen, Some(&ready), at(0))
        };
        assert!(due(&|_, _| {}));
        assert!(!due(&|job, _| job.started_at = Some(at(0))));
        assert!(!due(&|job, _| job.phase = Phase::Running));
        assert!(!due(&|job, _| job.desired = Desired::Cancel));
        assert!(!due(&|job, _| job.placement = None));
        assert!(!due(&|_, seen| seen.binding = None));
        let other = |reason: &str| Some((false, reason.to_owned(), String::new()));
        assert!(!due(&|_, seen| {
            seen.binding.as_mut().unwrap().scheduled = other("QuotaExceeded");
        }));
    }
}
