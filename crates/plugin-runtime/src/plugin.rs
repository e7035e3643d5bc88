//! What a component says about itself, checked and completed: the plugin that everybody else
//! relies on. Whatever is wrong with a component is found before there is one of these.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use semver::Version;
use serde_json::Value;
use serde_json::value::RawValue;
use training::PluginDigest;
use training::ports::{PluginFault, PluginInfo, Signature};

use crate::backend::{Backend, Handle};
use crate::cache::Code;
use crate::config::Config;
use crate::describe;
use crate::error::LoadError;
use crate::gate::{Gate, Penalties};
use crate::guest_log;
use crate::sandbox::{Call, Fault};
use crate::schema::Schema;
use crate::self_test;
use crate::usage::Counters;
use crate::worker::wire::Contents;

/// A plugin that passed every check.
#[derive(Debug)]
pub(crate) struct LoadedPlugin {
    pub(crate) info: Arc<PluginInfo>,
    pub(crate) version: Version,
    pub(crate) handle: Handle,
    pub(crate) contents: Contents,
    /// Size of the component in bytes.
    pub(crate) size: u64,
    pub(crate) hyperparameters: Schema,
    /// The operator's settings over the plugin's defaults, as every job carries them.
    pub(crate) settings: Box<RawValue>,
    /// Who signed the file that holds it, when it was last looked at.
    pub(crate) signature: ArcSwap<Signature>,
    pub(crate) usage: Counters,
    pub(crate) gate: Gate,
}

/// Asks a compiled component what it is, checks the answer, and tries the examples in it.
pub(crate) async fn introduce(
    backend: &Backend,
    config: &Config,
    penalties: &Penalties,
    digest: PluginDigest,
    code: &Code,
    size: usize,
    file: &str,
) -> Result<LoadedPlugin, LoadError> {
    let (handle, contents, run) = backend.introduce(digest, code).await?;
    guest_log::publish(&run.log, file, "");
    let said = run.outcome.map_err(|fault| match fault {
        Fault::Crashed(how) | Fault::Gone(how) => LoadError::Lost { reason: how },
        fault => LoadError::Describe(as_plugin_fault(fault, file, Call::Describe, config)),
    })?;
    // Compiling schemas takes a millisecond or more, and many plugins are loaded at the same time.
    let checked = tokio::task::spawn_blocking(move || describe::check(said, digest)).await;
    let gave_up = |_| Err("its schemas cannot be compiled".to_owned());
    let described = checked.unwrap_or_else(gave_up).map_err(LoadError::BadDescription)?;
    let merged = merge(&described, &config.settings)?;
    let plugin = LoadedPlugin {
        info: Arc::new(described.info),
        version: described.version,
        handle,
        contents,
        size: size as u64,
        hyperparameters: described.hyperparameters,
        settings: merged,
        signature: ArcSwap::from_pointee(Signature::Unsigned),
        usage: Counters::default(),
        gate: Gate::new(config.max_concurrent, penalties.clone()),
    };
    self_test::run(backend, config, &plugin, file).await?;
    Ok(plugin)
}

/// A fault in the words of the port.
pub(crate) fn as_plugin_fault(
    fault: Fault,
    plugin: &str,
    call: Call,
    config: &Config,
) -> PluginFault {
    let (plugin, call) = (plugin.to_owned(), call.name());
    match fault {
        Fault::NoSlot => PluginFault::Busy,
        Fault::TimedOut => {
            let limit_ms = u64::try_from(config.deadline.as_millis()).unwrap_or(u64::MAX);
            PluginFault::TimedOut { plugin, call, limit_ms }
        }
        Fault::Failed(detail) => PluginFault::Failed { plugin, call, detail },
        Fault::Gone(detail) => {
            let detail = format!("its compiled code is lost: {detail}");
            PluginFault::Failed { plugin, call, detail }
        }
        Fault::Crashed(how) => {
            let detail = format!("the process that ran it was lost: {how}");
            PluginFault::Failed { plugin, call, detail }
        }
    }
}

fn merge(
    described: &describe::Described,
    settings: &BTreeMap<String, Value>,
) -> Result<Box<RawValue>, LoadError> {
    let plugin = &described.info.name;
    let wrong = |reason: String| LoadError::Settings { plugin: plugin.clone(), reason };
    let mut filled = settings.get(plugin).unwrap_or(&Value::Null).clone();
    if filled.is_null() {
        filled = Value::Object(serde_json::Map::new());
    }
    described.settings.fill(&mut filled);
    let errors = described.settings.errors(&filled);
    if !errors.is_empty() {
        let list: Vec<String> =
            errors.iter().map(|error| format!("{}: {}", error.pointer, error.detail)).collect();
        return Err(wrong(list.join(" ")));
    }
    serde_json::value::to_raw_value(&filled).map_err(|error| wrong(error.to_string()))
}
