//! Plugins without a sandbox: versions that a test adds, routed as the real ones are. Each makes a
//! one-container Job whose image is its version and the setting `image`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::id::{PluginDigest, Sha256Digest};
use crate::job::FailureClass;
use crate::manifest::{Manifest, Role};
use crate::ports::{
    Audience, CatalogView, Conversion, ConversionInput, ConvertRefusal, FieldError, PluginChange,
    PluginFault, PluginInfo, PluginKind, PluginVersion, Plugins, Prepared, Report, Route, RunState,
    Signature, Usage, VersionState,
};
use crate::routing;

/// Versions of plugins in memory.
#[derive(Default)]
pub struct MemoryPlugins {
    state: Mutex<State>,
    hint: Arc<Notify>,
}

#[derive(Default)]
struct State {
    /// Highest first.
    versions: Vec<(Arc<PluginInfo>, bool)>,
    routes: BTreeMap<String, Route>,
    quarantined: BTreeSet<String>,
    changes: Vec<PluginChange>,
    image: String,
    stalled: BTreeSet<String>,
    stalled_calls: usize,
}

impl MemoryPlugins {
    /// Adds a version above all that are there; one without a file is reached by digest alone.
    pub fn add(&self, name: &str, version: &str, in_file: bool) -> PluginDigest {
        let digest = PluginDigest::of(format!("{name} {version}"));
        let kind = PluginKind {
            api_version: "batch/v1".to_owned(),
            kind: "Job".to_owned(),
            plural: "jobs".to_owned(),
            workload: true,
            max_name_length: 63,
        };
        let info = PluginInfo {
            name: name.to_owned(),
            version: version.to_owned(),
            digest,
            algorithms: vec![name.to_owned()],
            title: name.to_owned(),
            summary: format!("Trains {name}."),
            schema: "{}".to_owned(),
            schema_digest: Sha256Digest::of("{}"),
            settings_schema: "{}".to_owned(),
            kinds: vec![kind],
            interpreters: Vec::new(),
            suspend: None,
            examples: Vec::new(),
        };
        self.locked().versions.insert(0, (Arc::new(info), in_file));
        digest
    }

    /// Forgets a version altogether.
    pub fn forget(&self, digest: &PluginDigest) {
        self.locked().versions.retain(|(info, _)| info.digest != *digest);
    }

    /// Locks a version away, as a sandbox that broke does.
    pub fn quarantine(&self, digest: &PluginDigest) {
        self.locked().quarantined.insert(digest.to_string());
    }

    /// Lets every call to read a status run out of its second.
    pub fn stall(&self, digest: &PluginDigest) {
        self.locked().stalled.insert(digest.to_string());
    }

    /// Calls that ran out of their time.
    pub fn stalled_calls(&self) -> usize {
        self.locked().stalled_calls
    }

    /// Makes something happen.
    pub fn happen(&self, kind: &'static str, plugin: &str) {
        self.locked().changes.push(PluginChange {
            kind,
            plugin: plugin.to_owned(),
            version: "1.0.0".to_owned(),
            digest: None,
            file: format!("{plugin}.wasm"),
            message: format!("{plugin}: {kind}."),
        });
        self.hint.notify_one();
    }

    /// Changes the operator's setting that every plan depends on.
    pub fn set_image(&self, image: &str) {
        image.clone_into(&mut self.locked().image);
    }

    /// The routes in force.
    pub fn routes(&self) -> Vec<Route> {
        self.locked().routes.values().cloned().collect()
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find(&self, digest: &PluginDigest) -> Result<Arc<PluginInfo>, PluginFault> {
        let found = self.versions.iter().find(|(info, _)| info.digest == *digest);
        found.map(|(info, _)| Arc::clone(info)).ok_or(PluginFault::NotLoaded(*digest))
    }

    fn serving(&self, name: &str, audience: Audience<'_>) -> Option<Arc<PluginInfo>> {
        let route = self.routes.get(name);
        let routed = |digest: PluginDigest| {
            route.is_some_and(|route| {
                route.pinned == Some(digest)
                    || route.canary.as_ref().is_some_and(|canary| canary.digest == digest)
            })
        };
        let able: Vec<PluginDigest> = self
            .versions
            .iter()
            .filter(|(info, in_file)| info.name == name && (*in_file || routed(info.digest)))
            .map(|(info, _)| info.digest)
            .filter(|digest| !self.quarantined.contains(&digest.to_string()))
            .collect();
        let chosen = routing::choose(name, &able, route, audience)?;
        self.find(&chosen).ok()
    }

    fn names(&self) -> BTreeSet<String> {
        self.versions.iter().map(|(info, _)| info.name.clone()).collect()
    }
}

#[async_trait]
impl Plugins for MemoryPlugins {
    fn resolve(&self, algorithm: &str, audience: Audience<'_>) -> Option<Arc<PluginInfo>> {
        self.locked().serving(algorithm, audience)
    }

