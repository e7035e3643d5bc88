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
mod quarantine;
mod routes;
mod scripts;
mod supply;
mod surfaces;
mod verify;
