//! Written, and on its way to its program.

use super::*;
use crate::ports::{ControlError, MemberError};

fn with_trace(change: impl FnOnce(&mut Trace)) -> Evidence {
    let mut trace = propagated();
    change(&mut trace);
    let nothing =
        MemberEvidence { object: Ok(Presence::Absent), report: None, ..on_member(Vec::new()) };
    Evidence { trace: Some(trace), ..evidence(submitted(), nothing) }
}

fn unscheduled(reason: &str, message: &str) -> Evidence {
    with_trace(|trace| {
        let binding = trace.binding.as_mut().unwrap().as_mut().unwrap();
        binding.seen.scheduled = Some((false, reason.to_owned(), message.to_owned()));
        binding.seen.clusters.clear();
        trace.works = Ok(Vec::new());
    })
}

#[test]
fn karmada_cannot_schedule() {
    for (message, help) in [
        (
            "0/1 clusters are available: 1 cluster(s) had untolerated taint {x:NoSchedule}.",
            "remove the taint",
        ),
        (
            "0/1 clusters are available: 1 cluster(s) did not have the API resource.",
            "submit it again",
        ),
        (
            "0/1 clusters are available: 1 cluster(s) did not match the placement cluster affinity constraint.",
            "joined",
        ),
    ] {
        let evidence = unscheduled("NoClusterFit", message);
        assert_told(&evidence, &["Karmada cannot schedule", bare(message), help], &[Step::Binding]);
    }
}

fn unbound(events: Vec<EventSeen>) -> Evidence {
    with_trace(|trace| {
        trace.binding = Ok(None);
        trace.works = Ok(Vec::new());
        trace.events = Ok(events);
    })
}

#[test]
fn binding_that_karmada_refuses_to_make() {
    let noise = warning(
        "RayJob",
        "a",
        "ApplyPolicyFailed",
        "resourcebindings.work.karmada.io \"a-rayjob\" already exists",
    );
    let real = warning("RayJob", "a", "ApplyPolicyFailed", "priorityclasses \"high\" not found");
    let evidence = unbound(vec![real, noise.clone()]);
    assert_told(&evidence, &["ApplyPolicyFailed", "\"high\" not found"], &[Step::Binding]);
    assert_told(&unbound(vec![noise]), &["has not bound the workload yet"], &[]);
}

#[test]
fn binding_that_never_comes() {
    let mut evidence = unbound(Vec::new());
    evidence.job.submitted_at = Some(now() - Duration::from_mins(5));
    assert_told(&evidence, &["no binding", "karmada-controller-manager"], &[Step::Binding]);
}

#[test]
fn workload_that_somebody_deleted_or_that_another_policy_took() {
    let gone = with_trace(|trace| {
        trace.template = Ok(None);
        trace.binding = Ok(None);
        trace.works = Ok(Vec::new());
    });
    assert_told(&gone, &["missing on the control plane", "who deleted it"], &[Step::Template]);
    let taken = with_trace(|trace| {
        let template = trace.template.as_mut().unwrap().as_mut().unwrap();
        template.claimed_by = Some("everything".to_owned());
    });
    assert_eq!(explain(&taken, now()).links[3].state, LinkState::Wrong);
    let elsewhere = with_trace(|trace| {
        let binding = trace.binding.as_mut().unwrap().as_mut().unwrap();
        binding.seen.clusters = vec!["member2".to_owned()];
        trace.works = Ok(Vec::new());
    });
    assert_told(&elsewhere, &["cluster member2, which was not chosen"], &[Step::Binding]);
}

#[test]
fn member_that_does_not_take_it() {
    for (message, help) in [
        (
            "Failed to apply all manifests (0/1): resource(kind=RayJob, default/a) already exists in the cluster member1 and the work.karmada.io/conflict-resolution strategy value is empty",
            "delete it on cluster member1",
        ),
        (
            "Failed to apply all manifests (0/1): rayjobs.ray.io \"a\" is forbidden: exceeded quota: team, requested: count/rayjobs.ray.io=1",
            "raise the quota",
        ),
        (
            "Failed to apply all manifests (0/1): admission webhook \"x\" denied the request: no",
            "admission rule",
        ),
        (
            "Failed to apply all manifests (0/1): no matches for kind \"RayJob\" in version \"ray.io/v1\"",
            "install the operator",
        ),
    ] {
        let evidence = with_trace(|trace| {
            let work = &mut trace.works.as_mut().unwrap()[0];
            work.applied = Some((false, message.to_owned()));
        });
        assert_told(&evidence, &["does not take the workload", message, help], &[Step::Work]);
    }
}

