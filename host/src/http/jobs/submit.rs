//! `POST /api/v1/jobs`: accepts a job. Never talks to the cluster.

use api_types::{JobView, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use training::ports::Audience;
use training::submit::{self, SubmitError, Submitted};

use super::form::{self, Form, Surroundings};
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
    let key = extract::idempotency(&headers, &body.bytes)?;
    let form = read_form(&app, body.value)?;
    let member = form.member;
    let submitted = submit::submit(&app.ports, form.spec, key)
        .await
        .map_err(|error| failure(error, &member))?;
    let (job, warnings, replayed) = match submitted {
        Submitted::New(job, warnings) => (job, warnings, false),
        Submitted::Replayed(job) => (job, Vec::new(), true),
    };
    let location = [(header::LOCATION, format!("/api/v1/jobs/{}", job.id))];
    let body = Json(view::job(*job, warnings));
    let mut answer = (StatusCode::CREATED, location, body).into_response();
    if replayed {
        let name = HeaderName::from_static("idempotent-replayed");
        answer.headers_mut().insert(name, HeaderValue::from_static("true"));
    }
    Ok(answer)
}

/// Reads a form. If it has mistakes, its hyperparameters are checked nevertheless, so that one
/// answer holds every mistake.
pub(crate) fn read_form(app: &App, value: Value) -> Result<Form, Failure> {
    let clusters = app.control.known_clusters();
    let text = |member: &str| value.get(member).and_then(Value::as_str).unwrap_or_default();
    let (namespace, name) = (text("namespace").to_owned(), text("jobName").to_owned());
    let namespace = if namespace.is_empty() { "default" } else { &namespace };
    let audience = Audience { namespace, job_name: &name };
    let aliases = |name: &str| {
        let plugin = app.plugins().resolve(name, audience);
        plugin.map(|plugin| plugin.algorithms.clone()).unwrap_or_default()
    };
    let around = Surroundings { aliases: &aliases, clusters: &clusters };
    form::parse(value, &around).map_err(|mistaken| {
        let mut errors = mistaken.errors;
        if let Some(found) = mistaken.hyperparameters {
            let plugins = app.plugins();
            let more =
                submit::check_hyperparameters(plugins, &found.member, audience, &found.values);
            errors.extend(more);
            let named_wrong = errors.iter().any(|error| error.pointer == "/jobName");
            if !named_wrong {
                errors.extend(submit::check_name_length(plugins, &found.algorithm, audience));
            }
        }
        Failure::form(errors)
    })
}

/// A submission's error as an answer. The use-case points below the algorithm as it was requested;
/// `member` is where the form has the hyperparameters.
pub(crate) fn failure(error: SubmitError, member: &str) -> Failure {
    let SubmitError::Invalid(mut errors) = error else { return Failure::submit(error) };
    for error in &mut errors {
        let below = error.pointer.strip_prefix("/hyperparameters/");
        let below = below.map(|below| below.split_once('/').map_or("", |(_, rest)| rest));
        if let Some(below) = below {
            let slash = if below.is_empty() { "" } else { "/" };
            error.pointer = format!("{}{slash}{below}", form::pointer("/hyperparameters", member));
        }
    }
    Failure::form(errors)
}
