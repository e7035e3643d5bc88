//! What the store in memory answers of several jobs.

use crate::job::Job;
use crate::manifest::ObjectRef;

/// Those of the jobs whose workloads have the namespaces and names of these.
pub(super) fn among<'a>(jobs: impl Iterator<Item = &'a Job>, workloads: &[ObjectRef]) -> Vec<Job> {
    let wanted = |job: &&Job| {
        let place = (job.namespace.as_str(), job.name.as_str());
        workloads.iter().any(|object| (&*object.namespace, &*object.name) == place)
    };
    jobs.filter(wanted).cloned().collect()
}

/// Those of the jobs that were placed under the name of this one before it, newest first.
pub(super) fn predecessors_of<'a>(
    job: &Job,
    jobs: impl Iterator<Item = &'a Job>,
    limit: u32,
) -> Vec<Job> {
    let order = |job: &Job| (job.created_at, job.id.clone());
    let earlier = |other: &&Job| {
        (&other.namespace, &other.name) == (&job.namespace, &job.name)
            && order(other) < order(job)
            && other.placement.is_some()
    };
    let mut found: Vec<Job> = jobs.filter(earlier).cloned().collect();
    found.sort_by_key(|job| std::cmp::Reverse(order(job)));
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    found
}
