//! The one thing a guest may call: `log`. Its lines are kept until the call is over, wherever it
//! runs, and then written to the host's log with the names of the plugin and the job; they never
//! carry a line break or another control character.

use serde::{Deserialize, Serialize};
use tracing::{debug, error, info, warn};

use crate::bindings::{Level, LogHost};
use crate::limits::{LOG_BYTES, TEXT_BYTES};
use crate::text;

/// Longest line that is kept as evidence of a failure.
const LAST_LINE_BYTES: usize = 512;
/// What the shortest line costs: without it a guest could write empty ones as long as it may run.
const LINE_COST: usize = 64;

/// One line of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Line {
    Debug(String),
    Info(String),
    Warn(String),
    Error(String),
    /// From here on the guest wrote more than it may.
    Dropped,
}

/// The log of one call.
#[derive(Debug)]
pub(crate) struct GuestLog {
    bytes_left: usize,
    lines: Vec<Line>,
}

impl Default for GuestLog {
    fn default() -> Self {
        Self { bytes_left: LOG_BYTES, lines: Vec::new() }
    }
}

impl GuestLog {
    /// What the guest said last, for the report of its failure.
    pub(crate) fn last_line(&self) -> Option<String> {
        let last = self.lines.iter().rev().find_map(|line| match line {
            Line::Debug(text) | Line::Info(text) | Line::Warn(text) | Line::Error(text) => {
                Some(text)
            }
            Line::Dropped => None,
        });
        last.map(|line| text::clean(line, LAST_LINE_BYTES))
    }

    pub(crate) fn into_lines(self) -> Vec<Line> {
        self.lines
    }
}

impl LogHost for GuestLog {
    fn write(&mut self, level: Level, message: String) {
        let cost = message.len().max(LINE_COST);
        if self.bytes_left == 0 {
            return;
        }
        if cost > self.bytes_left {
            self.bytes_left = 0;
            self.lines.push(Line::Dropped);
            return;
        }
        self.bytes_left -= cost;
        let line = text::escape(&message, TEXT_BYTES);
        self.lines.push(match level {
            Level::Debug => Line::Debug(line),
            Level::Info => Line::Info(line),
            Level::Warn => Line::Warn(line),
            Level::Error => Line::Error(line),
        });
    }
}

/// Writes what a guest logged in one call. The lines may come from a runner, therefore they are
/// bounded and escaped once more.
pub(crate) fn publish(lines: &[Line], plugin: &str, job: &str) {
    for line in lines.iter().take(LOG_BYTES / LINE_COST + 1) {
        let text = |line: &str| text::escape(line, TEXT_BYTES);
        match line {
            Line::Debug(line) => {
                debug!(plugin.name = plugin, job.id = job, "Plugin `{plugin}`: {}", text(line));
            }
            Line::Info(line) => {
                info!(plugin.name = plugin, job.id = job, "Plugin `{plugin}`: {}", text(line));
            }
            Line::Warn(line) => {
                warn!(plugin.name = plugin, job.id = job, "Plugin `{plugin}`: {}", text(line));
            }
            Line::Error(line) => {
                error!(plugin.name = plugin, job.id = job, "Plugin `{plugin}`: {}", text(line));
            }
            Line::Dropped => warn!(
                plugin.name = plugin,
                job.id = job,
                "Plugin `{plugin}` logged more than {LOG_BYTES} bytes in one call; the rest is \
                 dropped"
            ),
        }
    }
}
