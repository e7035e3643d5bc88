//! Violations of a schema in the words of a form: where, a stable code, and a whole sentence.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;
use training::ports::FieldError;

use crate::limits::TEXT_BYTES;
use crate::text;

/// Longest value that is repeated in a message.
const ECHO_BYTES: usize = 80;

/// Usually one violation is one error; several unknown fields come as one violation.
pub(super) fn explain(error: &ValidationError<'_>, document: &Value) -> Vec<FieldError> {
    let pointer = error.instance_path().as_str();
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let known = known_fields(error, document);
            unexpected.iter().map(|name| unknown_field(pointer, name, &known)).collect()
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let detail = format!("`{name}` is required.");
            vec![field_error(&child(pointer, name), "required", &detail)]
        }
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            alternatives(error, context, document)
        }
        kind => {
            let (code, rule) = rule(kind);
            vec![broken_rule(error, code, &rule)]
        }
    }
}

/// The code of a violated keyword, and what its value must be: `be at least 1`.
fn rule(kind: &Kind) -> (&'static str, String) {
    match kind {
        Kind::Type { kind } => ("type", format!("be {}", type_words(kind))),
        Kind::Minimum { limit } => ("out-of-range", format!("be at least {limit}")),
        Kind::Maximum { limit } => ("out-of-range", format!("be at most {limit}")),
        Kind::ExclusiveMinimum { limit } => ("out-of-range", format!("be greater than {limit}")),
        Kind::ExclusiveMaximum { limit } => ("out-of-range", format!("be less than {limit}")),
        Kind::MultipleOf { multiple_of } => {
            ("out-of-range", format!("be a multiple of {multiple_of}"))
        }
        Kind::Enum { options } => ("not-allowed", one_of(options.as_array().into_iter().flatten())),
        Kind::Constant { expected_value } => ("not-allowed", format!("be {expected_value}")),
        Kind::FalseSchema | Kind::Not { .. } => ("not-allowed", "not have this value".to_owned()),
        Kind::MinLength { limit } => ("too-short", format!("have at least {limit} characters")),
        Kind::MaxLength { limit } => ("too-long", format!("have at most {limit} characters")),
        Kind::Pattern { pattern } => ("pattern", format!("match the pattern `{pattern}`")),
        Kind::Format { format } => ("format", format!("be a valid {format}")),
        Kind::MinItems { limit } => ("too-few", format!("have at least {limit} items")),
        Kind::MaxItems { limit } => ("too-many", format!("have at most {limit} items")),
        Kind::AdditionalItems { limit } => ("too-many", format!("have at most {limit} items")),
        Kind::UnevaluatedItems { .. } => ("too-many", "have fewer items".to_owned()),
        Kind::MinProperties { limit } => ("too-few", format!("have at least {limit} fields")),
        Kind::MaxProperties { limit } => ("too-many", format!("have at most {limit} fields")),
        Kind::UniqueItems => ("duplicate", "not have two equal items".to_owned()),
        Kind::OneOfMultipleValid { .. } => {
            ("conflict", "fit exactly one of its alternatives".to_owned())
        }
        Kind::PropertyNames { .. } => ("unknown-field", "have allowed field names only".to_owned()),
        kind => ("invalid", format!("satisfy `{}` of the schema", kind.keyword())),
    }
}

/// Alternatives that are all constants read like a list of choices. Otherwise the one alternative
/// whose type fits explains best, as in "a number or null".
fn alternatives(
    error: &ValidationError<'_>,
    context: &[Vec<ValidationError<'static>>],
    document: &Value,
) -> Vec<FieldError> {
    let constants: Vec<&Value> = context
        .iter()
        .flatten()
        .filter_map(|error| match error.kind() {
            Kind::Constant { expected_value } => Some(&**expected_value),
            _ => None,
        })
        .collect();
    if !constants.is_empty() && constants.len() >= context.len().saturating_sub(1) {
        return vec![broken_rule(error, "not-allowed", &one_of(constants))];
    }
    let here = error.instance_path().as_str();
    let wrong_type = |branch: &&Vec<ValidationError<'static>>| {
        branch.iter().any(|error| {
            matches!(error.kind(), Kind::Type { .. }) && error.instance_path().as_str() == here
        })
    };
    let mut fitting = context.iter().filter(|branch| !wrong_type(branch));
    if let (Some(branch), None) = (fitting.next(), fitting.next()) {
        return branch.iter().flat_map(|error| explain(error, document)).collect();
    }
    let types: Vec<String> = context
        .iter()
        .flatten()
        .filter_map(|error| match error.kind() {
            Kind::Type { kind } if error.instance_path().as_str() == here => Some(type_words(kind)),
            _ => None,
        })
        .collect();
    if types.len() == context.len() {
        return vec![broken_rule(error, "type", &format!("be {}", types.join(" or ")))];
    }
    vec![broken_rule(error, "invalid", "fit one of its alternatives")]
}

fn broken_rule(error: &ValidationError<'_>, code: &str, rule: &str) -> FieldError {
    let pointer = error.instance_path().as_str();
    let subject = match pointer.rsplit('/').next() {
        Some(name) if !name.is_empty() => format!("`{}`", unescape(name)),
        _ => "The object".to_owned(),
    };
    let instance: &Value = error.instance();
    let echo = match instance {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        scalar => text::clean(&scalar.to_string(), ECHO_BYTES),
    };
    // What a value is helps against a wrong type or choice; a count does not need the whole list.
    let detail = if instance.is_array() || instance.is_object() {
        match error.kind() {
            Kind::Type { .. } => format!("{subject} must {rule}; it is {echo}."),
            _ => format!("{subject} must {rule}."),
        }
    } else {
        format!("{subject} must {rule}; it is {echo}.")
    };
    field_error(pointer, code, &detail)
}

fn unknown_field(parent: &str, name: &str, known: &[&str]) -> FieldError {
    let closest = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), *candidate))
        .min();
    // Two slips, or a third of a long name, still tell what was meant.
    let detail = match closest {
        Some((distance, candidate)) if distance <= 2.max(name.len() / 3) => {
            format!("There is no field `{name}`; did you mean `{candidate}`?")
        }
        _ => format!("There is no field `{name}`."),
    };
    field_error(&child(parent, name), "unknown-field", &detail)
}

/// The properties that stand beside the keyword that was violated.
fn known_fields<'v>(error: &ValidationError<'_>, document: &'v Value) -> Vec<&'v str> {
    let path = error.schema_path().as_str();
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    document
        .pointer(parent)
        .and_then(|schema| schema.get("properties"))
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|properties| properties.keys().map(String::as_str))
        .collect()
}

fn type_words(kind: &TypeKind) -> String {
    let word = |name: &str| match name {
        "null" => "null".to_owned(),
        name if name.starts_with(['a', 'i', 'o']) => format!("an {name}"),
        name => format!("a {name}"),
    };
    match kind {
        TypeKind::Single(single) => word(&single.to_string()),
        TypeKind::Multiple(several) => {
            several.iter().map(|single| word(&single.to_string())).collect::<Vec<_>>().join(" or ")
        }
    }
}

fn one_of<'v>(options: impl IntoIterator<Item = &'v Value>) -> String {
    let options: Vec<String> = options.into_iter().map(ToString::to_string).collect();
    format!("be one of {}", options.join(", "))
}

fn child(parent: &str, name: &str) -> String {
    format!("{parent}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn unescape(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

fn field_error(pointer: &str, code: &str, detail: &str) -> FieldError {
    FieldError::new(text::pointer(pointer), code, text::clean(detail, TEXT_BYTES))
}
