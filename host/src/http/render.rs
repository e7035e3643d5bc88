//! `POST /api/v1/render`: everything of a submission but its transaction.

use api_types::{Problem, RenderView};
use axum::Json;
use axum::extract::State;
use training::submit;

use super::extract::JsonBody;
use super::jobs::submit::read_form;
use super::problem::Failure;
use super::{App, view};

/// Show what a job form would become, without storing it
#[utoipa::path(post, path = "/api/v1/render", tag = "jobs", request_body = Object, responses(
    (status = 200, description = "Its manifests", body = RenderView),
    (status = 400, description = "The form is wrong", body = Problem,
     content_type = "application/problem+json"),
))]
pub(super) async fn render_job(
    State(app): State<App>,
    body: JsonBody,
) -> Result<Json<RenderView>, Failure> {
    let form = read_form(&app, body.value)?;
    let rendered = submit::render(&app.ports.for_request(), form.spec)
        .await
        .map_err(|error| Failure::submit(error.pointing_into_form(&form.places)))?;
    Ok(Json(RenderView {
        manifests: view::manifests(&rendered.bundle),
        policies: rendered.policies,
        changes: rendered.changes.into_iter().map(view::change).collect(),
        warnings: rendered.warnings,
        plugin: view::provenance(&rendered.job.provenance),
    }))
}
