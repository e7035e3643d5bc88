//! Karmada.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Notify;

use crate::clock::Timestamp;
use crate::id::{ClusterName, JobId};
use crate::manifest::ObjectRef;

/// Why the control plane did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It does not answer, answered 5xx or 429, or was too slow.
    #[error("the Karmada API is unavailable: {message}")]
    Unavailable {
        /// What was tried and what came back, without secrets.
        message: String,
    },
    /// An object of that name exists and is not ours.
    #[error("{object} exists and belongs to somebody else")]
    NameConflict {
        /// The object in the way.
        object: ObjectRef,
    },
    /// It refused what we sent (400, 403, 404 of a kind, 422). Sending it again changes nothing.
    #[error("the Karmada API refused {object}: {message}")]
    Refused {
        /// The object.
        object: ObjectRef,
        /// Its words.
        message: String,
    },
    /// Something that must exist first does not: the namespace, or the kind. May appear later.
    #[error("{what} does not exist on the control plane")]
    Missing {
        /// What is missing, such as `namespace "team-a"`.
        what: String,
    },
}

impl ControlError {
    /// Whether the same call may succeed later without a change of ours.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Missing { .. })
    }
}

/// What is known of a member cluster. Values are from its last sample; read them with `ready`.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Its name.
    pub name: ClusterName,
    /// Whether its `Ready` condition is `True`.
    pub ready: bool,
    /// Why not, in Karmada's words.
    pub ready_reason: String,
    /// When readiness last changed.
    pub ready_since: Option<Timestamp>,
    /// From the spec, else from the label `region`.
    pub region: Option<String>,
    /// From the spec, else from the label `zone`.
    pub zone: Option<String>,
    /// From the spec.
    pub provider: Option<String>,
    /// Kubernetes version of the member.
    pub version: Option<String>,
    /// Nodes: ready, total.
    pub nodes: Option<(u32, u32)>,
    /// `apiVersion/Kind` of every API that the member has, such as `ray.io/v1/RayJob`.
    pub apis: Vec<String>,
    /// Taints with an effect that keeps new workloads away, as `key=value:effect`.
    pub taints: Vec<String>,
    /// Room left, if the member reports it: allocatable less allocated less allocating.
    pub free: Option<crate::job::Demand>,
    /// Whole resource summary as Karmada reports it, for display.
    pub resources: Value,
}

impl Cluster {
    /// Whether it is known to have a kind.
    pub fn has_api(&self, api_version: &str, kind: &str) -> bool {
        let api = format!("{api_version}/{kind}");
        self.apis.contains(&api)
    }
}

/// How an object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// Nothing is written: if an object of this name exists and is not of this job, that is a
    /// conflict. Stands before the policies, which would otherwise propagate a stranger's object.
    Vacant,
    /// Server-side apply: policies, which we alone own.
    Apply,
    /// Create; if it exists with our job's labels that is success, else a conflict.
    Create,
    /// Create; if it exists with our origin's label it is kept: a volume outlives its job.
    CreateOrKeep,
    /// Create; if it exists with our origin's label it is made equal, else it is somebody's and
    /// stays: what the host provides where nobody else does.
    Offer,
    /// Create a policy; one with our origin's label gets the clusters that it lacks and loses none,
    /// and is a new version in any case. One without stays as it is.
    Grow,
}

/// One object to write. Its `Debug` shows no content: that may be a secret.
#[derive(Clone, PartialEq)]
pub struct WriteOrder {
    /// The whole object.
    pub document: Value,
    /// How.
    pub write: Write,
}

impl std::fmt::Debug for WriteOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |pointer| self.document.pointer(pointer).and_then(Value::as_str);
        f.debug_struct("WriteOrder")
            .field("kind", &text("/kind"))
            .field("name", &text("/metadata/name"))
            .field("write", &self.write)
            .finish_non_exhaustive()
    }
}

/// An object that is to be removed.
#[derive(Debug, Clone, PartialEq)]
pub struct Removal {
    /// Where it is.
    pub object: ObjectRef,
    /// Delete only if the object's label [`crate::manifest::LABEL_JOB_ID`] has this value.
    pub job_id: JobId,
    /// The object outlives jobs, as a volume does: one of our origin is meant, whichever of our
    /// jobs made it.
    pub shared: bool,
    /// Member clusters on which it must be gone, too.
    pub clusters: Vec<ClusterName>,
}

