//! The runtime as the host and the use-cases see it: [`PluginRuntime`] loads the directory and
//! implements the domain's [`Plugins`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use training::PluginDigest;
use training::ports::{
    Audience, CatalogView, Conversion, ConversionInput, ConvertRefusal, FieldError, PluginChange,
    PluginFault, PluginInfo, Plugins, Prepared, Report, Route,
};
use wasmtime::component::Component;

use crate::answer;
use crate::bindings;
use crate::cache::Cache;
use crate::catalog::{Catalog, Entry};
use crate::changes::Changes;
use crate::config::Config;
use crate::engine;
use crate::error::{LoadError, LoadFailure, StartError};
use crate::input::write_job;
use crate::limits::CallLimits;
use crate::plugin::{self, LoadedPlugin};
use crate::sandbox::{self, Call, Sandboxes};
use crate::source;

/// Loads plugins and calls them. One per process: it owns the engine.
#[derive(Debug)]
pub struct PluginRuntime {
    config: Config,
    sandboxes: Arc<Sandboxes>,
    cache: Option<Arc<Cache>>,
    catalog: ArcSwap<Catalog>,
    /// One reload at a time: compilation takes every core there is.
    reloading: tokio::sync::Mutex<()>,
    changes: Changes,
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

impl PluginRuntime {
    /// Reserves the sandboxes, opens the cache and loads every plugin. A plugin that cannot be
    /// loaded does not stop the start; see [`PluginRuntime::catalog`].
    pub async fn start(config: Config) -> Result<Arc<Self>, StartError> {
        config.validate()?;
        let started = config.clone();
        let prepare = move || prepare(&started);
        let (sandboxes, cache) = spawn_blocking(prepare)
            .await
            .map_err(|error| StartError::Internal(error.to_string()))??;
        let runtime = Arc::new(Self {
            config,
            sandboxes: Arc::new(sandboxes),
            cache: cache.map(Arc::new),
            catalog: ArcSwap::default(),
            reloading: tokio::sync::Mutex::new(()),
            changes: Changes::default(),
        });
        runtime.reload().await?;
        Ok(runtime)
    }

    /// The plugins as they are now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// Reads the directory again and swaps the catalog. Files that did not change cost a read and
    /// a hash. A file that was fine and now fails keeps its last good plugin active.
    ///
    /// After `Err` the catalog is the old one.
    pub async fn reload(&self) -> Result<(), StartError> {
        let Some(dir) = self.config.dir.clone() else { return Ok(()) };
        let _one_at_a_time = self.reloading.lock().await;
        let listed = dir.clone();
        let names = spawn_blocking(move || source::list(&listed))
            .await
            .map_err(|error| StartError::Internal(error.to_string()))?
            .map_err(|source| StartError::Directory { dir: dir.clone(), source })?;
        let before = self.catalog();
        let (mut loaded, mut failures) = (Vec::new(), Vec::new());
        for file in names {
            match self.load_named(&dir, &file, &before).await {
                Ok(plugin) => loaded.push(Entry { file, plugin }),
                Err(failure) => {
                    loaded.extend(before.held_by(&file).cloned());
                    failures.push(failure);
                }
            }
        }
        self.swap(|catalog| catalog.after_reload(loaded.clone(), failures.clone()));
        Ok(())
    }

    /// Loads one file from anywhere without making it active: only its digest leads to it.
    pub async fn inspect(&self, path: &Path) -> Result<Inspection, LoadError> {
        let wanted = path.to_owned();
        let bytes = blocking(move || source::read(&wanted)).await?;
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let size = bytes.len() as u64;
        let digest = PluginDigest::of(&bytes);
        let component = self.compile(bytes, digest).await?;
        let plugin = self.introduce(&component, digest, &file).await?;
        let engine = self.sandboxes.engine();
        let inspection = Inspection {
            info: Arc::clone(&plugin.info),
            settings: serde_json::from_str(plugin.settings.get()).unwrap_or_default(),
            imports: sandbox::imports(engine, &component),
            exports: sandbox::exports(engine, &component),
            bytes: size,
        };
        self.swap(|catalog| catalog.with_inactive(Arc::clone(&plugin)));
        Ok(inspection)
    }

