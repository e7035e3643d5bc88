//! Whole lives of jobs, and what may go wrong on the way.

mod again;
mod algorithms;
mod chaos;
mod clusters;
mod crash;
mod data;
mod explain;
mod ghosts;
mod kinds;
mod life;
mod lifecycle;
mod logs;
mod outage;
mod placement;
mod queues;
mod removal;
mod service;
mod traps;

use serde_json::Value;

/// What a cluster says of a kind that plugins need.
fn needed<'a>(cluster: &'a Value, kind: &str) -> &'a Value {
    let needed = cluster["neededApis"].as_array().expect("what plugins need");
    needed.iter().find(|need| need["kind"] == kind).unwrap_or(&Value::Null)
}
