//! Jobs that are over, or on their way out.

use serde_json::json;

use super::*;
use crate::decide::DEADLINE_REASON;
use crate::job::Event;
use crate::phase::{Desired, Lifecycle};

fn over(phase: Phase, failure: FailureClass, message: &str) -> Job {
    let mut job = running();
    job.phase = phase;
    job.failure = failure;
    job.message = message.to_owned();
    job.finished_at = Some(now());
    job
}

fn failed(pods: Vec<PodSeen>) -> Evidence {
    let message = "The training program failed; its log says why.";
    let mut member = on_member(pods);
    member.report = Some(report(RunState::Failed, "AppFailed", message));
    evidence(over(Phase::Failed, FailureClass::UserCode, message), member)
}

#[test]
fn program_that_failed() {
    let mut pod = with_state(ContainerState::Ended(end(3, "Error")));
    pod.phase = "Failed".to_owned();
    let words = ["failed at 1970-01-01T01:00:00Z", "ended with exit code 3", "read the log of pod"];
    assert_told(&failed(vec![pod]), &words, &[Step::Object, Step::Pods]);
    // The pods are gone: the plugin's words are left.
    assert_told(&failed(Vec::new()), &["program failed", "mend the program"], &[Step::Object]);
}

#[test]
fn exit_codes_are_told_in_words() {
    for (code, words) in
        [(127, "was not found"), (137, "it was killed"), (139, "SIGSEGV"), (130, "signal 2")]
    {
        let mut pod = with_state(ContainerState::Ended(end(code, "Error")));
        pod.phase = "Failed".to_owned();
        assert_told(&failed(vec![pod]), &[words], &[Step::Object, Step::Pods]);
    }
}

#[test]
fn worker_out_of_memory_explains_more_than_the_driver_that_failed_with_it() {
    let mut driver = with_state(ContainerState::Ended(end(1, "Error")));
    driver.phase = "Failed".to_owned();
    let mut worker = with_state(ContainerState::Ended(end(137, "OOMKilled")));
    worker.name = "a-x-worker".to_owned();
    worker.phase = "Failed".to_owned();
    let words = ["of pod a-x-worker used more memory", "OOMKilled", "`memoryGiB`"];
    assert_told(&failed(vec![driver, worker]), &words, &[Step::Object, Step::Pods]);
}

#[test]
fn operator_that_heard_of_memory_explains_more_than_the_driver() {
    let mut driver = with_state(ContainerState::Ended(end(1, "Error")));
    driver.phase = "Failed".to_owned();
    let mut evidence = failed(vec![driver]);
    let report = evidence.members[0].report.as_mut().unwrap();
    report.message = "The operator says: ray.exceptions.OutOfMemoryError: killed.".to_owned();
    let words = ["OutOfMemoryError", "`memoryGiB`"];
    assert_told(&evidence, &words, &[Step::Object, Step::Pods]);
}

#[test]
fn pod_that_was_evicted() {
    let mut pod = pod("a-x-worker", "Failed");
    pod.reason = "Evicted".to_owned();
    pod.message = "The node was low on resource: memory.".to_owned();
    let words = ["was evicted", "low on resource: memory", "ask for the memory"];
    assert_told(&failed(vec![pod]), &words, &[Step::Object, Step::Pods]);
}

#[test]
fn other_ends() {
    let row = |phase, failure, message| in_short(&over(phase, failure, message));
    let none = FailureClass::None;
    assert!(row(Phase::Succeeded, none, "x").contains("succeeded on cluster member1"));
    let mut late = over(Phase::TimedOut, FailureClass::Timeout, "x");
    late.max_runtime_seconds = Some(60);
    assert!(in_short(&late).contains("longer than its 60 s"), "{}", in_short(&late));
    (late.started_at, late.max_pending_seconds) = (None, Some(30));
    assert!(in_short(&late).contains("did not start within its 30 s"), "{}", in_short(&late));
    let vanished = "The workload vanished from the control plane without our doing.";
    let lost = row(Phase::Lost, FailureClass::Infrastructure, vanished);
    assert!(lost.contains("lost") && lost.contains("vanished") && lost.contains("never run again"));
    let mut cancelled = over(Phase::Cancelled, none, "x");
    cancelled.desired = Desired::Cancel;
    assert!(in_short(&cancelled).contains("somebody asked for it"), "{}", in_short(&cancelled));
    for (failure, words) in [
        (FailureClass::Capacity, "more room"),
        (FailureClass::Infrastructure, "not to blame"),
        (FailureClass::Stopped, "who stopped it"),
        (FailureClass::Rejected, "change the form"),
    ] {
        let text = row(Phase::Failed, failure, "It did not go well.");
        assert!(text.contains(words) && text.contains("it did not go well;"), "{text}");
    }
}

#[test]
fn every_phase_and_wish_has_a_sentence_from_the_row_alone() {
    for phase in Phase::ALL {
        for lifecycle in Lifecycle::ALL {
            for desired in Desired::ALL {
                let mut job = over(*phase, FailureClass::None, "Something is so.");
                (job.lifecycle, job.desired) = (*lifecycle, *desired);
                let text = in_short(&job);
                assert!(text.starts_with("The job") || text.starts_with("What the job"), "{text}");
                assert!(text.ends_with('.') && !text.contains("..") && !text.contains(": ;"));
                assert_eq!(text.matches(". ").count(), 0, "{text}");
            }
        }
    }
}

#[test]
fn job_that_is_being_stopped_says_for_whom() {
    let mut job = running();
    job.desired = Desired::Cancel;
    job.message = "Still there: RayJob default/a on member1 (terminating).".to_owned();
    assert!(in_short(&job).contains("somebody asked for it: still there: RayJob default/a"));
    job.reason = DEADLINE_REASON.to_owned();
    assert!(in_short(&job).contains("ran longer than it was allowed to"), "{}", in_short(&job));
}

#[test]
fn deletion_that_hangs_on_a_member_names_it() {
    let mut job = over(Phase::Succeeded, FailureClass::None, "The training succeeded.");
    job.lifecycle = Lifecycle::Deleting;
    job.desired = Desired::Delete;
    let mut away = cluster("member1", 64);
    away.ready = false;
    away.ready_reason = "ClusterNotReachable".to_owned();
    let mut evidence = evidence(job, on_member(Vec::new()));
    evidence.clusters = Ok(vec![away]);
    let trace = evidence.trace.as_mut().unwrap();
    (trace.template, trace.binding, trace.works) = (Ok(None), Ok(None), Ok(Vec::new()));
    let remaining = "Still there: RayJob default/a on member1 (cluster not ready).";
    evidence.history = vec![Event {
        seq: 9,
        at: now(),
        kind: "Removing".to_owned(),
        from: None,
        to: Phase::Succeeded,
        actor: "remove".to_owned(),
        reason: String::new(),
        message: String::new(),
        evidence: json!({ "remaining": remaining }),
    }];
    let words =
        ["being deleted", &bare(remaining)[1..], "cluster member1 is not ready", "holds it up"];
    let told = assert_told(&evidence, &words, &[Step::Cluster]);
    let object = told.links.iter().find(|link| link.step == Step::Object).unwrap();
    assert_eq!(object.state, LinkState::Waiting, "{told:#?}");
}

#[test]
fn job_that_is_gone() {
    let mut job = over(Phase::Succeeded, FailureClass::None, "x");
    job.lifecycle = Lifecycle::Deleted;
    job.deleted_at = Some(now());
    assert!(in_short(&job).contains("nothing of it is left"), "{}", in_short(&job));
}
