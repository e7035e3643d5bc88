//! Calls, with everything that surrounds one: a call passes the gate of its plugin, runs where guests
//! run, is counted, logged, and weighed; and its caller waits no longer than it has patience.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::{Instrument as _, Span};
use training::PluginDigest;
use training::ports::{
    Audience, Conversion, ConversionInput, ConvertRefusal, FieldError, PluginFault, Report,
};
use wasmtime::component::Lift;

use super::PluginRuntime;
use crate::answer;
use crate::bindings;
use crate::changes;
use crate::finish::finish;
use crate::gate;
use crate::guest_log;
use crate::input::write_job;
use crate::patience::{Patience, Wait};
use crate::plugin::{LoadedPlugin, as_plugin_fault};
use crate::sandbox::{Call, Checked, Fault, Run};

/// What `validate` found, or what `convert` answered.
type BothAnswers = Result<Result<bindings::Plan, bindings::Failure>, Vec<FieldError>>;

impl PluginRuntime {
    /// A plugin by its digest, from the archive if need be and if it is there in time.
    pub(super) async fn find_within(
        &self,
        patience: Patience,
        digest: &PluginDigest,
    ) -> Result<Arc<LoadedPlugin>, PluginFault> {
        let found = patience.other(self.find_or_fetch(digest)).await;
        found.unwrap_or(Err(PluginFault::Unreachable(*digest)))
    }

    /// The same for a version that is to make manifests.
    async fn find_to_convert(
        &self,
        patience: Patience,
        digest: &PluginDigest,
    ) -> Result<Arc<LoadedPlugin>, PluginFault> {
        let plugin = self.find_within(patience, digest).await?;
        self.trust(&plugin)?;
        Ok(plugin)
    }

    /// Refuses a version that may not convert.
    pub(super) fn trust(&self, plugin: &LoadedPlugin) -> Result<(), PluginFault> {
        if self.is_trusted(plugin) {
            return Ok(());
        }
        let (plugin, version) = (plugin.info.name.clone(), plugin.info.version.clone());
        Err(PluginFault::Untrusted { plugin, version })
    }

