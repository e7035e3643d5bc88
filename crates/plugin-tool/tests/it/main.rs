//! `trainyard-plugin` as its users run it: as a process, with files, exit codes and two streams, the
//! real compilers, and what they made in the real runtime.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod check;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod diff;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod guests;
#[cfg(test)]
mod interpreted;
#[cfg(test)]
mod new;
#[cfg(test)]
mod oci;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod rust;
#[cfg(test)]
mod sign;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tool;
