//! `/api/jobs`: the API of the second predecessor, whose jobs were deployments and went by their
//! names. Each path does what its counterpart below `/api/v1/jobs` does, with the job found by name.

use api_types::{DeletedView, DeploymentView, Lifecycle, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use training::job::Job;
use training::ports::ListQuery;
use training::{JobId, cancel, form};

use super::extract::{self, JsonBody, PathText, Query};
use super::jobs::submit::{self, Accepted};
use super::jobs::{self, logs};
use super::problem::Failure;
use super::{App, view};

/// The namespace of a name that comes without one.
const DEFAULT_NAMESPACE: &str = "default";

#[derive(Deserialize)]
pub(super) struct Parameters {
    namespace: Option<String>,
}

impl Parameters {
    fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref().filter(|namespace| !namespace.is_empty())
    }
}

/// Submit a job by the form of a deployment
///
/// The form has `deploymentName`, `imageName`, `command`, `resources` and `ports`, and may have
/// `namespace` and `algorithm`; without the latter the host's setting decides. Every other job form
/// is taken, too.
#[utoipa::path(post, path = "/api/jobs", tag = "deployments", request_body = Object,
    params(("idempotency-key" = Option<String>, Header,
            description = "Makes repeating this request safe; at most 255 characters")),
    responses(
        (status = 201, description = "Accepted and durable; `Location` leads to it",
         body = DeploymentView),
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
pub(super) async fn create_deployment(
    State(app): State<App>,
    headers: HeaderMap,
    mut body: JsonBody,
) -> Result<Response, Failure> {
    let key = extract::idempotency_of(&headers, &[&body.bytes])?;
    if let Some(accepted) = submit::earlier(&app, key.as_ref()).await? {
        return Ok(answer(accepted));
    }
    form::give_algorithm(&mut body.value, &app.deployment_algorithm);
    let form = submit::read_form(&app, body.value)?;
    Ok(answer(submit::take(&app, form, key).await?))
}

fn answer(accepted: Accepted) -> Response {
    let Accepted { job, warnings, replayed } = accepted;
    let location = format!("/api/jobs/{}", job.id);
    submit::created(location, &deployment(job, warnings), replayed)
}

/// List jobs as deployments, newest first
#[utoipa::path(get, path = "/api/jobs", tag = "deployments",
    params(("namespace" = Option<String>, Query, description = "Only this namespace")),
    responses(
        (status = 200, description = "The jobs of every algorithm", body = Vec<DeploymentView>),
        (status = 503, description = "The database does not answer", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_deployments(
    State(app): State<App>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Vec<DeploymentView>>, Failure> {
    let namespace = parameters.namespace().map(str::to_owned);
    let query = ListQuery { namespace, ..ListQuery::default() };
    let jobs = app.store().list(&query).await.map_err(Failure::store)?;
    Ok(Json(jobs.into_iter().map(|job| deployment(job, Vec::new())).collect()))
}

/// Show a job by its name
#[utoipa::path(get, path = "/api/jobs/{deploymentName}", tag = "deployments",
    params(
        ("deploymentName" = String, Path, description = "The job's name, or its id"),
        ("namespace" = Option<String>, Query, description = "Of the name; `default` if absent"),
    ),
    responses(
        (status = 200, description = "The job", body = DeploymentView),
        (status = 404, description = "There is no such job, or it is proven gone", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_deployment(
    State(app): State<App>,
    PathText(name): PathText,
    Query(parameters): Query<Parameters>,
) -> Result<Json<DeploymentView>, Failure> {
    let job = living(&app, &name, &parameters).await?.ok_or_else(Failure::no_job)?;
    Ok(Json(deployment(job, Vec::new())))
}

/// Stop a job by its name, and remove what it left on the clusters
///
/// What is not there is removed already, as it always was.
#[utoipa::path(delete, path = "/api/jobs/{deploymentName}", tag = "deployments",
    params(
        ("deploymentName" = String, Path, description = "The job's name, or its id"),
        ("namespace" = Option<String>, Query, description = "Of the name; `default` if absent"),
    ),
    responses(
        (status = 200, description = "It will be removed, or is not there", body = DeletedView),
        (status = 503, description = "The database does not answer", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete_deployment(
    State(app): State<App>,
    PathText(name): PathText,
    Query(parameters): Query<Parameters>,
) -> Result<Json<DeletedView>, Failure> {
    let mut lifecycle = Lifecycle::Deleted;
    if let Some(job) = living(&app, &name, &parameters).await? {
        let deleted = cancel::delete(app.store(), app.ports.clock.as_ref(), &job.id, false);
        if let Some(job) = deleted.await.map_err(Failure::store)? {
            lifecycle = view::lifecycle(job.lifecycle);
        }
    }
    let message = match lifecycle {
        Lifecycle::Deleted => "There is no such deployment",
        Lifecycle::Active | Lifecycle::Deleting => "The deployment is being deleted",
    };
    Ok(Json(DeletedView { message: message.to_owned(), lifecycle }))
}

/// Read or follow the logs of a job by its name
///
/// Takes every parameter of `GET /api/v1/jobs/{id}/logs`. By its id a deleted job's logs are shown,
/// too.
#[utoipa::path(get, path = "/api/jobs/{deploymentName}/logs", tag = "deployments",
    params(
        ("deploymentName" = String, Path, description = "The job's name, or its id"),
        ("namespace" = Option<String>, Query, description = "Of the name; `default` if absent"),
        ("follow" = Option<bool>, Query, description = "Go on until the job is over"),
        ("tail" = Option<u64>, Query, description = "Only so many of the last lines"),
    ),
    responses(
        (status = 200, description = "The logs", body = String, content_type = "text/plain"),
        (status = 400, description = "A parameter cannot be used, or selects nothing", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "There is no such job", body = Problem,
         content_type = "application/problem+json"),
        (status = 503, description = "No log can be read now, or too many are being read",
         body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn read_deployment_logs(
    State(app): State<App>,
    PathText(name): PathText,
    Query(parameters): Query<Parameters>,
    Query(selection): Query<logs::Parameters>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let job = async {
        if let Some(job) = living(&app, &name, &parameters).await? {
            return Ok(job);
        }
        let id = JobId::parse(name.clone()).map_err(|_| Failure::no_job())?;
        jobs::find_record(&app, &id).await
    };
    logs::serve(app.clone(), job, &selection, &headers).await
}

/// The job that holds a name and is not proven gone, or else has this id.
async fn living(app: &App, name: &str, parameters: &Parameters) -> Result<Option<Job>, Failure> {
    let query = ListQuery {
        namespace: Some(parameters.namespace().unwrap_or(DEFAULT_NAMESPACE).to_owned()),
        name: Some(name.to_owned()),
        ..ListQuery::default()
    };
    let found = app.store().list(&query).await.map_err(Failure::store)?.pop();
    if found.is_some() {
        return Ok(found);
    }
    let Ok(id) = JobId::parse(name) else { return Ok(None) };
    let job = app.store().find(&id).await.map_err(Failure::store)?;
    Ok(job.filter(|job| job.lifecycle != training::phase::Lifecycle::Deleted))
}

fn deployment(job: Job, warnings: Vec<String>) -> DeploymentView {
    DeploymentView {
        deployment_name: job.name.to_string(),
        image_name: job.request.get("imageName").and_then(Value::as_str).map(str::to_owned),
        job: view::job(job, warnings),
    }
}
