//! `PUT` and `DELETE /api/v1/plugins/{name}/pin`.

use api_types::{PinRequest, Problem, RouteView};
use axum::Json;
use axum::extract::State;
use training::plugins;

use super::view;
use crate::http::App;
use crate::http::extract::Actor;
use crate::http::extract::{JsonBody, PathText};
use crate::http::problem::Failure;

/// Make one version of a plugin serve, whatever others there are
#[utoipa::path(put, path = "/api/v1/plugins/{name}/pin", tag = "plugins",
    request_body = PinRequest,
    params(
        ("name" = String, Path, description = "The plugin's name"),
        ("x-trainyard-actor" = Option<String>, Header, description = "Who decides, for the record"),
    ),
    responses(
        (status = 200, description = "In force", body = RouteView),
        (status = 400, description = "The body is wrong", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "There is no such plugin or version", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "It does not fit what is in force", body = Problem,
         content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn pin_plugin(
    State(app): State<App>,
    PathText(name): PathText,
    Actor(actor): Actor,
    body: JsonBody,
) -> Result<Json<RouteView>, Failure> {
    let PinRequest { version, sha256 } = crate::http::extract::typed(&body.value)?;
    let wanted = super::wanted(version, sha256)?;
    let route = plugins::pin(&app.decisions, &name, &wanted, &actor).await;
    route.map(|route| Json(view::route(route))).map_err(Failure::decision)
}

/// Let the highest version of a plugin serve again
#[utoipa::path(delete, path = "/api/v1/plugins/{name}/pin", tag = "plugins",
    params(
        ("name" = String, Path, description = "The plugin's name"),
        ("x-trainyard-actor" = Option<String>, Header, description = "Who decides, for the record"),
    ),
    responses(
        (status = 200, description = "In force, also if there was no pin", body = RouteView),
        (status = 404, description = "There is no such plugin", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "Somebody else decided at the same time", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn unpin_plugin(
    State(app): State<App>,
    PathText(name): PathText,
    Actor(actor): Actor,
) -> Result<Json<RouteView>, Failure> {
    let route = plugins::unpin(&app.decisions, &name, &actor).await;
    route.map(|route| Json(view::route(route))).map_err(Failure::decision)
}
