//! What can go wrong outside a call: at start, and while a file becomes a plugin.

use std::path::PathBuf;
use std::time::Duration;

use training::ports::PluginFault;

/// How long a failure that passes by itself is believed.
const SOON: Duration = Duration::from_secs(10);
/// How long one is believed that costs a minute of every processor to find again.
const LATE: Duration = Duration::from_mins(10);

/// Why the runtime cannot start. Each of them needs the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting makes no sense.
    #[error("the plugin settings are wrong: {0}")]
    Config(String),
    /// The sandbox slots cannot be reserved.
    #[error(
        "{slots} sandboxes cannot be reserved on this machine; lower the number of concurrent \
         plugin calls, or raise the limit on address space"
    )]
    Sandboxes {
        /// How many were asked for.
        slots: u32,
        /// What the machine said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The directory of plugins cannot be read.
    #[error("the plugin directory {} cannot be read", dir.display())]
    Directory {
        /// Which.
        dir: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The directory of compiled code cannot be trusted or used.
    #[error("the plugin cache {} cannot be used: {reason}", dir.display())]
    Cache {
        /// Which.
        dir: PathBuf,
        /// Why, and what would be right.
        reason: String,
    },
    /// A runner process cannot be started.
    #[error("a plugin runner cannot be started from {}: {reason}", program.display())]
    Runner {
        /// The program that was started a second time.
        program: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// A thread of the runtime died.
    #[error("the plugin runtime could not start: {0}")]
    Internal(String),
}

/// Why a file did not become a plugin. Other plugins are not affected.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It could not be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// It is not a regular file inside the plugin directory.
    #[error("it is not a regular file inside the plugin directory")]
    NotRegular,
    /// It is larger than any plugin may be.
    #[error("the file has {bytes} bytes; at most {limit} are allowed")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The bound.
        limit: u64,
    },
    /// It is not a WebAssembly component, or uses features that are off.
    #[error("it is not a component that this host can run: {reason}")]
    NotAComponent {
        /// The compiler's words.
        reason: String,
    },
    /// Compiling it costs more than any plugin may cost.
    #[error("compiling it was given up: {reason}")]
    CompileLimit {
        /// Which limit ended it.
        reason: String,
        /// Whether the file is to blame for certain, and not a machine that was too slow.
        certain: bool,
    },
    /// The compiler could not be started.
    #[error("the compiler could not be started: {reason}")]
    Compiler {
        /// What the system said.
        reason: String,
    },
    /// It is not signed by a key that the operator trusts.
    #[error("it is not signed by a trusted key: {reason}")]
    Unsigned {
        /// What is wrong with the signature, or that there is none.
        reason: String,
    },
    /// It wants more than the contract offers.
    #[error("it imports `{import}`, which is not offered; a converter may import `log` only")]
    ForbiddenImport {
        /// Name of the import.
        import: String,
    },
    /// It does not implement the contract, or only a part of it.
    #[error(
        "it does not export `{export}`; the file may be truncated or made for another contract"
    )]
    MissingExport {
        /// Name of the export.
        export: String,
    },
    /// Its imports or sizes do not fit.
    #[error("it cannot be linked: {reason}")]
    Link {
        /// The linker's words.
        reason: String,
    },
    /// The process that loaded it was lost, which may be the machine's doing.
    #[error("the process that loaded it was lost: {reason}")]
    Lost {
        /// How it ended.
        reason: String,
    },
    /// `describe` failed.
    #[error("its description cannot be read: {0}")]
    Describe(PluginFault),
    /// `describe` answered something that breaks the contract.
    #[error("its description is wrong: {0}")]
    BadDescription(String),
    /// A job that it gives as an example makes it fail.
    #[error("it fails on its own example {example}: {fault}")]
    SelfTest {
        /// Which, from 0.
        example: usize,
        /// What it did.
        fault: PluginFault,
    },
    /// The operator's settings break the plugin's schema of settings.
    #[error("the settings for plugin `{plugin}` are wrong: {reason}")]
    Settings {
        /// Name of the plugin.
        plugin: String,
        /// Every violation, with pointers.
        reason: String,
    },
    /// Another file was there first.
    #[error("{0}")]
    Refused(String),
}

impl LoadError {
    /// When the same bytes are worth another try; `None` if never.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Compiler { .. }
            | Self::Lost { .. }
            | Self::Describe(PluginFault::Busy | PluginFault::TimedOut { .. })
            | Self::SelfTest { fault: PluginFault::Busy | PluginFault::TimedOut { .. }, .. } => {
                Some(SOON)
            }
            Self::CompileLimit { certain: false, .. } => Some(LATE),
            _ => None,
        }
    }
}

/// A file in the plugin directory that did not become a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadFailure {
    /// Name of the file.
    pub file: String,
    /// sha-256 of what was read, if it could be read.
    pub digest: Option<training::PluginDigest>,
    /// A sentence for operators.
    pub reason: String,
    /// Whether the file is fine, and only another plugin was there first.
    pub conflict: bool,
}
