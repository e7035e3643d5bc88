//! `[placement]`: which clusters jobs may use, and what reaches the clusters with them.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize, Serializer};
use training::ClusterName;
use training::dependents::{Dependents, ProvidedSecret};

/// The section.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Placement {
    /// Whether Secrets and ConfigMaps that a job refers to, and that are on the control plane, are
    /// made to reach its cluster. Else whoever owns the namespaces does that.
    pub share_dependents: bool,
    /// Clusters that jobs of a namespace may use; a namespace that is not named may use all.
    pub namespaces: BTreeMap<String, Vec<String>>,
    /// Secrets that the host provides in each namespace whose jobs refer to them: name, then keys
    /// with their values. One that somebody else made stays as it is.
    pub secrets: BTreeMap<String, BTreeMap<String, Hidden>>,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Hidden(String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl Default for Placement {
    fn default() -> Self {
        Self { share_dependents: true, namespaces: BTreeMap::new(), secrets: BTreeMap::new() }
    }
}

impl Placement {
    pub(super) fn check(&self, wrong: &mut Vec<String>) {
        for (namespace, clusters) in &self.namespaces {
            for name in clusters {
                if let Err(error) = ClusterName::parse(name.clone()) {
                    wrong.push(format!("placement.namespaces.{namespace}: {}", error.message));
                }
            }
        }
    }

    /// Clusters by namespace. Names were checked.
    pub(crate) fn allowed(&self) -> BTreeMap<String, Vec<ClusterName>> {
        let parsed = |names: &Vec<String>| {
            names.iter().filter_map(|name| ClusterName::parse(name.clone()).ok()).collect()
        };
        self.namespaces.iter().map(|(name, clusters)| (name.clone(), parsed(clusters))).collect()
    }

    /// What is done about dependents.
    pub(crate) fn dependents(&self) -> Dependents {
        let provided = self.secrets.iter().map(|(name, entries)| ProvidedSecret {
            name: name.clone(),
            entries: entries
                .iter()
                .map(|(key, value)| (key.clone(), STANDARD.encode(&value.0)))
                .collect(),
        });
        Dependents { share: self.share_dependents, provided: provided.collect() }
    }
}
