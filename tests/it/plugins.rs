//! Plugins as an operator sees them: versions, decisions, records, proofs, measurements.

mod guest;
mod hostile;
mod routes;
mod surfaces;
mod verify;
