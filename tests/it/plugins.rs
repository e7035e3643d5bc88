//! Plugins as an operator sees them: versions, decisions, records, proofs, measurements.

mod compiling;
mod guest;
mod hostile;
mod interpreters;
mod languages;
mod mounts;
mod patience;
mod restarts;
mod routes;
mod scripts;
mod supply;
mod surfaces;
mod trust;
mod verify;
