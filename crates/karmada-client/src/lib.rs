//! Karmada behind the port [`ControlPlane`]: writes job objects, removes them until they are
//! proven gone, and follows placements, statuses and member clusters.
//!
//! | module | what it holds |
//! |---|---|
//! | `connect` | from a kubeconfig to a running client |
//! | `call`, `error` | one call with its deadline, and what its failure means |
//! | `resolve` | the address of an object |
//! | `apply`, `delete`, `policy` | writing, removing, letting go of volumes |
//! | `interpreters` | how Karmada reads a kind |
//! | `shared` | bringing to the members what jobs share, and taking it off again |
//! | `owned` | finding what we made, and removing one object by its uid |
//! | `watch`, `bindings`, `clusters` | what is mirrored in memory |
//! | `pulse` | noticing that this process did not run for a while |
//! | `members` | what runs on members, and its logs |
//! | `trace` | what there is of one workload, for an explanation |
//! | `works`, `quantity` | what is left on members; amounts |
//!
//! No call retries by itself, none lasts longer than its deadline, and an object that does not
//! carry our labels is never changed. Nothing is kept that a restart may not lose.

mod apply;
mod bindings;
mod call;
mod clusters;
mod connect;
mod delete;
mod error;
mod interpreters;
mod members;
mod owned;
mod policy;
mod pulse;
mod quantity;
mod rebalance;
mod resolve;
mod shared;
mod trace;
mod watch;
mod works;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Notify;
use training::manifest::ObjectRef;
use training::ports::{
    Cluster, ControlError, ControlPlane, EventSeen, LogBytes, LogQuery, MemberError, Members,
    ObjectPage, ObjectQuery, Owned, PodSeen, Reach, Remaining, Removal, Seen, Shared, Trace,
    WorkloadRef, WriteOrder,
};
use training::{ClusterName, JobId};

pub use connect::{connect, secrets};
pub use error::ConnectError;

/// Everything [`connect()`] needs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Kubeconfig of the Karmada API server.
    pub kubeconfig: PathBuf,
    /// Context in it; `None` for its current one.
    pub context: Option<String>,
    /// Deadline of one call, from connecting to the last byte. 10 s is usual.
    pub call_timeout: Duration,
    /// How old a status may be while the watch is broken, and how often a list may replace it.
    pub poll_interval: Duration,
    /// Owner of the fields we write, in the API server's books: `trainyard`.
    pub field_manager: String,
    /// The installation, as [`training::ports::JobStore::origin`] names it. Nothing without this
    /// label is ever removed.
    pub origin: String,
    /// Names of the resources that count as GPUs: `nvidia.com/gpu`.
    pub gpu_resources: Vec<String>,
}

/// The control plane, reached over HTTP. Made by [`connect()`].
pub struct KarmadaClient {
    caller: call::Caller,
    plurals: resolve::Plurals,
    bindings: Arc<watch::Mirror<bindings::ResourceBinding>>,
    members: Arc<watch::Mirror<clusters::Member>>,
    lookups: bindings::Lookups,
    works: works::Works,
    reader: members::Reader,
    hint: Arc<Notify>,
    poll_interval: Duration,
    field_manager: String,
    origin: String,
}

/// What the client did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Calls, without watches.
    pub calls: u64,
    /// Lists of bindings that replaced a broken watch.
    pub binding_lists: u64,
    /// Lists of clusters that replaced a broken watch.
    pub cluster_lists: u64,
}

impl KarmadaClient {
    /// Whether both watches deliver. While they do not, statuses come from lists and are up to a
    /// poll interval old.
    pub fn watch_healthy(&self) -> bool {
        self.bindings.healthy() && self.members.healthy()
    }

    /// What was done so far, for metrics and tests.
    pub fn counters(&self) -> Counters {
        Counters {
            calls: self.caller.calls(),
            binding_lists: self.bindings.relists(),
            cluster_lists: self.members.relists(),
        }
    }
}

/// Longest time for a probe's answer: a probe that is slow is as bad as one that fails.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

