//! `PUT` and `DELETE /api/v1/plugins/{name}/canary`.

use api_types::{CanaryRequest, Problem, RouteView};
use axum::Json;
use axum::extract::State;
use training::Namespace;
use training::plugins::{self, MOST_NAMESPACES};
use training::ports::FieldError;

use super::view;
use crate::http::App;
use crate::http::extract::Actor;
use crate::http::extract::{JsonBody, PathText};
use crate::http::problem::Failure;

/// Try a version of a plugin on a share of the jobs, and on all jobs of some namespaces
///
/// A job's name decides whether it takes part, so the same form is always served by the same
/// version.
#[utoipa::path(put, path = "/api/v1/plugins/{name}/canary", tag = "plugins",
    request_body = CanaryRequest,
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
pub(super) async fn start_plugin_canary(
    State(app): State<App>,
    PathText(name): PathText,
    Actor(actor): Actor,
    body: JsonBody,
) -> Result<Json<RouteView>, Failure> {
    let CanaryRequest { version, sha256, percent, namespaces } =
        crate::http::extract::typed(&body.value)?;
    let wanted = super::wanted(version, sha256)?;
    let namespaces = read_namespaces(namespaces, percent)?;
    let route =
        plugins::start_canary(&app.decisions, &name, &wanted, percent, namespaces, &actor).await;
    route.map(|route| Json(view::route(route))).map_err(Failure::decision)
}

/// Reads the namespaces, and answers every mistake of the two fields at once.
fn read_namespaces(names: Vec<String>, percent: u8) -> Result<Vec<Namespace>, Failure> {
    let mut errors = Vec::new();
    if percent > 100 {
        errors.push(FieldError::new("/percent", "maximum", "It must be 0 to 100."));
    }
    if names.len() > MOST_NAMESPACES {
        let detail = format!("At most {MOST_NAMESPACES} namespaces can be listed.");
        errors.push(FieldError::new("/namespaces", "too-many", detail));
    }
    let mut namespaces: Vec<Namespace> = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        match Namespace::parse(name) {
            Ok(name) if namespaces.contains(&name) => {}
            Ok(name) => namespaces.push(name),
            Err(wrong) => {
                let pointer = format!("/namespaces/{index}");
                errors.push(FieldError::new(pointer, "invalid-name", wrong.message));
            }
        }
    }
    if errors.is_empty() { Ok(namespaces) } else { Err(Failure::form(errors)) }
}

/// End the trial of a version
#[utoipa::path(delete, path = "/api/v1/plugins/{name}/canary", tag = "plugins",
    params(
        ("name" = String, Path, description = "The plugin's name"),
        ("x-trainyard-actor" = Option<String>, Header, description = "Who decides, for the record"),
    ),
    responses(
        (status = 200, description = "In force, also if there was no trial", body = RouteView),
        (status = 404, description = "There is no such plugin", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "Somebody else decided at the same time", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn stop_plugin_canary(
    State(app): State<App>,
    PathText(name): PathText,
    Actor(actor): Actor,
) -> Result<Json<RouteView>, Failure> {
    let route = plugins::stop_canary(&app.decisions, &name, &actor).await;
    route.map(|route| Json(view::route(route))).map_err(Failure::decision)
}
