//! `GET /api/v1/plugins` and `GET /api/v1/plugins/{name}`.

use std::collections::BTreeMap;

use api_types::{PluginDetail, PluginList, Problem};
use axum::Json;
use axum::extract::State;

use super::view;
use crate::http::App;
use crate::http::extract::PathText;
use crate::http::problem::Failure;

/// List the plugins, with every version, and the files that did not become plugins
#[utoipa::path(get, path = "/api/v1/plugins", tag = "plugins", responses(
    (status = 200, description = "By name", body = PluginList),
    (status = 503, description = "The database does not answer", body = Problem,
     content_type = "application/problem+json"),
))]
pub(super) async fn list_plugins(State(app): State<App>) -> Result<Json<PluginList>, Failure> {
    let mut plugins: BTreeMap<String, PluginDetail> = BTreeMap::new();
    let catalog = app.plugins().catalog();
    for version in catalog.versions {
        let name = version.info.name.clone();
        let plugin = plugins.entry(name.clone()).or_insert_with(|| view::plugin(&name));
        plugin.versions.push(view::version(version));
    }
    for route in app.decisions.registry.routes().await.map_err(Failure::store)? {
        let name = route.plugin.clone();
        let plugin = plugins.entry(name.clone()).or_insert_with(|| view::plugin(&name));
        plugin.route = Some(view::route(route));
    }
    Ok(Json(PluginList {
        plugins: plugins.into_values().collect(),
        rejected: catalog.rejected.into_iter().map(view::rejected).collect(),
    }))
}

/// Show a plugin, also with what is kept of it
#[utoipa::path(get, path = "/api/v1/plugins/{name}", tag = "plugins",
    params(("name" = String, Path, description = "The plugin's name")),
    responses(
        (status = 200, description = "The plugin", body = PluginDetail),
        (status = 404, description = "There is no such plugin", body = Problem,
         content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_plugin(
    State(app): State<App>,
    PathText(name): PathText,
) -> Result<Json<PluginDetail>, Failure> {
    let registry = &app.decisions.registry;
    let (kept, routes) = tokio::try_join!(registry.kept_versions(&name), registry.routes())
        .map_err(Failure::store)?;
    let versions = app.plugins().catalog().versions.into_iter();
    let plugin = PluginDetail {
        versions: versions.filter(|version| version.info.name == name).map(view::version).collect(),
        route: routes.into_iter().find(|route| route.plugin == name).map(view::route),
        kept: kept.into_iter().map(view::kept).collect(),
        ..view::plugin(&name)
    };
    if plugin.versions.is_empty() && plugin.route.is_none() && plugin.kept.is_empty() {
        return Err(super::no_plugin(&name));
    }
    Ok(Json(plugin))
}
