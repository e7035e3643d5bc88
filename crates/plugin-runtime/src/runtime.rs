//! The runtime as the host and the use-cases see it: [`PluginRuntime`] follows the directory,
//! keeps the catalog, and calls plugins. The port itself is in `port.rs`.

mod archive;
mod calls;
mod files;
mod port;
mod request;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::stream::StreamExt as _;
use serde_json::Value;
use tokio::task::{JoinSet, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use training::PluginDigest;
use training::clock::{Clock as _, SystemClock};
use training::ports::{PluginInfo, Signature};

use crate::backend::Backend;
use crate::cache::Cache;
use crate::catalog::{Catalog, Entry};
use crate::changes::Changes;
use crate::compiler::Compiler;
use crate::config::Config;
use crate::engine;
use crate::error::{LoadError, LoadFailure, StartError};
use crate::loader::Loader;
use crate::plugin::LoadedPlugin;
use crate::source::{self, Content, Directory, Seen};
use crate::strikes::Strikes;
use crate::walls::Walls;
use crate::watch::{Finished, Watch};

use archive::Archive;

/// How often the directory is looked at although nothing was heard. A look reads names, sizes and
/// times only.
const LOOK: Duration = Duration::from_secs(1);
/// The same while a file is being written.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long a start waits for plugins that are compiled for the first time.
const PATIENCE: Duration = Duration::from_secs(15);
/// Components that are loaded at a time when many are new.
const LOADS: usize = 4;

/// Loads plugins and calls them. One per process.
#[derive(Debug)]
pub struct PluginRuntime {
    config: Config,
    backend: Arc<Backend>,
    loader: Loader,
    catalog: ArcSwap<Catalog>,
    directory: Option<Arc<Mutex<Directory>>>,
    /// One look at a time, so that an older one never overwrites a newer.
    looking: tokio::sync::Mutex<()>,
    changes: Changes,
    strikes: Strikes,
    archive: Archive,
    /// For work that outlives its caller.
    me: Weak<Self>,
    /// Calls whose callers went away.
    left: TaskTracker,
}

/// What one file turned out to be.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// Its description.
    pub info: Arc<PluginInfo>,
    /// The settings its jobs get: its defaults, and what the operator changed.
    pub settings: Value,
    /// Names of its imports.
    pub imports: Vec<String>,
    /// Names of its exports.
    pub exports: Vec<String>,
    /// Size of the file.
    pub bytes: u64,
}

/// A component that a look found and that is not loaded yet.
#[derive(Debug)]
struct Todo {
    file: String,
    digest: PluginDigest,
    bytes: Option<Vec<u8>>,
    signature_text: Option<String>,
}

/// What a look found.
#[derive(Debug, Default)]
struct Looked {
    todo: Vec<Todo>,
    /// What bad files held when they were last good, and that is not loaded.
    missing: Vec<PluginDigest>,
    /// Whether some file is still being written.
    unsettled: bool,
}

