//! Watches: a chunked stream of events read from one API server's log.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{body::Body, body::Bytes, response::Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    render::{self, Shape},
    request::{Call, Target},
};
use crate::{
    json as js,
    objects::{Api, list::ListRequest, selectors::Selector},
    status::{ApiError, ApiResult},
};

/// The real server sends a bookmark about once a minute.
const BOOKMARK_EVERY: Duration = Duration::from_mins(1);
/// The real server closes watches without `timeoutSeconds` after 30 to 60 minutes.
const LONGEST: u64 = 1800;

struct Watch {
    shared: Arc<Shared>,
    target: Target,
    selector: Selector,
    shape: Shape,
    revision: u64,
    ready: VecDeque<Bytes>,
    bookmarks: bool,
    next_bookmark: Instant,
    deadline: Instant,
    signal: watch::Receiver<u64>,
    hang_up: broadcast::Receiver<()>,
    stop: CancellationToken,
    ended: bool,
}

pub(crate) fn answer(shared: &Arc<Shared>, call: &Call, target: &Target) -> Response {
    match start(shared, call, target) {
        Ok(watch) => {
            let events = stream::unfold(watch, |mut watch| async move {
                let bytes = watch.next().await?;
                Some((Ok::<_, Infallible>(bytes), watch))
            });
            render::stream("application/json", Body::from_stream(events))
        }
        Err(error) => render::error(&error),
    }
}

fn start(shared: &Arc<Shared>, call: &Call, target: &Target) -> ApiResult<Watch> {
    let mut selector = call.selector(target.res())?;
    // `GET .../{name}?watch=true` is the old spelling of a field selector.
    if !target.is_collection() {
        let fields = format!("metadata.name={}", target.key.name);
        selector = Selector::parse(target.res(), call.query("labelSelector"), &fields)?;
    }
    let version = call.query("resourceVersion");
    let initial = call.flag("sendInitialEvents");
    if call.has_query("sendInitialEvents") && call.query("resourceVersionMatch") != "NotOlderThan" {
        return Err(ApiError::new(
            422,
            "Invalid",
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: \
             sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ));
    }
    let bookmarks = call.flag("allowWatchBookmarks");
    let synthetic = initial || version.is_empty() || version == "0";
    let from: u64 = if synthetic {
        0
    } else {
        version.parse().map_err(|_| {
            ApiError::bad_request(format!("Invalid value: \"{version}\": must be a number"))
        })?
    };
    let timeout = call.query("timeoutSeconds").parse().unwrap_or(LONGEST).min(LONGEST);
    let world = shared.world();
    let api = world.api(target.cluster.as_deref()).ok_or_else(ApiError::no_such_path)?;
    let mut watch = Watch {
        shared: Arc::clone(shared),
        target: target.clone(),
        selector,
        shape: Shape::of(call.header("accept"), world.now),
        revision: from,
        ready: VecDeque::new(),
        bookmarks,
        next_bookmark: Instant::now() + BOOKMARK_EVERY,
        deadline: Instant::now() + Duration::from_secs(timeout.max(1)),
        signal: api.subscribe(),
        hang_up: shared.hang_up.subscribe(),
        stop: shared.stop.clone(),
        ended: false,
    };
    if synthetic {
        let request = ListRequest {
            namespace: &target.key.namespace,
            selector: watch.selector.clone(),
            ..ListRequest::default()
        };
        let page = api.list(target.res(), &request)?;
        for object in &page.items {
            watch.push("ADDED", object);
        }
        watch.revision = page.revision;
        if bookmarks && version != "0" {
            watch.bookmark(true);
        }
    }
    Ok(watch)
}

impl Watch {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(self.gather(bytes));
            }
            if self.ended {
                return None;
            }
            // Before the log: a watch that is to end must not report the compaction after it.
            if self.hang_up.try_recv().is_ok() {
                return None;
            }
            self.signal.mark_unchanged();
            self.read();
            if !self.ready.is_empty() || self.ended {
                continue;
            }
            tokio::select! {
                changed = self.signal.changed() => self.ended = changed.is_err(),
                () = tokio::time::sleep_until(self.deadline) => self.ended = true,
                () = tokio::time::sleep_until(self.next_bookmark), if self.bookmarks => {
                    self.bookmark(false);
                }
                _ = self.hang_up.recv() => self.ended = true,
                () = self.stop.cancelled() => self.ended = true,
            }
        }
    }

    /// Joins what is ready into one chunk: thousands of initial events need not be thousands of
    /// writes.
    fn gather(&mut self, first: Bytes) -> Bytes {
        const CHUNK: usize = 64 << 10;
        if self.ready.is_empty() {
            return first;
        }
        let mut joined = first.to_vec();
        while joined.len() < CHUNK {
            let Some(more) = self.ready.pop_front() else { break };
            joined.extend_from_slice(&more);
        }
        Bytes::from(joined)
    }

    /// Reads the log up to the present.
    fn read(&mut self) {
        let shared = Arc::clone(&self.shared);
        let world = shared.world();
        let Some(api) = world.api(self.target.cluster.as_deref()) else {
            self.ended = true;
            return;
        };
        if let Some(member) = self.target.cluster.as_ref().and_then(|name| world.members.get(name))
            && !member.reachable
        {
            self.ended = true;
            return;
        }
        self.read_log(api);
    }

    fn read_log(&mut self, api: &Api) {
        let Some(events) = api.events_after(self.revision) else {
            let error = ApiError::expired(format!(
                "too old resource version: {} ({})",
                self.revision,
                api.revision()
            ));
            let status = error.body.map_or(Value::Null, |body| *body);
            self.push_raw("ERROR", &status);
            self.ended = true;
            return;
        };
        let mut batch = Vec::new();
        for entry in events {
            let key = &entry.key;
            let here = key.res == self.target.res()
                && (self.target.key.namespace.is_empty()
                    || key.namespace == self.target.key.namespace);
            if !here {
                continue;
            }
            let before = entry.old.as_ref().is_some_and(|old| self.selector.matches(old));
            let after = !entry.deleted && self.selector.matches(&entry.new);
            let event = match (before, after) {
                (false, true) => "ADDED",
                (true, true) => "MODIFIED",
                (true, false) => "DELETED",
                (false, false) => continue,
            };
            batch.push((event, Arc::clone(&entry.new)));
        }
        self.revision = self.revision.max(api.revision());
        for (event, object) in batch {
            self.push(event, &object);
        }
    }

    fn push(&mut self, event: &str, object: &Value) {
        match self.shape.reshape(self.target.res(), object) {
            None => self.push_raw(event, object),
            Some(reshaped) => self.push_raw(event, &reshaped),
        }
    }

    fn push_raw(&mut self, event: &str, object: &Value) {
        let mut line = format!("{{\"type\":\"{event}\",\"object\":").into_bytes();
        if serde_json::to_writer(&mut line, object).is_ok() {
            line.extend_from_slice(b"}\n");
            self.ready.push_back(Bytes::from(line));
        }
    }

    fn bookmark(&mut self, initial_end: bool) {
        self.next_bookmark = Instant::now() + BOOKMARK_EVERY;
        let res = self.target.res();
        let mut object = json!({
            "kind": res.kind, "apiVersion": res.api_version(),
            "metadata": { "resourceVersion": self.revision.to_string(), "creationTimestamp": null },
        });
        if initial_end {
            let key = "k8s.io/initial-events-end";
            js::set(&mut object, &["metadata", "annotations", key], "true");
        }
        self.push_raw("BOOKMARK", &object);
    }
}
