//! `GET /api/v1/jobs/{id}/logs`: what the containers of a job write, also after they are gone; as
//! plain text, or as events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use api_types::{LogEndView, LogLineView, LogNoteView, Problem};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, Stream, StreamExt as _};
use metrics::gauge;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use training::job::Job;
use training::logs::{self, Cursor, LogItem, LogLine, LogNote, LogRequest, LogStream, Replica};
use training::{JobId, Timestamp};

use crate::http::extract::{JobPath, Query, invalid_parameter};
use crate::http::problem::Failure;
use crate::http::{App, view};

/// Between two signs of life of a silent stream of events. Proxies cut connections that are silent
/// for a minute.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// What the host itself says in plain text begins with this.
const OURS: &str = "[trainyard]";
/// Tells proxies, and our own compression, to hand lines on as they come.
pub(crate) const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");
const LAST_EVENT_ID: &str = "last-event-id";
/// More than any container has.
const MOST_LINES: u64 = 10_000_000;

/// Room for so many streams of logs at once.
#[derive(Clone)]
pub(crate) struct Streams(Arc<Semaphore>);

impl Streams {
    pub(crate) fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))))
    }

    fn take(&self) -> Result<Place, Failure> {
        let full = |_| {
            Failure::refusal(
                api_types::ErrorCode::Overloaded,
                "So many logs are being read that there is no room for another stream.",
            )
        };
        let slot = Arc::clone(&self.0).try_acquire_owned().map_err(full)?;
        gauge!("trainyard_log_streams").increment(1.0);
        Ok(Place { _slot: slot })
    }
}

/// A stream's place; free again when the stream ends or its reader leaves.
struct Place {
    _slot: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        gauge!("trainyard_log_streams").decrement(1.0);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parameters {
    follow: Option<String>,
    #[serde(alias = "tailLines")]
    tail: Option<u64>,
    #[serde(alias = "sinceTime", alias = "sinceSeconds")]
    since: Option<String>,
    container: Option<String>,
    role: Option<String>,
    replica: Option<String>,
    timestamps: Option<String>,
    previous: Option<String>,
    format: Option<String>,
}

/// How the answer looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text { timestamps: bool },
    Events,
}

impl Parameters {
    fn request(&self, headers: &HeaderMap, now: Timestamp) -> Result<LogRequest, Failure> {
        let since = self.since.as_deref().filter(|text| !text.is_empty()).map(|text| {
            logs::since(text, now).ok_or_else(|| {
                invalid_parameter(
                    "`since` is a time like 2026-01-31T12:00:00Z, or how long ago: 10m, 1h30m.",
                )
            })
        });
        if self.tail.is_some_and(|tail| tail > MOST_LINES) {
            return Err(invalid_parameter(format!("`tail` must be 0 to {MOST_LINES}.")));
        }
        let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let cursor = match headers.get(LAST_EVENT_ID) {
            None => Some(Cursor::default()),
            Some(id) => id.to_str().ok().and_then(Cursor::parse),
        };
        Ok(LogRequest {
            follow: flag("follow", self.follow.as_deref())?,
            tail: self.tail,
            since: since.transpose()?,
            container: some(&self.container),
            role: some(&self.role),
            replica: some(&self.replica).map(|text| Replica::parse(&text)),
            previous: flag("previous", self.previous.as_deref())?,
            cursor: cursor.ok_or_else(|| {
                invalid_parameter("`Last-Event-ID` is not an id that an earlier event had.")
            })?,
        })
    }

    fn format(&self, headers: &HeaderMap) -> Result<Format, Failure> {
        let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let events = match self.format.as_deref() {
            Some("sse") => true,
            Some("text") => false,
            None => accepts.is_some_and(|accepts| accepts.contains("text/event-stream")),
            Some(_) => return Err(invalid_parameter("`format` is `text` or `sse`.")),
        };
        let timestamps = flag("timestamps", self.timestamps.as_deref())?;
        Ok(if events { Format::Events } else { Format::Text { timestamps } })
    }
}

/// A switch: there or not, or with a value.
fn flag(name: &str, value: Option<&str>) -> Result<bool, Failure> {
    match value {
        None | Some("false" | "0" | "no") => Ok(false),
        Some("" | "true" | "1" | "yes") => Ok(true),
        Some(_) => Err(invalid_parameter(format!("`{name}` is `true` or `false`."))),
    }
}

