//! Components on their way into the archive, and back. A component is kept before it serves, as
//! far as the archive answers: a job must not outlive the bytes that made it. Every wait for the
//! archive is bounded, because a database may fall silent instead of failing.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::stream::StreamExt as _;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use training::PluginDigest;
use training::ports::{
    CatalogView, ComponentArchive, KeptComponent, PluginFault, Signature, StoreError,
};

use super::files::Files;
use super::{LOADS, PluginRuntime};
use crate::finish::finish;
use crate::plugin::LoadedPlugin;
use crate::signature::verify;
use crate::watch::Finished;

/// How long one question to the archive may take. The largest component, 32 MiB, takes a second on
/// a slow network.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a caller waits for a component of the archive: as long as the start waits for files
/// that are compiled for the first time. It is loaded in any case, for the next caller.
const CALLER: Duration = Duration::from_secs(15);
/// Components in memory at a time on their way back.
const FETCHES: usize = 2;
/// How long the archive is believed that it cannot give a component, where nobody waits for it.
const BELIEVED: Duration = Duration::from_mins(1);

/// What waits to be kept, and what is known to be.
pub(super) struct Archive {
    archive: OnceLock<Arc<dyn ComponentArchive>>,
    waiting: Mutex<VecDeque<Arc<KeptComponent>>>,
    kept: Mutex<Option<HashSet<PluginDigest>>>,
    /// Texts of signatures by component, and whether each of them is kept.
    signatures: Mutex<BTreeMap<PluginDigest, BTreeMap<String, bool>>>,
    /// Loaded and not offered to the archive yet.
    loading: Mutex<HashSet<PluginDigest>>,
    files: Mutex<Files>,
    /// What could not be had from the archive, since when, and why.
    refused: Mutex<HashMap<PluginDigest, (Instant, String)>>,
    /// One writer at a time, or two would keep the same component.
    writing: tokio::sync::Mutex<()>,
    fetches: Semaphore,
}

impl Default for Archive {
    fn default() -> Self {
        Self {
            archive: OnceLock::new(),
            waiting: Mutex::default(),
            kept: Mutex::default(),
            signatures: Mutex::default(),
            loading: Mutex::default(),
            files: Mutex::default(),
            refused: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            fetches: Semaphore::new(FETCHES),
        }
    }
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive")
            .field("is_set", &self.archive.get().is_some())
            .finish_non_exhaustive()
    }
}

/// A component that is being loaded from a file and that must be kept before it serves.
pub(super) struct Loading<'a> {
    archive: &'a Archive,
    digest: PluginDigest,
}

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        lock(&self.archive.loading).remove(&self.digest);
    }
}

