//! `trainyard-plugin` as authors use it: the real program, the real compilers, and what they made in
//! the real runtime.

mod conformance;
mod examples;
mod interpreted;
mod new;
mod rust;
mod support;
