//! Job documents of other platforms, rewritten as forms. What has no counterpart is listed, never
//! dropped in silence.

mod instances;
mod sagemaker;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::ports::{FieldError, PluginInfo};

/// A document, rewritten.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The nested form that says the same, as far as it can. It is not checked yet.
    pub form: Value,
    /// What the form does not say, in the order of the document.
    pub unmapped: Vec<Unmapped>,
    /// Why no algorithm was found; what the form lacks then.
    pub unknown_algorithm: Option<FieldError>,
}

/// A part of the document that the form does not say, or says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmapped {
    /// RFC 6901 pointer into the document.
    pub pointer: String,
    /// Why, and what to do about it, in whole sentences.
    pub reason: String,
}

/// Rewrites the request of SageMaker's `CreateTrainingJob`. `algorithm` is one of ours, under any
/// name; without it the training image says which.
///
/// # Errors
/// What is wrong with the document itself, with pointers into it.
pub fn sagemaker(
    document: &Value,
    algorithm: Option<&str>,
    plugins: &[Arc<PluginInfo>],
) -> Result<Imported, Vec<FieldError>> {
    sagemaker::import(document, algorithm, plugins)
}

/// Writes a value into an object, with the objects around it.
fn set(form: &mut Map<String, Value>, path: &[&str], value: Value) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut at = form;
    for part in parents {
        let inner = at.entry(*part).or_insert_with(|| json!({}));
        let Value::Object(members) = inner else { return };
        at = members;
    }
    at.insert((*last).to_owned(), value);
}
