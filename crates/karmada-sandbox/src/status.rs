//! The API server's errors: every refusal is a `metav1.Status`, except the two the real server
//! answers in plain text. Knows no HTTP; `server` turns it into a response.

use serde_json::{Value, json};

use crate::objects::Resource;

/// A refusal, worded like the real API server words it.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub(crate) code: u16,
    pub(crate) retry_after: Option<u64>,
    /// `None` is the plain text answer of an unknown path.
    pub(crate) body: Option<Box<Value>>,
}

pub(crate) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub(crate) fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "message": message.into(),
        });
        if !reason.is_empty() {
            crate::json::set(&mut body, &["reason"], reason);
        }
        crate::json::set(&mut body, &["code"], code);
        Self { code, retry_after: None, body: Some(Box::new(body)) }
    }

    fn details(mut self, details: Value) -> Self {
        if let Some(body) = &mut self.body {
            crate::json::set(body, &["details"], details);
        }
        self
    }

    pub(crate) fn message(&self) -> &str {
        self.body.as_ref().map_or("404 page not found", |body| crate::json::text(body, "/message"))
    }

    /// A path no API group serves: the real server answers text, not a `Status`.
    pub(crate) fn no_such_path() -> Self {
        Self { code: 404, retry_after: None, body: None }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn not_found(res: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", res.qualified());
        Self::new(404, "NotFound", message).details(target(res, name))
    }

    pub(crate) fn already_exists(res: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", res.qualified());
        Self::new(409, "AlreadyExists", message).details(target(res, name))
    }

    pub(crate) fn conflict(res: &Resource, name: &str, why: &str) -> Self {
        let message =
            format!("Operation cannot be fulfilled on {} \"{name}\": {why}", res.qualified());
        Self::new(409, "Conflict", message).details(target(res, name))
    }

    pub(crate) fn stale(res: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version \
                   and try again";
        Self::conflict(res, name, why)
    }

    pub(crate) fn uid_mismatch(res: &Resource, name: &str, wanted: &str, found: &str) -> Self {
        let why = format!(
            "Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
        );
        Self::conflict(res, name, &why)
    }

    /// Server-side apply met fields that other managers own.
    pub(crate) fn field_conflicts(conflicts: &[(String, String)]) -> Self {
        let causes: Vec<Value> = conflicts
            .iter()
            .map(|(manager, field)| {
                json!({
                    "reason": "FieldManagerConflict",
                    "message": format!("conflict with \"{manager}\""),
                    "field": field,
                })
            })
            .collect();
        let texts: Vec<String> = conflicts
            .iter()
            .map(|(manager, field)| format!("conflict with \"{manager}\": {field}"))
            .collect();
        let plural = if conflicts.len() == 1 { "conflict" } else { "conflicts" };
        let message =
            format!("Apply failed with {} {plural}: {}", conflicts.len(), texts.join("\n"));
        Self::new(409, "Conflict", message).details(json!({ "causes": causes }))
    }

    pub(crate) fn invalid(res: &Resource, name: &str, field: &str, why: &str) -> Self {
        let message = format!("{}.{} \"{name}\" is invalid: {field}: {why}", res.kind, res.group)
            .replace(". \"", " \"");
        let mut details = target(res, name);
        crate::json::set(
            &mut details,
            &["causes"],
            json!([{"reason": "FieldValueInvalid", "message": why, "field": field}]),
        );
        Self::new(422, "Invalid", message).details(details)
    }

    pub(crate) fn forbidden(res: &Resource, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", res.qualified());
        Self::new(403, "Forbidden", message).details(target(res, name))
    }

    pub(crate) fn denied(webhook: &str, why: &str) -> Self {
        let message = format!("admission webhook \"{webhook}\" denied the request: {why}");
        Self::new(403, "Forbidden", message)
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        )
    }

    pub(crate) fn unsupported_media(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: \
             {accepted}"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// What the aggregated API server answers when a member does not take the connection.
    pub(crate) fn member_unreachable(address: &str) -> Self {
        Self::new(500, "", format!("dial tcp {address}: connect: connection refused"))
    }
}

fn target(res: &Resource, name: &str) -> Value {
    let mut details = json!({ "name": name });
    if !res.group.is_empty() {
        crate::json::set(&mut details, &["group"], res.group);
    }
    crate::json::set(&mut details, &["kind"], res.plural);
    details
}
