//! What the HTTP API answers.

mod compat;
mod errors;
mod flat;
mod imports;
mod overload;
mod submit;
