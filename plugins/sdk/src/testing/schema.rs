//! What the host says of hyperparameters that break the schema, by its codes.

use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

/// Pointer, relative to the hyperparameters, and code of every violation.
pub(super) fn violations(schema: &Value, value: &Value) -> Result<Vec<(String, String)>, String> {
    let validator = jsonschema::draft202012::new(schema).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for error in validator.iter_errors(value) {
        let here = error.instance_path().as_str();
        match error.kind() {
            Kind::AdditionalProperties { unexpected } => {
                let child = |name: &String| (format!("{here}/{name}"), "unknown-field".to_owned());
                found.extend(unexpected.iter().map(child));
            }
            Kind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                found.push((format!("{here}/{name}"), "required".to_owned()));
            }
            kind => found.push((here.to_owned(), code_of(kind).to_owned())),
        }
    }
    Ok(found)
}

fn code_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::Type { .. } => "type",
        Kind::Minimum { .. }
        | Kind::Maximum { .. }
        | Kind::ExclusiveMinimum { .. }
        | Kind::ExclusiveMaximum { .. }
        | Kind::MultipleOf { .. } => "out-of-range",
        Kind::Enum { .. } | Kind::Constant { .. } => "not-allowed",
        Kind::MinLength { .. } => "too-short",
        Kind::MaxLength { .. } => "too-long",
        Kind::Pattern { .. } => "pattern",
        Kind::Format { .. } => "format",
        Kind::MinItems { .. } => "too-few",
        Kind::MaxItems { .. } => "too-many",
        Kind::UniqueItems => "duplicate",
        _ => "invalid",
    }
}
