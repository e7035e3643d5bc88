//! Pod logs: plain text, followed line by line.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use futures_util::stream;
use jiff::Timestamp;
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    Shared, render,
    request::{Call, Target},
};
use crate::{
    clock,
    kinds::logs::{Lines, lines},
    status::{ApiError, ApiResult},
};

/// How often a followed log looks for the next line; a line appears every half second.
const LOOK_EVERY: Duration = Duration::from_millis(50);

struct Follow {
    shared: Arc<Shared>,
    target: Target,
    container: String,
    timestamps: bool,
    /// Lines up to and including this time were sent.
    sent: Option<Timestamp>,
    first: Option<Bytes>,
    signal: watch::Receiver<u64>,
    hang_up: broadcast::Receiver<()>,
    stop: CancellationToken,
    ended: bool,
}

pub(crate) fn answer(shared: &Arc<Shared>, call: &Call, target: &Target) -> Response {
    match read(shared, call, target) {
        Ok(response) => response,
        Err(error) => render::error(&error),
    }
}

fn current(shared: &Shared, target: &Target, container: &str) -> ApiResult<Lines> {
    let world = shared.world();
    let api = world.api(target.cluster.as_deref()).ok_or_else(ApiError::no_such_path)?;
    let key = &target.key;
    let pod = api.get(key).ok_or_else(|| ApiError::not_found(key.res, &key.name))?;
    lines(pod, container, world.now, world.speed())
}

fn read(shared: &Arc<Shared>, call: &Call, target: &Target) -> ApiResult<Response> {
    let container = call.query("container").to_owned();
    let signal = {
        let world = shared.world();
        world.api(target.cluster.as_deref()).ok_or_else(ApiError::no_such_path)?.subscribe()
    };
    let all = current(shared, target, &container)?;
    let since = match (call.query("sinceTime"), call.query("sinceSeconds").parse::<u64>()) {
        ("", Ok(seconds)) => {
            let now = shared.world().now;
            now.checked_sub(jiff::SignedDuration::from_secs(
                i64::try_from(seconds).unwrap_or_default(),
            ))
            .ok()
        }
        ("", Err(_)) => None,
        (text, _) => Some(
            text.parse::<Timestamp>().map_err(|error| ApiError::bad_request(error.to_string()))?,
        ),
    };
    let timestamps = call.flag("timestamps");
    let mut kept: Vec<_> =
        all.lines.iter().filter(|(at, _)| since.is_none_or(|since| *at >= since)).collect();
    if let Ok(tail) = call.query("tailLines").parse::<usize>() {
        kept.drain(..kept.len().saturating_sub(tail));
    }
    let mut out: String = kept.iter().map(|(at, line)| write_line(*at, line, timestamps)).collect();
    if let Ok(limit) = call.query("limitBytes").parse::<usize>() {
        out.truncate(limit.min(out.len()));
    }
    if !call.flag("follow") || all.ended {
        return Ok(render::plain(200, &out));
    }
    let follow = Follow {
        shared: Arc::clone(shared),
        target: target.clone(),
        container,
        timestamps,
        sent: all.lines.last().map(|(at, _)| *at),
        first: (!out.is_empty()).then(|| Bytes::from(out)),
        signal,
        hang_up: shared.hang_up.subscribe(),
        stop: shared.stop.clone(),
        ended: false,
    };
    let chunks = stream::unfold(follow, |mut follow| async move {
        let bytes = follow.next().await?;
        Some((Ok::<_, Infallible>(bytes), follow))
    });
    Ok(render::stream("text/plain; charset=utf-8", Body::from_stream(chunks)))
}

fn write_line(at: Timestamp, line: &str, timestamps: bool) -> String {
    if timestamps { format!("{} {line}\n", clock::nano_stamp(at)) } else { format!("{line}\n") }
}

impl Follow {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        while !self.ended {
            let mut out = String::new();
            match current(&self.shared, &self.target, &self.container) {
                Ok(all) => {
                    for (at, line) in &all.lines {
                        if self.sent.is_none_or(|sent| *at > sent) {
                            out.push_str(&write_line(*at, line, self.timestamps));
                            self.sent = Some(*at);
                        }
                    }
                    self.ended = all.ended;
                }
                // The pod is gone: so is its log.
                Err(_) => self.ended = true,
            }
            if !out.is_empty() {
                return Some(Bytes::from(out));
            }
            if self.ended {
                break;
            }
            tokio::select! {
                changed = self.signal.changed() => self.ended = changed.is_err(),
                () = tokio::time::sleep_until(Instant::now() + LOOK_EVERY) => {}
                _ = self.hang_up.recv() => self.ended = true,
                () = self.stop.cancelled() => self.ended = true,
            }
        }
        None
    }
}
