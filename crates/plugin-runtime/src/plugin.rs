//! From bytes to a plugin that can be called: compile or fetch from the cache, link, describe,
//! check, merge settings. Whatever is wrong with a file is found here, before anybody relies on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use semver::Version;
use serde_json::Value;
use serde_json::value::RawValue;
use training::PluginDigest;
use training::ports::{PluginInfo, Signature};
use wasmtime::component::Component;

use crate::cache::Cache;
use crate::describe;
use crate::error::LoadError;
use crate::sandbox::{Caller, Guest, Sandboxes, reason_of};
use crate::schema::Schema;
use crate::usage::Counters;

/// A plugin that passed every check.
#[derive(Debug)]
pub(crate) struct LoadedPlugin {
    pub(crate) info: Arc<PluginInfo>,
    pub(crate) version: Version,
    pub(crate) guest: Guest,
    pub(crate) hyperparameters: Schema,
    /// The operator's settings over the plugin's defaults, as every job carries them.
    pub(crate) settings: Box<RawValue>,
    pub(crate) signature: Signature,
    pub(crate) usage: Counters,
    digest_text: String,
}

impl LoadedPlugin {
    /// How calls for a job introduce themselves in logs and errors.
    pub(crate) fn caller<'a>(&'a self, subject: &'a str) -> Caller<'a> {
        Caller {
            plugin: &self.info.name,
            version: &self.info.version,
            digest: &self.digest_text,
            subject,
        }
    }
}

/// Compiles, or takes compiled code from the cache. Blocks for as long as a compilation takes.
pub(crate) fn compile(
    sandboxes: &Sandboxes,
    cache: Option<&Cache>,
    bytes: &[u8],
    digest: &PluginDigest,
) -> Result<Component, LoadError> {
    let engine = sandboxes.engine();
    if let Some(component) = cache.and_then(|cache| cache.load(engine, digest)) {
        return Ok(component);
    }
    // `from_binary`, not `new`: a text file that happens to parse must never become a plugin.
    let component = Component::from_binary(engine, bytes)
        .map_err(|error| LoadError::NotAComponent { reason: reason_of(&error) })?;
    if let Some(Err(error)) = cache.map(|cache| cache.store(&component, digest)) {
        tracing::warn!("Compiled code of plugin {digest} could not be kept: {error}");
    }
    Ok(component)
}

/// Asks a compiled component what it is and checks the answer.
pub(crate) async fn introduce(
    sandboxes: &Sandboxes,
    component: &Component,
    digest: PluginDigest,
    file: &str,
    settings: &BTreeMap<String, Value>,
) -> Result<LoadedPlugin, LoadError> {
    let guest = sandboxes.link(component)?;
    let digest_text = digest.to_string();
    let caller = Caller { plugin: file, version: "", digest: &digest_text, subject: "" };
    let said = sandboxes.describe(&guest, caller).await.map_err(LoadError::Describe)?;
    let described = describe::check(said, digest).map_err(LoadError::BadDescription)?;
    let merged = merge(&described, settings)?;
    Ok(LoadedPlugin {
        info: Arc::new(described.info),
        version: described.version,
        guest,
        hyperparameters: described.hyperparameters,
        settings: merged,
        signature: Signature::Unsigned,
        usage: Counters::default(),
        digest_text,
    })
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
