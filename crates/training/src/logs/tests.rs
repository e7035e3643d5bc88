//! Reading, following and archiving in a world that a test makes.

mod world;

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;

use self::world::{Bench, Script, container, ended, key, line, pod, running, shown};
use super::*;
use crate::phase::Phase;
use crate::ports::{ArchiveState, ContainerEnd, ContainerSeen, ContainerState};

const LIMITS: Limits = Limits {
    container_bytes: 1 << 20,
    job_bytes: 1 << 20,
    hold: Duration::from_secs(30),
    keep: None,
};

fn follow() -> LogRequest {
    LogRequest { follow: true, ..LogRequest::default() }
}

fn driver() -> LogRequest {
    LogRequest { role: Some("driver".to_owned()), ..LogRequest::default() }
}

fn denied(cluster: &str) -> MemberError {
    let cluster = crate::ClusterName::parse(cluster).unwrap();
    MemberError::Denied { cluster, message: "forbidden".to_owned() }
}

fn away(cluster: &str) -> MemberError {
    let cluster = crate::ClusterName::parse(cluster).unwrap();
    MemberError::Unavailable { cluster, message: "refused".to_owned() }
}

/// A driver and a worker that write in turn.
async fn two_pods() -> Bench {
    let bench = Bench::new().await;
    let world = &bench.world;
    world.set_pods("member1", "driver", vec![pod("d", vec![container("train", running())])]);
    world.set_pods("member1", "worker", vec![pod("w", vec![container("train", running())])]);
    let driver = [line(1, "one"), line(3, "three"), line(4, "four")].concat();
    world.set_log(key("driver", "d", "train"), &driver, false);
    let worker = [line(2, "two hunter22"), line(5, "five")].concat();
    world.set_log(key("worker", "w", "train"), &worker, false);
    bench
}

#[tokio::test]
async fn logs_of_several_pods_are_merged_by_time() {
    let bench = two_pods().await;
    let all = bench.shown(LogRequest::default()).await;
    let expected = [
        "[driver/d] one",
        "[worker/w] two ***",
        "[driver/d] three",
        "[driver/d] four",
        "[worker/w] five",
    ];
    assert_eq!(all, expected);
    let one = LogRequest { role: Some("worker".to_owned()), tail: Some(7), ..Default::default() };
    assert_eq!(bench.shown(one).await, ["two ***", "five"]);
    let queries = bench.world.queries.lock().unwrap();
    assert_eq!(queries.last().unwrap().tail_lines, Some(7));
    assert_eq!(queries.last().unwrap().namespace, "default");
}

