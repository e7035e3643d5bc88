//! The first two links: our queue, and the choice of a cluster.

use super::evidence::Evidence;
use super::{Found, LinkState, Step, Weight, bare};
use crate::id::ClusterName;
use crate::job::{Job, Spread};
use crate::phase::Phase;
use crate::placement::{self, Bounds, Choice, Standing, Unfit};
use crate::ports::Cluster;

const STORE: &str = "job store";
const CLUSTERS: &str = "Karmada's Cluster objects";

/// What to do while the control plane does not answer.
const PATIENCE: &str = "there is nothing to do for the job, which goes on by itself once Karmada \
                        answers; operators look at the Karmada API server and at `readyz` of the \
                        host";

/// Our own queue.
pub(super) fn queue(evidence: &Evidence) -> Found {
    let job = &evidence.job;
    let found = |state, text: String| Found::new(Step::Queue, state, text, STORE.to_owned());
    let accepted = format!(
        "Accepted with plugin {} {}",
        job.provenance.plugin_name, job.provenance.plugin_version
    );
    if let Some(at) = job.submitted_at {
        return found(LinkState::Ok, format!("{accepted}, and taken from the queue.")).at(Some(at));
    }
    if job.phase != Phase::Queued {
        let text = format!("{accepted}; it ended before it left the queue.");
        return found(LinkState::Ok, text).at(job.finished_at);
    }
    let waiting = format!("{accepted}; it waits: {}.{}", bare(&job.message), turn(evidence.ahead));
    let away = job.reason == "ControlPlaneUnavailable";
    let found = found(if away { LinkState::Wrong } else { LinkState::Waiting }, waiting)
        .at(Some(job.updated_at));
    match &evidence.clusters {
        _ if away => found.blame(Weight::Control, &waits(&job.message), PATIENCE),
        _ => found,
    }
}

/// How many are taken before the job. Those that find no room stand there too, but hold up nobody
/// for whom there is room.
fn turn(ahead: Option<u64>) -> String {
    match ahead {
        None => String::new(),
        Some(0) => " No queued job is taken before it.".to_owned(),
        Some(1) => " 1 queued job is taken before it: by its priority, or because it came earlier."
            .to_owned(),
        Some(some) => format!(
            " {some} queued jobs are taken before it: those of a higher priority, then those that \
             came earlier."
        ),
    }
}

/// The message of a waiting job, without the word that says so.
pub(super) fn waits(message: &str) -> String {
    bare(message).trim_start_matches("Waiting: ").to_owned()
}

/// The choice of a cluster.
pub(super) fn placement(evidence: &Evidence) -> Found {
    let job = &evidence.job;
    let found = |state, text: String, source: &str| {
        Found::new(Step::Placement, state, text, source.to_owned())
    };
    if let Some(placement) = &job.placement {
        let names: Vec<&str> = placement.clusters.iter().map(ClusterName::as_str).collect();
        let text = format!("Placed on {}: {}", names.join(", "), placement.reason);
        let at = evidence.last_event("Placed").map(|event| event.at);
        return found(LinkState::Ok, text, STORE).at(at.or(job.submitted_at));
    }
    if job.suspend && job.phase == Phase::Queued {
        let text = "The job is held back, and no cluster is chosen until it is resumed.".to_owned();
        return found(LinkState::Waiting, text, STORE).at(Some(job.updated_at));
    }
    if job.phase != Phase::Queued {
        return found(LinkState::Ok, "No cluster was chosen.".to_owned(), STORE);
    }
    let clusters = match &evidence.clusters {
        Ok(clusters) => clusters,
        Err(why) => {
            let text = format!("Nobody knows which clusters fit: {}.", bare(why));
            let found = found(LinkState::Unknown, text, CLUSTERS);
            return found.blame(Weight::Control, why, PATIENCE);
        }
    };
    if clusters.is_empty() {
        let text = "No member cluster is registered with Karmada.".to_owned();
        return found(LinkState::Wrong, text.clone(), CLUSTERS).blame(
            Weight::Refused,
            "no member cluster is registered with Karmada",
            "an operator has to join one (`karmadactl join`), and then the job is placed by itself",
        );
    }
    let allowed = evidence.allowed.as_deref();
    let lacking = evidence.lacking.as_slice();
    let bounds = Bounds { allowed, home: evidence.home.as_ref(), lacking };
    match placement::choose(job, clusters, &bounds, &unknown_standing) {
        Ok(Choice { placement, .. }) if job.reason == "NoClusterFits" => {
            let names: Vec<&str> = placement.clusters.iter().map(ClusterName::as_str).collect();
            let cause = format!(
                "the room of cluster {} is promised to jobs that are starting there",
                names.join(", ")
            );
            let text = format!("{}: {}.", "No cluster has been chosen", cause);
            found(LinkState::Waiting, text, CLUSTERS).blame(
                Weight::Waits,
                &cause,
                "wait, or raise the job's priority when it is submitted",
            )
        }
        Ok(Choice { placement, .. }) => {
            let names: Vec<&str> = placement.clusters.iter().map(ClusterName::as_str).collect();
            let text = format!("About to be placed; cluster {} fits.", names.join(", "));
            found(LinkState::Waiting, text, CLUSTERS)
        }
        Err(refused) => {
            let cause = format!("no cluster can take the job: {}", placement::sentence(&refused));
            let remedy = remedy(job, clusters, &bounds, &refused);
            let since = clusters.iter().filter(|cluster| !cluster.ready);
            let since = since.filter_map(|cluster| cluster.ready_since).max();
            found(LinkState::Wrong, format!("N{}.", cause.trim_start_matches('n')), CLUSTERS)
                .at(since)
                .blame(Weight::Refused, &cause, remedy)
        }
    }
}

