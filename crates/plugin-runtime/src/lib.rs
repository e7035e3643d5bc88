//! Loads converter components and calls them, each call in a fresh sandbox. Implements
//! [`training::ports::Plugins`]; the only package that knows wasmtime.
//!
//! | module | what it holds |
//! |---|---|
//! | `engine`, `limits` | the one engine configuration, and what a call may use |
//! | `bindings`, `input`, `answer` | the contract's types, to the guest and back |
//! | `sandbox`, `guest_log` | one call: store, instance, deadline, log |
//! | `backend`, `runners`, `finish`, `gate`, `strikes` | where calls run, how many, and who is shut out |
//! | [`worker`], `walls`, `process`, `compiler` | the processes behind the second wall |
//! | `source`, `watch`, [`signature`] | the directory, and who stands behind a file |
//! | `cache`, `loader`, `plugin`, `describe`, `schema`, `self_test` | from a file to a plugin that passed |
//! | `catalog`, `changes`, `usage` | which plugins there are, what happened to them, what they did |
//! | `runtime` | everything together, and the port |
//!
//! Invariants: every call has a store of its own, a deadline and a memory budget; nothing that a
//! guest wrote leaves the crate unbounded; a file that fails never touches another plugin;
//! compiled code is only ever loaded from the authenticated cache.

mod answer;
mod backend;
mod bindings;
mod cache;
mod catalog;
mod changes;
mod compiler;
mod config;
mod describe;
mod engine;
mod error;
mod finish;
mod gate;
mod guest_log;
mod input;
mod limits;
mod loader;
mod patience;
mod plugin;
mod process;
mod runners;
mod runtime;
mod sandbox;
mod schema;
mod self_test;
pub mod signature;
mod source;
mod strikes;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod usage;
mod walls;
mod watch;
pub mod worker;

pub use crate::catalog::Catalog;
pub use crate::compiler::CompileCosts;
pub use crate::config::{
    Config, DEFAULT_CONCURRENT, DEFAULT_DEADLINE, DEFAULT_MEMORY_BYTES, Isolation,
};
pub use crate::error::{LoadError, LoadFailure, StartError};
pub use crate::runtime::{Inspection, PluginRuntime};
pub use crate::walls::Walls;
