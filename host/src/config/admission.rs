//! `[admission]`: what plugins may emit. The section is the policy of `training` itself, key by key,
//! so a rule has one name, one default and one check, here and in the file that
//! `trainyard-host config policy` writes for offline tools.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use training::admit::Policy;

/// The section. `docs/operations.md` has a table of its keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Admission(Policy);

impl Admission {
    /// The rules in force.
    pub fn policy(&self) -> &Policy {
        &self.0
    }
}

impl Serialize for Admission {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Admission {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Policy::from_value(&value).map(Self).map_err(D::Error::custom)
    }
}
