//! The HTTP API: router assembly and the order of its layers. Handlers call use-cases and ports of
//! `training`; none names an adapter.

mod algorithms;
mod app;
mod clusters;
mod deployments;
mod extract;
mod health;
mod imports;
mod jobs;
mod limits;
mod metrics;
mod openapi;
mod plugins;
mod problem;
mod render;
mod request_id;
mod server;
mod stall;
#[cfg(test)]
mod tests;
mod view;

use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header,
};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, Predicate as _};
use tower_http::cors::CorsLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

pub(crate) use app::{App, Draining, Inspection};
pub(crate) use jobs::logs::Streams;
pub(crate) use metrics::{UPKEEP, install as install_metrics, show_orphans, upkeep};
pub(crate) use openapi::document;
pub(crate) use problem::causes;
pub(crate) use server::Server;

/// How the API behaves.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Largest body in bytes.
    pub(crate) max_body_bytes: usize,
    /// Longest time from the end of a request's head to the beginning of its answer.
    pub(crate) request_timeout: Duration,
    /// Requests under way at once; more are answered with 503.
    pub(crate) max_requests: usize,
    /// Origins whose browser pages may use the API.
    pub(crate) cors_origins: Vec<HeaderValue>,
}

/// The whole API.
pub(crate) fn router(app: App, options: &Options) -> Router {
    let (api, document) = openapi::routes().split_for_parts();
    let api = api
        .merge(openapi::route(document))
        .with_state(app.clone())
        .layer(from_fn_with_state(limits::Slots::new(options.max_requests), limits::shed));
    layered(health::router(app.clone()).merge(metrics::router(app)).merge(api), options)
}

/// What answers until the store is there: alive, and ready for nothing.
pub(crate) fn starting_router(options: &Options) -> Router {
    layered(health::starting_router().merge(metrics::starting_router()), options)
}

/// Puts the layers around the routes, outermost first:
///
/// 1. the request's id, because every later line of log and every problem names it;
/// 2. headers of every answer, also of refusals;
/// 3. the span, so that it covers all that follows;
/// 4. compression, before problems are made, or their bodies would be compressed unseen; not of
///    streams, whose lines it would hold back;
/// 5. CORS, which answers a browser's preflight without a route;
/// 6. problems, which give everything below one form;
/// 7. panics and the timeout, closest to the handlers, whose only trace they are;
/// 8. the body limit, which the body's extractor enforces while it reads.
fn layered(routes: Router, options: &Options) -> Router {
    let timeout =
        TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, options.request_timeout);
    let layers = ServiceBuilder::new()
        .layer(from_fn(request_id::assign))
        .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(header::REFERRER_POLICY, "no-referrer"))
        .layer(fixed(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"))
        // Answers change from one second to the next, and hold what a shared cache must not keep.
        .layer(fixed(header::CACHE_CONTROL, "no-store"))
        .layer(from_fn(limits::trace))
        .layer(CompressionLayer::new().compress_when(DefaultPredicate::new().and(is_whole)))
        .layer(cors(options))
        .layer(from_fn(problem::finish))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(timeout)
        .layer(DefaultBodyLimit::max(options.max_body_bytes));
    routes.fallback(no_route).layer(layers)
}

/// Whether an answer is not a stream whose parts are wanted as they come.
fn is_whole(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    !headers.contains_key(jobs::logs::UNBUFFERED)
}

/// Sets a header unless the handler set another value.
fn fixed(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

fn cors(options: &Options) -> CorsLayer {
    if options.cors_origins.is_empty() {
        return CorsLayer::new();
    }
    CorsLayer::new()
        .allow_origin(options.cors_origins.clone())
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
            request_id::NAME,
        ])
        .expose_headers([header::LOCATION, header::LINK, request_id::NAME])
        .max_age(Duration::from_mins(10))
}

/// Paths with a slash at the end lead to those without, as they always did. Nothing else does, so
/// that no path can be bent into the address of another host.
async fn no_route(request: Request) -> Response {
    let uri = request.uri();
    let shorter = uri.path().strip_suffix('/').filter(|path| path.starts_with("/api/"));
    let Some(location) = shorter.and_then(|path| location(path, uri)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let status = match *request.method() {
        Method::GET | Method::HEAD => StatusCode::MOVED_PERMANENTLY,
        _ => StatusCode::TEMPORARY_REDIRECT,
    };
    (status, [(header::LOCATION, location)]).into_response()
}

fn location(path: &str, uri: &Uri) -> Option<HeaderValue> {
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    HeaderValue::from_str(&format!("{path}{query}")).ok()
}
