//! `GET /api/v1/jobs/{id}/events`: the job's history, also after it is gone.

use api_types::{EventView, Problem};
use axum::Json;
use axum::extract::State;

use crate::http::extract::JobPath;
use crate::http::problem::Failure;
use crate::http::{App, view};

/// Show a job's history, oldest first
#[utoipa::path(get, path = "/api/v1/jobs/{id}/events", tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "Its history", body = Vec<EventView>),
        (status = 404, description = "There never was such a job", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_job_events(
    State(app): State<App>,
    JobPath(id): JobPath,
) -> Result<Json<Vec<EventView>>, Failure> {
    let events = app.store().events(&id).await.map_err(Failure::store)?;
    if events.is_empty() {
        // Every job has a first event.
        return Err(Failure::no_job());
    }
    Ok(Json(events.into_iter().map(view::event).collect()))
}
