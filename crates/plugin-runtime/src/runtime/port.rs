//! The port: calls by digest, with everything that surrounds one. A call passes the gate of its
//! plugin, runs where guests run, is counted, logged, and weighed.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Notify;
use tracing::{Instrument as _, Span};
use training::PluginDigest;
use training::ports::{
    Audience, CatalogView, Conversion, ConversionInput, ConvertRefusal, FieldError, PluginChange,
    PluginFault, PluginInfo, Plugins, Prepared, Report, Route,
};
use wasmtime::component::Lift;

use super::PluginRuntime;
use crate::answer;
use crate::bindings;
use crate::catalog;
use crate::changes;
use crate::guest_log;
use crate::input::write_job;
use crate::plugin::{LoadedPlugin, as_plugin_fault};
use crate::sandbox::{Call, Fault, Run};

impl PluginRuntime {
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
        R: Lift + DeserializeOwned + Send + Sync + 'static,
    {
        let job = job_text(plugin, call, input)?;
        self.call(plugin, call, input.id.as_str(), job).await
    }

    /// One call. `subject` is the job's id or the workload's name, for logs.
    async fn call<R>(
        &self,
        plugin: &LoadedPlugin,
        call: Call,
        subject: &str,
        json: String,
    ) -> Result<R, PluginFault>
    where
        R: Lift + DeserializeOwned + Send + Sync + 'static,
    {
        let info = &plugin.info;
        if self.catalog.load().quarantine(&info.digest).is_some() {
            return Err(PluginFault::Quarantined { plugin: info.name.clone() });
        }
        let Some(_place) = plugin.gate.enter().await else {
            count(plugin, call, "busy");
            return Err(PluginFault::Busy);
        };
        let span = span(call, plugin, subject);
        let started = Instant::now();
        let run = self.run(plugin, call, json).instrument(span.clone()).await;
        let took = started.elapsed();
        span.record("duration_us", u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        span.in_scope(|| guest_log::publish(&run.log, &info.name, subject));
        let outcome = match &run.outcome {
            Ok(_) => "ok",
            Err(Fault::NoSlot) => "busy",
            Err(Fault::TimedOut) => "timed_out",
            Err(Fault::Failed(_)) => "failed",
            Err(Fault::Crashed(_) | Fault::Gone(_)) => "crashed",
        };
        count(plugin, call, outcome);
        metrics::histogram!(
            "trainyard_plugin_call_duration_seconds",
            "plugin" => info.name.clone(), "call" => call.name()
        )
        .record(took.as_secs_f64());
        if matches!(run.outcome, Err(Fault::Gone(_))) {
            // The next look, or the archive, brings it back.
            self.forget(&info.digest);
        }
        if matches!(run.outcome, Err(Fault::TimedOut)) {
            plugin.gate.narrow();
        }
        let result =
            run.outcome.map_err(|fault| as_plugin_fault(fault, &info.name, call, &self.config));
        if !matches!(result, Err(PluginFault::Busy)) {
            plugin.usage.record(&result, took, run.memory_bytes);
        }
        result
    }

    /// Runs a call, once more if its process was lost: a call changes nothing, and a process can
    /// be lost for reasons that are not the plugin's.
    async fn run<R>(&self, plugin: &LoadedPlugin, call: Call, json: String) -> Run<R>
    where
        R: Lift + DeserializeOwned + Send + Sync + 'static,
    {
        let first = self.backend.call(&plugin.handle, call, json.clone()).await;
        if !self.weigh(plugin, call, &first) {
            return first;
        }
        if self.catalog.load().quarantine(&plugin.info.digest).is_some() {
            return first;
        }
        let second = self.backend.call(&plugin.handle, call, json).await;
        self.weigh(plugin, call, &second);
        second
    }

    /// Counts a lost process against the plugin. True if another try is due.
    fn weigh<R>(&self, plugin: &LoadedPlugin, call: Call, run: &Run<R>) -> bool {
        let Err(Fault::Crashed(how)) = &run.outcome else { return false };
        let info = &plugin.info;
        plugin.usage.crashed();
        plugin.gate.narrow();
        tracing::warn!(
            plugin.name = info.name, plugin.version = info.version, plugin.digest = %info.digest,
            "Plugin `{}` lost its process in `{}`: {how}", info.name, call.name()
        );
        if !self.strikes.add(info.digest, Instant::now()) {
            return true;
        }
        if self.catalog.load().quarantine(&info.digest).is_some() {
            return false;
        }
        let reason = format!("It lost its process three times within ten minutes; at last {how}.");
        self.swap(|catalog| catalog.with_quarantine(info.digest, Some(reason.clone())));
        let message = format!("Plugin `{}` {} is quarantined: {reason}", info.name, info.version);
        self.changes.push(changes::about("Quarantined", plugin, &self.catalog(), message));
        false
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
        self.catalog.load().view()
    }

    async fn set_routes(&self, routes: &[Route]) {
        // First the versions, then the routes to them: what serves must not pause meanwhile.
        for digest in routes.iter().flat_map(catalog::routed) {
            if let Err(fault) = self.find_or_fetch(&digest).await {
                tracing::error!("A version that an operator chose cannot serve yet: {fault}");
            }
        }
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
        let plugin = self.find_or_fetch(plugin).await?;
        job_text(&plugin, Call::Convert, input)
    }

    async fn validate(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Vec<FieldError>, PluginFault> {
        let plugin = self.find_or_fetch(plugin).await?;
        let findings: Vec<bindings::Finding> =
            self.call_with_job(&plugin, Call::Validate, input).await?;
        Ok(as_written(answer::findings(findings), &plugin, input))
    }

    async fn convert(
        &self,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Result<Conversion, ConvertRefusal>, PluginFault> {
        let plugin = self.find_or_fetch(plugin).await?;
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
        let plugin = match self.find_or_fetch(plugin).await {
            Ok(plugin) => plugin,
            Err(fault) => {
                let serving = self.catalog.load().resolve(algorithm, Audience::ANYBODY).cloned();
                serving.ok_or(fault)?
            }
        };
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let report: bindings::Report =
            self.call(&plugin, Call::Interpret, name, object.to_string()).await?;
        Ok(answer::report(&report))
    }
}

fn job_text(
    plugin: &LoadedPlugin,
    call: Call,
    input: &ConversionInput,
) -> Result<String, PluginFault> {
    let unwritable = |error| failed(plugin, call, format!("its input cannot be written: {error}"));
    let given = input.settings.as_ref().map(serde_json::value::to_raw_value);
    let given = given.transpose().map_err(unwritable)?;
    let settings = given.as_deref().unwrap_or(&plugin.settings);
    write_job(input, plugin.info.algorithm(), settings).map_err(unwritable)
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

fn count(plugin: &LoadedPlugin, call: Call, outcome: &'static str) {
    metrics::counter!(
        "trainyard_plugin_calls_total",
        "plugin" => plugin.info.name.clone(),
        "version" => plugin.info.version.clone(),
        "call" => call.name(),
        "outcome" => outcome
    )
    .increment(1);
}

fn span(call: Call, plugin: &LoadedPlugin, subject: &str) -> Span {
    let info = &plugin.info;
    macro_rules! span {
        ($name:literal) => {
            tracing::info_span!(
                $name,
                plugin.name = info.name,
                plugin.version = info.version,
                plugin.digest = %info.digest,
                job.id = subject,
                duration_us = tracing::field::Empty,
            )
        };
    }
    match call {
        Call::Describe => span!("plugin.describe"),
        Call::Validate => span!("plugin.validate"),
        Call::Convert => span!("plugin.convert"),
        Call::Interpret => span!("plugin.interpret"),
    }
}
