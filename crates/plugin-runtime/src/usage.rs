//! What each version has done in this process: counters that the plugin page and the metrics read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use training::ports::{PluginFault, Usage};

/// Counters of one version. They only ever rise, and nothing depends on reading them together.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    calls: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
    crashed: AtomicU64,
    total_us: AtomicU64,
    slowest_us: AtomicU64,
    peak_memory_bytes: AtomicU64,
}

impl Counters {
    /// Counts one call that was made, however it ended.
    pub(crate) fn record<R>(&self, outcome: &Result<R, PluginFault>, took: Duration, memory: u64) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.total_us.fetch_add(took, Ordering::Relaxed);
        self.slowest_us.fetch_max(took, Ordering::Relaxed);
        self.peak_memory_bytes.fetch_max(memory, Ordering::Relaxed);
        match outcome {
            Err(PluginFault::Failed { .. }) => self.failed.fetch_add(1, Ordering::Relaxed),
            Err(PluginFault::TimedOut { .. }) => self.timed_out.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }

    /// Counts one call that took its process with it.
    pub(crate) fn crashed(&self) {
        self.crashed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Usage {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Usage {
            calls: of(&self.calls),
            failed: of(&self.failed),
            timed_out: of(&self.timed_out),
            crashed: of(&self.crashed),
            total_us: of(&self.total_us),
            slowest_us: of(&self.slowest_us),
            peak_memory_bytes: of(&self.peak_memory_bytes),
        }
    }
}