    async fn load_named(
        &self,
        dir: &Path,
        file: &str,
        before: &Catalog,
    ) -> Result<Arc<LoadedPlugin>, LoadFailure> {
        let failure = |digest, error: &LoadError| LoadFailure {
            file: file.to_owned(),
            digest,
            reason: error.to_string(),
            retryable: error.retryable(),
            conflict: false,
        };
        let (root, name) = (dir.to_owned(), file.to_owned());
        let read = move || {
            let bytes = source::read_inside(&root, &name)?;
            let digest = PluginDigest::of(&bytes);
            Ok((bytes, digest))
        };
        let (bytes, digest) = blocking(read).await.map_err(|error| failure(None, &error))?;
        if let Some(known) = before.by_digest(&digest) {
            return Ok(Arc::clone(known));
        }
        if let Some(known) = before.known_failure(file, &digest) {
            return Err(known.clone());
        }
        let load = async {
            let component = self.compile(bytes, digest).await?;
            self.introduce(&component, digest, file).await
        };
        load.await.map_err(|error| failure(Some(digest), &error))
    }

    /// Builds the next catalog from the one in force, and records what is different.
    fn swap(&self, next: impl Fn(&Catalog) -> Catalog) {
        let before = self.catalog.rcu(|catalog| next(catalog));
        self.changes.report(&before, &self.catalog());
    }

    async fn compile(&self, bytes: Vec<u8>, digest: PluginDigest) -> Result<Component, LoadError> {
        let (sandboxes, cache) = (Arc::clone(&self.sandboxes), self.cache.clone());
        blocking(move || plugin::compile(&sandboxes, cache.as_deref(), &bytes, &digest)).await
    }

    async fn introduce(
        &self,
        component: &Component,
        digest: PluginDigest,
        file: &str,
    ) -> Result<Arc<LoadedPlugin>, LoadError> {
        let settings = &self.config.settings;
        plugin::introduce(&self.sandboxes, component, digest, file, settings).await.map(Arc::new)
    }

    fn find(&self, digest: &PluginDigest) -> Result<Arc<LoadedPlugin>, PluginFault> {
        self.catalog.load().by_digest(digest).cloned().ok_or(PluginFault::NotLoaded(*digest))
    }

    async fn call_with_job<R>(
        &self,
        plugin: &LoadedPlugin,
        call: Call,
        input: &ConversionInput,
    ) -> Result<R, PluginFault>
    where
        R: wasmtime::component::Lift + Send + Sync + 'static,
    {
        let job = self.job_text(plugin, call, input)?;
        self.sandboxes.call(&plugin.guest, plugin.caller(input.id.as_str()), call, &job).await
    }

    fn job_text(
        &self,
        plugin: &LoadedPlugin,
        call: Call,
        input: &ConversionInput,
    ) -> Result<String, PluginFault> {
        let unwritable =
            |error| failed(plugin, call, format!("its input cannot be written: {error}"));
        let given = input.settings.as_ref().map(serde_json::value::to_raw_value);
        let given = given.transpose().map_err(unwritable)?;
        let settings = given.as_deref().unwrap_or(&plugin.settings);
        write_job(input, plugin.info.algorithm(), settings).map_err(unwritable)
    }
}

#[async_trait]
impl Plugins for PluginRuntime {
    fn resolve(&self, algorithm: &str, audience: Audience<'_>) -> Option<Arc<PluginInfo>> {
        self.catalog.load().resolve(algorithm, audience).map(|plugin| Arc::clone(&plugin.info))
    }

    fn catalog(&self) -> CatalogView {
        self.catalog.load().view()
    }

    async fn set_routes(&self, routes: &[Route]) {
        self.swap(|catalog| catalog.with_routes(routes));
    }

    fn release(&self, plugin: &PluginDigest) -> bool {
        let quarantined = self.catalog.load().quarantine(plugin).is_some();
        self.swap(|catalog| catalog.with_quarantine(*plugin, None));
        quarantined
    }

    fn take_changes(&self) -> Vec<PluginChange> {
        self.changes.take()
    }

    fn hint(&self) -> Arc<Notify> {
        Arc::clone(&self.changes.hint)
    }

    async fn load(&self, plugin: &PluginDigest) -> Result<Arc<PluginInfo>, PluginFault> {
        Ok(Arc::clone(&self.find(plugin)?.info))
    }

