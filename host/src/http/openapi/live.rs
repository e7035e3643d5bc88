//! The document with what the loaded plugins add: for each algorithm a component for its
//! hyperparameters and one for its complete form, and the form of any of them as request body.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use training::ports::{PluginInfo, Plugins};
use training::{PluginDigest, Sha256Digest};

use super::form;

/// The name of the component that stands for every form.
const ANY_FORM: &str = "JobForm";
/// The name of the component for flat forms.
const FLAT_FORM: &str = "FlatJobForm";
/// Paths whose `post` takes a form, as parts of a JSON Pointer.
const TAKE_FORMS: [&str; 2] = ["~1api~1v1~1jobs", "~1api~1v1~1render"];
/// Where components are.
const SCHEMAS: &str = "/components/schemas";

/// Makes the document, and keeps the last one.
pub(super) struct Live {
    /// Without plugins.
    base: Value,
    last: Mutex<Option<(Vec<PluginDigest>, Arc<Made>)>>,
}

/// A document that was made.
pub(super) struct Made {
    /// As JSON.
    pub(super) text: Bytes,
    /// For `If-None-Match`.
    pub(super) tag: String,
}

impl Live {
    pub(super) fn new(base: Value) -> Self {
        Self { base, last: Mutex::new(None) }
    }

    /// The document for the plugins as they serve now. It depends on nothing but their bytes, so it
    /// is made anew only when other versions serve.
    pub(super) fn document(&self, plugins: &dyn Plugins) -> Arc<Made> {
        let serving = plugins.list();
        let key: Vec<PluginDigest> = serving.iter().map(|plugin| plugin.digest).collect();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, made)) = last.as_ref().filter(|(known, _)| *known == key) {
            return Arc::clone(made);
        }
        let text = with_algorithms(self.base.clone(), &serving).to_string();
        let tag = format!("\"{}\"", Sha256Digest::of(&text));
        let made = Arc::new(Made { text: Bytes::from(text), tag });
        *last = Some((key, Arc::clone(&made)));
        made
    }
}

/// Adds the components of these plugins to a document.
pub(super) fn with_algorithms(mut document: Value, plugins: &[Arc<PluginInfo>]) -> Value {
    let (mut forms, mut names) = (Vec::new(), Vec::new());
    let mut examples = Map::new();
    for plugin in plugins {
        // A plugin's schema was read when it was loaded.
        let Ok(schema) = serde_json::from_str::<Value>(&plugin.schema) else { continue };
        let name = component_name(plugin.algorithm());
        let (parameters, whole) = (format!("Hyperparameters.{name}"), format!("JobForm.{name}"));
        let base = format!("#/components/schemas/{parameters}");
        let mut form = form::schema(&plugin.algorithms, &plugin.title, &base);
        put(&mut form, "", "description", Value::from(plugin.summary.as_str()));
        if !plugin.examples.is_empty() {
            put(&mut form, "", "examples", Value::from(plugin.examples.clone()));
        }
        for (index, example) in plugin.examples.iter().enumerate() {
            let shown = json!({"summary": plugin.title, "value": example});
            examples.insert(format!("{name}-{}", index + 1), shown);
        }
        forms.push(json!({"$ref": format!("#/components/schemas/{whole}")}));
        names.extend(plugin.algorithms.iter().cloned());
        put(&mut document, SCHEMAS, &parameters, rebased(schema, &base));
        put(&mut document, SCHEMAS, &whole, form);
    }
    if forms.is_empty() {
        return document;
    }
    put(&mut document, SCHEMAS, FLAT_FORM, form::flat_schema(&names));
    forms.push(json!({"$ref": format!("#/components/schemas/{FLAT_FORM}")}));
    // The name of the algorithm tells the forms apart. It lies too deep for a `discriminator`.
    put(&mut document, SCHEMAS, ANY_FORM, json!({"oneOf": forms}));
    for path in TAKE_FORMS {
        let content = format!("/paths/{path}/post/requestBody/content/application~1json");
        let form = json!({"$ref": format!("#/components/schemas/{ANY_FORM}")});
        put(&mut document, &content, "schema", form);
        put(&mut document, &content, "examples", Value::Object(examples.clone()));
    }
    document
}

/// Sets a member of the object at `pointer`. Our own document has all that are asked for.
fn put(document: &mut Value, pointer: &str, member: &str, value: Value) {
    if let Some(Value::Object(members)) = document.pointer_mut(pointer) {
        members.insert(member.to_owned(), value);
    }
}

/// A name that may stand in `components`: letters, digits, `.` and `-` stay, every other byte is
/// written as `_` and its two hex digits, so that different names stay different.
pub(super) fn component_name(name: &str) -> String {
    name.bytes().fold(String::with_capacity(name.len()), |mut safe, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') {
            safe.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(safe, "_{byte:02x}");
        }
        safe
    })
}

/// Members whose value is a map from any name to a schema.
const MAPS: [&str; 5] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
/// Members whose value is data, whatever it looks like.
const DATA: [&str; 5] = ["const", "enum", "default", "example", "examples"];

/// A plugin's schema as a part of the document that lies at `base`: references into it lead there,
/// and what would make it a document of its own is gone.
pub(super) fn rebased(mut schema: Value, base: &str) -> Value {
    rebase(&mut schema, base);
    schema
}

fn rebase(schema: &mut Value, base: &str) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(|schema| rebase(schema, base)),
        Value::Object(members) => {
            members.retain(|name, _| !matches!(name.as_str(), "$id" | "$schema"));
            for (name, value) in members {
                if name == "$ref"
                    && let Value::String(target) = value
                {
                    if let Some(inside) = target.strip_prefix('#') {
                        *target = format!("{base}{inside}");
                    }
                } else if MAPS.contains(&name.as_str())
                    && let Value::Object(schemas) = value
                {
                    schemas.values_mut().for_each(|schema| rebase(schema, base));
                } else if !DATA.contains(&name.as_str()) {
                    rebase(value, base);
                }
            }
        }
        _ => {}
    }
}
