//! Everything an explanation rests on. Each part may have failed on its own.

use crate::id::ClusterName;
use crate::job::{Event, Job};
use crate::manifest::ObjectRef;
use crate::phase::{Desired, Lifecycle, Phase};
use crate::ports::{
    Cluster, EventSeen, MemberError, ObjectTrace, PodSeen, Report, Trace, WorkTrace,
};

/// What was seen of a job.
#[derive(Debug)]
pub struct Evidence {
    /// The row.
    pub job: Job,
    /// Its history, oldest first; empty if it could not be read.
    pub history: Vec<Event>,
    /// How many queued jobs are taken before it; `None` if it does not wait for its turn, or if
    /// that could not be read.
    pub ahead: Option<u64>,
    /// The member clusters, or the words of a control plane that does not answer.
    pub clusters: Result<Vec<Cluster>, String>,
    /// The clusters that jobs of its namespace may use; `None` for all.
    pub allowed: Option<Vec<ClusterName>>,
    /// The cluster that has the volume of an earlier job of its name.
    pub home: Option<ClusterName>,
    /// Clusters that lack a claim which it mounts and does not bring along, and that claim.
    pub lacking: Vec<(ClusterName, String)>,
    /// What the control plane has of the workload; `None` if it was not asked because nothing was
    /// written yet, or all of it is gone.
    pub trace: Option<Trace>,
    /// What each cluster of the placement has of it; empty if none was asked.
    pub members: Vec<MemberEvidence>,
}

/// Whether a member has the workload of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It has it.
    There,
    /// It has an object of this name, which belongs to somebody else.
    Foreign,
    /// It has none.
    Absent,
}

/// What one member has of a job.
#[derive(Debug)]
pub struct MemberEvidence {
    /// The member.
    pub cluster: ClusterName,
    /// Whether the workload is there.
    pub object: Result<Presence, MemberError>,
    /// What the plugin reads from its status.
    pub report: Option<Report>,
    /// Its pods, by name.
    pub pods: Result<Vec<PodSeen>, MemberError>,
    /// What is said about the workload, about what it made, and about its pods; oldest first.
    pub events: Result<Vec<EventSeen>, MemberError>,
}

impl Evidence {
    /// What is left of a job that is being removed, as last recorded.
    pub(super) fn remaining(&self) -> Option<&str> {
        self.last_event("Removing")?.evidence.get("remaining")?.as_str()
    }

    /// The row alone.
    #[cfg(test)]
    pub(super) fn of_row(job: Job) -> Self {
        let (history, members) = (Vec::new(), Vec::new());
        let clusters = Err("Karmada was not asked".to_owned());
        Self {
            job,
            history,
            ahead: None,
            clusters,
            allowed: None,
            home: None,
            lacking: Vec::new(),
            trace: None,
            members,
        }
    }

    /// Whether something of the job was written to the control plane, for all that is known.
    pub(super) fn was_written(&self) -> bool {
        self.trace.is_some()
    }

    /// Where the workload is found on the control plane and on members.
    pub(super) fn workload(&self) -> ObjectRef {
        workload(&self.job)
    }

    pub(super) fn template(&self) -> Option<&ObjectTrace> {
        self.trace.as_ref()?.template.as_ref().ok()?.as_ref()
    }

    pub(super) fn work(&self, cluster: &ClusterName) -> Option<&WorkTrace> {
        let works = self.trace.as_ref()?.works.as_ref().ok()?;
        works.iter().find(|work| work.cluster == cluster.as_str())
    }

    /// What Karmada says of a cluster; `None` also if it could not be asked.
    pub(super) fn cluster(&self, name: &ClusterName) -> Option<&Cluster> {
        self.clusters.as_ref().ok()?.iter().find(|cluster| cluster.name == *name)
    }

    /// The last line of history of this kind.
    pub(super) fn last_event(&self, kind: &str) -> Option<&Event> {
        self.history.iter().rev().find(|event| event.kind == kind)
    }

    /// Whether the run should go on, so that whatever is missing is amiss.
    pub(super) fn should_exist(&self) -> bool {
        let job = &self.job;
        job.desired == Desired::Run && !job.phase.is_terminal() && job.phase != Phase::Queued
    }

    /// Whether the objects of the job are on their way out, or were taken away on purpose.
    pub(super) fn is_leaving(&self) -> bool {
        self.job.desired != Desired::Run || self.job.lifecycle != Lifecycle::Active
    }
}

/// Where the workload of a job is found.
pub(super) fn workload(job: &Job) -> ObjectRef {
    ObjectRef {
        api_version: job.workload_api_version.clone(),
        kind: job.workload_kind.clone(),
        namespace: job.namespace.to_string(),
        name: job.name.to_string(),
    }
}
