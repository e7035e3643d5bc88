//! `POST /api/v1/jobs/{id}/clone`: submits the form of a job under another name, with changes.

use api_types::{JobView, Problem};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use training::form;
use training::ports::FieldError;

use super::submit::{accept, read_form, repeated};
use crate::http::App;
use crate::http::extract::{self, JobPath, JsonBody};
use crate::http::problem::Failure;

/// Submit the form of a job once more, under another name
///
/// The body is merged into the stored form (RFC 7396: objects member by member, `null` removes,
/// everything else replaces) and must name the new job. The result is checked like any other form.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/clone", tag = "jobs", request_body = Object,
    params(
        ("id" = String, Path, description = "The job's id"),
        ("idempotency-key" = Option<String>, Header,
         description = "Makes repeating this request safe; at most 255 characters"),
    ),
    responses(
        (status = 201, description = "Accepted and durable; `Location` leads to it", body = JobView),
        (status = 400, description = "The form is wrong", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "There never was such a job", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "Another job holds the name", body = Problem,
         content_type = "application/problem+json"),
        (status = 410, description = "The same request came before, and its job was deleted since",
         body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer, or too much is going on",
         body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn clone_job(
    State(app): State<App>,
    JobPath(id): JobPath,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, Failure> {
    let job = super::find_record(&app, &id).await?;
    let key = extract::idempotency_of(&headers, &[b"clone ", id.as_str().as_bytes(), &body.bytes])?;
    if let Some(answer) = repeated(&app, key.as_ref()).await? {
        return Ok(answer);
    }
    let mut form = job.request;
    let member = form::name_member(&form);
    let mut changes = body.value;
    // `jobName` names the copy of any form.
    if let Some(name) = changes.as_object_mut().and_then(|changes| changes.shift_remove("jobName"))
        && let Some(changes) = changes.as_object_mut()
    {
        changes.entry(member).or_insert(name);
    }
    if changes.get(member).is_none() {
        let detail = "Give the copy a name of its own.";
        let pointer = format!("/{member}");
        return Err(Failure::form(vec![FieldError::new(pointer, "required", detail)]));
    }
    json_patch::merge(&mut form, &changes);
    accept(&app, read_form(&app, form)?, key).await
}
