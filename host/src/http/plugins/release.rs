//! `POST /api/v1/plugins/{name}/versions/{sha256}/release`.

use api_types::{PluginVersionView, Problem};
use axum::Json;
use axum::extract::{Path, State};
use training::plugins;

use super::view;
use crate::http::App;
use crate::http::extract::Actor;
use crate::http::problem::Failure;

/// Let a version out of quarantine
///
/// Every host of the installation follows within a second or two.
#[utoipa::path(post, path = "/api/v1/plugins/{name}/versions/{sha256}/release", tag = "plugins",
    params(
        ("name" = String, Path, description = "The plugin's name"),
        ("sha256" = String, Path, description = "The version's sha-256, in lower-case hex"),
        ("x-trainyard-actor" = Option<String>, Header, description = "Who decides, for the record"),
    ),
    responses(
        (status = 200, description = "The version as it is now", body = PluginVersionView),
        (status = 404, description = "There is no such version", body = Problem,
         content_type = "application/problem+json"),
        (status = 409, description = "It is not in quarantine", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn release_plugin(
    State(app): State<App>,
    path: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
    Actor(actor): Actor,
) -> Result<Json<PluginVersionView>, Failure> {
    let Ok(Path((name, sha256))) = path else { return Err(super::no_plugin("")) };
    let digest = super::digest(&sha256)?;
    plugins::release(&app.decisions, &name, digest, &actor).await.map_err(Failure::decision)?;
    let versions = app.plugins().catalog().versions;
    let version = versions.into_iter().find(|version| version.info.digest == digest);
    // A reload between the two lines may have taken it away.
    version.map(|version| Json(view::version(version))).ok_or_else(|| super::no_plugin(&name))
}
