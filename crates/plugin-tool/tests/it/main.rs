//! `trainyard-plugin` as its users run it: as a process, with files, exit codes and two streams.

#[cfg(test)]
mod bench;
#[cfg(test)]
mod check;
#[cfg(test)]
mod diff;
#[cfg(test)]
mod guests;
#[cfg(test)]
mod oci;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod sign;
#[cfg(test)]
mod tool;
