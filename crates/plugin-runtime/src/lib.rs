//! Loads converter components and calls them, each call in a fresh sandbox. Implements
//! [`training::ports::Plugins`]; the only package that knows wasmtime.
//!
//! | module | what it holds |
//! |---|---|
//! | `engine`, `limits` | the one engine configuration, and what a call may use |
//! | `bindings`, `input`, `answer` | the contract's types, to the guest and back |
//! | `sandbox`, `guest_log` | one call: store, instance, deadline, log |
//! | `source`, `cache`, `plugin`, `describe`, `schema` | from a file to a plugin that passed |
//! | [`signature`] | who stands behind a file |
//! | `catalog`, `changes`, `usage` | which plugins there are, what happened to them, what they did |
//! | `runtime` | the port |
//!
//! Invariants: every call has a store of its own, a deadline and a memory budget; nothing that a
//! guest wrote leaves the crate unbounded; a file that fails never touches another plugin;
//! compiled code is only ever loaded from the authenticated cache.

mod answer;
mod bindings;
mod cache;
mod catalog;
mod changes;
mod config;
mod describe;
mod engine;
mod error;
mod guest_log;
mod input;
mod limits;
mod plugin;
mod runtime;
mod sandbox;
mod schema;
pub mod signature;
mod source;
mod text;
mod usage;

pub use crate::catalog::Catalog;
pub use crate::config::{Config, DEFAULT_CONCURRENT, DEFAULT_DEADLINE, DEFAULT_MEMORY_BYTES};
pub use crate::error::{LoadError, LoadFailure, StartError};
pub use crate::runtime::{Inspection, PluginRuntime};
