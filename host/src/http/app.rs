//! What handlers share.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use training::ClusterName;
use training::inspect::Readable;
use training::logs::{LogPorts, Redactor};
use training::plugins::PluginPorts;
use training::ports::{ControlPlane, JobStore, LogArchive, Members, Plugins};
use training::submit::SubmitPorts;

use super::jobs::logs::Streams;

/// The ports, and whether the host is going away. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    /// Everything that a submission needs, the store and the plugins among it.
    pub(crate) ports: Arc<SubmitPorts>,
    /// Everything that a decision about plugins needs.
    pub(crate) decisions: PluginPorts,
    /// Only for showing clusters. A submission asks it for nothing but names from memory.
    pub(crate) control: Arc<dyn ControlPlane>,
    /// What runs on the members. No submission asks them anything.
    pub(crate) members: Arc<dyn Members>,
    /// Logs that outlived their pods.
    pub(crate) archive: Arc<dyn LogArchive>,
    /// What no log may show.
    pub(crate) redactor: Arc<Redactor>,
    /// Room for streams of logs.
    pub(crate) streams: Streams,
    /// The algorithm of a deployment that names none.
    pub(crate) deployment_algorithm: Arc<str>,
    /// What clients may see of member clusters.
    pub(crate) inspection: Arc<Inspection>,
    /// Set when the host begins to stop.
    pub(crate) draining: Draining,
}

impl App {
    pub(crate) fn store(&self) -> &dyn JobStore {
        self.ports.store.as_ref()
    }

    /// Everything that reading logs needs.
    pub(crate) fn logs(&self) -> LogPorts {
        LogPorts {
            store: Arc::clone(&self.ports.store),
            plugins: Arc::clone(&self.ports.plugins),
            control: Arc::clone(&self.control),
            members: Arc::clone(&self.members),
            archive: Arc::clone(&self.archive),
            clock: Arc::clone(&self.ports.clock),
            redactor: Arc::clone(&self.redactor),
        }
    }

    pub(crate) fn plugins(&self) -> &dyn Plugins {
        self.ports.plugins.as_ref()
    }
}

/// What clients may see of member clusters.
#[derive(Debug, Clone)]
pub(crate) struct Inspection {
    /// Kinds that may be read.
    pub(crate) readable: Readable,
    /// Names of the resources that count as GPUs.
    pub(crate) gpu_resources: Vec<String>,
    /// Clusters that jobs of a namespace may use; of one that is not here, all.
    pub(crate) allowed_clusters: BTreeMap<String, Vec<ClusterName>>,
}

/// Whether the host has begun to stop: it still answers, but nobody should send more.
#[derive(Clone, Default)]
pub(crate) struct Draining(CancellationToken);

impl Draining {
    pub(crate) fn begin(&self) {
        self.0.cancel();
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it has begun.
    pub(crate) fn begun(&self) -> WaitForCancellationFutureOwned {
        self.0.clone().cancelled_owned()
    }
}
