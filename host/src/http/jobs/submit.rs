//! `POST /api/v1/jobs`: accepts a job. Never talks to the cluster.

use api_types::{JobView, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use training::form::Form;
use training::job::Job;
use training::ports::Idempotency;
use training::submit::{self, Submitted};

use crate::http::extract::{self, JsonBody};
use crate::http::problem::Failure;
use crate::http::{App, view};

/// Submit a job
///
/// The body is a job form; `GET /api/v1/algorithms/{name}` has complete examples. With an
/// `Idempotency-Key` a repeated request answers with the job that the first one made.
#[utoipa::path(post, path = "/api/v1/jobs", tag = "jobs", request_body = Object,
    params(("idempotency-key" = Option<String>, Header,
            description = "Makes repeating this request safe; at most 255 characters")),
    responses(
        (status = 201, description = "Accepted and durable; `Location` leads to it", body = JobView),
        (status = 400, description = "The form is wrong", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "Another job holds the name", body = Problem,
         content_type = "application/problem+json"),
        (status = 410, description = "The same request came before, and its job was deleted since",
         body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The idempotency key came before with another body",
         body = Problem, content_type = "application/problem+json"),
        (status = 500, description = "The plugin or the host failed", body = Problem,
         content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer, or too much is going on",
         body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn submit_job(
    State(app): State<App>,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, Failure> {
    let key = extract::idempotency_of(&headers, &[&body.bytes])?;
    if let Some(answer) = repeated(&app, key.as_ref()).await? {
        return Ok(answer);
    }
    accept(&app, read_form(&app, body.value)?, key).await
}

/// A job that was accepted, now or by the same request before.
pub(crate) struct Accepted {
    pub(crate) job: Job,
    /// What the user should know.
    pub(crate) warnings: Vec<String>,
    pub(crate) replayed: bool,
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        let Self { job, warnings, replayed } = self;
        let location = format!("/api/v1/jobs/{}", job.id);
        created(location, &view::job(job, warnings), replayed)
    }
}

/// Submits a form that was read, and answers.
pub(crate) async fn accept(
    app: &App,
    form: Form,
    key: Option<Idempotency>,
) -> Result<Response, Failure> {
    take(app, form, key).await.map(Accepted::into_response)
}

/// Submits a form that was read.
pub(crate) async fn take(
    app: &App,
    form: Form,
    key: Option<Idempotency>,
) -> Result<Accepted, Failure> {
    let submitted = submit::submit(&app.ports.for_request(), form.spec, key)
        .await
        .map_err(|error| Failure::submit(error.pointing_into_form(&form.places)))?;
    Ok(match submitted {
        Submitted::New(job, warnings) => Accepted { job: *job, warnings, replayed: false },
        Submitted::Replayed(job) => Accepted { job: *job, warnings: Vec::new(), replayed: true },
    })
}

/// The answer to a request that came before under the same key, so that it is given before anything
/// else is looked at: what was allowed then may not be now.
pub(crate) async fn repeated(
    app: &App,
    key: Option<&Idempotency>,
) -> Result<Option<Response>, Failure> {
    Ok(earlier(app, key).await?.map(Accepted::into_response))
}

/// The job of a request that came before under the same key.
pub(crate) async fn earlier(
    app: &App,
    key: Option<&Idempotency>,
) -> Result<Option<Accepted>, Failure> {
    let Some(key) = key else { return Ok(None) };
    let before = submit::repeated(&app.ports, key).await.map_err(Failure::submit)?;
    Ok(before.map(|job| Accepted { job, warnings: Vec::new(), replayed: true }))
}

/// The answer about a job that was accepted.
pub(crate) fn created(location: String, body: &impl Serialize, replayed: bool) -> Response {
    let mut answer =
        (StatusCode::CREATED, [(header::LOCATION, location)], Json(body)).into_response();
    if replayed {
        let name = HeaderName::from_static("idempotent-replayed");
        answer.headers_mut().insert(name, HeaderValue::from_static("true"));
    }
    answer
}

/// Reads a form.
pub(crate) fn read_form(app: &App, value: Value) -> Result<Form, Failure> {
    let clusters = app.control.known_clusters();
    let audience = submit::audience_of(&value);
    let plugin =
        submit::algorithm_of(&value).and_then(|name| app.plugins().resolve(name, audience));
    submit::read_form(app.plugins(), plugin.as_deref(), &clusters, value).map_err(Failure::form)
}
