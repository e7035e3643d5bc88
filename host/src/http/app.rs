//! What handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use training::plugins::PluginPorts;
use training::ports::{ControlPlane, JobStore, Members, Plugins};
use training::submit::SubmitPorts;

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
    /// Set when the host begins to stop.
    pub(crate) draining: Draining,
}

impl App {
    pub(crate) fn store(&self) -> &dyn JobStore {
        self.ports.store.as_ref()
    }

    pub(crate) fn plugins(&self) -> &dyn Plugins {
        self.ports.plugins.as_ref()
    }
}

/// Whether the host has begun to stop: it still answers, but nobody should send more.
#[derive(Clone, Default)]
pub(crate) struct Draining(Arc<AtomicBool>);

impl Draining {
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
