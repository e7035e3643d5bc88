//! Every route, once: the router and the OpenAPI document are made from the same list.

use axum::Router;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, algorithms, clusters, health, jobs, render};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Trainyard",
        description = "Training jobs on Kubernetes clusters, through sandboxed converters. Every \
                       answer with a status of 400 or more is an `application/problem+json`.",
        license(name = "MIT", identifier = "MIT")
    ),
    components(schemas(api_types::Problem, api_types::ErrorCode))
)]
struct Api;

/// The routes under `/api`.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(jobs::submit::submit_job, jobs::list::list_jobs))
        .routes(routes!(jobs::get::get_job, jobs::delete::delete_job))
        .routes(routes!(jobs::cancel::cancel_job))
        .routes(routes!(jobs::status::get_job_status))
        .routes(routes!(jobs::events::list_job_events))
        .routes(routes!(jobs::manifests::get_job_manifests))
        .routes(routes!(render::render_job))
        .routes(routes!(clusters::list_clusters))
        .routes(routes!(clusters::list_cluster_summaries))
        .routes(routes!(algorithms::list_algorithms))
        .routes(routes!(algorithms::get_algorithm))
        .routes(routes!(algorithms::get_algorithm_schema))
}

/// Serves the document.
pub(super) fn route(document: Document) -> Router<App> {
    let document = complete(document);
    let serve = move || std::future::ready(axum::Json(document.clone()));
    Router::new().route("/api/v1/openapi.json", get(serve))
}

/// The whole document.
pub(crate) fn document() -> Document {
    complete(routes().into_openapi())
}

fn complete(document: Document) -> Document {
    let mut document = document.merge_from(health::routes().into_openapi());
    env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
    document
}
