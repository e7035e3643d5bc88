//! From the bytes of a component to a plugin that can be called: compiled or fetched from the
//! cache, introduced, checked. Each component is loaded once, however many ask for it meanwhile.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use training::PluginDigest;

use crate::backend::Backend;
use crate::cache::{Cache, Code};
use crate::compiler::Compiler;
use crate::config::Config;
use crate::error::LoadError;
use crate::plugin::{self, LoadedPlugin};

/// How long a failure that may pass is believed.
const RETRY: Duration = Duration::from_secs(10);

/// What became of a component.
pub(crate) type Loaded = Result<Arc<LoadedPlugin>, Arc<LoadError>>;

/// Loads components.
#[derive(Debug)]
pub(crate) struct Loader {
    config: Config,
    compiler: Compiler,
    cache: Arc<Cache>,
    backend: Arc<Backend>,
    cells: Mutex<HashMap<PluginDigest, Arc<Cell>>>,
}

#[derive(Debug)]
struct Cell {
    since: Instant,
    outcome: OnceCell<Loaded>,
}

impl Loader {
    pub(crate) fn new(
        config: Config,
        compiler: Compiler,
        cache: Arc<Cache>,
        backend: Arc<Backend>,
    ) -> Self {
        Self { config, compiler, cache, backend, cells: Mutex::default() }
    }

    /// What is known of a component; `None` if nothing is yet, or not any more.
    pub(crate) fn known(&self, digest: &PluginDigest) -> Option<Loaded> {
        self.cell(digest, false)?.outcome.get().cloned()
    }

    /// Loads a component, or waits for whoever does. `file` is for messages.
    pub(crate) async fn load(&self, digest: PluginDigest, bytes: &[u8], file: &str) -> Loaded {
        let Some(cell) = self.cell(&digest, true) else {
            return Err(Arc::new(LoadError::Refused("the loader is gone".to_owned())));
        };
        let outcome = cell.outcome.get_or_init(|| async {
            let loaded = self.load_now(digest, bytes, file).await;
            let outcome = if loaded.is_ok() { "loaded" } else { "failed" };
            metrics::counter!("trainyard_plugin_loads_total", "outcome" => outcome).increment(1);
            loaded.map(Arc::new).map_err(Arc::new)
        });
        outcome.await.clone()
    }

    /// Forgets every component that is not among these.
    pub(crate) fn keep_only(&self, digests: &HashSet<PluginDigest>) {
        self.lock().retain(|digest, cell| {
            // Somebody else holds a cell only while it is being filled.
            digests.contains(digest) || Arc::strong_count(cell) > 1
        });
    }

    fn cell(&self, digest: &PluginDigest, make: bool) -> Option<Arc<Cell>> {
        let mut cells = self.lock();
        let passed = |cell: &Cell| {
            let failed = cell.outcome.get().and_then(|outcome| outcome.as_ref().err());
            failed.is_some_and(|error| error.retryable()) && cell.since.elapsed() >= RETRY
        };
        if cells.get(digest).is_some_and(|cell| passed(cell)) {
            cells.remove(digest);
        }
        if !make {
            return cells.get(digest).cloned();
        }
        let fresh = || Arc::new(Cell { since: Instant::now(), outcome: OnceCell::new() });
        Some(Arc::clone(cells.entry(*digest).or_insert_with(fresh)))
    }

    async fn load_now(
        &self,
        digest: PluginDigest,
        bytes: &[u8],
        file: &str,
    ) -> Result<LoadedPlugin, LoadError> {
        let code = self.code(digest, bytes).await?;
        plugin::introduce(&self.backend, &self.config, digest, &code, bytes.len(), file).await
    }

    async fn code(&self, digest: PluginDigest, bytes: &[u8]) -> Result<Code, LoadError> {
        let cache = Arc::clone(&self.cache);
        let found = spawn_blocking(move || cache.find(&digest)).await;
        if let Ok(Some(code)) = found {
            return Ok(code);
        }
        let code = self.compiler.compile(bytes.to_vec()).await?;
        let cache = Arc::clone(&self.cache);
        let kept = spawn_blocking(move || cache.keep(&digest, &code)).await;
        let lost = |reason: String| LoadError::Compiler { reason };
        kept.map_err(|error| lost(error.to_string()))?
            .map_err(|error| lost(format!("its code cannot be written: {error}")))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PluginDigest, Arc<Cell>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
