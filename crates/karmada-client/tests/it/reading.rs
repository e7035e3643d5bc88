//! Reading members: pods, events, objects, logs, and what stands in the way.

use std::time::Duration;

use futures_util::StreamExt as _;
use training::ClusterName;
use training::ports::{ContainerState, LogQuery, MemberError, Members, ObjectQuery, PodSeen};

use crate::harness::{Harness, ray_job, until};

fn member(name: &str) -> ClusterName {
    ClusterName::parse(name).unwrap()
}

/// Selects the pod that submits the entrypoint of a RayJob.
fn submitter(job: &str) -> String {
    format!("job-name={job}")
}

fn log_of(pod: &str, container: &str) -> LogQuery {
    LogQuery {
        cluster: member("member1"),
        namespace: "team".to_owned(),
        pod: pod.to_owned(),
        container: container.to_owned(),
        follow: false,
        tail_lines: None,
        since: None,
        previous: false,
        limit_bytes: None,
    }
}

/// Submits a job and steps until the program runs; returns its pod.
async fn running(harness: &Harness, job: &str) -> PodSeen {
    harness.submit(job).await;
    for _ in 0..100 {
        let pods = harness.client.pods(&member("member1"), "team", &submitter(job)).await.unwrap();
        if let Some(pod) = pods.into_iter().find(|pod| pod.phase == "Running") {
            return pod;
        }
        harness.sandbox.step(Duration::from_millis(200)).await;
    }
    panic!("the program of {job} never ran");
}

async fn whole(harness: &Harness, query: &LogQuery) -> String {
    let mut bytes = harness.client.log(query).await.unwrap();
    let mut text = Vec::new();
    while let Some(piece) = bytes.next().await {
        text.extend(piece.unwrap());
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn pods_events_and_objects_of_a_job_are_read_from_its_member() {
    let harness = Harness::start().await;
    let pod = running(&harness, "a").await;
    let one = member("member1");
    assert_eq!(pod.containers.len(), 1, "{pod:?}");
    assert!(matches!(pod.containers[0].state, ContainerState::Running(Some(_))), "{pod:?}");
    let events = harness.client.events(&one, "team", &pod.name).await.unwrap();
    assert!(events.iter().any(|event| event.reason == "Scheduled"), "{events:?}");
    let object = harness.client.object(&one, &ray_job("a").1).await.unwrap().unwrap();
    assert_eq!(object["metadata"]["name"], "a");
    assert_eq!(harness.client.object(&one, &ray_job("b").1).await.unwrap(), None);
    let elsewhere = harness.client.pods(&member("member2"), "team", "").await.unwrap();
    assert_eq!(elsewhere, []);
    harness.stop().await;
}

#[tokio::test]
async fn lists_come_in_pages() {
    let harness = Harness::start().await;
    running(&harness, "a").await;
    let one = member("member1");
    let mut query = ObjectQuery {
        api_version: "v1".to_owned(),
        plural: "pods".to_owned(),
        namespace: Some("team".to_owned()),
        limit: 2,
        ..ObjectQuery::default()
    };
    let first = harness.client.list(&one, &query).await.unwrap();
    assert_eq!((first.items.len(), first.next.is_some()), (2, true));
    query.after = first.next;
    let second = harness.client.list(&one, &query).await.unwrap();
    assert_eq!((second.items.len(), second.next), (1, None));
    query = ObjectQuery { labels: "no such selector)".to_owned(), after: None, ..query };
    let refused = harness.client.list(&one, &query).await.unwrap_err();
    assert!(matches!(refused, MemberError::Refused { .. }), "{refused}");
    harness.stop().await;
}

#[tokio::test]
async fn log_is_read_whole_in_part_and_as_it_grows() {
    let harness = Harness::start().await;
    let pod = running(&harness, "a").await;
    let query = log_of(&pod.name, &pod.containers[0].name);
    let text = whole(&harness, &query).await;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() > 2, "{text}");
    for line in &lines {
        let (time, _) = line.split_once(' ').unwrap();
        time.parse::<training::clock::Timestamp>().unwrap();
    }
    let tail = LogQuery { tail_lines: Some(1), ..query.clone() };
    assert_eq!(whole(&harness, &tail).await.lines().collect::<Vec<_>>(), lines[lines.len() - 1..]);
    let (last, _) = lines[lines.len() - 1].split_once(' ').unwrap();
    let since = LogQuery { since: Some(last.parse().unwrap()), ..query.clone() };
    assert!(whole(&harness, &since).await.lines().count() < lines.len());

    let follow = LogQuery { follow: true, tail_lines: Some(0), ..query.clone() };
    let mut growing = harness.client.log(&follow).await.unwrap();
    harness.sandbox.step(Duration::from_mins(10)).await;
    let mut rest = Vec::new();
    while let Some(piece) = growing.next().await {
        rest.extend(piece.unwrap());
    }
    // It ended with its container.
    let all = whole(&harness, &query).await;
    let rest = String::from_utf8(rest).unwrap();
    assert!(all.len() > text.len() && !rest.is_empty() && all.ends_with(&rest), "{all}---\n{rest}");
    harness.stop().await;
}

#[tokio::test]
async fn what_stands_in_the_way_is_told_apart() {
    let harness = Harness::start().await;
    harness.submit("a").await;
    let pods = async |cluster: &str| harness.client.pods(&member(cluster), "team", "").await;
    let unknown = pods("nowhere").await.unwrap_err();
    assert!(matches!(unknown, MemberError::Unregistered { .. }), "{unknown}");
    let missing = harness.client.log(&log_of("nobody", "c")).await.err().unwrap();
    assert!(matches!(missing, MemberError::NotFound { .. }), "{missing}");
    let outside = harness.client.log(&log_of("../../secrets", "c")).await.err().unwrap();
    assert!(matches!(outside, MemberError::Refused { .. }), "{outside}");
    harness.sandbox.faults().fail_next("GET *proxy*", 403, 1);
    let denied = pods("member1").await.unwrap_err();
    assert!(denied.to_string().starts_with("no access to cluster member1"), "{denied}");
    harness.sandbox.faults().member_down("member1");
    let down = pods("member1").await.unwrap_err();
    assert!(down.retryable(), "{down}");
    assert_eq!(pods("member2").await.unwrap(), []);
    harness.stop().await;
}

#[tokio::test]
async fn member_that_hangs_keeps_only_its_own_callers_waiting() {
    let harness = Harness::start().await;
    harness.sandbox.faults().hang("*/clusters/member1/proxy/*");
    let one = member("member1");
    let waiting: Vec<_> = (0..20).map(|_| harness.client.pods(&one, "team", "")).collect();
    let all = futures_util::future::join_all(waiting);
    let other = async {
        until("the other member answers", async || {
            harness.client.pods(&member("member2"), "team", "").await.is_ok()
        })
        .await;
    };
    let (answers, ()) = tokio::join!(all, other);
    assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(MemberError::retryable)));
    let busy = |error: &MemberError| matches!(error, MemberError::Busy { .. });
    assert!(answers.iter().any(|answer| answer.as_ref().is_err_and(busy)), "{answers:?}");
    harness.stop().await;
}
