//! What every [`LogArchive`] promises, as cases, in the manner of [`contract`](super::contract). Each
//! wants an empty store of its own, and its archive.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::id::JobId;
use crate::job::Job;
use crate::phase::{Lifecycle, Phase};
use crate::ports::{
    ArchiveState, ArchiveTask, ArchivedLog, Effects, Inserted, JobStore, LogArchive, LogKey, Moved,
};
use crate::testing::samples::{self, at};

type Store = Arc<dyn JobStore>;
type Archive = Arc<dyn LogArchive>;

const LEASE: Duration = Duration::from_secs(30);

async fn insert(store: &Store, name: &str, number: u32) -> Job {
    let job = samples::job(name, number);
    assert_eq!(store.insert(&samples::new_job(job.clone())).await.unwrap(), Inserted::New);
    job
}

async fn step(store: &Store, after: &Job) -> Job {
    let event = samples::changed(json!({}));
    let moved = store.transition(after, &event, &Effects::default()).await.unwrap();
    assert_eq!(moved, Moved::Done);
    store.find(&after.id).await.unwrap().unwrap()
}

async fn due(archive: &Archive, owner: &str, seconds: i64) -> Vec<ArchiveTask> {
    archive.due(owner, at(seconds), LEASE, 10).await.unwrap()
}

fn key(pod: &str) -> LogKey {
    LogKey {
        cluster: "member1".to_owned(),
        role: "worker".to_owned(),
        pod: pod.to_owned(),
        container: "train".to_owned(),
        previous: false,
    }
}

fn log(pod: &str, text: &str) -> ArchivedLog {
    let size = text.len() as u64;
    ArchivedLog {
        key: key(pod),
        main: true,
        ended: true,
        first_at: Some(at(1)),
        last_at: Some(at(2)),
        read_at: at(3),
        original_bytes: size,
        kept_bytes: size,
        head_bytes: size / 2,
        omitted_lines: 7,
        problem: "It broke off: é.".to_owned(),
    }
}

async fn text(archive: &Archive, job: &JobId, key: &LogKey) -> Option<String> {
    let mut text = String::new();
    archive.text(job, key).await.unwrap()?.read_to_string(&mut text).unwrap();
    Some(text)
}

/// See the name.
pub async fn a_job_nobody_asked_for_has_no_archive(store: Store, archive: Archive) {
    let job = insert(&store, "one", 1).await;
    assert_eq!(archive.state(&job.id).await.unwrap(), ArchiveState::Absent);
    assert_eq!(archive.kept(&job.id).await.unwrap(), []);
    assert_eq!(text(&archive, &job.id, &key("a")).await, None);
    assert_eq!(due(&archive, "a", 999).await, []);
}

/// See the name.
pub async fn the_end_of_an_applied_run_asks_for_its_logs_once(store: Store, archive: Archive) {
    let job = insert(&store, "one", 1).await;
    let applied = Job { submitted_at: Some(at(2)), ..samples::moved(&job, Phase::Submitted) };
    let applied = step(&store, &applied).await;
    let running = step(&store, &samples::moved(&applied, Phase::Running)).await;
    assert_eq!(due(&archive, "a", 999).await, []);
    let over = step(&store, &samples::moved(&running, Phase::Succeeded)).await;
    let tasks = due(&archive, "a", 999).await;
    let expected =
        ArchiveTask { job_id: job.id.clone(), attempts: 0, requested_at: over.updated_at };
    assert_eq!(tasks, [expected]);
    archive.close(&job.id, at(1000)).await.unwrap();
    // Later changes do not ask again.
    step(&store, &Job { lifecycle: Lifecycle::Deleting, ..over }).await;
    assert_eq!(due(&archive, "a", 9999).await, []);
    assert_eq!(archive.state(&job.id).await.unwrap(), ArchiveState::Closed);
}

/// See the name.
pub async fn the_end_of_a_run_that_was_never_applied_asks_for_nothing(
    store: Store,
    archive: Archive,
) {
    let job = insert(&store, "one", 1).await;
    step(&store, &samples::moved(&job, Phase::Failed)).await;
    assert_eq!(archive.state(&job.id).await.unwrap(), ArchiveState::Absent);
    assert_eq!(due(&archive, "a", 999).await, []);
}

/// See the name.
pub async fn a_request_is_due_until_it_is_closed(store: Store, archive: Archive) {
    let job = insert(&store, "one", 1).await;
    archive.request(&job.id, at(1)).await.unwrap();
    archive.request(&job.id, at(50)).await.unwrap();
    assert_eq!(archive.state(&job.id).await.unwrap(), ArchiveState::Open { attempts: 0 });
    assert_eq!(due(&archive, "a", 0).await, [], "it is not due yet");
    assert_eq!(due(&archive, "a", 2).await.len(), 1);
    assert_eq!(due(&archive, "b", 3).await, [], "it is leased");
    // Its holder died.
    let again = due(&archive, "b", 40).await;
    assert_eq!(again.first().unwrap().requested_at, at(1));
    archive.put_off(&job.id, "a", at(0), "the lease is lost").await.unwrap();
    assert_eq!(archive.state(&job.id).await.unwrap(), ArchiveState::Open { attempts: 0 });
    archive.put_off(&job.id, "b", at(60), "no answer: \0").await.unwrap();
    assert_eq!(archive.state(&job.id).await.unwrap(), ArchiveState::Open { attempts: 1 });
    assert_eq!(due(&archive, "b", 59).await, []);
    assert_eq!(due(&archive, "b", 60).await.first().unwrap().attempts, 1);
    archive.close(&job.id, at(61)).await.unwrap();
    archive.put_off(&job.id, "b", at(0), "too late").await.unwrap();
    archive.request(&job.id, at(62)).await.unwrap();
    assert_eq!(due(&archive, "b", 999).await, []);
}

