//! Documents of other platforms as forms.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::problem::FieldProblem;

/// A part of a document that the form does not say, or says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnmappedView {
    /// RFC 6901 pointer into the document.
    pub pointer: String,
    /// Why, and what to do about it.
    pub reason: String,
}

/// What a document became. Nothing is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImportView {
    /// A job form, for `POST /api/v1/jobs`.
    #[schema(value_type = Object)]
    pub form: Value,
    /// What the form does not say, in the order of the document.
    pub unmapped: Vec<UnmappedView>,
    /// What a submission of this form would be refused for; pointers are into the form.
    pub errors: Vec<FieldProblem>,
    /// What the user should know of the form.
    #[serde(default)]
    pub warnings: Vec<String>,
}
