//! From the sources of a converter to its component, whatever language it is written in. Used by
//! `trainyard-plugin build` and by `cargo xtask plugins`, so that a plugin outside of the repository
//! is built as ours are. It runs compilers and never the component.

mod contract;
mod error;
mod javascript;
mod project;
mod publish;
mod python;
pub mod rust;
mod toolchain;

use std::path::Path;

pub use crate::contract::{Contract, MAX_COMPONENT_BYTES, check};
pub use crate::error::BuildError;
pub use crate::project::{Language, Project};
pub use crate::publish::{digest, replace_if_changed};

/// The WIT of the contract, for projects that do not carry a copy.
pub const CONTRACT: &str = include_str!("../../../wit/converter.wit");

/// How to build a project.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Where the tools of a language live (`.venv`, `node_modules`) if not in the project.
    pub tools: Option<&'a Path>,
    /// Whether to install tools that are missing, in the versions that the project pins.
    pub setup: bool,
}

/// A component that keeps the contract, as far as one can see without running it.
#[derive(Debug)]
pub struct Built {
    /// The file's bytes.
    pub component: Vec<u8>,
    /// What it imports and exports.
    pub contract: Contract,
}

/// Builds a project. `say` hears one short line before each step that takes time.
pub fn build(
    project: &Project,
    options: Options<'_>,
    say: &mut dyn FnMut(&str),
) -> Result<Built, BuildError> {
    let component = match project.language {
        Language::Rust => rust::build(project, say)?,
        Language::Python => python::build(project, options, say)?,
        Language::JavaScript => javascript::build(project, options, say)?,
    };
    let contract = check(&component)?;
    Ok(Built { component, contract })
}