    /// [`Plugins::input_text`](training::ports::Plugins::input_text).
    pub(super) async fn input_within(
        &self,
        patience: Patience,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<String, PluginFault> {
        let plugin = self.find_within(patience, plugin).await?;
        job_text(&plugin, Call::Convert, input)
    }

    /// [`Plugins::validate`](training::ports::Plugins::validate).
    pub(super) async fn validate_within(
        &self,
        patience: Patience,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Vec<FieldError>, PluginFault> {
        let plugin = self.find_to_convert(patience, plugin).await?;
        let findings: Vec<bindings::Finding> =
            self.call_with_job(patience, &plugin, Call::Validate, input).await?;
        Ok(as_written(answer::findings(findings), &plugin, input))
    }

    /// [`Plugins::convert`](training::ports::Plugins::convert).
    pub(super) async fn convert_within(
        &self,
        patience: Patience,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Result<Conversion, ConvertRefusal>, PluginFault> {
        let plugin = self.find_to_convert(patience, plugin).await?;
        let answer: Result<bindings::Plan, bindings::Failure> =
            self.call_with_job(patience, &plugin, Call::Convert, input).await?;
        converted(answer, &plugin, input)
    }

    /// [`Plugins::validate_and_convert`](training::ports::Plugins::validate_and_convert).
    pub(super) async fn both_within(
        &self,
        patience: Patience,
        plugin: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Result<Conversion, ConvertRefusal>, PluginFault> {
        let plugin = self.find_to_convert(patience, plugin).await?;
        match self.call_both(patience, &plugin, input).await? {
            Ok(answer) => converted(answer, &plugin, input),
            Err(found) => Ok(Err(ConvertRefusal::Invalid(as_written(found, &plugin, input)))),
        }
    }

    /// [`Plugins::interpret`](training::ports::Plugins::interpret).
    pub(super) async fn interpret_within(
        &self,
        patience: Patience,
        plugin: &PluginDigest,
        algorithm: &str,
        object: &Value,
    ) -> Result<Report, PluginFault> {
        let plugin = match self.find_within(patience, plugin).await {
            Ok(plugin) => plugin,
            // One that is only late is asked later: another version may read something else.
            Err(fault @ PluginFault::NotLoaded(_)) => {
                let serving = self.catalog.load().resolve(algorithm, Audience::ANYBODY).cloned();
                serving.ok_or(fault)?
            }
            Err(fault) => return Err(fault),
        };
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let report: bindings::Report =
            self.call(patience, &plugin, Call::Interpret, name, object.to_string()).await?;
        Ok(answer::report(&report))
    }

    async fn call_with_job<R>(
        &self,
        patience: Patience,
        plugin: &Arc<LoadedPlugin>,
        call: Call,
        input: &ConversionInput,
    ) -> Result<R, PluginFault>
    where
        R: Lift + DeserializeOwned + Send + Sync + 'static,
    {
        let job = job_text(plugin, call, input)?;
        self.call(patience, plugin, call, input.id.as_str(), job).await
    }

    /// One call. `subject` is the job's id or the workload's name, for logs. Once it has begun it
    /// ends, with all that it costs its plugin, though its caller may be gone.
    async fn call<R>(
        &self,
        patience: Patience,
        plugin: &Arc<LoadedPlugin>,
        call: Call,
        subject: &str,
        json: String,
    ) -> Result<R, PluginFault>
    where
        R: Lift + DeserializeOwned + Send + Sync + 'static,
    {
        let wait = patience.wait();
        let asked = async {
            let place = self.enter(plugin, call, &wait).await?;
            let (this, plugin, subject) = (self.me()?, Arc::clone(plugin), subject.to_owned());
            let wait = wait.clone();
            let work = async move {
                let _place = place;
                let span = span(call, &plugin, &subject);
                let started = Instant::now();
                let run = this.run(&plugin, call, json, &wait).instrument(span.clone()).await;
                let took = started.elapsed();
                span.record("duration_us", micros(took));
                span.in_scope(|| this.account(&plugin, call, &subject, run, took))
            };
            finish(&self.left, work).await
        };
        patience.call(&plugin.info.name, call, &wait, asked).await
    }

    /// For work that may outlive its caller. There is none while the runtime itself goes.
    pub(super) fn me(&self) -> Result<Arc<Self>, PluginFault> {
        self.me.upgrade().ok_or(PluginFault::Busy)
    }

    /// `validate` and, if it finds nothing, `convert`, under one span and in one place of the gate.
    async fn call_both(
        &self,
        patience: Patience,
        plugin: &Arc<LoadedPlugin>,
        input: &ConversionInput,
    ) -> Result<BothAnswers, PluginFault> {
        let (call, subject) = (Call::ValidateAndConvert, input.id.as_str().to_owned());
        let json = job_text(plugin, call, input)?;
        let wait = patience.wait();
        let asked = async {
            let place = self.enter(plugin, call, &wait).await?;
            let (this, plugin, wait) = (self.me()?, Arc::clone(plugin), wait.clone());
            let work = async move {
                let _place = place;
                this.both(&plugin, &subject, json, &wait).await
            };
            finish(&self.left, work).await
        };
        patience.call(&plugin.info.name, call, &wait, asked).await
    }

    async fn both(
        &self,
        plugin: &LoadedPlugin,
        subject: &str,
        json: String,
        wait: &Wait,
    ) -> Result<BothAnswers, PluginFault> {
        let call = Call::ValidateAndConvert;
        let span = span(call, plugin, subject);
        let started = Instant::now();
        let (validated, converted) =
            self.run_both(plugin, json, wait).instrument(span.clone()).await;
        let took = started.elapsed();
        span.record("duration_us", micros(took));
        let _inside = span.enter();
        let of_validate = if converted.is_some() { validated.took.min(took) } else { took };
        let blamed = match &validated.outcome {
            // Which of them was under way, nobody knows.
            Err(Fault::Crashed(_) | Fault::Gone(_) | Fault::NoSlot) => call,
            _ => Call::Validate,
        };
        let findings = self.account(plugin, blamed, subject, validated, of_validate)?;
        let Some(converted) = converted else { return Ok(Err(answer::findings(findings))) };
        let rest = took.saturating_sub(of_validate);
        self.account(plugin, Call::Convert, subject, converted, rest).map(Ok)
    }

    /// A place among the calls of a plugin, if it may be called and one becomes free in time.
    async fn enter(
        &self,
        plugin: &LoadedPlugin,
        call: Call,
        wait: &Wait,
    ) -> Result<gate::Place, PluginFault> {
        let info = &plugin.info;
        if self.catalog.load().quarantine(&info.digest).is_some() {
            return Err(PluginFault::Quarantined { plugin: info.name.clone() });
        }
        let place = plugin.gate.enter(wait).await;
        if place.is_none() {
            count(plugin, call, "busy");
        }
        place.ok_or(PluginFault::Busy)
    }

    /// Logs, counts and weighs what a call did.
    fn account<R>(
        &self,
        plugin: &LoadedPlugin,
        call: Call,
        subject: &str,
        run: Run<R>,
        took: Duration,
    ) -> Result<R, PluginFault> {
        let info = &plugin.info;
        guest_log::publish(&run.log, &info.name, subject);
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
    async fn run<R>(&self, plugin: &LoadedPlugin, call: Call, json: String, wait: &Wait) -> Run<R>
    where
        R: Lift + DeserializeOwned + Send + Sync + 'static,
    {
        let first = self.backend.call(&plugin.handle, call, json.clone(), wait).await;
        if !self.weigh(plugin, call, &first) {
            return first;
        }
        let second = self.backend.call(&plugin.handle, call, json, wait).await;
        self.weigh(plugin, call, &second);
        second
    }

    /// The same for both calls of a submission.
    async fn run_both(&self, plugin: &LoadedPlugin, json: String, wait: &Wait) -> Checked {
        let call = Call::ValidateAndConvert;
        let first = self.backend.validate_and_convert(&plugin.handle, json.clone(), wait).await;
        if !self.weigh(plugin, call, &first.0) {
            return first;
        }
        let second = self.backend.validate_and_convert(&plugin.handle, json, wait).await;
        self.weigh(plugin, call, &second.0);
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
            return self.catalog.load().quarantine(&info.digest).is_none();
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

/// What a plugin made of a job, checked and in the host's words.
fn converted(
    answer: Result<bindings::Plan, bindings::Failure>,
    plugin: &LoadedPlugin,
    input: &ConversionInput,
) -> Result<Result<Conversion, ConvertRefusal>, PluginFault> {
    let answer =
        answer::conversion(answer).map_err(|breach| failed(plugin, Call::Convert, breach))?;
    Ok(answer.map_err(|refusal| match refusal {
        ConvertRefusal::Invalid(errors) => {
            ConvertRefusal::Invalid(as_written(errors, plugin, input))
        }
        unsupported @ ConvertRefusal::Unsupported(_) => unsupported,
    }))
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

pub(super) fn failed(plugin: &LoadedPlugin, call: Call, detail: String) -> PluginFault {
    PluginFault::Failed { plugin: plugin.info.name.clone(), call: call.name(), detail }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
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
        Call::ValidateAndConvert => span!("plugin.validate_and_convert"),
        Call::Interpret => span!("plugin.interpret"),
    }
}
