//! `GET /api/v1/plugins/{name}/interpreters` and `POST …/interpreters/{interpreter}/install`.

use api_types::{InterpreterList, InterpreterState, InterpreterView, Problem};
use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;
use similar::TextDiff;
use training::plugins::{self, InterpreterSeen};

use crate::http::App;
use crate::http::extract::{Actor, PathText};
use crate::http::problem::Failure;

/// Show how Karmada is to read the kinds of a plugin
///
/// A plugin ships a `ResourceInterpreterCustomization` for what Karmada does not know about its
/// kinds. Each is shown beside what the control plane has; none is ever installed by itself.
#[utoipa::path(get, path = "/api/v1/plugins/{name}/interpreters", tag = "plugins",
    params(("name" = String, Path, description = "The plugin's name")),
    responses(
        (status = 200, description = "What the version that serves ships", body = InterpreterList),
        (status = 404, description = "No version of such a plugin serves", body = Problem,
         content_type = "application/problem+json"),
        (status = 503, description = "Karmada does not answer", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_interpreters(
    State(app): State<App>,
    PathText(name): PathText,
) -> Result<Json<InterpreterList>, Failure> {
    let seen = plugins::interpreters(&app.decisions, app.control.as_ref(), &name).await;
    let seen = seen.map_err(Failure::interpreter)?;
    Ok(Json(InterpreterList { interpreters: seen.into_iter().map(shown).collect() }))
}

/// Install how Karmada is to read a kind
///
/// Makes the `ResourceInterpreterCustomization` on the control plane say what the plugin ships,
/// whatever is there. It then counts for every object of its kind. The history of the plugin keeps
/// who did it, and what was there before.
#[utoipa::path(post, path = "/api/v1/plugins/{name}/interpreters/{interpreter}/install",
    tag = "plugins",
    params(
        ("name" = String, Path, description = "The plugin's name"),
        ("interpreter" = String, Path, description = "The interpreter's name"),
        ("x-trainyard-actor" = Option<String>, Header, description = "Who decides, for the record"),
    ),
    responses(
        (status = 200, description = "As it is now", body = InterpreterView),
        (status = 404, description = "There is no such plugin or interpreter", body = Problem,
         content_type = "application/problem+json"),
        (status = 503, description = "Karmada or the database does not answer", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(super) async fn install_interpreter(
    State(app): State<App>,
    path: Result<Path<(String, String)>, axum::extract::rejection::PathRejection>,
    Actor(actor): Actor,
) -> Result<Json<InterpreterView>, Failure> {
    let Ok(Path((name, interpreter))) = path else { return Err(super::no_plugin("")) };
    let control = app.control.as_ref();
    let seen = plugins::install(&app.decisions, control, &name, &interpreter, &actor).await;
    seen.map(|seen| Json(shown(seen))).map_err(Failure::interpreter)
}

fn shown(seen: InterpreterSeen) -> InterpreterView {
    let state = match &seen.found {
        None => InterpreterState::Absent,
        Some(_) if seen.is_same() => InterpreterState::Same,
        Some(_) => InterpreterState::Differs,
    };
    let diff = match state {
        InterpreterState::Same => String::new(),
        InterpreterState::Absent | InterpreterState::Differs => diff(&seen),
    };
    let shipped = seen.shipped;
    InterpreterView {
        name: shipped.name,
        api_version: shipped.api_version,
        kind: shipped.kind,
        state,
        diff,
        document: shipped.document,
    }
}

fn diff(seen: &InterpreterSeen) -> String {
    let before = seen.found.as_ref().map(yaml).unwrap_or_default();
    let after = yaml(&seen.shipped.document);
    TextDiff::from_lines(&before, &after)
        .unified_diff()
        .header("control plane", "plugin")
        .to_string()
}

/// As YAML, which shows differences of scripts line by line.
fn yaml(document: &Value) -> String {
    // JSON is YAML, too: a document that the writer cannot write is shown as it is.
    serde_saphyr::to_string(document).unwrap_or_else(|_| format!("{document:#}\n"))
}
