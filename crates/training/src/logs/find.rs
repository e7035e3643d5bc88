//! From a job to the containers that write its logs: its status, what the plugin says of it, and
//! the pods that its words select.

use std::collections::HashSet;

use futures_util::future::join_all;

use super::LogPorts;
use super::select::{Candidate, Source};
use crate::id::ClusterName;
use crate::job::Job;
use crate::ports::{
    ContainerSeen, ContainerState, ControlError, LogKey, LogTarget, MemberError, PluginFault,
    PodSeen, Seen,
};
use crate::reconcile::{reported, workload_ref};

/// Why nothing is known of a job's pods.
#[derive(Debug, thiserror::Error)]
pub(super) enum FindError {
    #[error("the status of the job cannot be read: {0}")]
    Control(ControlError),
    #[error("the plugin does not say which logs there are: {0}")]
    Plugin(PluginFault),
}

impl FindError {
    /// Whether looking again may help.
    pub(super) fn retryable(&self) -> bool {
        match self {
            Self::Control(error) => error.retryable(),
            Self::Plugin(_) => true,
        }
    }
}

/// Where a job's logs are, as its plugin read its status.
#[derive(Debug, Clone, Default)]
pub(super) struct Targets {
    seen: Seen,
    targets: Vec<(ClusterName, LogTarget)>,
}

impl Targets {
    /// The roles, each once.
    pub(super) fn roles(&self) -> Vec<String> {
        let mut roles: Vec<String> = Vec::new();
        for (_, target) in &self.targets {
            if !roles.contains(&target.role) {
                roles.push(target.role.clone());
            }
        }
        roles
    }

    /// Whether the control plane says that the workload is not there.
    pub(super) fn is_gone(&self) -> bool {
        self.seen.binding.is_none() && self.seen.exists == Some(false)
    }

    /// Whether nothing is known yet, or no longer.
    pub(super) fn is_unknown(&self) -> bool {
        self.seen.binding.is_none() && !self.is_gone()
    }
}

/// What there is on the clusters.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) candidates: Vec<Candidate>,
    /// What could not be looked at: the cluster and the role, and why.
    pub(super) problems: Vec<(LogKey, MemberError)>,
    /// Roles of which no pod is there.
    pub(super) vacant: Vec<LogKey>,
    pub(super) roles: Vec<String>,
}

pub(super) async fn find(ports: &LogPorts, job: &Job) -> Result<Found, FindError> {
    let targets = targets(ports, job, Targets::default()).await?;
    Ok(pods(ports, job, &targets).await)
}

/// Reads the status; the plugin is asked only if it is not the one of `before`.
pub(super) async fn targets(
    ports: &LogPorts,
    job: &Job,
    before: Targets,
) -> Result<Targets, FindError> {
    let seen = ports.control.observe(&[workload_ref(job)]).await.map_err(FindError::Control)?;
    let seen = seen.into_iter().next().unwrap_or_default();
    if seen == before.seen {
        return Ok(before);
    }
    // Only where the job was placed: the row decides, not what a cluster says of itself.
    let placed = job.placement.iter().flat_map(|placement| &placement.clusters);
    let placed: HashSet<&str> = placed.map(ClusterName::as_str).collect();
    let mut targets = Vec::new();
    for member in seen.binding.iter().flat_map(|binding| &binding.members) {
        let Some(status) = &member.status else { continue };
        let Ok(cluster) = ClusterName::parse(member.cluster.as_str()) else { continue };
        if !placed.contains(cluster.as_str()) {
            continue;
        }
        let digest = &job.provenance.plugin_digest;
        let object = reported(job, status);
        let report = ports.plugins.interpret(digest, &job.algorithm, &object).await;
        let report = report.map_err(FindError::Plugin)?;
        // A selector that requires no label would select the pods of everybody in the namespace.
        let logs = report.logs.into_iter().filter(|target| selects(&target.label_selector));
        targets.extend(logs.map(|target| (cluster.clone(), target)));
    }
    Ok(Targets { seen, targets })
}

/// Whether some requirement of the selector is that a label has a certain value.
fn selects(selector: &str) -> bool {
    selector.split(',').any(|requirement| {
        requirement.split_once('=').is_some_and(|(label, value)| {
            let value = value.strip_prefix('=').unwrap_or(value);
            !label.ends_with('!') && !label.trim().is_empty() && !value.trim().is_empty()
        })
    })
}

/// Lists the pods of every target.
pub(super) async fn pods(ports: &LogPorts, job: &Job, targets: &Targets) -> Found {
    let namespace = job.namespace.as_str();
    let listed = targets.targets.iter().map(|(cluster, target)| async move {
        (cluster, target, ports.members.pods(cluster, namespace, &target.label_selector).await)
    });
    let mut found = Found { roles: targets.roles(), ..Found::default() };
    let mut known = HashSet::new();
    for (cluster, target, pods) in join_all(listed).await {
        let whole = LogKey {
            cluster: cluster.to_string(),
            role: target.role.clone(),
            pod: String::new(),
            container: String::new(),
            previous: false,
        };
        match pods {
            Err(error) => found.problems.push((whole, error)),
            Ok(pods) if pods.is_empty() => found.vacant.push(whole),
            Ok(pods) => {
                for pod in pods {
                    // Two targets may select the same pod.
                    if known.insert((cluster.clone(), pod.name.clone())) {
                        found.candidates.extend(candidates(&whole, target, &pod));
                    }
                }
            }
        }
    }
    found
}