#[tokio::test]
async fn broken_read_goes_on_after_any_of_its_lines() {
    let bench = two_pods().await;
    let all: Vec<LogItem> = bench.read(LogRequest::default()).await.unwrap().collect().await;
    for (index, item) in all.iter().enumerate() {
        let LogItem::Line(line) = item else { panic!("{item:?}") };
        let cursor = Cursor::parse(line.id.as_ref().unwrap()).unwrap();
        let rest = bench.read(LogRequest { cursor, ..Default::default() }).await.unwrap();
        assert_eq!(rest.collect::<Vec<_>>().await, all[index + 1..], "after {index}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_said_and_the_rest_is_read() {
    let bench = Bench::on(&["member1", "member2"]).await;
    let world = &bench.world;
    world.set_pods(
        "member1",
        "driver",
        vec![
            pod("d", vec![container("train", running())]),
            pod(
                "e",
                vec![container("train", ContainerState::Waiting("Pulling".into(), String::new()))],
            ),
        ],
    );
    world.set_log(key("driver", "d", "train"), &line(1, "one"), false);
    world.set_error("member2", Some(denied("member2")));
    let shown = bench.shown(LogRequest::default()).await;
    assert_eq!(
        shown,
        [
            "(No access to cluster member2: forbidden.)",
            "(It has not started: Pulling.)",
            "[driver/d] one"
        ]
    );
    world.set_error("member1", Some(denied("member1")));
    let error = bench.read(LogRequest::default()).await.err().unwrap();
    assert!(
        matches!(&error, LogError::Unavailable(why)
        if why.contains("No access to cluster member1")),
        "{error}"
    );
    world.set_error("member1", None);
    let wrong = LogRequest { container: Some("nope".to_owned()), ..Default::default() };
    let error = bench.read(wrong).await.err().unwrap();
    assert!(matches!(&error, LogError::NoMatch(why) if why.contains("train")), "{error}");
}

#[tokio::test]
async fn slow_reader_pulls_nothing_it_does_not_read() {
    let bench = Bench::new().await;
    let world = &bench.world;
    world.set_pods("member1", "driver", vec![pod("d", vec![container("train", running())])]);
    let piece = line(1, &"x".repeat(1000));
    let bytes = (0..10_000).map(|_| Ok(piece.clone().into_bytes())).collect();
    world.set_script(key("driver", "d", "train"), Script { bytes, ends: true });
    let mut lines = bench.read(LogRequest::default()).await.unwrap();
    for _ in 0..3 {
        lines.next().await.unwrap();
    }
    assert!(world.pulled.load(Ordering::SeqCst) <= 4);
    drop(lines);
    let mut lines = bench.read(follow()).await.unwrap();
    world.pulled.store(0, Ordering::SeqCst);
    for _ in 0..3 {
        lines.next().await.unwrap();
    }
    assert!(world.pulled.load(Ordering::SeqCst) <= 4);
}

#[tokio::test(start_paused = true)]
async fn followed_stream_takes_up_new_pods_and_ends_with_the_job() {
    let mut bench = Bench::new().await;
    let mut items = bench.read(follow()).await.unwrap();
    let first = shown(&items.next().await.unwrap());
    assert_eq!(first, "(The job is Running: The job is Running.)");
    let world = bench.world.clone();
    world.set_pods("member1", "driver", vec![pod("d", vec![container("train", running())])]);
    world.set_log(key("driver", "d", "train"), &line(1, "one"), false);
    assert_eq!(shown(&items.next().await.unwrap()), "[driver/d] one");
    world.set_pods("member1", "worker", vec![pod("w", vec![container("train", running())])]);
    world.set_log(key("worker", "w", "train"), &line(2, "two"), false);
    assert_eq!(shown(&items.next().await.unwrap()), "[worker/w] two");
    // The containers run on, as those of a Ray cluster do.
    bench.step(Phase::Succeeded).await;
    assert_eq!(items.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn broken_log_is_opened_again_without_a_line_lost_or_twice() {
    let mut bench = Bench::new().await;
    let world = bench.world.clone();
    world.set_pods("member1", "driver", vec![pod("d", vec![container("train", running())])]);
    let same = [line(1, "a"), line(2, "b"), line(2, "c")].concat();
    let bytes = vec![Ok(same.clone().into_bytes()), Err("reset".to_owned())];
    let driver = || key("driver", "d", "train");
    world.set_script(driver(), Script { bytes, ends: true });
    let only = LogRequest { role: Some("driver".to_owned()), tail: Some(100), ..follow() };
    let mut items = bench.read(only).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(shown(&items.next().await.unwrap()));
    }
    assert_eq!(seen, ["a", "b", "c", "(Cluster member1 does not answer: reset.)"]);
    world.set_log(driver(), &[same, line(2, "d"), line(3, "e")].concat(), false);
    assert_eq!(shown(&items.next().await.unwrap()), "d");
    assert_eq!(shown(&items.next().await.unwrap()), "e");
    let again = world.queries.lock().unwrap().last().unwrap().clone();
    assert_eq!((again.tail_lines, again.since), (None, Timestamp::from_second(1_000_002).ok()));
    bench.step(Phase::Failed).await;
    assert_eq!(items.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn connection_that_died_unnoticed_is_opened_again() {
    let bench = Bench::new().await;
    let world = bench.world.clone();
    world.set_pods("member1", "driver", vec![pod("d", vec![container("train", running())])]);
    world.set_log(key("driver", "d", "train"), &line(1, "one"), false);
    let mut items = bench.read(LogRequest { follow: true, ..driver() }).await.unwrap();
    assert_eq!(shown(&items.next().await.unwrap()), "one");
    // Nothing more comes on the connection that is open.
    world.set_log(key("driver", "d", "train"), &[line(1, "one"), line(2, "two")].concat(), false);
    assert_eq!(shown(&items.next().await.unwrap()), "two");
    assert_eq!(world.queries.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn next_run_of_a_container_is_followed_too() {
    let bench = Bench::new().await;
    let world = &bench.world;
    let run = |state, restarts| {
        let one = ContainerSeen { restarts, ..container("train", state) };
        vec![pod("d", vec![one])]
    };
    world.set_pods("member1", "driver", run(ended(), 0));
    world.set_log(key("driver", "d", "train"), &line(1, "first run"), true);
    let mut items =
        bench.read(LogRequest { role: Some("driver".into()), ..follow() }).await.unwrap();
    assert_eq!(shown(&items.next().await.unwrap()), "first run");
    world.set_pods("member1", "driver", run(running(), 1));
    world.set_log(key("driver", "d", "train"), &line(9, "second run"), false);
    let mut next = shown(&items.next().await.unwrap());
    if next.starts_with('(') {
        next = shown(&items.next().await.unwrap());
    }
    assert_eq!(next, "second run");
}

#[tokio::test]
async fn archive_keeps_every_container_and_says_what_it_lacks() {
    let mut bench = Bench::new().await;
    let world = bench.world.clone();
    let last_end = Some(ContainerEnd::default());
    let fetch = ContainerSeen { init: true, ..container("fetch", ended()) };
    let train = ContainerSeen { restarts: 1, last_end, ..container("train", running()) };
    let lost = container("lost", running());
    let late = container("late", ContainerState::Waiting("Pulling".into(), String::new()));
    world.set_pods("member1", "driver", vec![pod("d", vec![fetch, train, lost, late])]);
    world.set_log(key("driver", "d", "fetch"), &line(1, "fetched hunter22"), true);
    world.set_log(key("driver", "d", "train"), &line(3, "trained"), false);
    let before = LogKey { previous: true, ..key("driver", "d", "train") };
    world.set_log(before, &line(2, "crashed"), true);
    bench.step(Phase::Succeeded).await;
    bench.archive(LIMITS).await;
    let state = bench.store.state(&bench.job.id).await.unwrap();
    assert_eq!(state, ArchiveState::Open { attempts: 1 }, "its last lines may be missing");
    let more = [line(3, "trained"), line(4, "and done")].concat();
    world.set_log(key("driver", "d", "train"), &more, false);
    bench.clock.advance(Duration::from_secs(1));
    bench.archive(LIMITS).await;
    assert_eq!(bench.store.state(&bench.job.id).await.unwrap(), ArchiveState::Closed);

    world.set_pods("member1", "driver", Vec::new());
    world.remove_workload();
    let of = |container: &str, previous| LogRequest {
        container: Some(container.to_owned()),
        previous,
        ..driver()
    };
    assert_eq!(bench.shown(driver()).await, ["trained", "and done"]);
    assert_eq!(bench.shown(of("fetch", false)).await, ["fetched ***"]);
    assert_eq!(bench.shown(of("train", true)).await, ["crashed"]);
    let gone = bench.shown(of("lost", false)).await;
    assert_eq!(gone, ["(The pod was gone before its log could be read.)"]);
    assert_eq!(bench.shown(of("late", false)).await, ["(It has not started: Pulling.)"]);
    let kept = bench.store.kept(&bench.job.id).await.unwrap();
    let vacant = kept.iter().find(|log| log.key.role == "worker").unwrap();
    assert!(vacant.problem.contains("no pod of this role"), "{vacant:?}");
    assert!(!kept.iter().any(|log| log.key.cluster == "stranger" || log.key.role == "everybody"));
}

#[tokio::test]
async fn archived_log_that_is_too_long_keeps_both_ends_and_says_so() {
    let mut bench = Bench::new().await;
    let world = bench.world.clone();
    world.set_pods("member1", "driver", vec![pod("d", vec![container("train", ended())])]);
    let text: String = (0..10_000).map(|number| line(number, &format!("line {number}"))).collect();
    world.set_log(key("driver", "d", "train"), &text, true);
    bench.step(Phase::Failed).await;
    bench.archive(Limits { container_bytes: 4096, ..LIMITS }).await;
    world.remove_workload();
    let shown = bench.shown(driver()).await;
    assert_eq!(shown.first().map(String::as_str), Some("line 0"));
    assert_eq!(shown.last().map(String::as_str), Some("line 9999"));
    let gap = shown.iter().position(|line| line.starts_with("(The archive leaves out")).unwrap();
    assert!(gap > 0 && gap < shown.len() / 2, "{gap} of {}", shown.len());
    let tail = LogRequest { tail: Some(2), ..driver() };
    assert_eq!(bench.shown(tail).await, ["line 9998", "line 9999"]);
    let since = Timestamp::from_second(1_000_000 + 9_999).ok();
    let since = LogRequest { since, ..driver() };
    assert_eq!(bench.shown(since).await.last().unwrap(), "line 9999");
}

#[tokio::test]
async fn archiving_is_tried_again_until_the_cluster_answers() {
    let mut bench = Bench::on(&["member1", "member2"]).await;
    let world = bench.world.clone();
    world.set_pods("member1", "driver", vec![pod("d", vec![container("train", ended())])]);
    world.set_pods("member2", "driver", vec![pod("e", vec![container("train", ended())])]);
    world.set_log(key("driver", "d", "train"), &line(1, "one"), true);
    let other = LogKey { cluster: "member2".to_owned(), ..key("driver", "e", "train") };
    world.set_log(other, &line(2, "two"), true);
    world.set_error("member2", Some(away("member2")));
    bench.step(Phase::Succeeded).await;
    bench.archive(LIMITS).await;
    assert_eq!(bench.store.state(&bench.job.id).await.unwrap(), ArchiveState::Open { attempts: 1 });
    assert_eq!(world.queries.lock().unwrap().len(), 1);
    world.set_error("member2", None);
    bench.clock.advance(Duration::from_secs(1));
    bench.archive(LIMITS).await;
    assert_eq!(bench.store.state(&bench.job.id).await.unwrap(), ArchiveState::Closed);
    assert_eq!(world.queries.lock().unwrap().len(), 2, "the first was not read again");
    world.remove_workload();
    assert_eq!(bench.shown(driver()).await, ["[driver/d] one", "[driver/e] two"]);
}

#[tokio::test]
async fn cluster_that_never_answers_is_given_up_with_its_name() {
    let mut bench = Bench::new().await;
    bench.world.set_error("member1", Some(away("member1")));
    bench.world.set_unready(true);
    bench.step(Phase::Lost).await;
    bench.archive(LIMITS).await;
    assert_eq!(bench.store.kept(&bench.job.id).await.unwrap(), [], "it was not asked");
    bench.clock.advance(Duration::from_hours(25));
    bench.archive(LIMITS).await;
    assert_eq!(bench.store.state(&bench.job.id).await.unwrap(), ArchiveState::Closed);
    bench.world.remove_workload();
    let shown = bench.shown(LogRequest::default()).await;
    assert!(
        shown.iter().any(|line| line.contains("member1 does not answer: refused")),
        "{shown:?}"
    );
}

#[tokio::test]
async fn removal_waits_for_the_archive_but_not_for_long() {
    let bench = two_pods().await;
    let archiver = Archiver::new(bench.ports.clone(), LIMITS, "test");
    let asked = bench.ports.clock.now();
    let held = async || archiver.hold(&bench.job, asked).await.unwrap().is_some();
    assert!(held().await);
    assert!(held().await, "it was asked for and is not there");
    bench.archive(LIMITS).await;
    assert!(!held().await);

    let bench = two_pods().await;
    bench.world.set_error("member1", Some(away("member1")));
    let archiver = Archiver::new(bench.ports.clone(), LIMITS, "test");
    let held = async || archiver.hold(&bench.job, asked).await.unwrap().is_some();
    for tried in 0..3 {
        assert!(held().await, "after {tried} tries");
        bench.archive(LIMITS).await;
        bench.clock.advance(Duration::from_secs(5));
    }
    assert!(!held().await, "the cluster is away");

    let bench = two_pods().await;
    let archiver = Archiver::new(bench.ports.clone(), LIMITS, "test");
    assert!(archiver.hold(&bench.job, asked).await.unwrap().is_some());
    bench.clock.advance(Duration::from_secs(31));
    assert!(archiver.hold(&bench.job, asked).await.unwrap().is_none(), "nobody archives");

    let never = Job { submitted_at: None, ..bench.job.clone() };
    assert!(archiver.hold(&never, bench.ports.clock.now()).await.unwrap().is_none());
}

#[tokio::test]
async fn archived_logs_go_when_they_are_old_enough() {
    let mut bench = two_pods().await;
    bench.step(Phase::Succeeded).await;
    bench.archive(LIMITS).await;
    bench.world.remove_workload();
    let keep = Some(Duration::from_hours(48));
    let archiver = Archiver::new(bench.ports.clone(), Limits { keep, ..LIMITS }, "test");
    bench.clock.advance(Duration::from_hours(47));
    archiver.forget().await.unwrap();
    assert_eq!(bench.shown(LogRequest::default()).await.len(), 5);
    bench.clock.advance(Duration::from_hours(2));
    archiver.forget().await.unwrap();
    let shown = bench.shown(LogRequest::default()).await;
    assert!(shown[0].starts_with("(There is no pod and no archived log of this job."), "{shown:?}");
}
