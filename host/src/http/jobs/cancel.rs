//! `POST /api/v1/jobs/{id}/cancel`: records the wish to stop; the record of the job stays.

use api_types::{JobView, Problem};
use axum::Json;
use axum::extract::State;
use training::cancel;

use crate::http::extract::JobPath;
use crate::http::problem::Failure;
use crate::http::{App, view};

/// Stop a job and keep its record
///
/// A job that is over stays as it is. Asking again changes nothing.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/cancel", tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job as it stands now", body = JobView),
        (status = 404, description = "There is no such job, or it is proven gone", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn cancel_job(
    State(app): State<App>,
    JobPath(id): JobPath,
) -> Result<Json<JobView>, Failure> {
    let job = cancel::cancel(app.store(), app.ports.clock.as_ref(), &id);
    let job = job.await.map_err(Failure::store)?.ok_or_else(Failure::no_job)?;
    Ok(Json(view::job(job, Vec::new())))
}
