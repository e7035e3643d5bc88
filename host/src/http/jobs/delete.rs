//! `DELETE /api/v1/jobs/{id}`: records the wish to remove everything; the loops carry it out and
//! prove it.

use api_types::{DeletedView, Problem};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use training::cancel;

use crate::http::extract::{JobPath, Query, invalid_parameter};
use crate::http::problem::Failure;
use crate::http::{App, view};

#[derive(Deserialize)]
pub(crate) struct Parameters {
    volumes: Option<String>,
}

/// Stop a job and remove what it left on the clusters
///
/// Asking again while it is being removed is fine. Once it is proven gone, it is unknown.
#[utoipa::path(delete, path = "/api/v1/jobs/{id}", tag = "jobs",
    params(
        ("id" = String, Path, description = "The job's id"),
        ("volumes" = Option<String>, Query,
         description = "`keep` (default), or `delete` for the volumes that were made for it"),
    ),
    responses(
        (status = 200, description = "It will be removed", body = DeletedView),
        (status = 404, description = "There is no such job, or it is proven gone", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete_job(
    State(app): State<App>,
    JobPath(id): JobPath,
    Query(parameters): Query<Parameters>,
) -> Result<Json<DeletedView>, Failure> {
    let volumes = match parameters.volumes.as_deref() {
        None | Some("keep") => false,
        Some("delete") => true,
        Some(_) => return Err(invalid_parameter("`volumes` must be `keep` or `delete`.")),
    };
    let job = cancel::delete(app.store(), app.ports.clock.as_ref(), &id, volumes);
    let job = job.await.map_err(Failure::store)?.ok_or_else(Failure::no_job)?;
    Ok(Json(DeletedView {
        message: "Training job is being deleted".to_owned(),
        lifecycle: view::lifecycle(job.lifecycle),
    }))
}
