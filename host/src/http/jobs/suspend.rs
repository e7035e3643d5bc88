//! `POST /api/v1/jobs/{id}/suspend` and `…/resume`: record the wish to hold a job back, or to let
//! it go on.

use api_types::{ErrorCode, JobView, Problem};
use axum::Json;
use axum::extract::State;
use training::JobId;
use training::hold::{self, HoldError};

use crate::http::extract::JobPath;
use crate::http::problem::Failure;
use crate::http::{App, view};

/// Hold a job back
///
/// A job that waits is not placed until it is resumed. One that runs is ended by its cluster, which
/// frees what it had, and begins anew when it is resumed: from its checkpoint, if its program has
/// one. Its limits of time do not count meanwhile. Asking again changes nothing.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/suspend", tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job as it stands now", body = JobView),
        (status = 404, description = "There is no such job, or it is proven gone", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "The job is over, is being stopped, or cannot be suspended",
         body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn suspend_job(
    State(app): State<App>,
    JobPath(id): JobPath,
) -> Result<Json<JobView>, Failure> {
    set_suspended(&app, &id, true).await
}

/// Let a suspended job go on
///
/// Asking again changes nothing.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/resume", tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job as it stands now", body = JobView),
        (status = 404, description = "There is no such job, or it is proven gone", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "The job is over or is being stopped", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn resume_job(
    State(app): State<App>,
    JobPath(id): JobPath,
) -> Result<Json<JobView>, Failure> {
    set_suspended(&app, &id, false).await
}

async fn set_suspended(app: &App, id: &JobId, suspend: bool) -> Result<Json<JobView>, Failure> {
    match hold::set_suspended(
        app.store(),
        &*app.ports.plugins,
        app.ports.clock.as_ref(),
        id,
        suspend,
    )
    .await
    {
        Ok(job) => Ok(Json(view::job(job, Vec::new()))),
        Err(HoldError::Unknown) => Err(Failure::no_job()),
        Err(HoldError::Impossible(why)) => Err(Failure::refusal(ErrorCode::WrongState, why)),
        Err(HoldError::Plugin(fault)) => Err(Failure::plugin(fault)),
        Err(HoldError::Store(error)) => Err(Failure::store(error)),
    }
}
