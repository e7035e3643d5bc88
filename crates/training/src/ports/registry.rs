//! What is kept about plugins: their bytes, which version serves whom, and who decided that.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use serde_json::Value;

use super::{Moved, StoreError};
use crate::clock::Timestamp;
use crate::id::{Namespace, PluginDigest};

/// A component with its bytes, to be kept for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptComponent {
    /// sha-256 of `bytes`; the key.
    pub digest: PluginDigest,
    /// Name of the plugin.
    pub name: String,
    /// Its semantic version.
    pub version: String,
    /// The file.
    pub bytes: Vec<u8>,
}

/// What is known of a kept component without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptVersion {
    /// sha-256 of its bytes.
    pub digest: PluginDigest,
    /// Its semantic version.
    pub version: String,
    /// Number of its bytes.
    pub size: u64,
    /// When it was kept.
    pub first_seen: Timestamp,
}

/// What is new about the files of plugins. A name is that of a file in the plugin directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileNotes {
    /// Files, and the kept component that each of them holds.
    pub held: Vec<(String, PluginDigest)>,
    /// Files that are gone, and the component that was noted of each.
    pub gone: Vec<(String, PluginDigest)>,
}

/// Keeps components by content, so that a job can be read and verified after its plugin's file is
/// gone, and on every host of the installation.
#[async_trait]
pub trait ComponentArchive: Send + Sync {
    /// Keeps a component; one that is there already stays as it is.
    async fn keep(&self, component: &KeptComponent) -> Result<(), StoreError>;

    /// Digests of everything that is kept.
    async fn kept(&self) -> Result<HashSet<PluginDigest>, StoreError>;

    /// The bytes of a component. The caller checks the digest: a database can be edited.
    async fn fetch(&self, digest: &PluginDigest) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps the text of a signature that a component bears, once.
    async fn keep_signature(&self, _digest: &PluginDigest, _text: &str) -> Result<(), StoreError> {
        Ok(())
    }

    /// Texts of signatures that a component bears, latest first, sixteen at most. Nobody checked
    /// them.
    async fn signatures(&self, _digest: &PluginDigest) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    /// The component that each file held when it was last good, by the name of the file. An
    /// archive that does not know files knows none.
    async fn last_good(&self) -> Result<BTreeMap<String, PluginDigest>, StoreError> {
        Ok(BTreeMap::new())
    }

    /// Forgets files that are gone, then notes what files hold; all or nothing. A file is not
    /// forgotten if another component was noted of it meanwhile: another host saw a newer one.
    async fn note_files(&self, _notes: &FileNotes) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A version on trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// The version.
    pub digest: PluginDigest,
    /// Share of all jobs in percent, 0 to 100.
    pub percent: u8,
    /// Namespaces whose jobs all go to it, whatever the share.
    pub namespaces: Vec<Namespace>,
}

/// An operator's decision which versions of one plugin serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Name of the plugin; the key.
    pub plugin: String,
    /// The version that serves although a higher one may be there.
    pub pinned: Option<PluginDigest>,
    /// The version on trial.
    pub canary: Option<Canary>,
    /// What served before the last change of `pinned`: where a roll-back leads.
    pub previous: Option<PluginDigest>,
    /// Raised by each change; 0 while nothing is stored.
    pub version: i64,
    /// When it was changed.
    pub updated_at: Timestamp,
    /// Who changed it.
    pub updated_by: String,
}

/// Something that is written into the history of a plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPluginEvent {
    /// When.
    pub at: Timestamp,
    /// Name of the plugin, or of the file where there is no plugin.
    pub plugin: String,
    /// `Loaded`, `Rejected`, `Pinned`, `CanaryStarted`, …
    pub kind: String,
    /// The version's digest, if one is meant.
    pub digest: Option<PluginDigest>,
    /// Who did it: a user's name, or `host`.
    pub actor: String,
    /// What happened, as a sentence.
    pub message: String,
    /// Everything else.
    pub evidence: Value,
}

/// A line of a plugin's history.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginEvent {
    /// Rises with time, with gaps.
    pub id: i64,
    /// What was written.
    pub event: NewPluginEvent,
}

/// Keeps what operators decided about plugins, and their history. Each method is one transaction.
#[async_trait]
pub trait PluginRegistry: ComponentArchive {
    /// What is kept of one plugin, latest first, then by digest.
    async fn kept_versions(&self, plugin: &str) -> Result<Vec<KeptVersion>, StoreError>;

    /// Every route, by plugin.
    async fn routes(&self) -> Result<Vec<Route>, StoreError>;

    /// Stores a route if the stored version is still `route.version`, raises it by one, and
    /// appends the event; all or nothing.
    async fn change_route(
        &self,
        route: &Route,
        event: &NewPluginEvent,
    ) -> Result<Moved, StoreError>;

    /// Appends events in the given order.
    async fn record(&self, events: &[NewPluginEvent]) -> Result<(), StoreError>;

    /// The newest `limit` events older than the id `before`, newest first; of one plugin or of all.
    async fn plugin_events(
        &self,
        plugin: Option<&str>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<PluginEvent>, StoreError>;
}
