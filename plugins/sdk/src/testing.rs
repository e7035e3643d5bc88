//! Test kit for converters. Every folder `cases/<name>` holds a form as `POST /api/v1/jobs` takes it
//! and what must become of it, as `docs/write-a-plugin.md` describes; `trainyard-plugin check` reads
//! the same folders, so a case proves the native code and the component alike.

mod cases;
#[cfg(feature = "properties")]
pub mod clusters;
mod form;
#[cfg(feature = "properties")]
pub mod properties;
mod schema;
#[cfg(feature = "snapshots")]
pub mod snapshots;

pub use cases::{Case, Expected, assert_cases, cases};
pub use form::job_of;

use crate::{Converter, Failure, Plan, guest};

/// Takes a job the way the host does: `convert` only if `validate` found nothing.
pub fn run<C: Converter>(job: &str) -> Result<Plan, Failure> {
    let findings = guest::validate::<C>(job);
    if findings.is_empty() { guest::convert::<C>(job) } else { Err(Failure::Invalid(findings)) }
}