/// Read or follow a job's logs
///
/// Lines of several pods come in the order of time, or, when followed, as they are written, each
/// with a prefix `[role/pod]`. Once the pods are gone, the archived logs are shown, also of a job
/// that was deleted. As events each line is an event `line` whose id, sent as `Last-Event-ID`, leads
/// on after it; `note` and `error` hold a `LogNoteView`, and `end` a `LogEndView`.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/logs", tag = "jobs",
    params(
        ("id" = String, Path, description = "The job's id"),
        ("follow" = Option<bool>, Query, description = "Go on until the job is over"),
        ("tail" = Option<u64>, Query,
         description = "Only so many of the last lines of each container; also `tailLines`"),
        ("since" = Option<String>, Query,
         description = "Only lines since a time, or since so long ago: `10m`; also `sinceTime` and \
                        `sinceSeconds`"),
        ("container" = Option<String>, Query,
         description = "Containers of this name instead of those that the plugin names"),
        ("role" = Option<String>, Query, description = "Only pods of this role: `driver`, `worker`"),
        ("replica" = Option<String>, Query,
         description = "Only this pod of each role: its name, or its number in the order of the \
                        names, from 0"),
        ("timestamps" = Option<bool>, Query, description = "Put its time before each line of text"),
        ("previous" = Option<bool>, Query,
         description = "Of the run of each container before its last one"),
        ("format" = Option<String>, Query,
         description = "`text` or `sse`; if absent, the header `Accept` decides"),
        ("Last-Event-ID" = Option<String>, Header, description = "Go on after the event with this id"),
    ),
    responses(
        (status = 200, description = "The logs",
         content((String = "text/plain"), (LogLineView = "text/event-stream"))),
        (status = 400, description = "A parameter cannot be used, or selects nothing", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "There never was such a job", body = Problem,
         content_type = "application/problem+json"),
        (status = 503, description = "No log can be read now, or too many are being read",
         body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn read_job_logs(
    State(app): State<App>,
    JobPath(id): JobPath,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let found = app.clone();
    let job = async move { super::find_record(&found, &id).await };
    serve(app, job, &parameters, &headers).await
}

/// The logs of the job that is found.
pub(crate) async fn serve(
    app: App,
    job: impl Future<Output = Result<Job, Failure>>,
    parameters: &Parameters,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let format = parameters.format(headers)?;
    let request = parameters.request(headers, app.ports.clock.now())?;
    let place = app.streams.take()?;
    let job = job.await?;
    let id = job.id.clone();
    let items = logs::read(&app.logs(), job, request).await.map_err(Failure::logs)?;
    // A host that goes away ends its streams, or it would wait for its most patient reader.
    let items = items.take_until(app.draining.begun());
    let items: LogStream = Box::pin(items.inspect(move |_| {
        let _held = &place;
    }));
    let mut response = match format {
        Format::Text { timestamps } => text(app, items, timestamps),
        Format::Events => {
            let kept_alive = KeepAlive::new().interval(SIGN_OF_LIFE);
            Sse::new(events(app, id, items)).keep_alive(kept_alive).into_response()
        }
    };
    response.headers_mut().insert(UNBUFFERED, header::HeaderValue::from_static("no"));
    Ok(response)
}

fn text(app: App, items: LogStream, timestamps: bool) -> Response {
    let lines = items.map(move |item| written(&item, timestamps));
    let going = stream::once(async move {
        let text = format!("{OURS} The host is going away; ask again for what follows.\n");
        app.draining.has_begun().then_some(text)
    });
    let lines = lines.chain(going.filter_map(std::future::ready));
    let body = Body::from_stream(lines.map(|line| Ok::<_, Infallible>(Bytes::from(line))));
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

fn written(item: &LogItem, timestamps: bool) -> String {
    match item {
        LogItem::Line(line) => {
            let prefix = line.prefix.as_ref().map(|prefix| format!("{prefix} "));
            let at = line.at.filter(|_| timestamps).map(|at| format!("{at} "));
            format!("{}{}{}\n", prefix.unwrap_or_default(), at.unwrap_or_default(), line.text)
        }
        LogItem::Note(LogNote { about: None, message, .. }) => format!("{OURS} {message}\n"),
        LogItem::Note(LogNote { about: Some(origin), message, .. }) => {
            format!("{OURS} {}/{}: {message}\n", origin.key.role, origin.key.pod)
        }
    }
}

fn events(
    app: App,
    id: JobId,
    items: LogStream,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    let end = stream::once(async move {
        // Without this event the reader comes back, to another host if this one goes away.
        if app.draining.has_begun() {
            return None;
        }
        let job = app.store().find(&id).await.ok().flatten()?;
        let end = LogEndView { phase: view::phase(job.phase) };
        Event::default().event("end").json_data(end).ok()
    });
    // Texts and words can always be written as JSON.
    let items = items.filter_map(|item| std::future::ready(event(item).ok()));
    items.chain(end.filter_map(std::future::ready)).map(Ok)
}

fn event(item: LogItem) -> Result<Event, axum::Error> {
    match item {
        LogItem::Line(LogLine { origin, at, text, prefix, id }) => {
            let key = origin.key.clone();
            let event = match id {
                Some(id) => Event::default().id(id),
                None => Event::default(),
            };
            event.event("line").json_data(LogLineView {
                at: at.map(|at| at.to_string()),
                cluster: key.cluster,
                role: key.role,
                pod: key.pod,
                container: key.container,
                text,
                prefix,
            })
        }
        LogItem::Note(LogNote { about, message, problem }) => {
            let key = about.map(|origin| origin.key.clone());
            let (cluster, role, pod, container) = match key {
                None => (None, None, None, None),
                Some(key) => {
                    (Some(key.cluster), Some(key.role), Some(key.pod), Some(key.container))
                }
            };
            let name = if problem { "error" } else { "note" };
            let note = LogNoteView { cluster, role, pod, container, message };
            Event::default().event(name).json_data(note)
        }
    }
}
