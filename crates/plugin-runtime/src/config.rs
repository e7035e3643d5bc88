//! What the operator decides about plugins.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio_util::task::TaskTracker;

use crate::compiler::CompileCosts;
use crate::error::StartError;
use crate::signature::TrustedKey;

/// Calls at the same time in one process, unless the operator says otherwise. A call takes
/// microseconds, so this is room for bursts, not for load.
pub const DEFAULT_CONCURRENT: u32 = 32;
/// Longest call.
pub const DEFAULT_DEADLINE: Duration = Duration::from_millis(1500);
/// Time that all calls of one request may take together: a place in the queue, rules across fields,
/// and the conversion, each at its worst.
pub(crate) const DEFAULT_REQUEST: Duration = Duration::from_secs(4);
/// Memory of one call.
pub const DEFAULT_MEMORY_BYTES: usize = 64 << 20;

/// A pause of the whole machine loses every process that was at work, which is no pattern.
pub(crate) const DEFAULT_STRIKES_APART: Duration = Duration::from_secs(5);

/// How many walls stand between a guest and this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Isolation {
    /// One: the sandbox of WebAssembly. For plugins that are trusted, and for tests.
    InProcess,
    /// Two: the sandbox runs in processes that are confined by the kernel.
    Processes {
        /// The program that becomes a runner. Its `main` begins with
        /// [`worker::run_if_asked`](crate::worker::run_if_asked); usually `/proc/self/exe`.
        program: PathBuf,
    },
}

/// Settings of the runtime.
#[derive(Debug, Clone)]
pub struct Config {
    /// Every `*.wasm` in it is a plugin. `None` starts without plugins.
    pub dir: Option<PathBuf>,
    /// Where compiled code is kept; made with mode 700 if absent. `None` compiles at each start.
    pub cache_dir: Option<PathBuf>,
    /// Where guests run.
    pub isolation: Isolation,
    /// The program that becomes a compiler, as for [`Isolation::Processes`]. `None` compiles in
    /// this process, where nothing can interrupt it.
    pub compiler: Option<PathBuf>,
    /// What one compilation may cost.
    pub compile_costs: CompileCosts,
    /// Calls at the same time: sandboxes of this process, each of which reserves address space, not
    /// memory; or runner processes.
    pub max_concurrent: u32,
    /// Longest call, in wall-clock time.
    pub deadline: Duration,
    /// How long a request waits for all its calls together, with all that they wait for; at least
    /// as long as one call may take.
    pub request: Duration,
    /// Memory of one call, summed over its linear memories.
    pub memory_bytes: usize,
    /// Lost processes of one plugin that are closer to each other count once; see
    /// [`DEFAULT_STRIKES_APART`].
    pub strikes_apart: Duration,
    /// What the operator changes of a plugin's settings, by name of the plugin.
    pub settings: BTreeMap<String, Value>,
    /// Keys whose signatures count.
    pub trusted_keys: Vec<TrustedKey>,
    /// Whether a file without a signature by one of them is refused.
    pub require_signature: bool,
    /// Where tasks run that must not end with their caller.
    pub tasks: TaskTracker,
}

impl Config {
    /// The documented defaults for everything but the two directories, in this process.
    pub fn new(dir: Option<PathBuf>, cache_dir: Option<PathBuf>) -> Self {
        Self {
            dir,
            cache_dir,
            isolation: Isolation::InProcess,
            compiler: None,
            compile_costs: CompileCosts::default(),
            max_concurrent: DEFAULT_CONCURRENT,
            deadline: DEFAULT_DEADLINE,
            request: DEFAULT_REQUEST,
            memory_bytes: DEFAULT_MEMORY_BYTES,
            strikes_apart: DEFAULT_STRIKES_APART,
            settings: BTreeMap::new(),
            trusted_keys: Vec::new(),
            require_signature: false,
            tasks: TaskTracker::new(),
        }
    }

    /// The same with compilers and this many runners, all of them `program` started again.
    pub fn isolated(self, program: impl Into<PathBuf>, runners: u32) -> Self {
        let program = program.into();
        Self {
            isolation: Isolation::Processes { program: program.clone() },
            compiler: Some(program),
            max_concurrent: runners,
            ..self
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
        if self.request < Duration::from_millis(10) || self.request > Duration::from_mins(5) {
            return wrong("the time of a request must be 10 ms to 300 s");
        }
        if self.memory_bytes < 1 << 20 || self.memory_bytes > 1 << 30 {
            return wrong("the memory of a call must be 1 MiB to 1 GiB");
        }
        if self.require_signature && self.trusted_keys.is_empty() {
            return wrong("signatures are required, but no key is trusted");
        }
        Ok(())
    }
}
