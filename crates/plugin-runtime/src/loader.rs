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
use crate::gate::Penalties;
use crate::plugin::{self, LoadedPlugin};

/// How often the time is doubled for which a failure is believed that may pass.
const MOST_DOUBLINGS: u32 = 6;
/// How long a failure is remembered of a component that nothing refers to.
const REMEMBERED: Duration = Duration::from_mins(10);

/// What became of a component.
pub(crate) type Loaded = Result<Arc<LoadedPlugin>, Arc<LoadError>>;

/// Loads components.
#[derive(Debug)]
pub(crate) struct Loader {
    config: Config,
    compiler: Compiler,
    cache: Arc<Cache>,
    backend: Arc<Backend>,
    penalties: Penalties,
    cells: Mutex<HashMap<PluginDigest, Arc<Cell>>>,
}

/// One component: how often it was tried, and how the last try ended, and when.
#[derive(Debug)]
struct Cell {
    tries: u32,
    outcome: OnceCell<(Instant, Loaded)>,
}

impl Cell {
    fn failure(&self) -> Option<(Instant, &LoadError)> {
        let (at, outcome) = self.outcome.get()?;
        outcome.as_ref().err().map(|error| (*at, &**error))
    }

    /// Whether a failure may have passed by itself. It is believed twice as long after each try.
    fn is_over(&self) -> bool {
        self.failure().is_some_and(|(at, error)| {
            let longer = 1 << self.tries.saturating_sub(1).min(MOST_DOUBLINGS);
            error.retry_after().is_some_and(|wait| at.elapsed() >= wait * longer)
        })
    }
}

impl Loader {
    pub(crate) fn new(
        config: Config,
        compiler: Compiler,
        cache: Arc<Cache>,
        backend: Arc<Backend>,
    ) -> Self {
        let penalties = Penalties::new(config.max_concurrent);
        Self { config, compiler, cache, backend, penalties, cells: Mutex::default() }
    }

    /// What is known of a component, and whether another try is due; `None` while it is being
    /// loaded for the first time, and before.
    pub(crate) fn known(&self, digest: &PluginDigest) -> Option<(Loaded, bool)> {
        let cells = self.lock();
        let cell = cells.get(digest)?;
        let (_, outcome) = cell.outcome.get()?;
        Some((outcome.clone(), cell.is_over()))
    }

    /// Loads a component, or waits for whoever does. `file` is for messages.
    pub(crate) async fn load(&self, digest: PluginDigest, bytes: &[u8], file: &str) -> Loaded {
        let cell = self.cell(&digest);
        let outcome = cell.outcome.get_or_init(|| async {
            let loaded = self.load_now(digest, bytes, file).await;
            let outcome = if loaded.is_ok() { "loaded" } else { "failed" };
            metrics::counter!("trainyard_plugin_loads_total", "outcome" => outcome).increment(1);
            (Instant::now(), loaded.map(Arc::new).map_err(Arc::new))
        });
        outcome.await.1.clone()
    }

    /// Forgets every component that is not among these, except what is being loaded, and what
    /// failed a short while ago: a component of the archive would be fetched for each call.
    pub(crate) fn keep_only(&self, digests: &HashSet<PluginDigest>) {
        self.lock().retain(|digest, cell| {
            let fresh = cell.failure().is_some_and(|(at, _)| at.elapsed() < REMEMBERED);
            digests.contains(digest) || fresh || Arc::strong_count(cell) > 1
        });
    }

    /// Forgets one component: the next who wants it loads it anew.
    pub(crate) fn forget(&self, digest: &PluginDigest) {
        self.lock().remove(digest);
    }

    fn cell(&self, digest: &PluginDigest) -> Arc<Cell> {
        let mut cells = self.lock();
        let tries = match cells.get(digest) {
            Some(cell) if cell.is_over() => cell.tries.saturating_add(1),
            Some(cell) => return Arc::clone(cell),
            None => 1,
        };
        let cell = Arc::new(Cell { tries, outcome: OnceCell::new() });
        cells.insert(*digest, Arc::clone(&cell));
        cell
    }

    async fn load_now(
        &self,
        digest: PluginDigest,
        bytes: &[u8],
        file: &str,
    ) -> Result<LoadedPlugin, LoadError> {
        let code = self.code(digest, bytes).await?;
        let Self { backend, config, penalties, .. } = self;
        plugin::introduce(backend, config, penalties, digest, &code, bytes.len(), file).await
    }

    async fn code(&self, digest: PluginDigest, bytes: &[u8]) -> Result<Code, LoadError> {
        let cache = Arc::clone(&self.cache);
        let found = spawn_blocking(move || cache.find(&digest)).await;
        if let Ok(Some(code)) = found {
            return Ok(code);
        }
        let code = self.compiler.compile(bytes.to_vec()).await?;
        let cache = Arc::clone(&self.cache);
        let in_use: HashSet<PluginDigest> = self.lock().keys().copied().collect();
        let keep = move || {
            let kept = cache.keep(&digest, &code);
            cache.prune(&in_use);
            kept
        };
        let kept = spawn_blocking(keep).await;
        let lost = |reason: String| LoadError::Compiler { reason };
        kept.map_err(|error| lost(error.to_string()))?
            .map_err(|error| lost(format!("its code cannot be written: {error}")))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<PluginDigest, Arc<Cell>>> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