impl Archive {
    /// Says that a component is being loaded, until the value is dropped.
    pub(super) fn loading(&self, digest: PluginDigest) -> Loading<'_> {
        lock(&self.loading).insert(digest);
        Loading { archive: self, digest }
    }

    /// Whether a component is being loaded from a file, and may not have been kept yet.
    pub(super) fn is_loading(&self, digest: &PluginDigest) -> bool {
        lock(&self.loading).contains(digest)
    }

    /// Remembers a component to be kept. Without an archive it is remembered until there is one.
    pub(super) fn add(&self, plugin: &LoadedPlugin, bytes: Vec<u8>) {
        let mut waiting = lock(&self.waiting);
        if waiting.iter().all(|component| component.digest != plugin.info.digest) {
            waiting.push_back(Arc::new(KeptComponent {
                digest: plugin.info.digest,
                name: plugin.info.name.clone(),
                version: plugin.info.version.clone(),
                bytes,
            }));
        }
    }

    /// Remembers a signature to be kept beside its component.
    pub(super) fn sign(&self, digest: PluginDigest, text: Option<String>) {
        let Some(text) = text else { return };
        lock(&self.signatures).entry(digest).or_default().entry(text).or_insert(false);
    }

    /// A signature that is to be kept, of a component that is.
    fn unkept_signature(&self) -> Option<(PluginDigest, String)> {
        let kept = lock(&self.kept).clone()?;
        let signatures = lock(&self.signatures);
        let mut of_kept = signatures.iter().filter(|(digest, _)| kept.contains(*digest));
        of_kept.find_map(|(digest, texts)| {
            let (text, _) = texts.iter().find(|(_, is_kept)| !**is_kept)?;
            Some((*digest, text.clone()))
        })
    }

    /// Whether a component is not worth another try for nobody in particular.
    pub(super) fn refuses(&self, digest: &PluginDigest) -> bool {
        lock(&self.refused).get(digest).is_some_and(|(since, _)| since.elapsed() < BELIEVED)
    }

    fn refuse(&self, digest: PluginDigest, why: impl Into<String>) {
        let mut refused = lock(&self.refused);
        refused.retain(|_, (since, _)| since.elapsed() < BELIEVED);
        refused.insert(digest, (Instant::now(), why.into()));
    }

    /// Takes over what a look found in the files.
    pub(super) fn saw(&self, held: BTreeMap<String, Option<PluginDigest>>) {
        lock(&self.files).saw(held);
    }

    /// What a file held when it was last good.
    pub(super) fn remembered(&self, file: &str) -> Option<PluginDigest> {
        lock(&self.files).remembered(file)
    }

    /// Writes what waits. Whoever comes meanwhile waits for its turn: what it brings may have come
    /// too late for the writer before it.
    async fn write(&self) -> Result<(), StoreError> {
        let Some(archive) = self.archive.get() else { return Ok(()) };
        let _one_at_a_time = in_time(async { Ok(self.writing.lock().await) }).await?;
        if lock(&self.kept).is_none() {
            let kept = in_time(archive.kept()).await?;
            *lock(&self.kept) = Some(kept);
        }
        if !lock(&self.files).is_read() {
            let noted = in_time(archive.last_good()).await?;
            lock(&self.files).read(noted);
        }
        loop {
            let next = {
                let mut waiting = lock(&self.waiting);
                let next = waiting.pop_front();
                // It stays until it is kept, and at the end, so that one that can never be kept
                // holds up no other.
                waiting.extend(next.clone());
                next
            };
            let Some(component) = next else { break };
            let digest = component.digest;
            let is_kept = lock(&self.kept).as_ref().is_some_and(|kept| kept.contains(&digest));
            if !is_kept {
                in_time(archive.keep(&component)).await?;
            }
            if let Some(kept) = lock(&self.kept).as_mut() {
                kept.insert(digest);
            }
            lock(&self.waiting).retain(|waiting| waiting.digest != digest);
        }
        while let Some((digest, text)) = self.unkept_signature() {
            in_time(archive.keep_signature(&digest, &text)).await?;
            lock(&self.signatures).entry(digest).or_default().insert(text, true);
        }
        // Last: what is noted of a file is kept already.
        let kept = lock(&self.kept).clone().unwrap_or_default();
        let news = lock(&self.files).news(&kept);
        if let Some(news) = news {
            in_time(archive.note_files(&news)).await?;
            lock(&self.files).noted(&news);
        }
        Ok(())
    }
}

impl PluginRuntime {
    /// Gives the runtime an archive: what is loaded is kept there, what is asked for by digest
    /// comes back from there, and so does what a bad file held when it was last good. Only the
    /// first call counts.
    pub async fn set_archive(&self, archive: Arc<dyn ComponentArchive>) {
        drop(self.archive.archive.set(archive));
        self.archive_loaded().await;
        self.restore().await;
    }

    /// Keeps what was loaded. What fails is tried again with the next look.
    pub(super) async fn archive_loaded(&self) {
        if let Err(error) = self.archive.write().await {
            tracing::warn!("Plugins cannot be kept in the archive for now: {error}");
        }
    }

