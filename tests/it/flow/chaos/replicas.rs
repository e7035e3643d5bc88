//! Several hosts on one database: one dies, or sleeps and wakes up in a world that went on.

use serde_json::json;
use sqlx::Connection as _;

use super::history::{History, ran_once};
use crate::harness::{App, Database, Host, Setup, until};

/// Hosts that notice within seconds that another one is gone.
pub(super) async fn postgres() -> Option<Setup> {
    let mut setup = Setup::postgres().await?;
    setup.env = vec![
        ("TRAINYARD__RECONCILE__LEASE_SECONDS", "4".to_owned()),
        ("TRAINYARD__KARMADA__CALL_TIMEOUT_SECONDS", "2".to_owned()),
    ];
    Some(setup)
}

/// How many intents the host holds the lease of.
async fn leases(app: &App, host: &Host) -> i64 {
    let Database::Postgres { url, .. } = &app.database else { panic!("only with PostgreSQL") };
    let mut connection = sqlx::PgConnection::connect(url).await.expect("the database");
    sqlx::query_scalar("SELECT count(*) FROM intents WHERE leased_by LIKE $1")
        .bind(format!("host-{}-%", host.pid()))
        .fetch_one(&mut connection)
        .await
        .expect("a count")
}

#[tokio::test]
async fn host_takes_over_what_a_killed_one_held() {
    let Some(setup) = postgres().await else { return };
    let mut app = setup.start().await;
    let other = app.another_host().await;
    let history = History::of([app.host.url.as_str(), other.url.as_str()]);
    app.sandbox.faults().hang("POST */rayjobs");
    let killing = async {
        history.reaches(8).await;
        until("both hosts hold leases", async || {
            leases(&app, &app.host).await > 0 && leases(&app, &other).await > 0
        })
        .await;
    };
    tokio::join!(history.load("early", 12, 4), killing);
    until("the first host holds leases", async || leases(&app, &app.host).await > 0).await;
    app.host.kill();
    assert!(leases(&app, &app.host).await > 0, "it left leases behind");
    app.sandbox.faults().clear();
    // Half of these are sent to the dead host first.
    history.load("late", 12, 4).await;
    app.host = other;
    history.check(&app).await;
}

#[tokio::test]
async fn host_that_slept_writes_nothing_of_jobs_that_are_gone() {
    let Some(setup) = postgres().await else { return };
    let mut app = setup.start().await;
    app.sandbox.faults().hang("POST */propagationpolicies");
    let sleeper = History::of([app.host.url.as_str()]);
    sleeper.load("slept", 6, 6).await;
    let names: Vec<String> = (0..6).map(|number| format!("slept-{number}")).collect();
    // Some are in the middle of being written, the others are not begun.
    until("policies are on their way", async || app.sandbox.faults().hanging() >= 2).await;
    app.host.pause();
    assert!(app.sandbox.faults().hanging() > 0, "the host gave up too early");
    app.sandbox.faults().clear();
    until("the answers wait for the sleeper", async || app.sandbox.faults().hanging() == 0).await;
    // Another host does it all, to the end and beyond.
    let other = app.another_host().await;
    let slept = std::mem::replace(&mut app.host, other);
    sleeper.use_hosts([app.host.url.as_str()]);
    sleeper.check(&app).await;
    let mut records = Vec::new();
    for name in &names {
        let id = sleeper.id(name);
        app.delete(&format!("/api/v1/jobs/{id}?volumes=delete")).await;
        app.job_gone(&id).await;
        let events = app.events(&id).await;
        records.push((id, events));
    }
    let mut awake = std::mem::replace(&mut app.host, slept);
    awake.kill();
    app.host.resume();
    // Once it has done another job, it has come past everything that it was in the middle of.
    let id = app.submit(&crate::harness::sample_form("awake")).await;
    app.job_in_phase(&id, "Succeeded").await;
    for (name, (id, events)) in names.iter().zip(&records) {
        assert_eq!(app.creations("rayjobs", name), 1, "{name}");
        assert!(app.members_with("ray.io/v1", "RayJob", name).is_empty(), "{name} runs again");
        let policy = format!("{name}-propagation");
        let api = "policy.karmada.io/v1alpha1";
        let policy = app.sandbox.get(None, api, "PropagationPolicy", "default", &policy);
        assert_eq!(policy, None);
        assert_eq!(&app.events(id).await, events, "its history is over");
    }
}

