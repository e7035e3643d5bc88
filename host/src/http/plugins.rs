//! Plugins: what is loaded, what is kept, what operators decided, one group of endpoints per file.

mod canary;
mod events;
mod interpreters;
mod list;
mod pin;
mod release;
mod roll;
mod view;

use api_types::ErrorCode;
use training::id::PluginDigest;
use training::plugins::Wanted;
use training::ports::FieldError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::problem::Failure;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list_plugins))
        .routes(routes!(list::get_plugin))
        .routes(routes!(events::list_events))
        .routes(routes!(events::list_plugin_events))
        .routes(routes!(pin::pin_plugin, pin::unpin_plugin))
        .routes(routes!(canary::start_plugin_canary, canary::stop_plugin_canary))
        .routes(routes!(roll::promote_plugin))
        .routes(routes!(roll::roll_back_plugin))
        .routes(routes!(release::release_plugin))
        .routes(routes!(interpreters::list_interpreters))
        .routes(routes!(interpreters::install_interpreter))
}

/// The version that is meant: exactly one of the two members names it.
fn wanted(version: Option<String>, sha256: Option<String>) -> Result<Wanted, Failure> {
    match (version, sha256) {
        (Some(version), None) => Ok(Wanted::Version(version)),
        (None, Some(text)) => digest(&text).map(Wanted::Digest),
        _ => Err(Failure::form(vec![FieldError::new(
            "",
            "required",
            "Name the version by exactly one of `version` and `sha256`.",
        )])),
    }
}

fn digest(text: &str) -> Result<PluginDigest, Failure> {
    PluginDigest::parse(text)
        .map_err(|error| Failure::form(vec![FieldError::new("/sha256", "invalid", error.message)]))
}

/// No plugin of this name is loaded or kept.
fn no_plugin(name: &str) -> Failure {
    let shown: String = name.chars().take(100).filter(|c| !c.is_control()).collect();
    let detail = format!("There is no plugin `{shown}`, neither loaded nor kept.");
    Failure::refusal(ErrorCode::PluginNotFound, detail)
}