    /// Brings back what bad files held when they were last good. The loop that follows the
    /// directory does the same for files that turn out to be bad later.
    async fn restore(&self) {
        if !lock(&self.archive.files).may_miss() {
            return;
        }
        // Files that are still loaded for the first time are for the loop, which looks at once.
        let look = async || self.look(Finished::everything()).await.map(|looked| looked.missing);
        let missing = look().await.unwrap_or_default();
        if missing.is_empty() {
            return;
        }
        let fetches = futures_util::stream::iter(missing).map(|digest| async move {
            // What went wrong was logged.
            drop(self.find_or_fetch(&digest).await);
        });
        fetches.buffer_unordered(LOADS).collect::<()>().await;
        // Only a look puts them in the places of their files.
        drop(look().await);
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
        let archive = Arc::clone(self.archive.archive.get().ok_or_else(absent)?);
        let (this, digest) = (self.me()?, *digest);
        let fetch = async move { this.fetch(&*archive, &digest).await };
        let fetched = timeout(CALLER, finish(&self.left, fetch)).await;
        fetched.unwrap_or(Err(PluginFault::Unreachable(digest)))
    }

    async fn fetch(
        &self,
        archive: &dyn ComponentArchive,
        digest: &PluginDigest,
    ) -> Result<Arc<LoadedPlugin>, PluginFault> {
        let absent = || PluginFault::NotLoaded(*digest);
        let bytes = {
            let in_memory = in_time(async { Ok(self.archive.fetches.acquire().await) }).await;
            let Ok(Ok(_few_at_a_time)) = in_memory else {
                return Err(PluginFault::Unreachable(*digest));
            };
            // Somebody else may have fetched it meanwhile.
            if let Some(plugin) = self.catalog.load().by_digest(digest) {
                return Ok(Arc::clone(plugin));
            }
            in_time(archive.fetch(digest)).await.map_err(|error| {
                tracing::warn!("Plugin {digest} cannot be fetched from the archive: {error}");
                PluginFault::Unreachable(*digest)
            })?
        };
        let Some(bytes) = bytes else {
            self.archive.refuse(*digest, "the database does not hold it");
            return Err(absent());
        };
        if PluginDigest::of(&bytes) != *digest {
            tracing::error!("The archive holds other bytes than those of plugin {digest}");
            self.archive.refuse(*digest, "the database holds other bytes under its sha-256");
            return Err(absent());
        }
        let texts = in_time(archive.signatures(digest)).await.map_err(|error| {
            tracing::warn!("Signatures of plugin {digest} cannot be fetched: {error}");
            PluginFault::Unreachable(*digest)
        })?;
        let loaded = self.loader.load(*digest, &bytes, "the archive").await;
        let plugin = loaded.map_err(|error| {
            tracing::error!("Plugin {digest} from the archive cannot be loaded: {error}");
            self.archive.refuse(*digest, error.to_string());
            absent()
        })?;
        // By the keys of now: what was trusted when it was kept may not be any more.
        let keys = &self.config.trusted_keys;
        if let Some(signer) = texts.iter().find_map(|text| verify(&bytes, text, keys).ok()) {
            plugin.signature.store(Arc::new(Signature::Trusted { key: signer.key }));
        }
        self.swap(|catalog| catalog.with_inactive(Arc::clone(&plugin)));
        Ok(plugin)
    }

    /// Says of rejected files whose last good component cannot be had either, why not.
    pub(super) fn explain(&self, mut view: CatalogView) -> CatalogView {
        for file in view.rejected.iter_mut().filter(|file| file.last_good.is_none()) {
            let Some(digest) = self.archive.remembered(&file.file) else { continue };
            let refused = lock(&self.archive.refused).get(&digest).map(|(_, why)| why.clone());
            let loaded = self.catalog.load().by_digest(&digest).cloned();
            let why = match loaded {
                Some(plugin) if self.is_trusted(&plugin) => None,
                Some(_) => Some("no trusted key signed it".to_owned()),
                None => refused,
            };
            if let Some(why) = why {
                let more = format!("; its last good version, sha-256 {digest}, is no help: {why}");
                file.reason.push_str(&more);
            }
        }
        view
    }
}

/// What the archive answers, in bounded time.
async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let silent = |_| {
        let seconds = ANSWER.as_secs();
        Err(StoreError::Unavailable(format!("no answer for {seconds} s").into()))
    };
    timeout(ANSWER, answer).await.unwrap_or_else(silent)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
