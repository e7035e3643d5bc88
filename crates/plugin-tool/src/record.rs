//! The export format: stored jobs as JSON Lines, one object on each line, newest job first. It is
//! documented in `docs/plugin-tool.md`; members may be added, and readers ignore what they do not
//! know.

use job_store::StoredJob;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use training::manifest::{Bundle, LABEL_ORIGIN};

/// One stored job, with all that is needed to make its manifests again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Canonical name.
    pub(crate) algorithm: String,
    /// The form.
    pub(crate) request: Value,
    /// The settings it was converted with; absent for jobs of releases that did not keep them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settings: Option<Value>,
    pub(crate) plugin: PluginRecord,
    /// The frozen manifests.
    pub(crate) bundle: Vec<ManifestRecord>,
}

/// The plugin that made the manifests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PluginRecord {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) sha256: String,
}

/// One of the frozen manifests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ManifestRecord {
    pub(crate) role: String,
    pub(crate) document: Value,
}

impl Record {
    /// The installation that made the job: it marks every object.
    pub(crate) fn origin(&self) -> &str {
        self.bundle
            .iter()
            .find_map(|manifest| {
                manifest.document.pointer("/metadata/labels")?.get(LABEL_ORIGIN)?.as_str()
            })
            .unwrap_or_default()
    }
}

/// A bundle's manifests for export and comparison.
pub(crate) fn manifests(bundle: &Bundle) -> Vec<ManifestRecord> {
    bundle
        .manifests()
        .iter()
        .map(|manifest| ManifestRecord {
            role: manifest.role.as_str().to_owned(),
            document: manifest.document.clone(),
        })
        .collect()
}

impl From<StoredJob> for Record {
    fn from(stored: StoredJob) -> Self {
        let StoredJob { job, bundle, settings } = stored;
        Self {
            id: job.id.as_str().to_owned(),
            namespace: job.namespace.as_str().to_owned(),
            name: job.name.as_str().to_owned(),
            algorithm: job.algorithm,
            request: job.request,
            settings,
            plugin: PluginRecord {
                name: job.provenance.plugin_name,
                version: job.provenance.plugin_version,
                sha256: job.provenance.plugin_digest.to_string(),
            },
            bundle: manifests(&bundle),
        }
    }
}
