//! `GET /api/v1/jobs/{id}`.

use api_types::{JobView, Problem};
use axum::Json;
use axum::extract::State;

use crate::http::extract::JobPath;
use crate::http::problem::Failure;
use crate::http::{App, view};

/// Show a job
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job", body = JobView),
        (status = 404, description = "There is no such job, or it is proven gone", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get_job(
    State(app): State<App>,
    JobPath(id): JobPath,
) -> Result<Json<JobView>, Failure> {
    Ok(Json(view::job(super::find_job(&app, &id).await?, Vec::new())))
}
