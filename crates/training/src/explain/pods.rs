//! What the pods of a job say: the one that explains most speaks for all.

use super::evidence::{Evidence, MemberEvidence};
use super::member::unread;
use super::{Found, LinkState, Step, Weight, bare};
use crate::clock::Timestamp;
use crate::phase::Phase;
use crate::ports::{ContainerEnd, ContainerSeen, ContainerState, PodSeen};

/// What to do about a program that needs more memory than it has.
pub(super) const MEMORY_REMEDY: &str =
    "ask for more memory (`memoryGiB`), or make the program need less, and submit it again";

/// Rank of a program that ended with an error and nothing else to say.
const PLAIN_END: u8 = 5;

/// What is wrong with a pod.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trouble {
    /// The likelier it is the first cause, the higher.
    rank: u8,
    pod: String,
    cause: String,
    remedy: String,
    at: Option<Timestamp>,
}

/// The link.
pub(super) fn pods(evidence: &Evidence, member: &MemberEvidence) -> Found {
    let (name, namespace) = (&member.cluster, &evidence.job.namespace);
    let whole = format!("cluster {name}, Pods in {namespace}");
    let pods = match &member.pods {
        Ok(pods) => pods,
        Err(error) => return unread(Step::Pods, evidence, member, error, whole),
    };
    let over = evidence.job.phase.is_terminal();
    let worst = pods
        .iter()
        .filter_map(|pod| trouble(pod, over))
        .reduce(|best, next| if next.rank > best.rank { next } else { best });
    let found = |state, text: String| Found::new(Step::Pods, state, text, whole.clone());
    let running = pods.iter().filter(|pod| pod.phase == "Running").count();
    let summary = match (pods.len(), running) {
        (0, _) if evidence.should_exist() => {
            return found(LinkState::Waiting, format!("There are no pods on cluster {name} yet."));
        }
        (0, _) => return found(LinkState::Ok, format!("No pods are left on cluster {name}.")),
        (all, running) => format!("{running} of {all} pods run"),
    };
    if let Some(trouble) = worst {
        let text = format!("{summary}: {}.", bare(&trouble.cause));
        let source = format!("cluster {name}, Pod {namespace}/{}", trouble.pod);
        // A driver ends with an error whatever the cause; what others say explains more.
        let weight = if trouble.rank <= PLAIN_END { Weight::Object } else { Weight::Pods };
        return Found::new(Step::Pods, LinkState::Wrong, text, source).at(trouble.at).blame(
            weight,
            &trouble.cause,
            trouble.remedy,
        );
    }
    let waits = pods.iter().any(|pod| pod.phase == "Pending");
    let done = over || evidence.job.phase == Phase::Running && !waits;
    let state =
        if waits || !done && running < pods.len() { LinkState::Waiting } else { LinkState::Ok };
    let oldest = pods.iter().filter_map(|pod| pod.created_at).min();
    found(state, format!("{summary}.")).at(oldest)
}

/// The names of pods whose events are worth reading, worst first.
pub(super) fn troubled(pods: &[PodSeen], most: usize) -> Vec<String> {
    let mut ranked: Vec<(u8, &str)> = pods
        .iter()
        .filter_map(|pod| match trouble(pod, true) {
            Some(trouble) => Some((trouble.rank, pod.name.as_str())),
            None => (pod.phase == "Pending").then_some((0, pod.name.as_str())),
        })
        .collect();
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    ranked.into_iter().take(most).map(|(_, name)| name.to_owned()).collect()
}

/// What is wrong with a pod, if anything is. A program that ended badly is the story of a job that
/// is over; of one that is not, the operator may still start it again, and it is told all the same.
fn trouble(pod: &PodSeen, over: bool) -> Option<Trouble> {
    let own = |rank, cause: String, remedy: &str, at| Trouble {
        rank,
        pod: pod.name.clone(),
        cause,
        remedy: remedy.to_owned(),
        at,
    };
    if pod.phase == "Failed" && !pod.reason.is_empty() {
        let words = if pod.message.is_empty() { &pod.reason } else { &pod.message };
        let cause = match pod.reason.as_str() {
            "Evicted" => format!("pod {} was evicted from its node: {words}", pod.name),
            reason => format!("pod {} ended ({reason}): {words}", pod.name),
        };
        let remedy = match pod.reason.as_str() {
            "Evicted" => {
                "ask for the memory and the disk that the program needs, so that its node does not \
                 run out of them, and submit it again"
            }
            _ => "the program is not to blame: submit it again, and ask whoever runs the cluster",
        };
        return Some(own(9, cause, remedy, None));
    }
    let worst = pod.containers.iter().filter_map(|container| of_container(pod, container, over));
    let worst = worst.reduce(|best, next| if next.rank > best.rank { next } else { best });
    if worst.is_some() {
        return worst;
    }
    // The condition stays after a pod has ended.
    let (reason, message) = pod.unscheduled.as_ref().filter(|_| pod.phase == "Pending")?;
    let cause = format!("no node takes pod {}: {}", pod.name, bare(message));
    if reason == "SchedulingGated" {
        let cause = format!("pod {} waits for a queue of its cluster to let it in", pod.name);
        return Some(own(3, cause, "wait, or ask whoever runs that queue", pod.created_at));
    }
    Some(own(6, cause, &unscheduled_remedy(message), pod.created_at))
}

