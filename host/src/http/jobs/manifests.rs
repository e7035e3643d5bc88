//! `GET /api/v1/jobs/{id}/manifests`: the frozen bundle, also after the job is gone.

use api_types::{ManifestsView, Problem};
use axum::Json;
use axum::extract::State;

use crate::http::extract::JobPath;
use crate::http::problem::Failure;
use crate::http::{App, view};

/// Show the manifests that were made of a job
#[utoipa::path(get, path = "/api/v1/jobs/{id}/manifests", tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "Exactly what is applied", body = ManifestsView),
        (status = 404, description = "There never was such a job", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get_job_manifests(
    State(app): State<App>,
    JobPath(id): JobPath,
) -> Result<Json<ManifestsView>, Failure> {
    let job = super::find_record(&app, &id).await?;
    let bundle = app.store().bundle(&id).await.map_err(Failure::store)?;
    let bundle = bundle.ok_or_else(Failure::no_job)?;
    Ok(Json(ManifestsView {
        manifests: view::manifests(&bundle),
        bundle_sha256: job.provenance.bundle_digest.to_string(),
        plugin: view::provenance(&job.provenance),
    }))
}