/// Every log of a pod.
fn candidates(whole: &LogKey, target: &LogTarget, pod: &PodSeen) -> Vec<Candidate> {
    let chosen = target.container.as_deref();
    let chosen = chosen.filter(|name| pod.containers.iter().any(|one| one.name == *name));
    let mut candidates = Vec::new();
    for container in &pod.containers {
        let main = chosen.map_or(!container.init, |name| name == container.name);
        let key =
            LogKey { pod: pod.name.clone(), container: container.name.clone(), ..whole.clone() };
        // Of a container that waits for its next run the cluster shows the last one.
        let last_is_shown = matches!(container.state, ContainerState::Waiting(..));
        if container.last_end.is_some() && !last_is_shown {
            candidates.push(Candidate {
                key: LogKey { previous: true, ..key.clone() },
                main,
                source: Source::Live { running: false, run: container.restarts },
            });
        }
        candidates.push(Candidate { key, main, source: source(pod, container) });
    }
    candidates
}

fn source(pod: &PodSeen, container: &ContainerSeen) -> Source {
    let live = |running| Source::Live { running, run: container.restarts };
    let why = |reason: &str, message: &str| match (reason, message) {
        ("", "") => "the cluster does not say why".to_owned(),
        (reason, "") => reason.to_owned(),
        ("", message) => message.to_owned(),
        (reason, message) => format!("{reason}: {message}"),
    };
    match &container.state {
        ContainerState::Running(_) => live(true),
        ContainerState::Ended(_) => live(false),
        ContainerState::Waiting(..) if container.last_end.is_some() => live(false),
        ContainerState::Waiting(reason, message) => Source::Waiting(why(reason, message)),
        ContainerState::Unknown => {
            let (reason, message) = pod.unscheduled.clone().unwrap_or_default();
            let reason = if reason.is_empty() { pod.phase.clone() } else { reason };
            Source::Waiting(why(&reason, &message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::ContainerEnd;

    #[test]
    fn selector_must_require_a_value() {
        for good in ["job-name=a", "a==b", "x,job-name=a", "a!=b,c=d"] {
            assert!(selects(good), "{good}");
        }
        for bad in ["", "a", "!a", "a!=b", "a in (b)", "=", "a="] {
            assert!(!selects(bad), "{bad}");
        }
    }

    fn container(name: &str, init: bool, state: ContainerState, restarts: u32) -> ContainerSeen {
        let last_end = (restarts > 0).then(ContainerEnd::default);
        ContainerSeen {
            name: name.to_owned(),
            init,
            state,
            restarts,
            last_end,
            ..Default::default()
        }
    }

    #[test]
    fn containers_of_a_pod_are_running_ended_waiting_or_of_an_earlier_run() {
        let whole = LogKey {
            cluster: "member1".to_owned(),
            role: "worker".to_owned(),
            pod: String::new(),
            container: String::new(),
            previous: false,
        };
        let waiting = || ContainerState::Waiting("CrashLoopBackOff".to_owned(), String::new());
        let pod = PodSeen {
            name: "p".to_owned(),
            phase: "Running".to_owned(),
            containers: vec![
                container("fetch", true, ContainerState::Ended(ContainerEnd::default()), 0),
                container("train", false, ContainerState::Running(None), 2),
                container("side", false, waiting(), 1),
                container("late", false, waiting(), 0),
            ],
            ..PodSeen::default()
        };
        let mut target = LogTarget {
            role: "worker".to_owned(),
            label_selector: "a=b".to_owned(),
            container: Some("train".to_owned()),
        };
        let seen = candidates(&whole, &target, &pod);
        let main: Vec<_> =
            seen.iter().filter(|one| one.main).map(|one| one.key.container.as_str()).collect();
        assert_eq!(main, ["train", "train"]);
        let of = |name: &str, previous: bool| {
            let found =
                seen.iter().find(|one| one.key.container == name && one.key.previous == previous);
            found.map(|one| one.source.clone())
        };
        assert_eq!(of("fetch", false), Some(Source::Live { running: false, run: 0 }));
        assert_eq!(of("train", true), Some(Source::Live { running: false, run: 2 }));
        assert_eq!(of("side", false), Some(Source::Live { running: false, run: 1 }));
        assert_eq!(of("side", true), None);
        assert_eq!(of("late", false), Some(Source::Waiting("CrashLoopBackOff".to_owned())));

        // A container that is not there means all but those that initialise.
        target.container = Some("other".to_owned());
        let seen = candidates(&whole, &target, &pod);
        assert!(seen.iter().all(|one| one.main == (one.key.container != "fetch")));
    }
}
