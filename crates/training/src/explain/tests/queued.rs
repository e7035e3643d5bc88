//! Before anything runs anywhere.

use super::*;
use crate::job::Demand;
use crate::ports::Cluster;

fn queued(reason: &str, message: &str) -> Job {
    let mut job = job("a");
    job.reason = reason.to_owned();
    job.message = message.to_owned();
    job
}

fn among(job: Job, clusters: Vec<Cluster>) -> Evidence {
    Evidence { clusters: Ok(clusters), ..Evidence::of_row(job) }
}

fn unplaced() -> Job {
    queued("NoClusterFits", "No cluster can take the job: as it was a minute ago.")
}

#[test]
fn job_that_was_just_accepted_waits_for_nothing_in_particular() {
    let evidence = among(queued("Accepted", "The job waits to be placed."), vec![cluster("b", 64)]);
    let told = assert_told(&evidence, &["waits in the queue: it is about to be placed"], &[]);
    assert!(told.links.iter().all(|link| link.state == LinkState::Waiting), "{told:#?}");
}

#[test]
fn queue_says_how_many_stand_before_the_job() {
    for (ahead, words) in [
        (Some(0), "No queued job is taken before it"),
        (Some(1), "1 queued job is taken before it: by its priority"),
        (Some(12), "12 queued jobs are taken before it: those of a higher priority"),
    ] {
        let evidence = Evidence { ahead, ..among(unplaced(), vec![cluster("b", 1)]) };
        let told = explain(&evidence, now());
        let queue = told.links.first().unwrap();
        assert!(queue.text.contains("it waits: No cluster can take the job"), "{}", queue.text);
        assert!(queue.text.contains(words), "{}", queue.text);
    }
}

#[test]
fn no_cluster_at_all() {
    let evidence = among(unplaced(), Vec::new());
    assert_told(&evidence, &["no member cluster is registered", "join"], &[Step::Placement]);
}

#[test]
fn each_reason_not_to_fit_has_its_own_help() {
    let mut unready = cluster("b", 64);
    unready.ready = false;
    unready.ready_reason = "ClusterNotReachable".to_owned();
    unready.ready_since = Some(now());
    let mut tainted = cluster("b", 64);
    tainted.taints = vec!["maintenance:NoSchedule".to_owned()];
    let mut bare = cluster("b", 64);
    bare.apis.clear();
    let full = cluster("b", 1);
    for (cluster, words) in [
        (
            unready,
            ["cluster b is not ready (ClusterNotReachable)", "when a cluster is ready again"],
        ),
        (tainted, ["the taint maintenance:NoSchedule", "remove the taint"]),
        (bare, ["does not have the API ray.io/v1 RayJob", "install the operator"]),
        (full, ["1000 CPU millicores free", "ask for less"]),
    ] {
        assert_told(&among(unplaced(), vec![cluster]), &words, &[Step::Placement]);
    }
}

#[test]
fn gpus_that_no_cluster_has() {
    let mut job = unplaced();
    job.demand = Demand { gpus: 16, ..job.demand };
    let evidence = among(job, vec![cluster("b", 64)]);
    assert_told(&evidence, &["8 GPUs free and the job needs 16"], &[Step::Placement]);
}

#[test]
fn cluster_that_is_no_target_is_offered_when_it_fits() {
    let mut job = unplaced();
    job.target_clusters = vec![ClusterName::parse("gone").unwrap()];
    let evidence = among(job, vec![cluster("b", 64)]);
    let words = ["cluster gone is not registered", "cluster b would fit", "`targetClusters`"];
    assert_told(&evidence, &words, &[Step::Placement]);
}

#[test]
fn room_that_is_promised_to_others() {
    let evidence = among(unplaced(), vec![cluster("b", 64)]);
    assert_told(&evidence, &["promised", "cluster b"], &[]);
}

#[test]
fn control_plane_down() {
    let job = queued(
        "ControlPlaneUnavailable",
        "Waiting: the Karmada API is unavailable: list the clusters: 503 no.",
    );
    let mut evidence = Evidence::of_row(job);
    evidence.clusters = Err("the Karmada API is unavailable: no answer".to_owned());
    let told = assert_told(
        &evidence,
        &["the Karmada API is unavailable", "goes on by itself"],
        &[Step::Queue],
    );
    assert_eq!(told.links[1].state, LinkState::Unknown);
}

#[test]
fn prerequisites_of_the_first_write() {
    for (what, help) in [
        ("namespace \"team\"", "create the namespace"),
        ("kind ray.io/v1 RayJob", "install it"),
        ("the right to create RayJob default/a (User \"x\" cannot create)", "grant"),
        (
            "a free name for RayJob default/a (its predecessor is being deleted)",
            "when the predecessor is gone",
        ),
    ] {
        let message = format!("Waiting: {what} does not exist on the control plane.");
        let mut job = queued("PrerequisiteMissing", &message);
        job.placement = submitted().placement;
        let evidence = among(job, vec![cluster("member1", 64)]);
        assert_told(&evidence, &[what, help], &[Step::Template]);
    }
}

#[test]
fn writes_that_were_refused_for_good() {
    for (reason, message, words) in [
        (
            "NameConflict",
            "RayJob default/a exists and belongs to somebody else",
            ["exists and belongs to somebody else", "under another name"],
        ),
        (
            "ApplyRejected",
            "the Karmada API refused PropagationPolicy default/a-propagation: admission webhook \
             \"x\" denied the request: no",
            ["denied the request: no", "change the form"],
        ),
    ] {
        let mut job = queued(reason, message);
        job.phase = Phase::Failed;
        job.failure = FailureClass::Rejected;
        job.placement = submitted().placement;
        job.finished_at = Some(now());
        let evidence = among(job, vec![cluster("member1", 64)]);
        assert_told(&evidence, &["failed", words[0], words[1]], &[Step::Template]);
    }
}

#[test]
fn sentence_goes_on_after_its_colon_and_keeps_names() {
    let told = |reason: &str, message: &str| in_short(&queued(reason, message));
    let waiting = told("NoClusterFits", "No cluster can take the job: cluster b is full.");
    assert_eq!(
        waiting,
        "The job waits in the queue: no cluster can take the job: cluster b is full."
    );
    let named = told("Odd", "Karmada says no.");
    assert_eq!(named, "The job waits in the queue: Karmada says no.");
    let mut applied = submitted();
    assert!(in_short(&applied).contains("has not reported anything"), "{}", in_short(&applied));
    applied.reason = "Initializing".to_owned();
    applied.message = "The cluster is being started.".to_owned();
    assert!(in_short(&applied).contains("member1: the cluster is being started."));
}

#[test]
fn job_that_is_held_back_in_the_queue() {
    let mut job = queued("Suspended", "The job is held back and not placed until it is resumed.");
    job.suspend = true;
    let evidence = among(job, vec![cluster("b", 64)]);
    assert_told(&evidence, &["held back in the queue", "resume it"], &[]);
}

#[test]
fn clusters_that_the_namespace_may_not_use() {
    let mut evidence = among(unplaced(), vec![cluster("b", 64)]);
    evidence.allowed = Some(Vec::new());
    let words = ["is not for jobs of namespace default", "have an operator allow"];
    assert_told(&evidence, &words, &[Step::Placement]);
}