    fn list(&self) -> Vec<Arc<PluginInfo>> {
        let state = self.locked();
        let names = state.names();
        names.iter().filter_map(|name| state.serving(name, Audience::ANYBODY)).collect()
    }

    fn catalog(&self) -> CatalogView {
        let state = self.locked();
        let versions = state.versions.iter().map(|(info, in_file)| {
            let serving = state.serving(&info.name, Audience::ANYBODY);
            let state = if state.quarantined.contains(&info.digest.to_string()) {
                VersionState::Quarantined
            } else if serving.is_some_and(|serving| serving.digest == info.digest) {
                VersionState::Active
            } else {
                VersionState::Standby
            };
            PluginVersion {
                info: Arc::clone(info),
                state,
                reason: "The test wants it so.".to_owned(),
                file: in_file.then(|| format!("{}-{}.wasm", info.name, info.version)),
                signature: Signature::Unsigned,
                usage: Usage::default(),
            }
        });
        CatalogView { versions: versions.collect(), rejected: Vec::new() }
    }

    async fn set_routes(&self, routes: &[Route]) {
        let by_plugin = routes.iter().map(|route| (route.plugin.clone(), route.clone()));
        self.locked().routes = by_plugin.collect();
    }

    fn release(&self, plugin: &PluginDigest) -> bool {
        self.locked().quarantined.remove(&plugin.to_string())
    }

    fn take_changes(&self) -> Vec<PluginChange> {
        std::mem::take(&mut self.locked().changes)
    }

    fn hint(&self) -> Arc<Notify> {
        Arc::clone(&self.hint)
    }

    async fn load(&self, plugin: &PluginDigest) -> Result<Arc<PluginInfo>, PluginFault> {
        self.locked().find(plugin)
    }

    fn prepare(&self, plugin: &PluginDigest, values: &Value) -> Result<Prepared, PluginFault> {
        self.locked().find(plugin)?;
        Ok(Prepared { hyperparameters: values.clone(), errors: Vec::new() })
    }

    fn settings(&self, _: &PluginDigest) -> Result<Value, PluginFault> {
        Ok(json!({"image": self.locked().image}))
    }

    async fn input_text(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<String, PluginFault> {
        let settings = match &input.settings {
            Some(settings) => settings.clone(),
            None => self.settings(plugin)?,
        };
        let id = input.id.as_str();
        let values = &input.spec.hyperparameters;
        Ok(json!({"id": id, "hyperparameters": values, "settings": settings}).to_string())
    }

    async fn validate(
        &self,
        _: &PluginDigest,
        _: &ConversionInput,
    ) -> Result<Vec<FieldError>, PluginFault> {
        Ok(Vec::new())
    }

    async fn convert(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Result<Conversion, ConvertRefusal>, PluginFault> {
        let info = self.locked().find(plugin)?;
        let settings = match &input.settings {
            Some(settings) => settings.clone(),
            None => self.settings(plugin)?,
        };
        let suffix = settings.get("image").and_then(Value::as_str).unwrap_or_default();
        let document = json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": input.spec.name.as_str()},
            "spec": {"template": {"spec": {
                "restartPolicy": "Never",
                "containers": [{
                    "name": "train",
                    "image": format!("{}:{}{suffix}", info.name, info.version),
                    "args": [input.spec.hyperparameters.to_string()],
                    "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
                }],
            }}},
        });
        let manifests = vec![Manifest { role: Role::Workload, document }];
        Ok(Ok(Conversion { manifests, warnings: Vec::new() }))
    }

    async fn interpret(
        &self,
        plugin: &PluginDigest,
        _: &str,
        _: &Value,
    ) -> Result<Report, PluginFault> {
        let stalls = self.locked().stalled.contains(&plugin.to_string());
        if stalls {
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.locked().stalled_calls += 1;
            let plugin = self.load(plugin).await?.name.clone();
            return Err(PluginFault::TimedOut { plugin, call: "interpret", limit_ms: 1000 });
        }
        self.locked().find(plugin)?;
        Ok(Report {
            state: RunState::Running,
            reason: "Running".to_owned(),
            message: "It runs.".to_owned(),
            progress: None,
            failure: FailureClass::None,
            started_at: None,
            finished_at: None,
            logs: Vec::new(),
        })
    }
}