#[tokio::test]
async fn host_that_slept_in_an_apply_overwrites_nothing_that_is_newer() {
    let Some(setup) = postgres().await else { return };
    let mut app = setup.start().await;
    app.sandbox.faults().hang("POST */propagationpolicies");
    let id = app.submit(&crate::harness::sample_form("overtaken")).await;
    until("it is being written", async || app.sandbox.faults().hanging() == 1).await;
    app.host.pause();
    assert!(app.sandbox.faults().hanging() > 0, "the host gave up too early");
    app.sandbox.faults().clear();
    until("the answer waits for the sleeper", async || app.sandbox.faults().hanging() == 0).await;
    // Another host takes the job over once the lease has run out, and its user changes it.
    let other = app.another_host().await;
    let slept = std::mem::replace(&mut app.host, other);
    app.job_until(&id, |job| job["phase"] != "Queued").await;
    let answer = app.post(&format!("/api/v1/jobs/{id}/suspend"), &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    app.job_in_phase(&id, "Suspended").await;
    app.sandbox.settle().await;
    let template = || app.sandbox.get(None, "ray.io/v1", "RayJob", "default", "overtaken");
    let generation = |object: Option<serde_json::Value>| {
        let object = object.expect("it is there");
        (object["metadata"]["generation"].clone(), object["spec"]["suspend"].clone())
    };
    let (before, events) = (generation(template()), app.events(&id).await);
    assert_eq!(before.1, json!(true));
    let asked = app.sandbox.audit().len();
    let mut awake = std::mem::replace(&mut app.host, slept);
    awake.kill();
    app.host.resume();
    let next = app.submit(&crate::harness::sample_form("awake")).await;
    app.job_in_phase(&next, "Succeeded").await;
    let late: Vec<_> = app.sandbox.audit().into_iter().skip(asked).collect();
    let of_it: Vec<_> = late.iter().filter(|one| one.name.starts_with("overtaken")).collect();
    assert!(of_it.is_empty(), "the sleeper went on where it was: {of_it:#?}");
    assert_eq!(generation(template()), before);
    // Nor does it tell of the reports that waited for it in its connection.
    assert_eq!(app.events(&id).await, events);
    app.job_in_phase(&id, "Suspended").await;
    assert_eq!(app.creations("rayjobs", "overtaken"), 1);
    let answer = app.post(&format!("/api/v1/jobs/{id}/resume"), &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    app.job_in_phase(&id, "Succeeded").await;
    ran_once(&app, "overtaken", &id).await;
}

#[tokio::test]
async fn host_that_slept_in_a_deletion_leaves_the_next_job_of_the_name_alone() {
    let Some(setup) = postgres().await else { return };
    let mut app = setup.start().await;
    let first = app.submit(&crate::harness::sample_form("reborn")).await;
    app.job_in_phase(&first, "Succeeded").await;
    // The sleeper learns of the first job's workload, and acts on it when it wakes up.
    app.sandbox.faults().hang("GET */rayjobs/*");
    app.delete(&format!("/api/v1/jobs/{first}?volumes=delete")).await;
    until("it looks", async || app.sandbox.faults().hanging() == 1).await;
    app.host.pause();
    app.sandbox.faults().clear();
    until("the answer waits for it", async || app.sandbox.faults().hanging() == 0).await;
    let other = app.another_host().await;
    let slept = std::mem::replace(&mut app.host, other);
    app.job_gone(&first).await;
    let second = app.submit(&crate::harness::sample_form("reborn")).await;
    app.job_in_phase(&second, "Succeeded").await;
    let (ran_on, events) =
        (app.members_with("ray.io/v1", "RayJob", "reborn"), app.events(&second).await);
    let mut awake = std::mem::replace(&mut app.host, slept);
    awake.kill();
    app.host.resume();
    let id = app.submit(&crate::harness::sample_form("awake")).await;
    app.job_in_phase(&id, "Succeeded").await;
    ran_once(&app, "awake", &id).await;
    assert_eq!(app.members_with("ray.io/v1", "RayJob", "reborn"), ran_on);
    assert_eq!(app.creations("rayjobs", "reborn"), 2, "one of each job");
    assert_eq!(app.events(&second).await, events);
    assert_eq!(app.get(&format!("/api/v1/jobs/{second}")).await.body["lifecycle"], json!("Active"));
}

#[tokio::test]
async fn hosts_that_are_replaced_under_load_break_no_promise() {
    let Some(setup) = postgres().await else { return };
    let mut app = setup.start().await;
    let mut other = app.another_host().await;
    let history = History::of([app.host.url.as_str(), other.url.as_str()]);
    let replacing = async {
        for round in 1..=2 {
            history.reaches(6 * round).await;
            let next = app.another_host().await;
            let mut old = std::mem::replace(&mut app.host, next);
            let status = old.terminate().await;
            assert!(status.success(), "{status}:\n{}", old.log());
            assert_eq!(leases(&app, &old).await, 0, "nobody has to wait for what it held");
            // The one that is new takes the place of the one that is next to go.
            std::mem::swap(&mut app.host, &mut other);
            history.use_hosts([app.host.url.as_str(), other.url.as_str()]);
        }
    };
    tokio::join!(history.load("rolled", 24, 4), replacing);
    history.check(&app).await;
}

/// A library that lets a program see another time, if it is installed.
fn false_clock() -> Option<String> {
    let places = ["x86_64-linux-gnu", "aarch64-linux-gnu"];
    let path = |place| format!("/usr/lib/{place}/faketime/libfaketime.so.1");
    let found = places.map(path).into_iter().find(|path| std::path::Path::new(path).exists());
    if found.is_none() {
        eprintln!("SKIPPED: no libfaketime (Debian: apt-get install faketime)");
    }
    found
}

/// Sets the clock of the hosts that are started from now on.
fn set_clock(app: &mut App, library: &str, by: &str) {
    app.set_env("LD_PRELOAD", library);
    app.set_env("FAKETIME", by);
    app.set_env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    app.set_env("TRAINYARD__PLUGINS__ISOLATION", "in-process");
}

#[tokio::test]
async fn host_whose_clock_is_an_hour_fast_takes_nothing_from_others() {
    let (Some(setup), Some(library)) = (postgres().await, false_clock()) else { return };
    let mut app = setup.start().await;
    app.sandbox.faults().hang("POST */rayjobs");
    let id = app.submit(&crate::harness::sample_form("held")).await;
    until("the host holds the lease", async || leases(&app, &app.host).await == 1).await;
    set_clock(&mut app, &library, "+1h");
    let fast = app.another_host().await;
    // It looks four times a second. The lease is let go after two seconds and taken again by
    // either of them, but never held by both.
    for _ in 0..30 {
        let held = leases(&app, &app.host).await + leases(&app, &fast).await;
        assert!(held <= 1 && app.sandbox.faults().hanging() <= 1, "two of them write");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    app.sandbox.faults().clear();
    app.job_in_phase(&id, "Succeeded").await;
    ran_once(&app, "held", &id).await;
}

#[tokio::test]
async fn leases_of_a_host_whose_clock_was_an_hour_fast_end_in_time() {
    let (Some(setup), Some(library)) = (postgres().await, false_clock()) else { return };
    let mut app = setup.start().await;
    app.host.kill();
    let right = app.another_host().await;
    set_clock(&mut app, &library, "+1h");
    let mut fast = app.another_host().await;
    right.pause();
    app.sandbox.faults().hang("POST */rayjobs");
    let body = Some(crate::harness::sample_form("left").to_string());
    let answer = crate::harness::send(&fast.url, "POST", "/api/v1/jobs", body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    until("the fast host holds the lease", async || leases(&app, &fast).await == 1).await;
    fast.kill();
    app.sandbox.faults().clear();
    right.resume();
    app.host = right;
    let id = answer.body["id"].as_str().unwrap();
    app.job_in_phase(id, "Succeeded").await;
    ran_once(&app, "left", id).await;
}