#[test]
fn cluster_that_went_away_after_the_placement() {
    let mut away = cluster("member1", 64);
    away.ready = false;
    away.ready_reason = "ClusterNotReachable".to_owned();
    away.ready_since = Some(now() - Duration::from_mins(2));
    let error = MemberError::Unavailable { cluster: member(), message: "500".to_owned() };
    let dark = MemberEvidence {
        cluster: member(),
        object: Err(error.clone()),
        report: None,
        pods: Err(error.clone()),
        events: Err(error),
    };
    let mut job = running();
    job.phase = Phase::Unknown;
    job.last_known = Some(Phase::Running);
    let mut evidence = evidence(job, dark);
    evidence.clusters = Ok(vec![away]);
    let words = [
        "is not known, last known to be Running",
        "cluster member1 is not ready since 1970-01-01T00:58:00Z (ClusterNotReachable)",
        "never started a second time",
    ];
    let told = assert_told(&evidence, &words, &[Step::Cluster]);
    let pods = told.links.iter().find(|link| link.step == Step::Pods).unwrap();
    assert_eq!(pods.state, LinkState::Unknown);
    assert_eq!(pods.text, "Cluster member1 does not answer since 1970-01-01T00:58:00Z.");
}

#[test]
fn no_access_is_said_and_nothing_is_guessed() {
    let error = MemberError::Denied { cluster: member(), message: "pods is forbidden".to_owned() };
    let blind =
        MemberEvidence { pods: Err(error.clone()), events: Err(error), ..on_member(Vec::new()) };
    let told = assert_told(&evidence(submitted(), blind), &["the cluster is being started"], &[]);
    let pods = told.links.iter().find(|link| link.step == Step::Pods).unwrap();
    assert_eq!(pods.text, "No access to cluster member1: pods is forbidden.");
}

#[test]
fn control_plane_that_fails_in_part_leaves_the_rest() {
    let mut evidence = evidence(submitted(), on_member(vec![waiting("ImagePullBackOff", "no")]));
    let failed = || ControlError::Unavailable { message: "503".to_owned() };
    let trace = evidence.trace.as_mut().unwrap();
    trace.template = Err(failed());
    trace.binding = Err(failed());
    trace.works = Err(failed());
    evidence.clusters = Err("the Karmada API is unavailable".to_owned());
    let told = assert_told(&evidence, &["cannot be pulled"], &[Step::Pods]);
    let unknown = told.links.iter().filter(|link| link.state == LinkState::Unknown).count();
    assert_eq!(unknown, 4, "{told:#?}");
}

fn unschedulable(message: &str) -> PodSeen {
    PodSeen {
        unscheduled: Some(("Unschedulable".to_owned(), message.to_owned())),
        ..pod("a-x-worker", "Pending")
    }
}

#[test]
fn pods_that_cannot_start_name_the_cause_and_the_help() {
    for (pod, words) in [
        (
            waiting("ImagePullBackOff", "Back-off pulling image"),
            ["the image registry.example/train:1", "registry"],
        ),
        (
            waiting("ErrImagePull", "401"),
            ["cannot be pulled (ErrImagePull): 401", "access to its registry"],
        ),
        (
            waiting("CreateContainerConfigError", "secret \"trainyard-s3\" not found"),
            ["secret \"trainyard-s3\" not found", "create the Secret"],
        ),
        (waiting("RunContainerError", "exec: no"), ["cannot be started", "check the command"]),
        (
            unschedulable("0/2 nodes are available: 2 Insufficient nvidia.com/gpu."),
            ["no node takes pod a-x-worker", "its nodes lack nvidia.com/gpu"],
        ),
        (
            unschedulable(
                "0/3 nodes are available: 1 Insufficient cpu, 2 Insufficient memory. preemption: 0/3",
            ),
            ["no node takes", "lack cpu and memory"],
        ),
        (
            unschedulable(
                "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
            ),
            ["affinity/selector", "node selector in the plugin's settings"],
        ),
        (
            unschedulable("0/2 nodes are available: 2 node(s) had untolerated taint {gpu: }."),
            ["untolerated taint", "add a toleration"],
        ),
        (
            unschedulable("0/2 nodes are available: persistentvolumeclaim \"data\" not found."),
            ["\"data\" not found", "create the claim"],
        ),
        (
            unschedulable(
                "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
            ),
            ["unbound immediate", "storage class"],
        ),
    ] {
        assert_told(&evidence(submitted(), on_member(vec![pod])), &words, &[Step::Pods]);
    }
}

