//! The host's rules for manifests, as `trainyard-host config policy` prints them.

use std::path::Path;

use training::admit::Policy;

use crate::{Wrong, read_json};

/// Reads the rules; without a file they are the defaults.
pub(crate) fn read(path: Option<&Path>) -> Result<Policy, Wrong> {
    let Some(path) = path else { return Ok(Policy::default()) };
    Policy::from_value(&read_json(path)?).map_err(|error| {
        Wrong(error.0.iter().map(|line| format!("{}: {line}", path.display())).collect())
    })
}
