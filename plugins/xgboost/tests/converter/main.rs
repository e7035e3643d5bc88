//! The converter as the host sees it: a job in, manifests out.
#![expect(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests"
)]

mod cases;
mod interpretation;
mod properties;
mod schemas;
