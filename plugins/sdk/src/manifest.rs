//! Typed manifests. Plain structs that serialise in one pass: building the same tree of generic
//! JSON values first costs five times as much.

pub mod config_map;
pub mod deployment;
pub mod ingress;
pub mod job;
pub mod meta;
pub mod mpijob;
pub mod pod;
pub mod pvc;
pub mod rayjob;
mod run_policy;
pub mod service;
pub mod train_job;
pub mod training_job;
