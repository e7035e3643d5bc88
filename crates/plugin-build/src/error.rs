//! Why there is no component.

use std::path::{Path, PathBuf};

/// A build that failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A tool is not there, or not in the version that the project pins.
    #[error("{what}; {remedy}")]
    Missing {
        /// What is missing.
        what: String,
        /// What to type.
        remedy: String,
    },
    /// The project is not one, or lacks a part.
    #[error("{0}")]
    Project(String),
    /// A compiler refused the sources. What it said to the terminal is not repeated here.
    #[error("{tool} could not build the plugin{detail}")]
    Compile {
        /// The compiler.
        tool: &'static str,
        /// What it said, on lines of its own, unless it said so to the terminal.
        detail: String,
    },
    /// The component breaks the contract.
    #[error("the component breaks the contract: {0}")]
    Contract(String),
    /// A file or a process is out of reach.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl BuildError {
    /// Whether the machine is at fault and not the project.
    pub fn is_of_the_machine(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Io { .. })
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
