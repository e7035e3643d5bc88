//! `GET /metrics` in the text format of Prometheus. Whatever counts does so through the facade
//! `metrics`; this file owns the one recorder of the process, and what is read rather than counted.
//!
//! No label takes a value that a user can choose: routes are patterns, methods those of HTTP, and
//! plugins those of the catalog.

use std::sync::{LazyLock, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::routing::get;
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use training::clock::{Clock as _, SystemClock};
use training::ports::{Plugins, VersionState};
use training::reconcile::OrphanCounts;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;

/// Bounds of all durations in seconds: a plugin call takes tens of microseconds, the slowest request
/// half a minute. Three to four bounds per factor of ten.
const BOUNDS: [f64; 18] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0,
];

/// How often measured durations are sorted into their buckets if nobody asks for them. Until then
/// each takes 8 bytes.
pub(crate) const UPKEEP: Duration = Duration::from_secs(5);

const TEXT: [(HeaderName, &str); 1] =
    [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];

/// The recorder of the process. Tests run several hosts in one; they share it.
static RECORDER: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let builder = PrometheusBuilder::new();
    // Only an empty list is refused.
    let builder = builder.set_buckets(&BOUNDS).unwrap_or_else(|_| PrometheusBuilder::new());
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("Another part of this process records metrics, so /metrics stays empty");
    }
    describe();
    gauge!("process_start_time_seconds").set(SystemClock.now().as_microsecond() as f64 / 1e6);
    gauge!("trainyard_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    handle
});

fn describe() {
    describe_gauge!("trainyard_log_streams", "Streams of logs that are being read");
    describe_counter!("trainyard_http_requests_total", "Requests that were answered");
    describe_histogram!(
        "trainyard_http_request_duration_seconds",
        Unit::Seconds,
        "Time from the end of a request's head to the beginning of its answer"
    );
    describe_gauge!("trainyard_plugins", "Loaded versions of plugins by what they are to users");
    describe_gauge!("trainyard_plugin_files_rejected", "Files that did not become plugins");
    describe_gauge!("trainyard_plugin_quarantined", "Versions that are not called: always 1");
    describe_gauge!("trainyard_orphans", "Workloads of ours whose job is gone");
    describe_gauge!("trainyard_orphans_held", "1 if there are so many that none is removed");
    describe_counter!(
        "trainyard_orphans_removed_total",
        "Workloads without a job that were removed"
    );
    describe_gauge!("process_start_time_seconds", Unit::Seconds, "When the process started");
    describe_gauge!("trainyard_build_info", "The version of the host: always 1");
}

/// Starts to record. Call it before anything counts.
pub(crate) fn install() {
    LazyLock::force(&RECORDER);
}

/// Does [`UPKEEP`]'s work once.
pub(crate) fn upkeep() {
    RECORDER.run_upkeep();
}

/// Shows what became of workloads without a job.
pub(crate) fn show_orphans(counts: OrphanCounts) {
    gauge!("trainyard_orphans").set(counts.found as f64);
    gauge!("trainyard_orphans_held").set(if counts.held { 1.0 } else { 0.0 });
    counter!("trainyard_orphans_removed_total").absolute(counts.removed);
}

/// Counts one request.
pub(super) fn request(method: &Method, route: &str, status: StatusCode, took: Duration) {
    let method = match *method {
        Method::GET | Method::HEAD => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    };
    let class = match status.as_u16() {
        0..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    let route = route.to_owned();
    counter!("trainyard_http_requests_total",
        "method" => method, "route" => route.clone(), "status" => class)
    .increment(1);
    histogram!("trainyard_http_request_duration_seconds", "method" => method, "route" => route)
        .record(took.as_secs_f64());
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_metrics))
}

pub(super) fn router(app: App) -> Router {
    let router: Router<App> = routes().into();
    router.with_state(app)
}

/// The metrics while the store is still being waited for.
pub(super) fn starting_router() -> Router {
    Router::new().route("/metrics", get(async || (TEXT, RECORDER.render())))
}

/// Metrics of this process for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "health", responses(
    (status = 200, description = "In the text format of Prometheus", body = String,
     content_type = "text/plain"),
))]
async fn get_metrics(State(app): State<App>) -> ([(HeaderName, &'static str); 1], String) {
    read_plugins(app.plugins());
    (TEXT, RECORDER.render())
}

/// Versions that were in quarantine when somebody last looked, so that their gauges go back to 0.
static QUARANTINED: RwLock<Vec<(String, String)>> = RwLock::new(Vec::new());

fn read_plugins(plugins: &dyn Plugins) {
    let catalog = plugins.catalog();
    let count = |state| catalog.versions.iter().filter(|version| version.state == state).count();
    for (state, word) in [
        (VersionState::Active, "active"),
        (VersionState::Canary, "canary"),
        (VersionState::Standby, "standby"),
        (VersionState::Retired, "retired"),
        (VersionState::Quarantined, "quarantined"),
    ] {
        gauge!("trainyard_plugins", "state" => word).set(count(state) as f64);
    }
    gauge!("trainyard_plugin_files_rejected").set(catalog.rejected.len() as f64);
    let locked: Vec<(String, String)> = catalog
        .versions
        .iter()
        .filter(|version| version.state == VersionState::Quarantined)
        .map(|version| (version.info.name.clone(), version.info.version.clone()))
        .collect();
    let mut before = QUARANTINED.write().unwrap_or_else(PoisonError::into_inner);
    let quarantined = |(name, version): &(String, String)| {
        gauge!("trainyard_plugin_quarantined",
            "plugin" => name.clone(), "version" => version.clone())
    };
    for each in before.iter().filter(|each| !locked.contains(each)) {
        quarantined(each).set(0.0);
    }
    for each in &locked {
        quarantined(each).set(1.0);
    }
    *before = locked;
}
