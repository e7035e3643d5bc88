//! `GET /api/v1/plugins/events` and `GET /api/v1/plugins/{name}/events`: the history, newest first.

use api_types::{PluginEventPage, Problem};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::view;
use crate::http::App;
use crate::http::extract::{PathText, Query, invalid_parameter};
use crate::http::problem::Failure;

/// Events of a page unless the client says otherwise.
const USUAL: u32 = 50;
/// Events of the largest page: about 500 KiB of JSON.
const MOST: u32 = 500;

#[derive(Deserialize)]
pub(super) struct Parameters {
    before: Option<i64>,
    limit: Option<u32>,
}

/// Show what happened to all plugins, newest first
#[utoipa::path(get, path = "/api/v1/plugins/events", tag = "plugins",
    params(
        ("before" = Option<i64>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "At most so many, 1 to 500; 50 by default"),
    ),
    responses(
        (status = 200, description = "A page", body = PluginEventPage),
        (status = 400, description = "A parameter cannot be used", body = Problem,
         content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_events(
    State(app): State<App>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<PluginEventPage>, Failure> {
    page(&app, None, &parameters).await.map(Json)
}

/// Show what happened to a plugin, or to a file that is none, newest first
#[utoipa::path(get, path = "/api/v1/plugins/{name}/events", tag = "plugins",
    params(
        ("name" = String, Path, description = "The plugin's name, or a file's"),
        ("before" = Option<i64>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "At most so many, 1 to 500; 50 by default"),
    ),
    responses(
        (status = 200, description = "A page; empty if nothing ever happened to it",
         body = PluginEventPage),
        (status = 400, description = "A parameter cannot be used", body = Problem,
         content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_plugin_events(
    State(app): State<App>,
    PathText(name): PathText,
    Query(parameters): Query<Parameters>,
) -> Result<Json<PluginEventPage>, Failure> {
    page(&app, Some(&name), &parameters).await.map(Json)
}

async fn page(
    app: &App,
    plugin: Option<&str>,
    parameters: &Parameters,
) -> Result<PluginEventPage, Failure> {
    let limit = parameters.limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(invalid_parameter(format!("`limit` is 1 to {MOST}.")));
    }
    // One more than asked for, to know whether there is another page.
    let registry = &app.decisions.registry;
    let mut events = registry
        .plugin_events(plugin, parameters.before, limit + 1)
        .await
        .map_err(Failure::store)?;
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = events.len() > wanted;
    events.truncate(wanted);
    let next = events.last().map(|event| event.id).filter(|_| more);
    Ok(PluginEventPage { items: events.into_iter().map(view::event).collect(), next })
}