/// See the name.
pub async fn concurrent_claimers_never_share_a_job(store: Store, archive: Archive) {
    for number in 1..=40 {
        let job = insert(&store, &format!("job-{number}"), number).await;
        archive.request(&job.id, at(i64::from(number))).await.unwrap();
    }
    let archive = &archive;
    let claimers = (0..4).map(|n| async move {
        let mut got = Vec::new();
        // An empty answer may only mean that others were faster; so everybody asks again.
        for _ in 0..20 {
            let owner = format!("owner-{n}");
            got.extend(archive.due(&owner, at(100), LEASE, 5).await.unwrap());
        }
        got
    });
    let all = futures_util::future::join_all(claimers).await.concat();
    let ids: std::collections::BTreeSet<_> = all.iter().map(|task| &task.job_id).collect();
    assert_eq!((all.len(), ids.len()), (40, 40));
}

/// See the name.
pub async fn the_least_tried_then_the_earliest_request_is_taken_first(
    store: Store,
    archive: Archive,
) {
    for (number, seconds) in [(1, 30), (2, 10), (3, 20)] {
        let job = insert(&store, &format!("job-{number}"), number).await;
        archive.request(&job.id, at(seconds)).await.unwrap();
    }
    let first = archive.due("a", at(100), LEASE, 2).await.unwrap();
    let names: Vec<&str> = first.iter().map(|task| task.job_id.as_str()).collect();
    assert_eq!(names, ["job-2-00000002", "job-3-00000003"]);
    let tried = &first.first().unwrap().job_id;
    archive.put_off(tried, "a", at(50), "no answer").await.unwrap();
    let next = archive.due("a", at(100), LEASE, 2).await.unwrap();
    let names: Vec<&str> = next.iter().map(|task| task.job_id.as_str()).collect();
    assert_eq!(names, ["job-1-00000001", "job-2-00000002"]);
}

/// See the name.
pub async fn a_log_is_read_back_equal_in_every_field(store: Store, archive: Archive) {
    let job = insert(&store, "one", 1).await;
    let words = "2026-01-01T00:00:00Z é\u{0}\t😀\n".repeat(20_000);
    let long = log("b", &words);
    let bare = ArchivedLog {
        first_at: None,
        last_at: None,
        ended: false,
        main: false,
        omitted_lines: 0,
        head_bytes: 0,
        problem: String::new(),
        ..log("a", "x")
    };
    archive.keep(&job.id, &long, words.as_bytes()).await.unwrap();
    archive.keep(&job.id, &bare, b"x").await.unwrap();
    let previous = ArchivedLog { key: LogKey { previous: true, ..key("a") }, ..log("a", "old") };
    archive.keep(&job.id, &previous, b"old").await.unwrap();
    let other = insert(&store, "two", 2).await;
    archive.keep(&other.id, &log("a", "other"), b"other").await.unwrap();

    let expected = [bare, previous.clone(), long];
    assert_eq!(archive.kept(&job.id).await.unwrap(), expected);
    assert_eq!(text(&archive, &job.id, &key("a")).await.as_deref(), Some("x"));
    assert_eq!(text(&archive, &job.id, &previous.key).await.as_deref(), Some("old"));
    let read = text(&archive, &job.id, &key("b")).await.unwrap();
    // Not by `assert_eq`: nobody wants to read the difference.
    assert!(read == words, "{} bytes came back of {}", read.len(), words.len());
    assert_eq!(text(&archive, &job.id, &key("c")).await, None);
}

/// See the name.
pub async fn a_log_is_replaced_unless_more_of_it_is_kept(store: Store, archive: Archive) {
    let job = insert(&store, "one", 1).await;
    let gone = ArchivedLog { problem: "It is gone.".to_owned(), ..log("a", "") };
    archive.keep(&job.id, &gone, b"").await.unwrap();
    assert_eq!(text(&archive, &job.id, &key("a")).await, None, "there is nothing to read");
    archive.keep(&job.id, &log("a", "first"), b"first").await.unwrap();
    let again = ArchivedLog { read_at: at(9), ..log("a", "first and more") };
    archive.keep(&job.id, &again, b"first and more").await.unwrap();
    archive.keep(&job.id, &gone, b"").await.unwrap();
    assert_eq!(archive.kept(&job.id).await.unwrap(), [again]);
    assert_eq!(text(&archive, &job.id, &key("a")).await.as_deref(), Some("first and more"));
}

/// See the name.
pub async fn old_logs_are_forgotten_and_young_ones_stay(store: Store, archive: Archive) {
    let job = insert(&store, "one", 1).await;
    for (pod, seconds) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        let log = ArchivedLog { read_at: at(seconds), ..log(pod, "text") };
        archive.keep(&job.id, &log, b"text").await.unwrap();
    }
    let mut removed = 0;
    loop {
        match archive.forget(at(4), 2).await.unwrap() {
            0 => break,
            some => removed += some,
        }
    }
    assert_eq!(removed, 3);
    let kept = archive.kept(&job.id).await.unwrap();
    assert_eq!(kept.iter().map(|log| log.key.pod.as_str()).collect::<Vec<_>>(), ["d"]);
}