/// An object of the control plane that this installation made for a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// The object.
    pub object: ObjectRef,
    /// Its uid.
    pub uid: String,
    /// Its label [`crate::manifest::LABEL_JOB_ID`], as it is.
    pub job_id: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// Whether it is being deleted.
    pub terminating: bool,
}

/// An object that jobs share, and the policy of ours that brings it to the members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// The object; perhaps somebody else's.
    pub object: ObjectRef,
    /// Its policy.
    pub policy: ObjectRef,
}

/// Where a policy brings its object, at the moment it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The clusters.
    pub clusters: Vec<String>,
    /// Whether members keep the object when it is withdrawn, as policies of earlier releases say.
    pub preserves: bool,
    /// Uid of the policy.
    pub uid: String,
    /// Its version: whoever asks for the object makes a new one.
    pub version: String,
}

/// Where an object still exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remaining {
    /// The object.
    pub object: ObjectRef,
    /// `control-plane`, or the cluster's name.
    pub place: String,
    /// Why, as far as known: `terminating`, `cluster not ready`.
    pub why: String,
}

/// Whose status is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadRef {
    /// The workload on the control plane.
    pub object: ObjectRef,
    /// Its uid there; another uid is another job's object.
    pub uid: Option<String>,
}

/// What the control plane says about a workload.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seen {
    /// Its ResourceBinding, if there is one for the same uid.
    pub binding: Option<BindingSeen>,
    /// Whether the workload itself exists; `None` if nobody looked.
    pub exists: Option<bool>,
}

/// A ResourceBinding, as far as it matters.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BindingSeen {
    /// Clusters chosen by Karmada.
    pub clusters: Vec<String>,
    /// Condition `Scheduled`: status, reason, message.
    pub scheduled: Option<(bool, String, String)>,
    /// What each member reports.
    pub members: Vec<MemberSeen>,
}

/// One item of a binding's aggregated status.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MemberSeen {
    /// The member.
    pub cluster: String,
    /// Whether the object was applied there.
    pub applied: bool,
    /// Why not, in Karmada's words.
    pub applied_message: String,
    /// The member's status of the object, whole.
    pub status: Option<Value>,
}

/// An object of the control plane, as far as an explanation needs it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObjectTrace {
    /// Its uid.
    pub uid: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// The policy that Karmada says it belongs to, as `namespace/name`; a cluster-wide one is its
    /// name alone.
    pub claimed_by: Option<String>,
}

/// A binding with its times.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BindingTrace {
    /// What it says.
    pub seen: BindingSeen,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// Since when it is scheduled, or is not.
    pub scheduled_at: Option<Timestamp>,
}

/// Karmada's order to one member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkTrace {
    /// Its name.
    pub name: String,
    /// The member.
    pub cluster: String,
    /// Condition `Applied`: whether the member has the object, and Karmada's words.
    pub applied: Option<(bool, String)>,
    /// Since when.
    pub applied_at: Option<Timestamp>,
    /// Whether Karmada is told to hold it back.
    pub suspended: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
}

/// What the control plane has of one workload at this moment. Each part may fail on its own.
#[derive(Debug)]
pub struct Trace {
    /// The workload; `None` if it is not there.
    pub template: Result<Option<ObjectTrace>, ControlError>,
    /// Its policy.
    pub policy: Result<Option<ObjectTrace>, ControlError>,
    /// Its binding, if there is one for the same uid.
    pub binding: Result<Option<BindingTrace>, ControlError>,
    /// The orders made from the binding. Empty without one.
    pub works: Result<Vec<WorkTrace>, ControlError>,
    /// What Karmada's controllers say about the workload, oldest first.
    pub events: Result<Vec<super::EventSeen>, ControlError>,
}

impl Trace {
    /// Nothing could be read, for this reason.
    pub fn unavailable(why: &str) -> Self {
        let error = || ControlError::Unavailable { message: why.to_owned() };
        Self {
            template: Err(error()),
            policy: Err(error()),
            binding: Err(error()),
            works: Err(error()),
            events: Err(error()),
        }
    }
}

/// Karmada.
///
/// Every call has a deadline of its own and never retries by itself.
#[async_trait]
pub trait ControlPlane: Send + Sync {
    /// Whether the API answers. Called by the readiness probe; must be quick.
    async fn ping(&self) -> Result<(), ControlError>;

    /// The member clusters, by name; from the watch while it is healthy.
    async fn clusters(&self) -> Result<Vec<Cluster>, ControlError>;

