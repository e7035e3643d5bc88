//! A version that costs its runner again and again, as operators see it: struck, put aside for the
//! version below it, on record, and back once somebody releases it.

use std::process::Command;
use std::time::Duration;

use plugin_runtime::testing::Guest;
use serde_json::{Value, json};

use super::guest;
use super::hostile::runners;
use super::surfaces::trainyard;
use crate::harness::{App, Setup, until, until_within};

/// Strikes of one plugin count at most once in five seconds, and three are needed.
const PATIENCE: Duration = Duration::from_mins(3);

/// A version that is at work until its deadline when a job is large.
fn shaky(version: &str) -> Guest {
    Guest {
        name: "shaky".to_owned(),
        algorithms: vec!["shaky".to_owned()],
        ..Guest::hostile("loop-on-large-jobs")
    }
    .version(version)
    .emits("workload", &guest::workload(version))
}

fn large() -> Value {
    let mut form = guest::form("shaky");
    for number in 0..8 {
        form["customHyperparameters"][format!("padding_{number}")] = json!("x".repeat(1000));
    }
    form
}

/// One version as the API shows it.
async fn version(app: &App, version: &str) -> Value {
    let plugin = app.get("/api/v1/plugins/shaky").await.body;
    let versions = plugin["versions"].as_array().expect("versions");
    versions.iter().find(|one| one["version"] == version).expect("it is loaded").clone()
}

/// Which version answers a small job.
async fn serving(app: &App) -> Value {
    let answer = app.post("/api/v1/render", &guest::form("shaky")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["plugin"]["version"].clone()
}

/// Kills whatever runner is at work.
fn kill_busy_runners(host: u32) {
    for pid in runners(host) {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        if state == Some('R') {
            // It may have ended meanwhile.
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    }
}

/// Converts a large job, and takes away each runner that works on it.
async fn lose_runners(app: &App) {
    let form = large();
    let call = app.post("/api/v1/render", &form);
    let kill = until_within(PATIENCE, "the call ends", async || {
        kill_busy_runners(app.host.pid());
        false
    });
    tokio::select! {
        answer = call => assert!(answer.status >= 500, "{}", answer.body),
        () = kill => {}
    }
}

#[tokio::test]
async fn version_that_loses_its_runner_again_and_again_is_put_aside_until_it_is_released() {
    let setup = Setup::sqlite().own_plugins();
    let dir = setup.plugins_dir();
    guest::install(&dir, "1.0.0");
    guest::put(&dir.join("shaky-1.wasm"), &shaky("1.0.0").build());
    guest::put(&dir.join("shaky-2.wasm"), &shaky("2.0.0").build());
    let app = setup.start().await;
    assert_eq!(serving(&app).await, "2.0.0");
    let id = app.submit(&guest::form("shaky")).await;
    let before = app.job_in_phase(&id, "Submitted").await;
    assert_eq!(before["plugin"]["version"], "2.0.0");

    until_within(PATIENCE, "2.0.0 is in quarantine", async || {
        lose_runners(&app).await;
        version(&app, "2.0.0").await["state"] == "Quarantined"
    })
    .await;
    let aside = version(&app, "2.0.0").await;
    assert!(aside.to_string().contains("lost its process three times"), "{aside:#}");
    // The version below serves, though it is the same guest: strikes are a version's own.
    assert_eq!(serving(&app).await, "1.0.0");
    assert_eq!(version(&app, "1.0.0").await["state"], "Active");
    let neighbour = app.post("/api/v1/render", &guest::form("trees")).await;
    assert_eq!(neighbour.status, 200, "{}", neighbour.body);
    let metrics = app.get("/metrics").await.body;
    let line = "trainyard_plugin_quarantined{plugin=\"shaky\",version=\"2.0.0\"} 1";
    assert!(metrics.as_str().is_some_and(|text| text.contains(line)), "{metrics}");
    // The job that it made stays as it is, and is proven again once it may be called.
    assert_eq!(app.get(&format!("/api/v1/jobs/{id}")).await.body["phase"], "Submitted");
    let verify = format!("/api/v1/jobs/{id}/verify");
    let refused = app.post(&verify, &json!({})).await;
    assert_eq!((refused.status, &refused.body["code"]), (503, &json!("plugin-quarantined")));

    // Without a version below it, users are told so.
    std::fs::remove_file(dir.join("shaky-1.wasm")).unwrap();
    until("nothing serves", async || {
        let plugin = app.get("/api/v1/plugins/shaky").await.body;
        let versions = plugin["versions"].as_array().expect("versions");
        versions.iter().all(|version| version["state"] != "Active")
    })
    .await;
    let answer = app.post("/api/v1/jobs", &guest::form("shaky")).await;
    assert_eq!((answer.status, &answer.body["code"]), (503, &json!("plugin-quarantined")));

    let digest = aside["sha256"].as_str().expect("a digest");
    let release = format!("/api/v1/plugins/shaky/versions/{digest}/release");
    let (code, text) = trainyard(&app, &["plugins", "release", "shaky", digest]).await;
    assert_eq!(code, 0, "{text}");
    assert_eq!(version(&app, "2.0.0").await["state"], "Active");
    assert_eq!(serving(&app).await, "2.0.0");
    assert_eq!(app.post(&verify, &json!({})).await.body["verdict"], "same");
    let again = app.send_as("ada", "POST", &release, None).await;
    assert_eq!(again.status, 409, "{}", again.body);
    until("both are on record", async || {
        let events = app.get("/api/v1/plugins/shaky/events").await.body;
        let items = events["items"].as_array().expect("a page").clone();
        let by = |kind: &str, actor: &str| {
            items.iter().filter(|item| item["kind"] == kind && item["actor"] == actor).count()
        };
        by("Quarantined", "host") == 1 && by("Released", "ada") == 1
    })
    .await;
}

#[tokio::test]
async fn runner_that_falls_silent_is_killed_and_replaced() {
    let mut setup = Setup::sqlite().own_plugins();
    setup.env = vec![("TRAINYARD__PLUGINS__RUNNERS", "2".to_owned())];
    guest::install(&setup.plugins_dir(), "1.0.0");
    let app = setup.start().await;
    let first = runners(app.host.pid());
    assert_eq!(first.len(), 2);
    for pid in &first {
        let stopped = Command::new("kill").args(["-STOP", &pid.to_string()]).status();
        assert!(stopped.expect("`kill` runs").success());
    }
    let answer = app.post("/api/v1/render", &guest::form("trees")).await;
    assert!(answer.status >= 500, "{}", answer.body);
    until_within(PATIENCE, "trees serves again", async || {
        app.post("/api/v1/render", &guest::form("trees")).await.status == 200
    })
    .await;
    let second = runners(app.host.pid());
    assert!(first.iter().any(|pid| !second.contains(pid)), "{first:?}, {second:?}");
}
