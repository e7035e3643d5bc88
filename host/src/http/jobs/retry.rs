//! `POST /api/v1/jobs/{id}/retry`: runs the same form once more, as another attempt; and
//! `GET …/attempts`, which lists them.

use api_types::{AttemptList, ErrorCode, JobView, Problem, RetryForm};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use training::form;
use training::job::JobSpec;
use training::rerun::{self, RerunError};

use super::submit::{accept, read_form};
use crate::http::extract::{self, JobPath, JsonBody};
use crate::http::problem::Failure;
use crate::http::{App, view};

/// Run a job once more
///
/// Makes a new job of the same form, as the next attempt of the same work, with the plugin that
/// serves its algorithm now. Every attempt so far must be over; also a deleted job can be run once
/// more. Nothing is ever run again by itself.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/retry", tag = "jobs", request_body = RetryForm,
    params(
        ("id" = String, Path, description = "The id of any attempt"),
        ("idempotency-key" = Option<String>, Header,
         description = "Makes repeating this request safe; at most 255 characters"),
    ),
    responses(
        (status = 201, description = "Accepted and durable; `Location` leads to it", body = JobView),
        (status = 400, description = "The form is wrong now", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "There never was such a job", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "An attempt is not over, or the name is taken",
         body = Problem, content_type = "application/problem+json"),
        (status = 410, description = "The same request came before, and its job was deleted since",
         body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer, or too much is going on",
         body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn retry_job(
    State(app): State<App>,
    JobPath(id): JobPath,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, Failure> {
    let asked: RetryForm = extract::typed(&body.value)?;
    let job = super::find_record(&app, &id).await?;
    let key = extract::idempotency_of(&headers, &[b"retry ", id.as_str().as_bytes(), &body.bytes])?;
    if let Some(answer) = super::submit::repeated(&app, key.as_ref()).await? {
        return Ok(answer);
    }
    let next = rerun::next_attempt(app.store(), &job).await.map_err(|error| match error {
        RerunError::Running { id } => Failure::refusal(
            ErrorCode::WrongState,
            format!("Attempt `{id}` is not over; stop it first."),
        ),
        RerunError::Store(error) => Failure::store(error),
    })?;
    let mut request = job.request;
    form::rename(&mut request, asked.job_name.unwrap_or(next.name));
    let mut form = read_form(&app, request)?;
    form.spec = JobSpec { attempt: next.attempt, ..form.spec };
    accept(&app, form, key).await
}

/// List every attempt of the same work
#[utoipa::path(get, path = "/api/v1/jobs/{id}/attempts", tag = "jobs",
    params(("id" = String, Path, description = "The id of any attempt")),
    responses(
        (status = 200, description = "First to last; also deleted ones", body = AttemptList),
        (status = 404, description = "There never was such a job", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_job_attempts(
    State(app): State<App>,
    JobPath(id): JobPath,
) -> Result<Json<AttemptList>, Failure> {
    let job = super::find_record(&app, &id).await?;
    let first = job.attempt.first.unwrap_or(job.id);
    let attempts = app.store().attempts(&first).await.map_err(Failure::store)?;
    let view = |job| -> JobView { view::job(job, Vec::new()) };
    Ok(Json(AttemptList { attempts: attempts.into_iter().map(view).collect() }))
}
