//! `POST /api/v1/plugins/{name}/promote` and `POST /api/v1/plugins/{name}/rollback`.

use api_types::{Problem, RouteView};
use axum::Json;
use axum::extract::State;
use training::plugins;

use super::view;
use crate::http::App;
use crate::http::extract::Actor;
use crate::http::extract::PathText;
use crate::http::problem::Failure;

/// Make the version on trial serve every job
#[utoipa::path(post, path = "/api/v1/plugins/{name}/promote", tag = "plugins",
    params(
        ("name" = String, Path, description = "The plugin's name"),
        ("x-trainyard-actor" = Option<String>, Header, description = "Who decides, for the record"),
    ),
    responses(
        (status = 200, description = "In force", body = RouteView),
        (status = 404, description = "There is no such plugin", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "There is no trial, or somebody else decided at the same time",
         body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn promote_plugin(
    State(app): State<App>,
    PathText(name): PathText,
    Actor(actor): Actor,
) -> Result<Json<RouteView>, Failure> {
    let route = plugins::promote(&app.decisions, &name, &actor).await;
    route.map(|route| Json(view::route(route))).map_err(Failure::decision)
}

/// Make the version serve that served before the last change of the pin
#[utoipa::path(post, path = "/api/v1/plugins/{name}/rollback", tag = "plugins",
    params(
        ("name" = String, Path, description = "The plugin's name"),
        ("x-trainyard-actor" = Option<String>, Header, description = "Who decides, for the record"),
    ),
    responses(
        (status = 200, description = "In force", body = RouteView),
        (status = 404, description = "There is no such plugin", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "There is nothing to go back to, or somebody else decided at \
                                      the same time",
         body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn roll_back_plugin(
    State(app): State<App>,
    PathText(name): PathText,
    Actor(actor): Actor,
) -> Result<Json<RouteView>, Failure> {
    let route = plugins::roll_back(&app.decisions, &name, &actor).await;
    route.map(|route| Json(view::route(route))).map_err(Failure::decision)
}
