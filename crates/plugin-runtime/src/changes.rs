//! What happened to plugins: logged once, and kept until somebody writes it into the history.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tracing::{error, info, warn};
use training::ports::{PluginChange, Signature};

use crate::catalog::Catalog;
use crate::plugin::LoadedPlugin;

/// Changes that are kept for the history. A directory that changes faster than its history can be
/// written is broken, and its last thousand changes tell as much as all of them.
const MOST: usize = 1000;

/// The changes that nobody has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    waiting: Mutex<VecDeque<PluginChange>>,
    pub(crate) hint: Arc<Notify>,
}

impl Changes {
    /// Takes everything that waits, oldest first.
    pub(crate) fn take(&self) -> Vec<PluginChange> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.drain(..).collect()
    }

    /// Logs and keeps one change.
    pub(crate) fn push(&self, change: PluginChange) {
        let (name, file, message) = (&change.plugin, &change.file, &change.message);
        match change.kind {
            "Rejected" => error!(plugin.file = file, "{message}"),
            "Quarantined" => error!(plugin.name = name, "{message}"),
            "Removed" => warn!(plugin.name = name, "{message}"),
            _ => info!(plugin.name = name, "{message}"),
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MOST {
            waiting.pop_front();
        }
        waiting.push_back(change);
        drop(waiting);
        self.hint.notify_one();
    }

    /// Finds what is different between two catalogs.
    pub(crate) fn report(&self, before: &Catalog, next: &Catalog) {
        for failure in next.failures() {
            if before.failures().contains(failure) {
                continue;
            }
            self.push(PluginChange {
                kind: "Rejected",
                plugin: failure.file.clone(),
                version: String::new(),
                digest: failure.digest,
                file: failure.file.clone(),
                message: format!(
                    "Plugin file `{}` was not loaded: {}",
                    failure.file, failure.reason
                ),
            });
        }
        let active_before: Vec<_> = before.active().map(|plugin| plugin.info.digest).collect();
        for plugin in next.active() {
            if !active_before.contains(&plugin.info.digest) {
                let info = &plugin.info;
                let signer = match &**plugin.signature.load() {
                    Signature::Trusted { key } => format!("signed by {key}"),
                    Signature::Unsigned => {
                        tracing::warn!(
                            plugin.name = info.name, plugin.digest = %info.digest,
                            "Plugin `{}` {} is not signed by a trusted key", info.name, info.version
                        );
                        "unsigned".to_owned()
                    }
                };
                let message = format!(
                    "Plugin `{}` {} ({signer}) serves {}",
                    info.name,
                    info.version,
                    info.algorithms.join(", ")
                );
                self.push(about("Activated", plugin, next, message));
            }
        }
        for plugin in before.active() {
            if !next.plugins().any(|known| known.name == plugin.info.name) {
                let message = format!("Plugin `{}` is no longer active", plugin.info.name);
                self.push(about("Removed", plugin, before, message));
            }
        }
    }
}

/// A change of one version.
pub(crate) fn about(
    kind: &'static str,
    plugin: &LoadedPlugin,
    catalog: &Catalog,
    message: String,
) -> PluginChange {
    PluginChange {
        kind,
        plugin: plugin.info.name.clone(),
        version: plugin.info.version.clone(),
        digest: Some(plugin.info.digest),
        file: catalog.file_of(&plugin.info.digest).unwrap_or_default().to_owned(),
        message,
    }
}
