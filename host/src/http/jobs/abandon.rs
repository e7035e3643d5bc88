//! `POST /api/v1/jobs/{id}/abandon`: gives up on clusters that a removal waits for.

use api_types::{AbandonForm, ErrorCode, JobView, Problem};
use axum::Json;
use axum::extract::State;
use training::ClusterName;
use training::cancel::{self, AbandonError};
use training::ports::FieldError;

use crate::http::extract::{self, Actor, JobPath, JsonBody};
use crate::http::problem::Failure;
use crate::http::{App, view};

/// Give up on clusters that a stop or deletion waits for
///
/// The job then counts as gone although nobody has looked at those clusters: for one that will
/// never come back. What is still there runs on, and the name is free again. Who gave up stands in
/// the history of the job.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/abandon", tag = "jobs", request_body = AbandonForm,
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job as it stands now", body = JobView),
        (status = 400, description = "The body is wrong", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "There is no such job, or it is proven gone", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "Nothing of the job is being removed", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn abandon_job(
    State(app): State<App>,
    JobPath(id): JobPath,
    actor: Actor,
    body: JsonBody,
) -> Result<Json<JobView>, Failure> {
    let asked: AbandonForm = extract::typed(&body.value)?;
    let named = asked.clusters.iter().enumerate().map(|(at, name)| {
        ClusterName::parse(name.clone())
            .map_err(|error| FieldError::new(format!("/clusters/{at}"), "invalid", error.message))
    });
    let (clusters, mistakes): (Vec<_>, Vec<_>) = named.partition(Result::is_ok);
    let mut mistakes: Vec<FieldError> = mistakes.into_iter().filter_map(Result::err).collect();
    if asked.clusters.is_empty() {
        mistakes.push(FieldError::new("/clusters", "required", "Name at least one cluster."));
    }
    if !mistakes.is_empty() {
        return Err(Failure::form(mistakes));
    }
    let clusters: Vec<ClusterName> = clusters.into_iter().flatten().collect();
    let clock = app.ports.clock.as_ref();
    let abandoned = cancel::abandon(app.store(), clock, &id, &clusters, actor.as_str()).await;
    match abandoned {
        Ok(job) => Ok(Json(view::job(job, Vec::new()))),
        Err(AbandonError::Unknown) => Err(Failure::no_job()),
        Err(AbandonError::NothingRemoved) => Err(Failure::refusal(
            ErrorCode::WrongState,
            "Nothing of the job is being removed: cancel or delete it first.",
        )),
        Err(AbandonError::Store(error)) => Err(Failure::store(error)),
    }
}
