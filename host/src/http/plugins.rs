//! Plugins: what is loaded, what is kept, what operators decided, one group of endpoints per file.

mod canary;
mod events;
mod list;
mod pin;
mod release;
mod roll;
mod view;

use api_types::ErrorCode;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;
use training::id::PluginDigest;
use training::plugins::Wanted;
use training::ports::FieldError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::problem::Failure;

/// The header with the name of whoever decides.
const ACTOR: &str = "x-trainyard-actor";
/// Whoever decides without saying who.
const NOBODY: &str = "api";
/// A longer name is not one.
const LONGEST_ACTOR: usize = 64;

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
}

/// Who decides, for the record. The client says so, and nobody checks it: there is no login yet.
pub(super) struct Actor(String);

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let sane = |name: &&str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._@:+-".contains(c);
            (1..=LONGEST_ACTOR).contains(&name.len()) && name.chars().all(plain)
        };
        let named = parts.headers.get(ACTOR).and_then(|value| value.to_str().ok()).filter(sane);
        Ok(Self(named.unwrap_or(NOBODY).to_owned()))
    }
}

/// Reads a small body whose members are all there is.
fn read<T: DeserializeOwned>(body: &Value) -> Result<T, Failure> {
    serde_path_to_error::deserialize(body).map_err(|error| {
        let path: String = error.path().iter().fold(String::new(), |path, segment| match segment {
            serde_path_to_error::Segment::Seq { index } => format!("{path}/{index}"),
            serde_path_to_error::Segment::Map { key } => format!("{path}/{key}"),
            _ => path,
        });
        Failure::form(vec![FieldError::new(path, "invalid", format!("{}.", error.inner()))])
    })
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
