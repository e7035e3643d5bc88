//! Tables: what was seen, and what a person is told. One file per part of the way.

mod ended;
#[cfg(feature = "testing")]
mod gathering;
mod on_clusters;
mod queued;

use std::time::Duration;

use super::*;
use crate::id::ClusterName;
use crate::job::{FailureClass, Placement};
use crate::phase::Phase;
use crate::ports::{
    BindingSeen, BindingTrace, ContainerEnd, ContainerSeen, ContainerState, EventSeen, ObjectTrace,
    PodSeen, Report, RunState, Trace, WorkTrace,
};
use crate::testing_values::{cluster, job};

/// The moment of every test.
fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_hours(1)
}

fn member() -> ClusterName {
    ClusterName::parse("member1").unwrap()
}

/// A job that was placed on `member1` and applied 30 s ago.
fn submitted() -> Job {
    let mut job = job("a");
    job.phase = Phase::Submitted;
    job.reason = "Applied".to_owned();
    job.message = "Cluster member1 is ready and has the API; it is the only candidate.".to_owned();
    job.placement =
        Some(Placement { clusters: vec![member()], reason: "It is the only one.".to_owned() });
    job.workload_uid = Some("u1".to_owned());
    job.submitted_at = Some(now() - Duration::from_secs(30));
    job.updated_at = now() - Duration::from_secs(30);
    job
}

fn running() -> Job {
    let mut job = submitted();
    job.phase = Phase::Running;
    job.reason = "Running".to_owned();
    job.message = "The training runs.".to_owned();
    job.started_at = Some(now() - Duration::from_secs(20));
    job
}

fn report(state: RunState, reason: &str, message: &str) -> Report {
    Report {
        state,
        reason: reason.to_owned(),
        message: message.to_owned(),
        progress: None,
        failure: FailureClass::None,
        started_at: None,
        finished_at: None,
        logs: Vec::new(),
    }
}

/// The control plane did its part: written, claimed, scheduled, applied.
fn propagated() -> Trace {
    let object = |claimed_by: Option<&str>| ObjectTrace {
        uid: "u1".to_owned(),
        created_at: Some(now()),
        terminating: false,
        claimed_by: claimed_by.map(str::to_owned),
    };
    Trace {
        template: Ok(Some(object(Some("default/a-propagation")))),
        policy: Ok(Some(object(None))),
        binding: Ok(Some(BindingTrace {
            seen: BindingSeen {
                clusters: vec!["member1".to_owned()],
                scheduled: Some((true, "Success".to_owned(), String::new())),
                members: Vec::new(),
            },
            created_at: Some(now()),
            scheduled_at: Some(now()),
        })),
        works: Ok(vec![WorkTrace {
            name: "a-5d".to_owned(),
            cluster: "member1".to_owned(),
            applied: Some((true, String::new())),
            applied_at: Some(now()),
            suspended: false,
            terminating: false,
        }]),
        events: Ok(Vec::new()),
    }
}

/// A member that has the workload, and these pods.
fn on_member(pods: Vec<PodSeen>) -> MemberEvidence {
    MemberEvidence {
        cluster: member(),
        object: Ok(Presence::There),
        report: Some(report(RunState::Pending, "Initializing", "The cluster is being started.")),
        pods: Ok(pods),
        events: Ok(Vec::new()),
    }
}

fn evidence(job: Job, member: MemberEvidence) -> Evidence {
    Evidence {
        job,
        history: Vec::new(),
        ahead: None,
        clusters: Ok(vec![cluster("member1", 64)]),
        allowed: None,
        home: None,
        lacking: Vec::new(),
        trace: Some(propagated()),
        members: vec![member],
    }
}

fn pod(name: &str, phase: &str) -> PodSeen {
    PodSeen { name: name.to_owned(), phase: phase.to_owned(), ..PodSeen::default() }
}

fn with_state(state: ContainerState) -> PodSeen {
    let container = ContainerSeen {
        name: "ray-head".to_owned(),
        image: "registry.example/train:1".to_owned(),
        state,
        ..ContainerSeen::default()
    };
    PodSeen { containers: vec![container], ..pod("a-x-head", "Pending") }
}

fn waiting(reason: &str, message: &str) -> PodSeen {
    with_state(ContainerState::Waiting(reason.to_owned(), message.to_owned()))
}

fn end(exit_code: i64, reason: &str) -> ContainerEnd {
    ContainerEnd { exit_code, reason: reason.to_owned(), ..ContainerEnd::default() }
}

fn warning(kind: &str, name: &str, reason: &str, message: &str) -> EventSeen {
    EventSeen {
        kind: kind.to_owned(),
        name: name.to_owned(),
        warning: true,
        reason: reason.to_owned(),
        message: message.to_owned(),
        count: 1,
        last_at: Some(now()),
        source: "test".to_owned(),
    }
}

/// Asserts that the sentence has all these words, and that just these steps are wrong.
#[track_caller]
fn assert_told(evidence: &Evidence, words: &[&str], wrong: &[Step]) -> Explanation {
    let explanation = explain(evidence, now());
    let sentence = &explanation.sentence;
    for word in words {
        assert!(sentence.contains(word), "`{word}` is not in: {sentence}");
    }
    assert!(sentence.ends_with('.') && !sentence.contains(".."), "{sentence}");
    assert_eq!(sentence.matches(". ").count(), 0, "it is one sentence: {sentence}");
    let found: Vec<Step> = explanation
        .links
        .iter()
        .filter(|link| link.state == LinkState::Wrong)
        .map(|link| link.step)
        .collect();
    assert_eq!(found, wrong, "{explanation:#?}");
    let steps: Vec<Step> = explanation.links.iter().map(|link| link.step).collect();
    assert!(steps.is_sorted(), "{steps:?}");
    for link in &explanation.links {
        assert!(!link.text.is_empty() && !link.source.is_empty(), "{link:?}");
    }
    explanation
}
