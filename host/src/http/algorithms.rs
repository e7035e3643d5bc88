//! The algorithms that the loaded plugins serve.

use std::sync::Arc;

use api_types::{AlgorithmView, ErrorCode, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use training::ports::{Audience, PluginInfo};

use super::extract::{PathText, Query};
use super::problem::Failure;
use super::{App, view};

/// List the algorithms
#[utoipa::path(get, path = "/api/v1/algorithms", tag = "algorithms",
    params(("schema" = Option<bool>, Query,
            description = "Put the hyperparameter schema and the example forms of each algorithm into the \
                           answer")),
    responses(
        (status = 200, description = "By plugin name", body = Vec<AlgorithmView>),
        (status = 400, description = "The parameter cannot be used", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_algorithms(
    State(app): State<App>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Vec<AlgorithmView>>, Failure> {
    let plugins = app.plugins().list();
    let algorithms = plugins.iter().map(|plugin| AlgorithmView {
        // It was read when the plugin was loaded.
        schema: parameters.schema.then(|| serde_json::from_str(&plugin.schema).ok()).flatten(),
        ..view::algorithm(plugin, parameters.schema)
    });
    Ok(Json(algorithms.collect()))
}

#[derive(Deserialize)]
pub(super) struct Parameters {
    #[serde(default)]
    schema: bool,
}

/// Show an algorithm with its example forms
#[utoipa::path(get, path = "/api/v1/algorithms/{name}", tag = "algorithms",
    params(("name" = String, Path, description = "The algorithm, or an alias of it")),
    responses(
        (status = 200, description = "The algorithm", body = AlgorithmView),
        (status = 404, description = "No plugin serves it", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_algorithm(
    State(app): State<App>,
    PathText(name): PathText,
) -> Result<Json<AlgorithmView>, Failure> {
    Ok(Json(view::algorithm(find(&app, &name)?.as_ref(), true)))
}

/// Show the JSON Schema of an algorithm's hyperparameters, byte for byte as its plugin wrote it
#[utoipa::path(get, path = "/api/v1/algorithms/{name}/schema", tag = "algorithms",
    params(("name" = String, Path, description = "The algorithm, or an alias of it")),
    responses(
        (status = 200, description = "The schema", body = Object,
         content_type = "application/schema+json"),
        (status = 404, description = "No plugin serves it", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_algorithm_schema(
    State(app): State<App>,
    headers: axum::http::HeaderMap,
    PathText(name): PathText,
) -> Result<Response, Failure> {
    let plugin = find(&app, &name)?;
    let tag = format!("\"{}\"", plugin.schema_digest);
    let fresh = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, "no-cache".to_owned())];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known == Some(tag.as_str()) {
        return Ok((StatusCode::NOT_MODIFIED, fresh).into_response());
    }
    let kind = [(header::CONTENT_TYPE, "application/schema+json")];
    Ok((fresh, kind, plugin.schema.clone()).into_response())
}

fn find(app: &App, name: &str) -> Result<Arc<PluginInfo>, Failure> {
    app.plugins().resolve(name, Audience::ANYBODY).ok_or_else(|| {
        Failure::refusal(ErrorCode::AlgorithmNotFound, "No loaded plugin serves this algorithm.")
    })
}