    fn settings(&self, plugin: &PluginDigest) -> Result<Value, PluginFault> {
        let plugin = self.find(plugin)?;
        serde_json::from_str(plugin.settings.get())
            .map_err(|error| failed(&plugin, Call::Describe, format!("its settings: {error}")))
    }

    async fn input_text(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<String, PluginFault> {
        let plugin = self.find(plugin)?;
        self.job_text(&plugin, Call::Convert, input)
    }

    fn list(&self) -> Vec<Arc<PluginInfo>> {
        self.catalog.load().plugins().cloned().collect()
    }

    fn prepare(
        &self,
        plugin: &PluginDigest,
        hyperparameters: &Value,
    ) -> Result<Prepared, PluginFault> {
        Ok(self.find(plugin)?.hyperparameters.prepare(hyperparameters))
    }

    async fn validate(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Vec<FieldError>, PluginFault> {
        let plugin = self.find(plugin)?;
        let findings: Vec<bindings::Finding> =
            self.call_with_job(&plugin, Call::Validate, input).await?;
        Ok(as_written(answer::findings(findings), &plugin, input))
    }

    async fn convert(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Result<Conversion, ConvertRefusal>, PluginFault> {
        let plugin = self.find(plugin)?;
        let answer: Result<bindings::Plan, bindings::Failure> =
            self.call_with_job(&plugin, Call::Convert, input).await?;
        let answer =
            answer::conversion(answer).map_err(|breach| failed(&plugin, Call::Convert, breach))?;
        Ok(answer.map_err(|refusal| match refusal {
            ConvertRefusal::Invalid(errors) => {
                ConvertRefusal::Invalid(as_written(errors, &plugin, input))
            }
            unsupported @ ConvertRefusal::Unsupported(_) => unsupported,
        }))
    }

    async fn interpret(
        &self,
        plugin: &PluginDigest,
        algorithm: &str,
        object: &Value,
    ) -> Result<Report, PluginFault> {
        let catalog = self.catalog.load_full();
        let plugin = catalog
            .by_digest(plugin)
            .or_else(|| catalog.resolve(algorithm, Audience::ANYBODY))
            .ok_or(PluginFault::NotLoaded(*plugin))?;
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let report: bindings::Report = self
            .sandboxes
            .call(&plugin.guest, plugin.caller(name), Call::Interpret, &object.to_string())
            .await?;
        Ok(answer::report(&report))
    }
}

fn prepare(config: &Config) -> Result<(Sandboxes, Option<Cache>), StartError> {
    let slots = config.max_concurrent;
    let unavailable =
        |source: wasmtime::Error| StartError::Sandboxes { slots, source: source.into() };
    let engine = engine::build(slots, config.memory_bytes).map_err(unavailable)?;
    engine::start_ticker(&engine).map_err(|error| StartError::Internal(error.to_string()))?;
    let limits = CallLimits { deadline: config.deadline, memory_bytes: config.memory_bytes };
    let open = |dir: &PathBuf| {
        Cache::open(dir, &engine).map_err(|reason| StartError::Cache { dir: dir.clone(), reason })
    };
    let cache = config.cache_dir.as_ref().map(open).transpose()?;
    let sandboxes = Sandboxes::new(engine, slots, limits).map_err(unavailable)?;
    Ok((sandboxes, cache))
}

/// Runs work that takes long off the executor. The compiler has been seen to panic on odd input;
/// that is a broken file, not a broken host.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(LoadError::NotAComponent { reason: "the compiler gave up".to_owned() }),
    }
}

/// A guest only knows the canonical algorithm, but a pointer must lead into the form as it was
/// written, perhaps with an alias.
fn as_written(
    errors: Vec<FieldError>,
    plugin: &LoadedPlugin,
    input: &ConversionInput,
) -> Vec<FieldError> {
    let (canonical, written) = (plugin.info.algorithm(), input.spec.algorithm.as_str());
    if canonical == written {
        return errors;
    }
    let prefix = format!("/hyperparameters/{canonical}");
    errors
        .into_iter()
        .map(|error| match error.pointer.strip_prefix(&prefix) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                FieldError { pointer: format!("/hyperparameters/{written}{rest}"), ..error }
            }
            _ => error,
        })
        .collect()
}

fn failed(plugin: &LoadedPlugin, call: Call, detail: String) -> PluginFault {
    PluginFault::Failed { plugin: plugin.info.name.clone(), call: call.name(), detail }
}
