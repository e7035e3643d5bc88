//! What the operator decides about plugins.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::error::StartError;

/// Calls at the same time, unless the operator says otherwise. A call takes microseconds, so this
/// is room for bursts, not for load.
pub const DEFAULT_CONCURRENT: u32 = 32;
/// Longest call.
pub const DEFAULT_DEADLINE: Duration = Duration::from_millis(1500);
/// Memory of one call.
pub const DEFAULT_MEMORY_BYTES: usize = 64 << 20;

/// Settings of the runtime.
#[derive(Debug, Clone)]
pub struct Config {
    /// Every `*.wasm` in it is a plugin. `None` starts without plugins.
    pub dir: Option<PathBuf>,
    /// Where compiled code is kept; made with mode 700 if absent. `None` compiles at each start.
    pub cache_dir: Option<PathBuf>,
    /// Calls at the same time. Each reserves address space, not memory.
    pub max_concurrent: u32,
    /// Longest call, in wall-clock time.
    pub deadline: Duration,
    /// Memory of one call, summed over its linear memories.
    pub memory_bytes: usize,
    /// What the operator changes of a plugin's settings, by name of the plugin.
    pub settings: BTreeMap<String, Value>,
}

impl Config {
    /// The documented defaults for everything but the two directories.
    pub fn new(dir: Option<PathBuf>, cache_dir: Option<PathBuf>) -> Self {
        Self {
            dir,
            cache_dir,
            max_concurrent: DEFAULT_CONCURRENT,
            deadline: DEFAULT_DEADLINE,
            memory_bytes: DEFAULT_MEMORY_BYTES,
            settings: BTreeMap::new(),
        }
    }

    pub(crate) fn validate(&self) -> Result<(), StartError> {
        let wrong = |text: &str| Err(StartError::Config(text.to_owned()));
        if self.max_concurrent == 0 || self.max_concurrent > 1000 {
            return wrong("the number of concurrent calls must be 1 to 1000");
        }
        if self.deadline < Duration::from_millis(10) || self.deadline > Duration::from_mins(1) {
            return wrong("the deadline of a call must be 10 ms to 60 s");
        }
        if self.memory_bytes < 1 << 20 || self.memory_bytes > 1 << 30 {
            return wrong("the memory of a call must be 1 MiB to 1 GiB");
        }
        Ok(())
    }
}
