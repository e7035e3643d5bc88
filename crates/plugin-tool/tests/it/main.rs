//! `trainyard-plugin` as its users run it: as a process, with files, exit codes and two streams, the
//! real compilers, and what they made in the real runtime.

mod bench;
mod check;
mod conformance;
mod diff;
mod examples;
mod guests;
mod interpreted;
mod new;
mod oci;
mod replay;
mod rust;
mod sign;
mod support;
mod tool;
