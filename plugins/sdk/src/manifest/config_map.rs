//! `ConfigMap`: files that pods of a job read.

use serde::Serialize;

use super::meta::{Metadata, Pairs};
use crate::Kind;

/// Texts by key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMap<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    data: Pairs<'a>,
}

impl<'a> ConfigMap<'a> {
    /// A map of these files. Never write a secret into one.
    pub fn new(metadata: Metadata<'a>, data: &'a [(&'a str, &'a str)]) -> Self {
        Self { api_version: "v1", kind: "ConfigMap", metadata, data: Pairs(data) }
    }

    /// What a plugin that emits one says about it.
    pub fn kind() -> Kind {
        Kind::support("v1", "ConfigMap", "configmaps", 63)
    }
}