/// What else the loops know of a cluster, they alone know.
fn unknown_standing(_: &str) -> Standing {
    Standing::default()
}

/// What stands between a job and a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    Unregistered,
    Forbidden,
    VolumeElsewhere,
    NoClaim,
    NotReady,
    Tainted,
    Api,
    Room,
}

fn obstacle(job: &Job, clusters: &[Cluster], bounds: &Bounds<'_>, unfit: &Unfit) -> Obstacle {
    let Some(cluster) = clusters.iter().find(|cluster| cluster.name.as_str() == unfit.cluster)
    else {
        return Obstacle::Unregistered;
    };
    if bounds.allowed.is_some_and(|allowed| !allowed.contains(&cluster.name)) {
        Obstacle::Forbidden
    } else if bounds.home_of(job, clusters).is_some_and(|home| *home != cluster.name) {
        Obstacle::VolumeElsewhere
    } else if bounds.lacking.iter().any(|(name, _)| *name == cluster.name) {
        Obstacle::NoClaim
    } else if !cluster.ready {
        Obstacle::NotReady
    } else if !cluster.taints.is_empty() {
        Obstacle::Tainted
    } else if !cluster.has_api(&job.workload_api_version, &job.workload_kind) {
        Obstacle::Api
    } else {
        Obstacle::Room
    }
}

/// What helps, the likeliest help first, and each once.
fn remedy(job: &Job, clusters: &[Cluster], bounds: &Bounds<'_>, refused: &[Unfit]) -> String {
    let mut helps: Vec<String> = Vec::new();
    let mut help = |text: String| {
        if !helps.contains(&text) {
            helps.push(text);
        }
    };
    let targets = &job.target_clusters;
    let others: Vec<Cluster> =
        clusters.iter().filter(|cluster| !targets.contains(&cluster.name)).cloned().collect();
    if !targets.is_empty() && job.spread == Spread::One {
        let free = Job { target_clusters: Vec::new(), ..job.clone() };
        if let Ok(choice) = placement::choose(&free, &others, bounds, &unknown_standing) {
            let name = choice.placement.clusters.first().map_or("", ClusterName::as_str);
            help(format!("cluster {name} would fit, but is not among the job's `targetClusters`"));
        }
    }
    for unfit in refused {
        help(match obstacle(job, clusters, bounds, unfit) {
            Obstacle::Unregistered => {
                "correct `targetClusters`, or have the cluster joined to Karmada".to_owned()
            }
            Obstacle::NoClaim => {
                "create the claim on a cluster, or correct `pvcName`".to_owned()
            }
            Obstacle::VolumeElsewhere => {
                "the volume cannot be moved: submit the job under another name for an empty one, or \
                 name the clusters in `targetClusters`"
                    .to_owned()
            }
            Obstacle::Forbidden => {
                format!("have an operator allow namespace {} on a further cluster", job.namespace)
            }
            Obstacle::NotReady => {
                "the job is placed by itself when a cluster is ready again".to_owned()
            }
            Obstacle::Tainted => "remove the taint from the Cluster in Karmada".to_owned(),
            Obstacle::Api => format!(
                "install the operator that brings {} {} on a cluster",
                job.workload_api_version, job.workload_kind
            ),
            Obstacle::Room => "wait until other jobs end, or ask for less".to_owned(),
        });
    }
    helps.join(", or ")
}
