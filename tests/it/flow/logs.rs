//! Logs of jobs: while they run, when they are over, and after their deletion.

use serde_json::{Value, json};
use training::Timestamp;

use crate::harness::{App, Event, Setup, sample_form, until};

const FINISHED: &str = "Training finished.";

/// The logs as they are now, as text.
async fn logs(app: &App, id: &str, query: &str) -> String {
    let answer = app.get(&format!("/api/v1/jobs/{id}/logs?{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.header("content-type").starts_with("text/plain"));
    match answer.body {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn lines_with<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.contains(word)).collect()
}

/// What the driver wrote, which is the same whenever it is read once it has ended.
async fn driver(app: &App, id: &str) -> String {
    logs(app, id, "role=driver").await
}

/// Waits until the logs come from the archive alone, because the pods are gone.
async fn archived(app: &App, id: &str) -> String {
    let mut text = String::new();
    until("the logs are archived", async || {
        let answer = app.get(&format!("/api/v1/jobs/{id}/logs?role=driver")).await;
        text = answer.body.as_str().unwrap_or_default().to_owned();
        answer.status == 200 && !text.contains("[trainyard]") && !text.is_empty()
    })
    .await;
    text
}

#[tokio::test]
async fn running_job_is_followed_to_its_end_as_text() {
    let app = Setup::sqlite().speed(2.0).start().await;
    let id = app.submit(&sample_form("spoken")).await;
    // From before the first pod to the end, on one connection, which a client that takes
    // compressed answers opens.
    let path = format!("/api/v1/jobs/{id}/logs?follow=true");
    let answer = app.open(&path, &[("accept-encoding", "gzip")]).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().get("content-encoding").is_none(), "lines would be held back");
    let text = answer.text().await.expect("the stream ends by itself");
    for part in ["[driver/spoken-", "[head/", "[worker/", "Ray runtime started.", FINISHED] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    let live: Vec<&str> = lines_with(&text, "[driver/");
    let live: Vec<&str> = live.iter().filter_map(|line| Some(line.split_once("] ")?.1)).collect();
    let after = driver(&app, &id).await;
    assert_eq!(live, after.lines().collect::<Vec<_>>(), "no line is lost or twice");
    assert!(lines_with(&text, "train-loss").len() >= 4, "{text}");
    app.job_in_phase(&id, "Succeeded").await;
}

#[tokio::test]
async fn events_lead_on_after_each_of_their_lines() {
    let app = Setup::sqlite().speed(2.0).start().await;
    let id = app.submit(&sample_form("events")).await;
    let path = format!("/api/v1/jobs/{id}/logs?follow=true&role=driver");
    let events = app.events_of(&path, None).await;
    let last = events.last().expect("events");
    assert_eq!((last.name.as_str(), &last.data), ("end", &json!({"phase": "Succeeded"})));
    let lines: Vec<&Event> = events.iter().filter(|event| event.name == "line").collect();
    assert!(lines.len() > 6, "{events:#?}");
    let first = &lines[0].data;
    assert_eq!(
        (&first["role"], &first["container"]),
        (&json!("driver"), &json!("ray-job-submitter"))
    );
    assert!(first["at"].is_string() && first["cluster"].is_string(), "{first}");
    assert!(first.get("prefix").is_none(), "one pod needs none: {first}");
    for (index, line) in lines.iter().enumerate().step_by(3) {
        let rest = app.events_of(&path, line.id.as_deref()).await;
        let rest: Vec<&Value> =
            rest.iter().filter(|event| event.name == "line").map(|event| &event.data).collect();
        let expected: Vec<&Value> = lines[index + 1..].iter().map(|line| &line.data).collect();
        assert_eq!(rest, expected, "after line {index}");
    }
}

#[tokio::test]
async fn lines_are_chosen_by_tail_time_container_replica_and_role() {
    let app = Setup::sqlite().speed(0.5).start().await;
    let id = app.submit(&sample_form("chosen")).await;
    app.job_in_phase(&id, "Running").await;
    // The operator takes head and worker away when the run is over; they wrote all they ever will.
    let worker = logs(&app, &id, "container=ray-worker").await;
    assert!(worker.contains("This node joined the cluster."), "{worker}");
    assert!(!worker.contains("[worker/"), "one pod needs no prefix: {worker}");
    let first = logs(&app, &id, "replica=0").await;
    assert_eq!(lines_with(&first, "This node joined the cluster.").len(), 1, "{first}");
    assert!(first.lines().all(|line| line.starts_with('[')), "{first}");
    app.job_in_phase(&id, "Succeeded").await;
    let all = logs(&app, &id, "timestamps=true&role=driver").await;
    let times: Vec<&str> = all.lines().filter_map(|line| Some(line.split_once(' ')?.0)).collect();
    let parsed: Vec<Timestamp> = times.iter().map(|at| at.parse().expect("a time")).collect();
    assert!(parsed.is_sorted() && times.len() > 3, "{all}");
    let tail = logs(&app, &id, "role=driver&tail=2").await;
    assert_eq!(tail.lines().count(), 2);
    assert!(tail.ends_with(&format!("{FINISHED}\n")), "{tail}");
    assert_eq!(logs(&app, &id, "role=driver&tailLines=2").await, tail, "as Kubernetes calls it");
    let since = format!("role=driver&since={}", times[2]);
    assert_eq!(logs(&app, &id, &since).await.lines().count(), times.len() - 2);
    assert_eq!(logs(&app, &id, "role=driver&since=1h").await.lines().count(), times.len());

    for query in
        ["since=never", "follow=maybe", "format=xml", "tail=-1", "role=nobody", "replica=99"]
    {
        let answer = app.get(&format!("/api/v1/jobs/{id}/logs?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.body);
        assert_eq!(answer.body["code"], "invalid-parameter", "{query}");
    }
    assert_eq!(app.get("/api/v1/jobs/nobody-00000000/logs").await.status, 404);
}

async fn logs_outlive_the_job(app: App) {
    let id = app.submit(&sample_form("kept")).await;
    app.job_in_phase(&id, "Succeeded").await;
    let before = driver(&app, &id).await;
    assert!(before.contains(FINISHED), "{before}");
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    app.job_gone(&id).await;
    assert_eq!(app.get(&format!("/api/v1/jobs/{id}")).await.status, 404);
    assert_eq!(driver(&app, &id).await, before);
    // The operator takes these pods away at once: they were read in time, or it is said.
    let all = logs(&app, &id, "").await;
    for role in ["head", "worker"] {
        let read = all.contains(&format!("[{role}/kept"));
        assert!(read || all.contains(&format!("Logs of role {role}")), "{all}");
    }
    assert_eq!(logs(&app, &id, "role=driver&tail=1").await, format!("{FINISHED}\n"));
    // There is nothing to follow; the answer is whole all the same.
    assert_eq!(logs(&app, &id, "role=driver&follow=true").await, before);
}

#[tokio::test]
async fn logs_are_there_after_deletion_with_sqlite() {
    logs_outlive_the_job(Setup::sqlite().start().await).await;
}

#[tokio::test]
async fn logs_are_there_after_deletion_with_postgres() {
    let Some(setup) = Setup::postgres().await else { return };
    logs_outlive_the_job(setup.start().await).await;
}

#[tokio::test]
async fn logs_of_a_stopped_job_are_archived_before_its_pods_go() {
    let app = Setup::sqlite().speed(0.5).start().await;
    let id = app.submit(&sample_form("halted")).await;
    app.job_in_phase(&id, "Running").await;
    until("the driver writes", async || {
        let answer = app.get(&format!("/api/v1/jobs/{id}/logs?role=driver")).await;
        answer.body.as_str().is_some_and(|text| text.contains("Loading data."))
    })
    .await;
    app.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).await;
    app.job_in_phase(&id, "Cancelled").await;
    until("the pods are gone", async || {
        ["member1", "member2"]
            .iter()
            .all(|member| app.sandbox.list(Some(member), "v1", "Pod").is_empty())
    })
    .await;
    let text = archived(&app, &id).await;
    assert!(text.contains("Starting halted-") && text.contains("Loading data."), "{text}");
}

#[tokio::test]
async fn archiving_that_a_kill_interrupted_is_finished() {
    let mut app = Setup::sqlite().start().await;
    // The archive waits for a log that does not come; a reader would, too.
    app.sandbox.faults().hang("GET */log");
    let id = app.submit(&sample_form("cut")).await;
    app.job_in_phase(&id, "Succeeded").await;
    until("the archive has begun to read", async || {
        app.host.log().contains(&format!("Archiving the logs of job `{id}`"))
    })
    .await;
    app.host.kill();
    app.sandbox.faults().clear();
    app.restart().await;
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    app.job_gone(&id).await;
    let text = archived(&app, &id).await;
    assert!(text.ends_with(&format!("{FINISHED}\n")), "{text}");
}

#[tokio::test]
async fn cluster_that_cannot_be_read_is_named_and_never_guessed_about() {
    let app = Setup::sqlite().speed(0.2).start().await;
    let id = app.submit(&sample_form("remote")).await;
    let job = app.job_in_phase(&id, "Running").await;
    let cluster = job["clusters"][0].as_str().unwrap().to_owned();
    app.sandbox.faults().fail_share("GET */proxy/api/v1/namespaces/default/pods", 403, 100);
    let answer = app.get(&format!("/api/v1/jobs/{id}/logs")).await;
    assert_eq!((answer.status, &answer.body["code"]), (503, &json!("logs-unavailable")));
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains(&format!("No access to cluster {cluster}")), "{detail}");
    assert!(!answer.header("retry-after").is_empty());
    app.sandbox.faults().clear();
    app.sandbox.faults().member_down(&cluster);
    let answer = app.get(&format!("/api/v1/jobs/{id}/logs")).await;
    let detail = answer.body["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(&format!("Cluster {cluster} does not answer")), "{}", answer.body);
    // Whoever follows is told, and goes on when the cluster is back.
    let path = format!("/api/v1/jobs/{id}/logs?follow=true&format=sse");
    let mut stream = app.stream_of(&path).await;
    let said = stream.until(|event| event.name == "error").await;
    let message = said.data["message"].as_str().unwrap().to_owned();
    assert!(message.contains(&cluster), "{message}");
    app.sandbox.faults().member_up(&cluster);
    stream.until(|event| event.name == "line").await;
}

#[tokio::test]
async fn reader_that_stands_still_or_leaves_gives_its_place_back() {
    let mut setup = Setup::sqlite().speed(0.2);
    setup.env.push(("TRAINYARD__LOGS__MAX_STREAMS", "1".to_owned()));
    let app = setup.start().await;
    let id = app.submit(&sample_form("slow")).await;
    app.job_in_phase(&id, "Running").await;
    let path = format!("/api/v1/jobs/{id}/logs?follow=true");
    // Read no further than its head.
    let silent = app.open(&path, &[]).await;
    assert_eq!(silent.status(), 200);
    let refused = app.get(&format!("/api/v1/jobs/{id}/logs")).await;
    assert_eq!((refused.status, &refused.body["code"]), (503, &json!("overloaded")));
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(app.get(&format!("/api/v1/jobs/{id}")).await.status, 200, "others are served");
    drop(silent);
    until("the place is free", async || {
        app.get(&format!("/api/v1/jobs/{id}/logs")).await.status == 200
    })
    .await;
}

/// Resident memory of a process in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Reads all of a log that does not end; how many bytes are there is known.
async fn read(log: &mut reqwest::Response, bytes: usize) {
    let mut read = 0;
    while read < bytes {
        let chunk = log.chunk().await.expect("the log goes on");
        read += chunk.expect("there is more").len();
    }
}

#[tokio::test]
async fn log_that_nobody_reads_stays_where_it_is() {
    const NOISE: usize = 32 << 20;
    let app = Setup::sqlite().speed(0.2).start().await;
    for member in ["member1", "member2"] {
        let faults = app.sandbox.faults();
        let bytes = NOISE.to_string();
        faults.annotate(Some(member), "Pod", "*", "sandbox.trainyard.dev/log-noise-bytes", &bytes);
    }
    let id = app.submit(&sample_form("loud")).await;
    app.job_in_phase(&id, "Running").await;
    let path = format!("/api/v1/jobs/{id}/logs?follow=true&role=driver");
    let before = resident(app.host.pid());
    let mut silent = Vec::new();
    for _ in 0..4 {
        let log = app.open(&path, &[]).await;
        assert_eq!(log.status(), 200);
        silent.push(log);
    }
    // Whoever reads has it all by now; so the others could have it, too.
    let mut quick = app.open(&path, &[]).await;
    read(&mut quick, NOISE / 2).await;
    let grown = resident(app.host.pid()).saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB for logs of {NOISE} bytes that nobody reads");
    // They were only waiting.
    let mut late = silent.pop().expect("a reader");
    read(&mut late, NOISE / 2).await;
}

#[tokio::test]
async fn host_that_stops_ends_its_streams_and_another_one_goes_on() {
    let mut app = Setup::sqlite().speed(0.5).start().await;
    let id = app.submit(&sample_form("moved")).await;
    app.job_in_phase(&id, "Running").await;
    let path = format!("/api/v1/jobs/{id}/logs?follow=true&format=sse&role=driver");
    let mut stream = app.stream_of(&path).await;
    let mut seen = vec![stream.until(|event| event.name == "line").await];
    let status = app.host.terminate().await;
    assert!(status.success(), "{status}:\n{}", app.host.log());
    while let Some(event) = stream.next().await {
        assert_ne!(event.name, "end", "the logs have not ended");
        seen.extend((event.name == "line").then_some(event));
    }
    app.restart().await;
    let last = seen.last().and_then(|event| event.id.clone());
    let rest = app.events_of(&path, last.as_deref()).await;
    assert_eq!(rest.last().unwrap().name, "end");
    seen.extend(rest.into_iter().filter(|event| event.name == "line"));
    let seen: Vec<&str> = seen.iter().filter_map(|event| event.data["text"].as_str()).collect();
    assert_eq!(seen, driver(&app, &id).await.lines().collect::<Vec<_>>());
}

#[tokio::test]
async fn what_operators_declare_secret_is_neither_shown_nor_kept() {
    let mut setup = Setup::sqlite();
    setup.env.push(("TRAINYARD__LOGS__REDACT", r"train-loss:(\S+)".to_owned()));
    let app = setup.start().await;
    let id = app.submit(&sample_form("secret")).await;
    app.job_in_phase(&id, "Succeeded").await;
    let shown = driver(&app, &id).await;
    assert!(!lines_with(&shown, "train-loss:***").is_empty(), "{shown}");
    assert!(!shown.contains("train-loss:0"), "{shown}");
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    app.job_gone(&id).await;
    assert_eq!(driver(&app, &id).await, shown);
}