    /// Names of the clusters last seen, from memory. Empty while none was ever seen. Used by the
    /// request path, which must not wait for the control plane.
    fn known_clusters(&self) -> Vec<ClusterName>;

    /// Writes objects in the given order and returns their uids in that order. Idempotent. On an
    /// error the earlier ones stay written.
    async fn write(
        &self,
        job_id: &JobId,
        orders: &[WriteOrder],
    ) -> Result<Vec<String>, ControlError>;

    /// Starts or continues the removal of one object and tells where it still is; empty once it
    /// is proven gone from the control plane and from the named clusters. Idempotent.
    async fn remove(&self, removal: &Removal) -> Result<Vec<Remaining>, ControlError>;

    /// Every object of a kind, in all namespaces, that carries the label of this installation and
    /// one of a job. All of them, or an error.
    async fn owned(&self, api_version: &str, kind: &str) -> Result<Vec<Owned>, ControlError>;

    /// Deletes this very object and no other of its name; one that is gone is no error.
    async fn remove_exactly(&self, owned: &Owned) -> Result<(), ControlError>;

    /// The `ResourceInterpreterCustomization` of this name, if there is one.
    async fn interpreter(&self, name: &str) -> Result<Option<Value>, ControlError>;

    /// Makes the `ResourceInterpreterCustomization` of the document's name as the document says,
    /// whoever made what is there: the wish of an administrator who saw both.
    async fn install_interpreter(&self, name: &str, document: &Value) -> Result<(), ControlError>;

    /// Changes a policy so that deleting its objects deletes them on the members, too. `Ok(true)`
    /// once Karmada has taken the change over for every object it selects.
    async fn release(
        &self,
        policy: &ObjectRef,
        objects: &[ObjectRef],
    ) -> Result<bool, ControlError>;

    /// Tells Karmada to leave what the policy selects on the members as it is: neither to change nor
    /// to make it anew. Its status still comes, and its deletion is still carried out. A policy that
    /// is gone, or somebody else's, is no error. Idempotent.
    async fn seal(&self, policy: &ObjectRef) -> Result<(), ControlError> {
        let _ = policy;
        Ok(())
    }

    /// Where the policy of a shared object brings it; `None` if there is no such policy of ours.
    async fn reach(&self, shared: &Shared) -> Result<Option<Reach>, ControlError> {
        let _ = shared;
        Ok(None)
    }

    /// Takes a shared object off some clusters, unless somebody has asked for it since `reach` was
    /// read, and tells where it still is. The object on the control plane stays, and so does what a
    /// member has under its name from somebody else. A policy that is left without clusters goes.
    /// Idempotent.
    async fn withdraw(
        &self,
        shared: &Shared,
        from: &[ClusterName],
        reach: &Reach,
    ) -> Result<Vec<Remaining>, ControlError> {
        let _ = (shared, from, reach);
        Ok(Vec::new())
    }

    /// Sets the boolean at `path` of a workload, such as `spec`, `suspend`; `Ok(false)` if the
    /// object with its uid no longer exists. Idempotent.
    async fn set_flag(
        &self,
        workload: &WorkloadRef,
        path: &[&str],
        value: bool,
    ) -> Result<bool, ControlError>;

    /// Asks Karmada to schedule these workloads once more. Where that cannot be asked for, nothing
    /// happens.
    async fn reschedule(&self, workloads: &[ObjectRef]) -> Result<(), ControlError> {
        let _ = workloads;
        Ok(())
    }

    /// The status of some workloads, in the order asked; from the watch while it is healthy, else
    /// from a fresh list. A missing binding is looked into: `exists` is then `Some`.
    async fn observe(&self, workloads: &[WorkloadRef]) -> Result<Vec<Seen>, ControlError>;

    /// The workloads of which [`ControlPlane::observe`] may say something else than at the last call
    /// of this method; the first call answers every workload with a binding. Each change is
    /// answered once, so that one caller a process follows them; one whose workload has no binding
    /// is not noticed. Where nothing is remembered, nothing is answered.
    async fn changed(&self) -> Result<Vec<ObjectRef>, ControlError> {
        Ok(Vec::new())
    }

    /// What there is of one workload now, for a person who asks why it does not run. Reads fresh,
    /// five calls at once at most, and never fails as a whole.
    async fn trace(&self, workload: &WorkloadRef, policy: &ObjectRef) -> Trace;

    /// Rings when a status or a cluster changed. A hint: it may ring for nothing or be missed.
    fn hint(&self) -> Arc<Notify>;
}
