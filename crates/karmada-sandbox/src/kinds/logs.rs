//! What a container writes: the same lines for the same pod at the same time, computed from its
//! status.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{ROLE, pod::serves, rayjob::is_driver};
use crate::json::Tree as _;
use crate::{
    clock,
    json::{annotation, label, list, meta, text},
    status::{ApiError, ApiResult},
};

/// Between two lines of progress.
const STEP: Duration = Duration::from_millis(500);
/// Lines of a container that runs for days.
const MOST: u32 = 20_000;

/// Annotation of a pod: so many bytes of its log are noise from before the first step.
const NOISE: &str = "sandbox.trainyard.dev/log-noise-bytes";
/// Length of each line of it.
const NOISE_LINE: usize = 1023;

/// The log so far.
pub(crate) struct Lines {
    pub(crate) lines: Vec<(Timestamp, String)>,
    /// No line will follow.
    pub(crate) ended: bool,
}

pub(crate) fn lines(pod: &Value, container: &str, now: Timestamp, speed: f64) -> ApiResult<Lines> {
    let pod_name = meta(pod, "name");
    let containers = list(pod, "/spec/containers");
    let name = match (container, containers) {
        ("", [one]) => text(one, "/name"),
        ("", many) => {
            let names: Vec<&str> = many.iter().map(|one| text(one, "/name")).collect();
            return Err(ApiError::bad_request(format!(
                "a container name must be specified for pod {pod_name}, choose one of: [{}]",
                names.join(" ")
            )));
        }
        (name, all) if all.iter().any(|one| text(one, "/name") == name) => name,
        (name, _) => {
            return Err(ApiError::bad_request(format!(
                "container {name} is not valid for pod {pod_name}"
            )));
        }
    };
    let status =
        list(pod, "/status/containerStatuses").iter().find(|one| text(one, "/name") == name);
    let state = status.map_or(&Value::Null, |status| status.at(&["state"]));
    let started = ["/running/startedAt", "/terminated/startedAt"]
        .iter()
        .find_map(|pointer| text(state, pointer).parse::<Timestamp>().ok());
    let Some(started) = started else {
        let why = match text(state, "/waiting/reason") {
            "" => "ContainerCreating",
            "ImagePullBackOff" => "trying and failing to pull image",
            other => other,
        };
        return Err(ApiError::bad_request(format!(
            "container \"{name}\" in pod \"{pod_name}\" is waiting to start: {why}"
        )));
    };
    // Written in whole seconds, rounded down; the last line must follow all that were seen.
    let finished = text(state, "/terminated/finishedAt")
        .parse::<Timestamp>()
        .ok()
        .map(|at| clock::after(at, Duration::from_micros(999_990)));
    let end = finished.unwrap_or(now);
    let mut lines = Vec::new();
    for (at, line) in preamble(pod).into_iter().enumerate() {
        let offset = Duration::from_micros(u64::try_from(at).unwrap_or_default());
        lines.push((clock::after(started, offset), line));
    }
    let noise = annotation(pod, NOISE).and_then(|bytes| bytes.parse::<usize>().ok()).unwrap_or(0);
    for number in 0..noise / NOISE_LINE {
        let offset = Duration::from_nanos(10_000 + u64::try_from(number).unwrap_or_default());
        lines.push((clock::after(started, offset), format!("{number:0>NOISE_LINE$}")));
    }
    let serves = serves(pod);
    if serves || computes(pod) {
        for round in 1..=MOST {
            let offset = Duration::from_secs_f64(STEP.as_secs_f64() * f64::from(round) / speed);
            let at = clock::after(started, offset);
            if at > end {
                break;
            }
            let loss = 0.7 * f64::from(round).powf(-0.5) + 0.05;
            lines.push((
                at,
                if serves {
                    format!("GET /healthz 200 ({round} so far)")
                } else {
                    format!("[{round}]\ttrain-loss:{loss:.5}")
                },
            ));
        }
    }
    if let Some(finished) = finished {
        let last = match state.at(&["terminated", "exitCode"]).as_i64() {
            Some(0) => "Training finished.",
            Some(137) => "Killed",
            _ => "RuntimeError: training failed",
        };
        lines.push((clock::after(finished, Duration::from_micros(1)), last.to_owned()));
    }
    Ok(Lines { lines, ended: finished.is_some() })
}

fn computes(pod: &Value) -> bool {
    if annotation(pod, ROLE) == Some("service") {
        return false;
    }
    label(pod, "ray.io/node-type").is_none() || is_driver(pod)
}

fn preamble(pod: &Value) -> Vec<String> {
    let name = meta(pod, "name");
    match label(pod, "ray.io/node-type") {
        Some("head") => vec![
            format!("Local node IP: {}", text(pod, "/status/podIP")),
            "Ray runtime started.".to_owned(),
            "Next steps: To add another node to this Ray cluster, run ray start".to_owned(),
        ],
        Some(_) => vec![
            format!("[{name}] Waiting for the Ray head."),
            "Ray runtime started.".to_owned(),
            "This node joined the cluster.".to_owned(),
        ],
        None if serves(pod) => vec![
            format!("Starting {name}"),
            format!("Image: {}", text(pod, "/spec/containers/0/image")),
            "Serving.".to_owned(),
        ],
        None => vec![
            format!("Starting {name}"),
            format!("Image: {}", text(pod, "/spec/containers/0/image")),
            "Loading data.".to_owned(),
        ],
    }
}
