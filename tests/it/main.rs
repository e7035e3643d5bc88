//! Whole-system tests, one binary: the real host as a process of its own, a real database, real
//! plugins, and a sandbox control plane that belongs to the test.

mod api;
mod cli;
mod conformance;
mod flow;
mod guide;
mod harness;
mod offline;
mod plugins;
