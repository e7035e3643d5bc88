//! `GET /api/v1/jobs/{id}/status`: the same facts in one shape, whatever the job's kind. Reads
//! only; the loops write.

use api_types::{Problem, StatusView};
use axum::Json;
use axum::extract::State;

use crate::http::extract::JobPath;
use crate::http::problem::Failure;
use crate::http::{App, view};

/// Show how a job stands
#[utoipa::path(get, path = "/api/v1/jobs/{id}/status", tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "How it stands", body = StatusView),
        (status = 404, description = "There is no such job, or it is proven gone", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get_job_status(
    State(app): State<App>,
    JobPath(id): JobPath,
) -> Result<Json<StatusView>, Failure> {
    Ok(Json(view::job_status(super::find_job(&app, &id).await?)))
}