#[test]
fn program_that_crashes_again_and_again() {
    let mut pod = waiting("CrashLoopBackOff", "back-off 5m0s");
    pod.containers[0].restarts = 6;
    pod.containers[0].last_end = Some(end(1, "Error"));
    let evidence = evidence(running(), on_member(vec![pod.clone()]));
    let words = ["exit code 1, 6 times by now (CrashLoopBackOff)", "read the log of pod a-x-head"];
    assert_told(&evidence, &words, &[Step::Pods]);
    pod.containers[0].last_end = Some(end(137, "OOMKilled"));
    let evidence = super::evidence(running(), on_member(vec![pod]));
    assert_told(&evidence, &["more memory than it may", "OOMKilled", "`memoryGiB`"], &[Step::Pods]);
}

#[test]
fn quota_that_keeps_pods_from_being_made_is_told_by_events_alone() {
    let refused = "pods \"a-x-head\" is forbidden: exceeded quota: team, requested: cpu=4";
    let mut member = on_member(Vec::new());
    member.events = Ok(vec![warning("RayCluster", "a-x", "FailedCreate", refused)]);
    let evidence = evidence(submitted(), member);
    let told =
        assert_told(&evidence, &["exceeded quota: team", "raise the quota"], &[Step::Events]);
    let link = told.links.last().unwrap();
    assert_eq!(link.source, "cluster member1, Event on RayCluster default/a-x");
}

#[test]
fn what_waits_without_a_fault_is_not_wrong() {
    let pods = vec![pod("a-x-head", "Running"), pod("a-x-worker", "Pending")];
    assert_told(&evidence(submitted(), on_member(pods)), &["is being started", "wait"], &[]);
}

#[test]
fn job_that_runs_has_nothing_in_its_way() {
    let mut member = on_member(vec![pod("a-x-head", "Running")]);
    member.report = Some(report(RunState::Running, "Running", "The training runs."));
    let old = warning("Pod", "a-x-head", "FailedScheduling", "0/2 nodes are available");
    member.events = Ok(vec![old]);
    let told = assert_told(&evidence(running(), member), &["runs on cluster member1 since"], &[]);
    assert!(told.sentence.contains("nothing is in its way"), "{}", told.sentence);
    assert!(told.links.iter().all(|link| link.state == LinkState::Ok), "{told:#?}");
}

#[test]
fn job_that_is_suspended() {
    let mut job = submitted();
    job.phase = Phase::Suspended;
    job.message = "The job is suspended.".to_owned();
    let mut member = on_member(Vec::new());
    member.report = Some(report(RunState::Suspended, "Suspended", "The job is suspended."));
    assert_told(&evidence(job, member), &["held back on cluster member1", "resume"], &[]);
}

#[test]
fn object_of_somebody_else_on_the_member_is_not_read_as_ours() {
    let mut evidence = evidence(submitted(), on_member(Vec::new()));
    evidence.members[0].object = Ok(Presence::Foreign);
    evidence.members[0].report = None;
    let trace = evidence.trace.as_mut().unwrap();
    let refused = "resource(kind=RayJob, default/a) already exists in the cluster member1";
    trace.works.as_mut().unwrap()[0].applied = Some((false, refused.to_owned()));
    let words = ["already exists in the cluster", "under another name"];
    assert_told(&evidence, &words, &[Step::Work, Step::Object]);
}
