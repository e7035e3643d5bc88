//! What the HTTP API answers.

mod compat;
mod errors;
mod submit;
