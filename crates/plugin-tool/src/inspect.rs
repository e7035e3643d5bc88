//! `inspect`: what a plugin says about itself, and what the file says about the plugin.

use std::path::Path;

use plugin_runtime::Inspection;
use serde_json::{Value, json};

use crate::{Outcome, config, load, start};

pub(crate) async fn run(file: &Path, as_json: bool) -> Outcome<()> {
    let runtime = start(config()).await?;
    let found = match load(&runtime, file).await {
        Ok(found) => found,
        Err(wrong) => return Ok(Err(wrong)),
    };
    if as_json {
        data_line!("{:#}", to_json(&found));
    } else {
        print(&found);
    }
    Ok(Ok(()))
}

fn print(found: &Inspection) {
    let info = &found.info;
    let kinds: Vec<String> = info
        .kinds
        .iter()
        .map(|kind| {
            let workload = if kind.workload { ", workload" } else { "" };
            format!(
                "{} {} (names up to {}{workload})",
                kind.api_version, kind.kind, kind.max_name_length
            )
        })
        .collect();
    let line = |name: &str, value: &str| data_line!("{name:<12}{value}");
    line("name", &info.name);
    line("version", &info.version);
    line("title", &info.title);
    line("summary", &info.summary);
    line("algorithms", &info.algorithms.join(", "));
    line("kinds", &kinds.join("; "));
    line("parameters", &properties(&info.schema).join(", "));
    line("settings", &found.settings.to_string());
    line("examples", &info.examples.len().to_string());
    line("imports", &found.imports.join(", "));
    line("exports", &found.exports.join(", "));
    line("sha-256", &info.digest.to_string());
    line("bytes", &found.bytes.to_string());
}

fn properties(schema: &str) -> Vec<String> {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flat_map(|map| map.keys().cloned()).collect()
}

fn to_json(found: &Inspection) -> Value {
    let info = &found.info;
    let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let kinds: Vec<Value> = info
        .kinds
        .iter()
        .map(|kind| {
            json!({
                "apiVersion": kind.api_version,
                "kind": kind.kind,
                "plural": kind.plural,
                "workload": kind.workload,
                "maxNameLength": kind.max_name_length,
            })
        })
        .collect();
    json!({
        "name": info.name,
        "version": info.version,
        "title": info.title,
        "summary": info.summary,
        "algorithms": info.algorithms,
        "kinds": kinds,
        "hyperparametersSchema": parse(&info.schema),
        "hyperparametersSchemaDigest": info.schema_digest.to_string(),
        "settingsSchema": parse(&info.settings_schema),
        "settings": found.settings,
        "examples": info.examples,
        "imports": found.imports,
        "exports": found.exports,
        "digest": info.digest.to_string(),
        "bytes": found.bytes,
    })
}
