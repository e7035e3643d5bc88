//! What the HTTP API answers.

mod compat;
mod deployments;
mod errors;
mod flat;
mod imports;
mod overload;
mod submit;
