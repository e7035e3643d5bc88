//! Plugins as an operator sees them: versions, decisions, records, proofs, measurements.

mod admission;
mod cluster_schemas;
mod compiling;
mod guest;
mod hostile;
mod interpreters;
mod languages;
mod misdeeds;
mod mounts;
mod neighbours;
mod patience;
mod quarantine;
mod restarts;
mod routes;
mod scripts;
mod self_test;
mod supply;
mod surfaces;
mod trust;
mod verify;
