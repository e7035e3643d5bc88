//! Every route, once: the router and the OpenAPI document are made from the same list.

mod form;
mod live;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::live::Live;
use super::{
    App, algorithms, clusters, deployments, health, imports, jobs, metrics, plugins, render,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Trainyard",
        description = "Training jobs on Kubernetes clusters, through sandboxed converters. Every \
                       answer with a status of 400 or more is an `application/problem+json`.",
        license(name = "MIT", identifier = "MIT")
    ),
    components(schemas(
        api_types::Problem,
        api_types::ErrorCode,
        api_types::LogNoteView,
        api_types::LogEndView
    ))
)]
struct Api;

/// The routes under `/api`.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(jobs::submit::submit_job, jobs::list::list_jobs))
        .routes(routes!(jobs::get::get_job, jobs::delete::delete_job))
        .routes(routes!(jobs::cancel::cancel_job))
        .routes(routes!(jobs::suspend::suspend_job))
        .routes(routes!(jobs::suspend::resume_job))
        .routes(routes!(jobs::retry::retry_job))
        .routes(routes!(jobs::retry::list_job_attempts))
        .routes(routes!(jobs::clone::clone_job))
        .routes(routes!(jobs::abandon::abandon_job))
        .routes(routes!(jobs::status::get_job_status))
        .routes(routes!(jobs::events::list_job_events))
        .routes(routes!(jobs::explain::explain_why))
        .routes(routes!(jobs::manifests::get_job_manifests))
        .routes(routes!(jobs::logs::read_job_logs))
        .routes(routes!(jobs::verify::verify_job))
        .routes(routes!(deployments::create_deployment, deployments::list_deployments))
        .routes(routes!(deployments::get_deployment, deployments::delete_deployment))
        .routes(routes!(deployments::read_deployment_logs))
        .routes(routes!(render::render_job))
        .routes(routes!(imports::import_from_sagemaker))
        .routes(routes!(clusters::list_clusters))
        .routes(routes!(clusters::list_cluster_summaries))
        .routes(routes!(clusters::resources::list_cluster_resources))
        .routes(routes!(algorithms::list_algorithms))
        .routes(routes!(algorithms::get_algorithm))
        .routes(routes!(algorithms::get_algorithm_schema))
        .merge(plugins::routes())
}

/// Serves the document, with what the loaded plugins add to it.
pub(super) fn route(document: Document) -> Router<App> {
    // The document is plain data; it can be written.
    let base = serde_json::to_value(complete(document)).unwrap_or_default();
    let live = Arc::new(Live::new(base));
    let serve = move |State(app): State<App>, headers: HeaderMap| {
        let live = Arc::clone(&live);
        async move { answer(&live, &app, &headers) }
    };
    Router::new().route("/api/v1/openapi.json", get(serve))
}

fn answer(live: &Live, app: &App, headers: &HeaderMap) -> Response {
    let made = live.document(app.plugins());
    let fresh = [(header::ETAG, made.tag.clone()), (header::CACHE_CONTROL, "no-cache".to_owned())];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known == Some(made.tag.as_str()) {
        return (StatusCode::NOT_MODIFIED, fresh).into_response();
    }
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (fresh, kind, made.text.clone()).into_response()
}

/// The whole document, as it is without plugins.
pub(crate) fn document() -> Document {
    complete(routes().into_openapi())
}

fn complete(document: Document) -> Document {
    let document = document.merge_from(health::routes().into_openapi());
    let mut document = document.merge_from(metrics::routes().into_openapi());
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    document
}
