//! The port: what the use-cases and the host see. Calls are in `calls.rs`.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::StreamExt as _;
use serde_json::Value;
use tokio::sync::Notify;
use training::PluginDigest;
use training::ports::{
    Audience, CatalogView, Conversion, ConversionInput, ConvertRefusal, FieldError, PluginChange,
    PluginFault, PluginInfo, Plugins, Prepared, Report, Route,
};

use super::calls::failed;
use super::request::Request;
use super::{LOADS, PluginRuntime};
use crate::catalog;
use crate::changes;
use crate::patience::Patience;
use crate::plugin::LoadedPlugin;
use crate::sandbox::Call;

impl PluginRuntime {
    fn find(&self, digest: &PluginDigest) -> Result<Arc<LoadedPlugin>, PluginFault> {
        self.catalog.load().by_digest(digest).cloned().ok_or(PluginFault::NotLoaded(*digest))
    }
}

#[async_trait]
impl Plugins for PluginRuntime {
    fn resolve(&self, algorithm: &str, audience: Audience<'_>) -> Option<Arc<PluginInfo>> {
        self.catalog.load().resolve(algorithm, audience).map(|plugin| Arc::clone(&plugin.info))
    }

    fn list(&self) -> Vec<Arc<PluginInfo>> {
        self.catalog.load().plugins().cloned().collect()
    }

    fn catalog(&self) -> CatalogView {
        self.explain(self.catalog.load().view())
    }

    async fn set_routes(&self, routes: &[Route]) {
        // First the versions, then the routes to them: what serves must not pause meanwhile.
        let digests = routes.iter().flat_map(catalog::routed).collect::<Vec<_>>();
        let loads = futures_util::stream::iter(digests).map(|digest| async move {
            if let Err(fault) = self.find_or_fetch(&digest).await {
                tracing::error!("A version that an operator chose cannot serve yet: {fault}");
            }
        });
        loads.buffer_unordered(LOADS).collect::<()>().await;
        self.swap(|catalog| catalog.with_routes(routes));
    }

    fn release(&self, plugin: &PluginDigest) -> bool {
        if self.catalog.load().quarantine(plugin).is_none() {
            return false;
        }
        self.strikes.forget(plugin);
        self.swap(|catalog| catalog.with_quarantine(*plugin, None));
        if let Ok(found) = self.find(plugin) {
            let info = &found.info;
            let message = format!("Plugin `{}` {} is released", info.name, info.version);
            self.changes.push(changes::about("Released", &found, &self.catalog(), message));
        }
        true
    }

    fn take_changes(&self) -> Vec<PluginChange> {
        self.changes.take()
    }

    fn hint(&self) -> Arc<Notify> {
        Arc::clone(&self.changes.hint)
    }

    fn may_convert(&self, plugin: &PluginDigest) -> Result<(), PluginFault> {
        let plugin = self.find(plugin)?;
        self.trust(&plugin)
    }

    async fn load(&self, plugin: &PluginDigest) -> Result<Arc<PluginInfo>, PluginFault> {
        Ok(Arc::clone(&self.find_or_fetch(plugin).await?.info))
    }

    fn prepare(
        &self,
        plugin: &PluginDigest,
        hyperparameters: &Value,
    ) -> Result<Prepared, PluginFault> {
        Ok(self.find(plugin)?.hyperparameters.prepare(hyperparameters))
    }

    fn settings(&self, plugin: &PluginDigest) -> Result<Value, PluginFault> {
        let plugin = self.find(plugin)?;
        serde_json::from_str(plugin.settings.get())
            .map_err(|error| failed(&plugin, Call::Convert, format!("its settings: {error}")))
    }

    async fn input_text(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<String, PluginFault> {
        self.input_within(Patience::UNBOUNDED, plugin, input).await
    }

    async fn validate(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Vec<FieldError>, PluginFault> {
        self.validate_within(Patience::UNBOUNDED, plugin, input).await
    }

    async fn convert(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Result<Conversion, ConvertRefusal>, PluginFault> {
        self.convert_within(Patience::UNBOUNDED, plugin, input).await
    }

    async fn validate_and_convert(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Result<Conversion, ConvertRefusal>, PluginFault> {
        self.both_within(Patience::UNBOUNDED, plugin, input).await
    }

    async fn interpret(
        &self,
        plugin: &PluginDigest,
        algorithm: &str,
        object: &Value,
    ) -> Result<Report, PluginFault> {
        self.interpret_within(Patience::UNBOUNDED, plugin, algorithm, object).await
    }

    fn for_request(&self) -> Option<Arc<dyn Plugins>> {
        Some(Arc::new(Request::new(self.me.upgrade()?)))
    }
}
