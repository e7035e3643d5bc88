//! Layers that are too small for files of their own: load shedding and the access log.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Semaphore;
use tracing::Instrument as _;

use super::{metrics, request_id};

/// Requests that have room of their own, see [`Slots`].
const RELIEF: usize = 8;

/// Room for so many requests at once, and for a few more that lessen the load: who cannot stop a job
/// because others submit too many is helpless just when it matters.
#[derive(Clone)]
pub(super) struct Slots {
    all: Arc<Semaphore>,
    relief: Arc<Semaphore>,
}

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        let count = count.min(Semaphore::MAX_PERMITS);
        Self { all: Arc::new(Semaphore::new(count)), relief: Arc::new(Semaphore::new(RELIEF)) }
    }
}

/// Refuses at once what would only wait: a client that is told can go elsewhere or try again.
pub(super) async fn shed(State(slots): State<Slots>, request: Request, next: Next) -> Response {
    let slot = slots.all.try_acquire();
    let slot =
        if is_relief(&request) { slot.or_else(|_| slots.relief.try_acquire()) } else { slot };
    let Ok(_slot) = slot else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    next.run(request).await
}

/// Whether a request ends something.
fn is_relief(request: &Request) -> bool {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    request.method() == Method::DELETE
        || (request.method() == Method::POST
            && (route.ends_with("/cancel") || route.ends_with("/suspend")))
}

/// A span around each request and one line after it. Neither holds a body, a query or a path that
/// is no route: they may hold what nobody should read in a log.
pub(super) async fn trace(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned());
    let route = route.unwrap_or_else(|| "(no route)".to_owned());
    let request_id = request_id::of(&request).unwrap_or_default();
    let span = tracing::info_span!("http", http.method = %method, http.route = %route, %request_id);
    let started = Instant::now();
    async {
        let response = next.run(request).await;
        let took = started.elapsed();
        metrics::request(&method, &route, response.status(), took);
        let status = response.status().as_u16();
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        // Probes come every few seconds, and paths that are no route come from scanners.
        if route.starts_with("/api/") {
            tracing::info!(http.status = status, duration_ms, "{method} {route}: {status}");
        } else {
            tracing::debug!(http.status = status, duration_ms, "{method} {route}: {status}");
        }
        response
    }
    .instrument(span)
    .await
}