impl PluginRuntime {
    /// Reserves the sandboxes or starts the runners, opens the cache and loads every plugin. A
    /// plugin that cannot be loaded does not stop the start; see [`PluginRuntime::catalog`].
    pub async fn start(config: Config) -> Result<Arc<Self>, StartError> {
        config.validate()?;
        let cache_dir = config.cache_dir.clone();
        let prepare = move || {
            let internal = |error: wasmtime::Error| StartError::Internal(error.to_string());
            let engine = engine::compiler().map_err(internal)?;
            let cache = Cache::open(cache_dir.as_deref(), &engine).map_err(|reason| {
                StartError::Cache { dir: cache_dir.unwrap_or_default(), reason }
            })?;
            Ok::<_, StartError>((engine, cache))
        };
        let (engine, cache) = spawn_blocking(prepare)
            .await
            .map_err(|error| StartError::Internal(error.to_string()))??;
        let cache = Arc::new(cache);
        let backend = Arc::new(Backend::start(&config, &cache).await?);
        let compiler = Compiler::new(engine, config.compiler.clone(), config.compile_costs);
        let loader = Loader::new(config.clone(), compiler, cache, Arc::clone(&backend));
        let runtime = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            left: TaskTracker::new(),
            backend,
            loader,
            catalog: ArcSwap::from_pointee(Catalog::new(config.require_signature)),
            directory: config.dir.clone().map(|dir| {
                let keys = config.trusted_keys.clone();
                Arc::new(Mutex::new(Directory::new(dir, keys, config.require_signature)))
            }),
            looking: tokio::sync::Mutex::new(()),
            changes: Changes::default(),
            strikes: Strikes::new(config.strikes_apart),
            archive: Archive::default(),
            config,
        });
        // What takes longer is loaded while the host already serves the rest.
        match tokio::time::timeout(PATIENCE, runtime.reload()).await {
            Ok(loaded) => loaded?,
            Err(_) => {
                tracing::warn!("Some plugins are not loaded after {PATIENCE:?}; the start goes on");
                runtime.look(Finished::everything()).await?;
            }
        }
        Ok(runtime)
    }

    /// The plugins as they are now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// What confines the runners; `None` without runners.
    pub fn walls(&self) -> Option<Walls> {
        match &*self.backend {
            Backend::Here { .. } => None,
            Backend::Apart(runners) => runners.walls(),
        }
    }

    /// Reads the directory again, loads what is new, however young, and swaps the catalog. A file
    /// that was fine and now fails keeps its last good plugin active.
    ///
    /// After `Err` the catalog is the old one.
    pub async fn reload(&self) -> Result<(), StartError> {
        let mut tried: HashSet<PluginDigest> = HashSet::new();
        loop {
            let mut todo = self.look(Finished::everything()).await?.todo;
            // What fails for now is for the next reload.
            todo.retain(|each| !tried.contains(&each.digest));
            if todo.is_empty() {
                return Ok(());
            }
            tried.extend(todo.iter().map(|each| each.digest));
            let loads = futures_util::stream::iter(todo).map(|todo| self.load(todo));
            loads.buffer_unordered(LOADS).collect::<Vec<_>>().await;
        }
    }

    /// Follows the directory until `stop`: what its writer has finished takes effect at once, what
    /// looks unfinished when it has been left alone for half a second. Plugins are loaded beside
    /// each other and beside the looks, so that one that compiles for long keeps no other waiting.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let Some(dir) = self.config.dir.clone() else { return };
        let mut watch = Watch::new(&dir);
        let mut loading = JoinSet::new();
        let mut under_way: HashSet<PluginDigest> = HashSet::new();
        let mut readable = true;
        loop {
            let looked = match self.look(watch.take_finished()).await {
                Ok(looked) => {
                    readable = true;
                    looked
                }
                Err(error) => {
                    if std::mem::replace(&mut readable, false) {
                        let why = std::error::Error::source(&error).map(ToString::to_string);
                        let why = why.unwrap_or_default();
                        tracing::warn!("Plugins keep as they are: {error}: {why}");
                    }
                    Looked::default()
                }
            };
            let missing = self.catalog.load().wanted().into_iter().chain(looked.missing);
            for digest in missing.filter(|digest| self.is_due(digest)) {
                if loading.len() < LOADS && under_way.insert(digest) {
                    let this = Arc::clone(&self);
                    loading.spawn(async move {
                        // What went wrong was logged.
                        drop(this.find_or_fetch(&digest).await);
                        digest
                    });
                }
            }
            for todo in looked.todo {
                // What does not fit is found again by the next look.
                if loading.len() < LOADS && under_way.insert(todo.digest) {
                    let this = Arc::clone(&self);
                    loading.spawn(async move { this.load(todo).await });
                }
            }
            let pause = if looked.unsettled { LOOK_AGAIN } else { LOOK };
            tokio::select! {
                () = stop.cancelled() => {
                    // A file that was removed a moment ago must not come back after a restart.
                    self.archive_loaded().await;
                    return;
                }
                () = watch.changed() => {}
                () = tokio::time::sleep(pause) => {
                    watch.arm();
                    self.archive_loaded().await;
                }
                Some(done) = loading.join_next(), if !loading.is_empty() => match done {
                    Ok(digest) => drop(under_way.remove(&digest)),
                    // It can be tried again.
                    Err(_) => under_way.clear(),
                }
            }
        }
    }

    /// Whether a component of the archive is worth a try.
    fn is_due(&self, digest: &PluginDigest) -> bool {
        let failed = self.loader.known(digest).is_some_and(|(_, over)| !over);
        !failed && !self.archive.refuses(digest)
    }

    /// Forgets a component whose compiled code is gone.
    fn forget(&self, digest: &PluginDigest) {
        self.loader.forget(digest);
        self.swap(|catalog| catalog.without(digest));
    }

    /// Loads one file from anywhere without making it active: only its digest leads to it.
    pub async fn inspect(&self, path: &Path) -> Result<Inspection, LoadError> {
        let wanted = path.to_owned();
        let bytes = spawn_blocking(move || source::read(&wanted))
            .await
            .map_err(|error| LoadError::Compiler { reason: error.to_string() })??;
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let digest = PluginDigest::of(&bytes);
        let plugin = match self.loader.load(digest, &bytes, &file).await {
            Ok(plugin) => plugin,
            Err(error) => {
                // The caller wants the error itself, which a failed load shares with nobody else.
                self.loader.keep_only(&HashSet::new());
                return Err(Arc::into_inner(error)
                    .unwrap_or_else(|| LoadError::Refused("it could not be loaded".to_owned())));
            }
        };
        self.swap(|catalog| catalog.with_inactive(Arc::clone(&plugin)));
        Ok(Inspection {
            info: Arc::clone(&plugin.info),
            settings: serde_json::from_str(plugin.settings.get()).unwrap_or_default(),
            imports: plugin.contents.imports.clone(),
            exports: plugin.contents.exports.clone(),
            bytes: plugin.size,
        })
    }

    /// Looks at every file and swaps the catalog to what is known of them. What is not known yet
    /// is the answer.
    async fn look(&self, finished: Finished) -> Result<Looked, StartError> {
        let (Some(directory), Some(dir)) = (&self.directory, &self.config.dir) else {
            return Ok(Looked::default());
        };
        let _one_at_a_time = self.looking.lock().await;
        let directory = Arc::clone(directory);
        let look = move || {
            let mut directory = directory.lock().unwrap_or_else(PoisonError::into_inner);
            directory.look(SystemClock.now(), &finished)
        };
        let seen = spawn_blocking(look)
            .await
            .map_err(|error| StartError::Internal(error.to_string()))?
            .map_err(|source| StartError::Directory { dir: dir.clone(), source })?;
        let before = self.catalog();
        let mut looked = Looked::default();
        let (mut entries, mut failures, mut pending) = (Vec::new(), Vec::new(), Vec::new());
        let present: HashSet<String> = seen.iter().map(|seen| seen.file.clone()).collect();
        let mut held: BTreeMap<String, Option<PluginDigest>> = BTreeMap::new();
        let mut digests: HashSet<PluginDigest> = before.digests().collect();
        for Seen { file, content } in seen {
            let digest = content.as_ref().ok().map(|content| content.digest);
            digests.extend(digest);
            looked.unsettled |= content.as_ref().is_ok_and(|content| !content.settled);
            let known = match content {
                Ok(content) => self.known(&before, &file, content, &mut looked.todo),
                Err(error) => Err(error.to_string()),
            };
            let failed =
                |reason| LoadFailure { file: file.clone(), digest, reason, conflict: false };
            match known {
                Ok(Some(plugin)) => {
                    held.insert(file.clone(), digest);
                    entries.push(Entry { file, plugin, waits_for: Vec::new() });
                    continue;
                }
                Ok(None) => pending.push(file.clone()),
                Err(reason) => failures.push(failed(reason)),
            }
            held.insert(file.clone(), None);
            match before.held_by(&file) {
                Some(entry) => entries.push(entry.clone()),
                None => self.remember(&before, file, &mut entries, &mut looked.missing),
            }
        }
        self.archive.saw(held);
        let failing: Vec<&str> = failures.iter().map(|failure| &*failure.file).collect();
        entries.extend(before.waiting(&present, &pending, &failing));
        self.loader.keep_only(&digests);
        self.swap(|catalog| catalog.after_reload(entries.clone(), failures.clone()));
        Ok(looked)
    }

    /// What a file held when it was last good, perhaps before a restart: its entry, or that it is
    /// still to be fetched.
    fn remember(
        &self,
        before: &Catalog,
        file: String,
        entries: &mut Vec<Entry>,
        missing: &mut Vec<PluginDigest>,
    ) {
        let Some(digest) = self.archive.remembered(&file) else { return };
        match before.by_digest(&digest) {
            Some(plugin) if !self.is_trusted(plugin) => {}
            Some(plugin) => {
                let plugin = Arc::clone(plugin);
                entries.push(Entry { file, plugin, waits_for: Vec::new() });
            }
            None => missing.push(digest),
        }
    }

    /// The plugin that a file holds; `None` if it is still to be loaded or still being written. A
    /// failure stands while its component is tried again.
    fn known(
        &self,
        before: &Catalog,
        file: &str,
        content: Content,
        todo: &mut Vec<Todo>,
    ) -> Result<Option<Arc<LoadedPlugin>>, String> {
        let Content { digest, bytes, signature, signature_text, settled } = content;
        let signature = match signature {
            Ok(signature) => signature,
            // A signature may follow its file. What was already refused stays so until then.
            Err(_) if !settled && !before.refuses(file, &digest) => return Ok(None),
            Err(reason) => return Err(LoadError::Unsigned { reason }.to_string()),
        };
        // What is being kept serves when it is.
        let known = self.loader.known(&digest).filter(|_| !self.archive.is_loading(&digest));
        if settled && known.as_ref().is_none_or(|(_, over)| *over) {
            // Only so many are loaded at a time; the rest need not lie in memory until then.
            let bytes = bytes.filter(|_| todo.len() < LOADS);
            let signature_text = signature_text.clone();
            todo.push(Todo { file: file.to_owned(), digest, bytes, signature_text });
        }
        match known {
            Some((Ok(plugin), _)) => {
                self.archive.sign(digest, signature_text);
                if **plugin.signature.load() != signature {
                    plugin.signature.store(Arc::new(signature));
                }
                Ok(Some(plugin))
            }
            Some((Err(error), _)) => Err(error.to_string()),
            None => Ok(None),
        }
    }

    /// Whether a version may convert: where signatures are required, it needs one that counts.
    fn is_trusted(&self, plugin: &LoadedPlugin) -> bool {
        !self.config.require_signature
            || matches!(**plugin.signature.load(), Signature::Trusted { .. })
    }

    /// Loads what a look found, and says which it was.
    async fn load(&self, todo: Todo) -> PluginDigest {
        let Todo { file, digest, bytes, signature_text } = todo;
        let _until_kept = self.archive.loading(digest);
        let bytes = match (bytes, &self.directory) {
            (Some(bytes), _) => Some(bytes),
            (None, Some(directory)) => {
                let (directory, name) = (Arc::clone(directory), file.clone());
                let read = move || {
                    let directory = directory.lock().unwrap_or_else(PoisonError::into_inner);
                    directory.read_again(&name, &digest)
                };
                spawn_blocking(read).await.ok().flatten()
            }
            (None, None) => None,
        };
        // If the file holds something else by now, the next look finds that.
        if let Some(bytes) = bytes {
            let loaded = self.loader.load(digest, &bytes, &file).await;
            if let Ok(plugin) = loaded {
                self.archive.add(&plugin, bytes);
                self.archive.sign(digest, signature_text);
                self.archive_loaded().await;
            }
        }
        digest
    }

    /// Builds the next catalog from the one in force, and records what is different.
    fn swap(&self, next: impl Fn(&Catalog) -> Catalog) {
        let mut installed = None;
        let before = self.catalog.rcu(|catalog| {
            let next = Arc::new(next(catalog));
            installed = Some(Arc::clone(&next));
            next
        });
        if let Some(installed) = installed {
            self.changes.report(&before, &installed);
        }
    }
}
