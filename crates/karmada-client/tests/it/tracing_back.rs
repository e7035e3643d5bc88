//! What there is of one workload, read fresh: every part, and each part alone when another fails.

use std::time::Duration;

use training::ports::{ControlError, ControlPlane as _, WorkloadRef};

use crate::harness::{Harness, policy_ref, ray_job};

fn workload(uid: Option<String>) -> WorkloadRef {
    WorkloadRef { object: ray_job("a").1, uid }
}

#[tokio::test]
async fn trace_shows_every_part_with_its_times() {
    let harness = Harness::start().await;
    let uid = harness.submit("a").await;
    let trace = harness.client.trace(&workload(Some(uid.clone())), &policy_ref("a")).await;
    let template = trace.template.unwrap().unwrap();
    assert_eq!((template.uid.as_str(), template.terminating), (uid.as_str(), false));
    assert_eq!(template.claimed_by.as_deref(), Some("team/a-propagation"));
    assert!(template.created_at.is_some());
    assert!(trace.policy.unwrap().is_some_and(|policy| policy.created_at.is_some()));
    let binding = trace.binding.unwrap().unwrap();
    assert_eq!(binding.seen.clusters, ["member1"]);
    assert!(binding.created_at.is_some() && binding.scheduled_at.is_some());
    let works = trace.works.unwrap();
    assert_eq!(works.len(), 1, "{works:?}");
    assert_eq!(works[0].cluster, "member1");
    assert!(matches!(works[0].applied, Some((true, _))) && works[0].applied_at.is_some());
    let events = trace.events.unwrap();
    assert!(events.iter().any(|event| event.reason == "ApplyPolicySucceed"), "{events:?}");

    // A successor of the same name is somebody else's story.
    let other = harness.client.trace(&workload(Some("other".to_owned())), &policy_ref("a")).await;
    assert_eq!(other.binding.unwrap(), None);
    assert_eq!(other.works.unwrap(), []);
    let absent = WorkloadRef { object: ray_job("b").1, uid: None };
    let nothing = harness.client.trace(&absent, &policy_ref("b")).await;
    assert_eq!(nothing.template.unwrap(), None);
    assert_eq!(nothing.policy.unwrap(), None);
    assert_eq!(nothing.binding.unwrap(), None);
    harness.stop().await;
}

#[tokio::test]
async fn trace_has_the_words_of_whoever_refuses() {
    let harness = Harness::start().await;
    harness.sandbox.faults().refuse(Some("member1"), "rayjobs", "exceeded quota: team");
    harness.submit("a").await;
    let trace = harness.client.trace(&workload(None), &policy_ref("a")).await;
    let works = trace.works.unwrap();
    let (applied, message) = works[0].applied.clone().unwrap();
    assert!(!applied && message.contains("exceeded quota: team"), "{message}");
    harness.sandbox.faults().clear();
    harness.sandbox.faults().refuse(None, "resourcebindings", "no more of them");
    harness.submit("b").await;
    harness.sandbox.step(Duration::from_secs(3)).await;
    let object = ray_job("b").1;
    let trace = harness.client.trace(&WorkloadRef { object, uid: None }, &policy_ref("b")).await;
    assert_eq!(trace.binding.unwrap(), None);
    let events = trace.events.unwrap();
    let failed = events.iter().find(|event| event.reason == "ApplyPolicyFailed").unwrap();
    assert!(failed.warning && failed.message.contains("no more of them"), "{failed:?}");
    harness.stop().await;
}

#[tokio::test]
async fn parts_of_a_trace_fail_on_their_own() {
    let harness = Harness::start().await;
    harness.submit("a").await;
    harness.sandbox.faults().fail_share("GET */events*", 403, 100);
    harness.sandbox.faults().fail_share("GET */works*", 503, 100);
    let trace = harness.client.trace(&workload(None), &policy_ref("a")).await;
    assert!(trace.template.unwrap().is_some());
    assert!(trace.binding.unwrap().is_some());
    assert!(matches!(trace.works, Err(ControlError::Unavailable { .. })), "{:?}", trace.works);
    assert!(trace.events.is_err());
    harness.stop().await;
}
