//! The plugins as one request sees them: the same port, but all calls through it end by one moment.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Notify;
use training::PluginDigest;
use training::ports::{
    Audience, CatalogView, Conversion, ConversionInput, ConvertRefusal, FieldError, PluginChange,
    PluginFault, PluginInfo, Plugins, Prepared, Report, Route,
};

use super::PluginRuntime;
use crate::patience::Patience;

/// Made when the request begins to ask, gone when it is answered.
pub(super) struct Request {
    runtime: Arc<PluginRuntime>,
    patience: Patience,
}

impl Request {
    pub(super) fn new(runtime: Arc<PluginRuntime>) -> Self {
        let config = &runtime.config;
        let patience = Patience::of_request(config.request.max(config.deadline));
        Self { runtime, patience }
    }
}

#[async_trait]
impl Plugins for Request {
    fn resolve(&self, algorithm: &str, audience: Audience<'_>) -> Option<Arc<PluginInfo>> {
        self.runtime.resolve(algorithm, audience)
    }

    fn list(&self) -> Vec<Arc<PluginInfo>> {
        self.runtime.list()
    }

    fn catalog(&self) -> CatalogView {
        Plugins::catalog(&*self.runtime)
    }

    async fn set_routes(&self, routes: &[Route]) {
        self.runtime.set_routes(routes).await;
    }

    fn release(&self, plugin: &PluginDigest) -> bool {
        self.runtime.release(plugin)
    }

    fn take_changes(&self) -> Vec<PluginChange> {
        self.runtime.take_changes()
    }

    fn hint(&self) -> Arc<Notify> {
        self.runtime.hint()
    }

    fn may_convert(&self, plugin: &PluginDigest) -> Result<(), PluginFault> {
        self.runtime.may_convert(plugin)
    }

    async fn load(&self, plugin: &PluginDigest) -> Result<Arc<PluginInfo>, PluginFault> {
        let found = self.runtime.find_within(self.patience, plugin).await?;
        Ok(Arc::clone(&found.info))
    }

    fn prepare(
        &self,
        plugin: &PluginDigest,
        hyperparameters: &Value,
    ) -> Result<Prepared, PluginFault> {
        self.runtime.prepare(plugin, hyperparameters)
    }

    fn settings(&self, plugin: &PluginDigest) -> Result<Value, PluginFault> {
        self.runtime.settings(plugin)
    }

    async fn input_text(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<String, PluginFault> {
        self.runtime.input_within(self.patience, plugin, input).await
    }

    async fn validate(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Vec<FieldError>, PluginFault> {
        self.runtime.validate_within(self.patience, plugin, input).await
    }

    async fn convert(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Result<Conversion, ConvertRefusal>, PluginFault> {
        self.runtime.convert_within(self.patience, plugin, input).await
    }

    async fn validate_and_convert(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Result<Conversion, ConvertRefusal>, PluginFault> {
        self.runtime.both_within(self.patience, plugin, input).await
    }

    async fn interpret(
        &self,
        plugin: &PluginDigest,
        algorithm: &str,
        object: &Value,
    ) -> Result<Report, PluginFault> {
        self.runtime.interpret_within(self.patience, plugin, algorithm, object).await
    }
}