#[async_trait]
impl ControlPlane for KarmadaClient {
    #[tracing::instrument(name = "karmada.ping", skip_all)]
    async fn ping(&self) -> Result<(), ControlError> {
        let request = http::Request::get("/readyz")
            .body(Vec::new())
            .map_err(|error| ControlError::Unavailable { message: error.to_string() })?;
        let answer = self.caller.send_within(request, PING_TIMEOUT).await;
        answer.map(drop).map_err(|error| error.unavailable("ping"))
    }

    async fn clusters(&self) -> Result<Vec<Cluster>, ControlError> {
        self.all_clusters().await
    }

    fn known_clusters(&self) -> Vec<ClusterName> {
        self.cluster_names()
    }

    async fn write(
        &self,
        job_id: &JobId,
        orders: &[WriteOrder],
    ) -> Result<Vec<String>, ControlError> {
        self.write_all(job_id, orders).await
    }

    async fn remove(&self, removal: &Removal) -> Result<Vec<Remaining>, ControlError> {
        self.remove_one(removal).await
    }

    async fn owned(&self, api_version: &str, kind: &str) -> Result<Vec<Owned>, ControlError> {
        self.owned_of(api_version, kind).await
    }

    async fn remove_exactly(&self, owned: &Owned) -> Result<(), ControlError> {
        self.remove_owned(owned).await
    }

    async fn interpreter(&self, name: &str) -> Result<Option<Value>, ControlError> {
        self.interpreter_of(name).await
    }

    async fn install_interpreter(&self, name: &str, document: &Value) -> Result<(), ControlError> {
        self.install_interpreter_of(name, document).await
    }

    async fn release(
        &self,
        policy: &ObjectRef,
        objects: &[ObjectRef],
    ) -> Result<bool, ControlError> {
        self.release_all(policy, objects).await
    }

    async fn seal(&self, policy: &ObjectRef) -> Result<(), ControlError> {
        self.seal_policy(policy).await
    }

    async fn reach(&self, shared: &Shared) -> Result<Option<Reach>, ControlError> {
        self.reach_of(shared).await
    }

    async fn withdraw(
        &self,
        shared: &Shared,
        from: &[ClusterName],
        reach: &Reach,
    ) -> Result<Vec<Remaining>, ControlError> {
        self.withdraw_from(shared, from, reach).await
    }

    async fn set_flag(
        &self,
        workload: &WorkloadRef,
        path: &[&str],
        value: bool,
    ) -> Result<bool, ControlError> {
        self.set_flag_of(workload, path, value).await
    }

    async fn reschedule(&self, workloads: &[ObjectRef]) -> Result<(), ControlError> {
        self.reschedule_all(workloads).await
    }

    async fn observe(&self, workloads: &[WorkloadRef]) -> Result<Vec<Seen>, ControlError> {
        self.observe_all(workloads).await
    }

    async fn changed(&self) -> Result<Vec<ObjectRef>, ControlError> {
        self.changed_workloads().await
    }

    async fn trace(&self, workload: &WorkloadRef, policy: &ObjectRef) -> Trace {
        self.trace_one(workload, policy).await
    }

    fn hint(&self) -> Arc<Notify> {
        Arc::clone(&self.hint)
    }
}

#[async_trait]
impl Members for KarmadaClient {
    async fn pods(
        &self,
        cluster: &ClusterName,
        namespace: &str,
        labels: &str,
    ) -> Result<Vec<PodSeen>, MemberError> {
        self.pods_of(cluster, namespace, labels).await
    }

    async fn events(
        &self,
        cluster: &ClusterName,
        namespace: &str,
        name: &str,
    ) -> Result<Vec<EventSeen>, MemberError> {
        self.events_of(cluster, namespace, name).await
    }

    async fn object(
        &self,
        cluster: &ClusterName,
        object: &ObjectRef,
    ) -> Result<Option<Value>, MemberError> {
        self.object_of(cluster, object).await
    }

    async fn list(
        &self,
        cluster: &ClusterName,
        query: &ObjectQuery,
    ) -> Result<ObjectPage, MemberError> {
        self.page_of(cluster, query).await
    }

    async fn log(&self, query: &LogQuery) -> Result<LogBytes, MemberError> {
        self.log_of(query).await
    }
}
