//! Probes. They stand outside the load shedding: a busy host is not a dead one.

use std::time::Duration;

use api_types::{CheckView, HealthView, ReadyView};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;

/// Shorter than the usual second of a probe's own timeout, so that the reason still arrives.
const PATIENCE: Duration = Duration::from_millis(800);

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(get_health))
        .routes(routes!(get_liveness))
        .routes(routes!(get_readiness))
}

pub(super) fn router(app: App) -> Router {
    let router: Router<App> = routes().into();
    router.with_state(app)
}

/// The probes while the store is still being waited for.
pub(super) fn starting_router() -> Router {
    let store = CheckView { name: "store".to_owned(), ok: false, required: true };
    let not_ready = move |RawQuery(query): RawQuery| async move { ready(vec![store], query) };
    let unhealthy = async || health(false);
    Router::new()
        .route("/livez", get(get_liveness))
        .route("/readyz", get(not_ready))
        .route("/health", get(unhealthy))
        // Everything else exists, but not yet.
        .route("/api/{*rest}", axum::routing::any(async || StatusCode::SERVICE_UNAVAILABLE))
}

/// Whether the host can work, in the words of older clients
#[utoipa::path(get, path = "/health", tag = "health", responses(
    (status = 200, description = "It can", body = HealthView),
    (status = 503, description = "The database does not answer", body = HealthView),
))]
async fn get_health(State(app): State<App>) -> Response {
    health(store_answers(&app).await)
}

fn health(ok: bool) -> Response {
    let (code, word) = if ok {
        (StatusCode::OK, "healthy")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unhealthy")
    };
    (code, axum::Json(HealthView { status: word.to_owned() })).into_response()
}

/// Whether the process lives; looks at nothing else
#[utoipa::path(get, path = "/livez", tag = "health", responses(
    (status = 200, description = "It lives", body = String, content_type = "text/plain"),
))]
async fn get_liveness() -> &'static str {
    "ok\n"
}

/// Whether requests should be sent here
///
/// A host without Karmada is ready: it accepts jobs, and places them later.
#[utoipa::path(get, path = "/readyz", tag = "health",
    params(("verbose" = Option<String>, Query, description = "Show what was looked at")),
    responses(
        (status = 200, description = "Yes", body = ReadyView),
        (status = 503, description = "Not now", body = ReadyView),
    )
)]
async fn get_readiness(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let check = |name: &str, ok, required| CheckView { name: name.to_owned(), ok, required };
    // Karmada is asked only if somebody wants to know: probes come often.
    let control = async {
        if !is_verbose(query.as_deref()) {
            return None;
        }
        let answer = tokio::time::timeout(PATIENCE, app.control.ping()).await;
        Some(check("karmada", matches!(answer, Ok(Ok(()))), false))
    };
    let (store, control) = tokio::join!(store_answers(&app), control);
    let mut checks = vec![
        check("store", store, true),
        check("plugins", !app.plugins().list().is_empty(), true),
        check("not-draining", !app.draining.has_begun(), true),
    ];
    checks.extend(control);
    ready(checks, query)
}

fn ready(checks: Vec<CheckView>, query: Option<String>) -> Response {
    let ready = checks.iter().all(|check| check.ok || !check.required);
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let checks = if is_verbose(query.as_deref()) { checks } else { Vec::new() };
    (code, axum::Json(ReadyView { ready, checks })).into_response()
}

fn is_verbose(query: Option<&str>) -> bool {
    let mut parameters = query.unwrap_or_default().split('&');
    parameters.any(|parameter| parameter.split('=').next() == Some("verbose"))
}

async fn store_answers(app: &App) -> bool {
    matches!(tokio::time::timeout(PATIENCE, app.store().ping()).await, Ok(Ok(())))
}
