//! Pods and events as a member's API server has them, and what is kept of them.

use serde::Deserialize;
use training::clock::Timestamp;
use training::ports::{ContainerEnd, ContainerSeen, ContainerState, EventSeen, PodSeen};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    name: String,
    uid: String,
    creation_timestamp: Option<String>,
    deletion_timestamp: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Pod {
    metadata: Meta,
    spec: PodSpec,
    status: PodStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PodSpec {
    node_name: Option<String>,
    containers: Vec<Container>,
    init_containers: Vec<Container>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Container {
    name: String,
    image: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PodStatus {
    phase: String,
    reason: String,
    message: String,
    conditions: Option<Vec<Condition>>,
    container_statuses: Option<Vec<ContainerStatus>>,
    init_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
    message: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
    state: State,
    last_state: State,
    restart_count: u32,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct State {
    waiting: Option<Waiting>,
    running: Option<Running>,
    terminated: Option<Terminated>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Waiting {
    reason: String,
    message: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Running {
    started_at: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Terminated {
    exit_code: i64,
    reason: String,
    message: String,
    started_at: Option<String>,
    finished_at: Option<String>,
}

fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok()
}

impl From<Terminated> for ContainerEnd {
    fn from(end: Terminated) -> Self {
        Self {
            exit_code: end.exit_code,
            reason: end.reason,
            message: end.message,
            started_at: time(end.started_at.as_deref()),
            finished_at: time(end.finished_at.as_deref()),
        }
    }
}

impl State {
    fn seen(self) -> ContainerState {
        match self {
            Self { terminated: Some(end), .. } => ContainerState::Ended(end.into()),
            Self { running: Some(run), .. } => {
                ContainerState::Running(time(run.started_at.as_deref()))
            }
            Self { waiting: Some(wait), .. } => ContainerState::Waiting(wait.reason, wait.message),
            Self { .. } => ContainerState::Unknown,
        }
    }
}

impl Pod {
    pub(super) fn seen(self) -> PodSeen {
        let Self { metadata, spec, status } = self;
        let unscheduled = status
            .conditions
            .into_iter()
            .flatten()
            .find(|condition| condition.kind == "PodScheduled" && condition.status == "False")
            .map(|condition| (condition.reason, condition.message));
        let mut containers = containers(spec.init_containers, status.init_container_statuses, true);
        containers.extend(self::containers(spec.containers, status.container_statuses, false));
        PodSeen {
            name: metadata.name,
            uid: metadata.uid,
            phase: status.phase,
            reason: status.reason,
            message: status.message,
            node: spec.node_name,
            created_at: time(metadata.creation_timestamp.as_deref()),
            terminating: metadata.deletion_timestamp.is_some(),
            unscheduled,
            containers,
        }
    }
}

fn containers(
    specs: Vec<Container>,
    statuses: Option<Vec<ContainerStatus>>,
    init: bool,
) -> Vec<ContainerSeen> {
    let mut statuses = statuses.unwrap_or_default();
    let seen = |Container { name, image }| {
        let at = statuses.iter().position(|status| status.name == name);
        let status = at.map(|at| statuses.swap_remove(at)).unwrap_or_default();
        ContainerSeen {
            name,
            image,
            init,
            state: status.state.seen(),
            last_end: status.last_state.terminated.map(ContainerEnd::from),
            restarts: status.restart_count,
        }
    };
    specs.into_iter().map(seen).collect()
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Event {
    metadata: Meta,
    involved_object: Involved,
    #[serde(rename = "type")]
    kind: String,
    reason: String,
    message: String,
    count: Option<u32>,
    last_timestamp: Option<String>,
    event_time: Option<String>,
    source: Source,
    reporting_component: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Involved {
    kind: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Source {
    component: String,
}

impl Event {
    pub(crate) fn seen(self) -> EventSeen {
        let last = [self.last_timestamp, self.event_time, self.metadata.creation_timestamp];
        let source = [self.source.component, self.reporting_component];
        EventSeen {
            kind: self.involved_object.kind,
            name: self.involved_object.name,
            warning: self.kind == "Warning",
            reason: self.reason,
            message: self.message,
            count: self.count.unwrap_or(1),
            last_at: last.iter().find_map(|text| time(text.as_deref())),
            source: source.into_iter().find(|text| !text.is_empty()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(value: Value) -> PodSeen {
        serde_json::from_value::<Pod>(value).unwrap().seen()
    }

    #[test]
    fn pod_shows_why_it_waits_and_how_it_ended() {
        let seen = pod(json!({
            "metadata": {"name": "p", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {
                "initContainers": [{"name": "fetch", "image": "i"}],
                "containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}],
            },
            "status": {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False",
                    "reason": "Unschedulable", "message": "no room"}],
                "containerStatuses": [
                    {"name": "b", "restartCount": 2,
                     "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "wait"}},
                     "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled",
                        "finishedAt": "2026-01-01T00:00:05Z"}}},
                ],
            },
        }));
        assert_eq!(seen.unscheduled, Some(("Unschedulable".to_owned(), "no room".to_owned())));
        let names: Vec<_> = seen.containers.iter().map(|c| (c.name.as_str(), c.init)).collect();
        assert_eq!(names, [("fetch", true), ("a", false), ("b", false)]);
        let b = &seen.containers[2];
        assert_eq!(b.restarts, 2);
        let waiting = ContainerState::Waiting("CrashLoopBackOff".to_owned(), "wait".to_owned());
        assert_eq!(b.state, waiting);
        let end = b.last_end.as_ref().unwrap();
        assert_eq!((end.exit_code, end.reason.as_str()), (137, "OOMKilled"));
        assert!(end.finished_at.is_some());
        assert_eq!(seen.containers[1].state, ContainerState::Unknown);
    }

    #[test]
    fn event_takes_the_best_time_and_source_there_is() {
        let event = |value| serde_json::from_value::<Event>(value).unwrap().seen();
        let seen = event(json!({
            "involvedObject": {"kind": "Pod", "name": "p"}, "type": "Warning", "reason": "BackOff",
            "message": "m", "eventTime": "2026-01-01T00:00:00.5Z", "reportingComponent": "kubelet",
        }));
        assert_eq!((seen.count, seen.source.as_str(), seen.warning), (1, "kubelet", true));
        assert!(seen.last_at.is_some());
    }
}
