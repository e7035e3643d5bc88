//! The one thing a guest may call: `log`. Its lines go to the host's log with the names of the
//! plugin and the job; they never carry a line break or another control character.

use tracing::{debug, error, info, warn};

use crate::bindings::{Level, LogHost};
use crate::limits::{LOG_BYTES, TEXT_BYTES};
use crate::text;

/// Longest line that is kept as evidence of a failure.
const LAST_LINE_BYTES: usize = 512;

/// The log of one call.
#[derive(Debug)]
pub(crate) struct GuestLog {
    plugin: String,
    job: String,
    bytes_left: usize,
    last_line: Option<String>,
}

impl GuestLog {
    pub(crate) fn new(plugin: &str, job: &str) -> Self {
        let (plugin, job) = (plugin.to_owned(), job.to_owned());
        Self { plugin, job, bytes_left: LOG_BYTES, last_line: None }
    }

    /// What the guest said last, for the report of its failure.
    pub(crate) fn last_line(&self) -> Option<&str> {
        self.last_line.as_deref()
    }
}

impl LogHost for GuestLog {
    fn write(&mut self, level: Level, message: String) {
        // An empty message costs as well, or a guest could write for as long as it may run.
        let cost = message.len().max(64);
        if self.bytes_left == 0 {
            return;
        }
        if cost > self.bytes_left {
            self.bytes_left = 0;
            warn!(
                plugin.name = self.plugin,
                job.id = self.job,
                "Plugin `{}` logged more than {LOG_BYTES} bytes in one call; the rest is dropped",
                self.plugin
            );
            return;
        }
        self.bytes_left -= cost;
        let (plugin, job) = (&self.plugin, &self.job);
        let line = text::escape(&message, TEXT_BYTES);
        match level {
            Level::Debug => debug!(plugin.name = plugin, job.id = job, "Plugin `{plugin}`: {line}"),
            Level::Info => info!(plugin.name = plugin, job.id = job, "Plugin `{plugin}`: {line}"),
            Level::Warn => warn!(plugin.name = plugin, job.id = job, "Plugin `{plugin}`: {line}"),
            Level::Error => error!(plugin.name = plugin, job.id = job, "Plugin `{plugin}`: {line}"),
        }
        self.last_line = Some(text::clean(&line, LAST_LINE_BYTES));
    }
}