fn unscheduled_remedy(message: &str) -> String {
    let mut short: Vec<&str> = message
        .split("Insufficient ")
        .skip(1)
        .filter_map(|rest| rest.split([' ', ',']).next())
        .map(|name| name.trim_end_matches('.'))
        .collect();
    short.sort_unstable();
    short.dedup();
    if message.contains("persistentvolumeclaim") && message.contains("not found") {
        return "create the claim in the job's namespace on this cluster, or leave out `pvcName`"
            .to_owned();
    }
    if message.contains("unbound") && message.contains("PersistentVolumeClaim") {
        return "nothing provides the volume: check the claim's storage class on this cluster"
            .to_owned();
    }
    if !short.is_empty() {
        return format!(
            "its nodes lack {}: wait until other jobs end, ask for less, or submit it for another \
             cluster",
            short.join(" and ")
        );
    }
    if message.contains("node affinity") || message.contains("node selector") {
        return "no node has the labels that it asks for: label a node, or change the node selector \
                in the plugin's settings"
            .to_owned();
    }
    if message.contains("taint") {
        return "every node keeps it away: add a toleration in the plugin's settings, or remove the \
                taint"
            .to_owned();
    }
    "ask for less, or submit it for another cluster".to_owned()
}

fn of_container(pod: &PodSeen, container: &ContainerSeen, over: bool) -> Option<Trouble> {
    let who = format!("container {} of pod {}", container.name, pod.name);
    let own = |rank, cause: String, remedy: String, at| Trouble {
        rank,
        pod: pod.name.clone(),
        cause,
        remedy,
        at,
    };
    match &container.state {
        ContainerState::Waiting(reason, message) => {
            let words = if message.is_empty() { reason } else { message };
            let (rank, cause, remedy) = match reason.as_str() {
                "ErrImagePull"
                | "ImagePullBackOff"
                | "InvalidImageName"
                | "ErrImageNeverPull"
                | "RegistryUnavailable"
                | "ImageInspectError" => (
                    8,
                    format!(
                        "the image {} of {who} cannot be pulled ({reason}): {words}",
                        container.image
                    ),
                    "correct the image's name and tag, or give the cluster access to its registry"
                        .to_owned(),
                ),
                "CreateContainerConfigError" => {
                    (8, format!("{who} lacks something ({reason}): {words}"), lack_remedy(message))
                }
                "CrashLoopBackOff" => {
                    let end = container.last_end.as_ref();
                    let (cause, remedy) = match end {
                        Some(end) => ended(&who, end),
                        None => (format!("{who} ends again and again"), read_log(&pod.name)),
                    };
                    let times = container.restarts;
                    (7, format!("{cause}, {times} times by now ({reason})"), remedy)
                }
                "CreateContainerError" | "RunContainerError" | "StartError" => (
                    7,
                    format!("{who} cannot be started ({reason}): {words}"),
                    "check the command and the image".to_owned(),
                ),
                // `ContainerCreating` and `PodInitializing` pass.
                _ => return None,
            };
            Some(own(rank, cause, remedy, pod.created_at))
        }
        ContainerState::Ended(end) if end.exit_code != 0 || end.reason == "OOMKilled" => {
            let (cause, remedy) = ended(&who, end);
            let rank = match end.reason.as_str() {
                "OOMKilled" => 9,
                _ if over => PLAIN_END,
                _ => PLAIN_END - 1,
            };
            Some(own(rank, cause, remedy, end.finished_at))
        }
        _ => container.last_end.as_ref().filter(|end| end.reason == "OOMKilled").map(|end| {
            let (cause, remedy) = ended(&who, end);
            own(PLAIN_END + 1, cause, remedy, end.finished_at)
        }),
    }
}

/// What a missing Secret or ConfigMap needs.
fn lack_remedy(message: &str) -> String {
    let lower = message.to_lowercase();
    let what = match () {
        () if lower.contains("secret") => "Secret",
        () if lower.contains("configmap") => "ConfigMap",
        () => return "put what it names into the job's namespace on this cluster".to_owned(),
    };
    format!(
        "create the {what} with the keys that it needs in the job's namespace on this cluster, and \
         the pod goes on by itself"
    )
}

fn read_log(pod: &str) -> String {
    format!("read the log of pod {pod}, mend the program or its data, and submit it again")
}

/// How a container ended, and what helps.
fn ended(who: &str, end: &ContainerEnd) -> (String, String) {
    let pod = who.rsplit(' ').next().unwrap_or_default();
    if end.reason == "OOMKilled" {
        let cause = format!("{who} used more memory than it may and was killed (OOMKilled)");
        return (cause, MEMORY_REMEDY.to_owned());
    }
    let code = end.exit_code;
    let meaning = match code {
        126 => ": its command cannot be executed".to_owned(),
        127 => ": its command was not found".to_owned(),
        137 => ": it was killed".to_owned(),
        139 => ": it broke off with a memory error of its own (SIGSEGV)".to_owned(),
        143 => ": it was told to end".to_owned(),
        129..=165 => format!(": signal {} ended it", code - 128),
        _ => String::new(),
    };
    let words =
        if end.message.is_empty() { String::new() } else { format!(" ({})", bare(&end.message)) };
    (format!("{who} ended with exit code {code}{meaning}{words}"), read_log(pod))
}
