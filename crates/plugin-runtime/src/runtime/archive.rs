//! Components on their way into the archive, and back. A component is kept before it serves, as
//! far as the archive answers: a job must not outlive the bytes that made it.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use training::PluginDigest;
use training::ports::{ComponentArchive, KeptComponent, PluginFault, StoreError};

use super::PluginRuntime;
use crate::plugin::LoadedPlugin;

/// What waits to be kept, and what is known to be.
#[derive(Default)]
pub(super) struct Archive {
    archive: OnceLock<Arc<dyn ComponentArchive>>,
    waiting: Mutex<VecDeque<KeptComponent>>,
    kept: Mutex<Option<HashSet<PluginDigest>>>,
    /// One writer at a time, or two would keep the same component.
    writing: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive")
            .field("is_set", &self.archive.get().is_some())
            .finish_non_exhaustive()
    }
}

impl Archive {
    /// Remembers a component to be kept. Without an archive it is remembered until there is one.
    pub(super) fn add(&self, plugin: &LoadedPlugin, bytes: Vec<u8>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.iter().all(|component| component.digest != plugin.info.digest) {
            waiting.push_back(KeptComponent {
                digest: plugin.info.digest,
                name: plugin.info.name.clone(),
                version: plugin.info.version.clone(),
                bytes,
            });
        }
    }

    async fn write(&self) -> Result<(), StoreError> {
        let Some(archive) = self.archive.get() else { return Ok(()) };
        // Whoever writes already writes everything that waits.
        let Ok(_one_at_a_time) = self.writing.try_lock() else { return Ok(()) };
        if self.lock_kept().is_none() {
            let kept = archive.kept().await?;
            *self.lock_kept() = Some(kept);
        }
        loop {
            let next = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(component) = next else { return Ok(()) };
            if self.lock_kept().as_ref().is_some_and(|kept| kept.contains(&component.digest)) {
                continue;
            }
            if let Err(error) = archive.keep(&component).await {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                // At the end, so that one that can never be kept holds up no other.
                waiting.push_back(component);
                return Err(error);
            }
            if let Some(kept) = self.lock_kept().as_mut() {
                kept.insert(component.digest);
            }
        }
    }

    fn lock_kept(&self) -> std::sync::MutexGuard<'_, Option<HashSet<PluginDigest>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PluginRuntime {
    /// Gives the runtime an archive: what is loaded is kept there, and what is asked for by digest
    /// comes back from there. Only the first call counts.
    pub async fn set_archive(&self, archive: Arc<dyn ComponentArchive>) {
        drop(self.archive.archive.set(archive));
        self.archive_loaded().await;
    }

    /// Keeps what was loaded. What fails is tried again with the next look.
    pub(super) async fn archive_loaded(&self) {
        if let Err(error) = self.archive.write().await {
            tracing::warn!("Plugins cannot be kept in the archive for now: {error}");
        }
    }

    /// A plugin by its digest, from the archive if need be.
    pub(super) async fn find_or_fetch(
        &self,
        digest: &PluginDigest,
    ) -> Result<Arc<LoadedPlugin>, PluginFault> {
        if let Some(plugin) = self.catalog.load().by_digest(digest) {
            return Ok(Arc::clone(plugin));
        }
        let absent = || PluginFault::NotLoaded(*digest);
        if let Some((Err(_), false)) = self.loader.known(digest) {
            return Err(absent());
        }
        let archive = self.archive.archive.get().ok_or_else(absent)?;
        let fetched = archive.fetch(digest).await.map_err(|error| {
            tracing::warn!("Plugin {digest} cannot be fetched from the archive: {error}");
            absent()
        })?;
        let bytes = fetched.ok_or_else(absent)?;
        if PluginDigest::of(&bytes) != *digest {
            tracing::error!("The archive holds other bytes than those of plugin {digest}");
            return Err(absent());
        }
        let loaded = self.loader.load(*digest, &bytes, "the archive").await;
        let plugin = loaded.map_err(|error| {
            tracing::error!("Plugin {digest} from the archive cannot be loaded: {error}");
            absent()
        })?;
        self.swap(|catalog| catalog.with_inactive(Arc::clone(&plugin)));
        Ok(plugin)
    }
}
