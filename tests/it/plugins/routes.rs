//! Two versions of one plugin: who is served by which, and what is on record about it.

use serde_json::{Value, json};

use super::guest;
use crate::harness::{Answer, App, Setup, until};

/// A host with versions 1.0.0 and 1.1.0 of `trees`.
async fn two_versions() -> App {
    let setup = Setup::sqlite().own_plugins();
    let dir = setup.plugins_dir();
    guest::install(&dir, "1.0.0");
    guest::install(&dir, "1.1.0");
    setup.start().await
}

fn form(namespace: &str) -> Value {
    let algorithm = json!({"algorithmName": "trees"});
    json!({"jobName": guest::JOB, "namespace": namespace, "algorithm": algorithm})
}

/// The version that serves a job of this namespace.
async fn serving(app: &App, namespace: &str) -> String {
    let answer = app.post("/api/v1/render", &form(namespace)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let image = &answer.body["manifests"][0]["document"]["spec"]["template"]["spec"]["containers"]
        [0]["image"];
    let version = answer.body["plugin"]["version"].as_str().expect("a version");
    assert_eq!(image.as_str(), Some(format!("trees:{version}").as_str()), "it made the manifests");
    version.to_owned()
}

async fn decide(app: &App, method: &str, what: &str, body: Option<Value>) -> Answer {
    let path = format!("/api/v1/plugins/trees/{what}");
    let answer = app.send_as("ada", method, &path, body.as_ref()).await;
    assert_eq!(answer.status, 200, "{method} {what}: {}", answer.body);
    answer
}

/// What was decided, oldest first, with who did it.
async fn decisions(app: &App) -> Vec<(String, String)> {
    let answer = app.get("/api/v1/plugins/trees/events").await;
    let items = answer.body["items"].as_array().expect("a page").clone();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    items
        .iter()
        .rev()
        .filter(|event| event["actor"] != "host")
        .map(|event| (text(&event["kind"]), text(&event["actor"])))
        .collect()
}

#[tokio::test]
async fn highest_version_serves_until_another_is_pinned_and_a_restart_keeps_the_pin() {
    let mut app = two_versions().await;
    assert_eq!(serving(&app, "team-a").await, "1.1.0");
    decide(&app, "PUT", "pin", Some(json!({"version": "1.0.0"}))).await;
    assert_eq!(serving(&app, "team-a").await, "1.0.0");
    app.kill_and_restart().await;
    // The host is ready, so it knows the pin.
    assert_eq!(serving(&app, "team-a").await, "1.0.0");
    decide(&app, "DELETE", "pin", None).await;
    assert_eq!(serving(&app, "team-a").await, "1.1.0");
    let ada = |kind: &str| (kind.to_owned(), "ada".to_owned());
    assert_eq!(decisions(&app).await, [ada("Pinned"), ada("Unpinned")]);
}

#[tokio::test]
async fn canary_serves_its_namespace_is_promoted_and_rolled_back() {
    let app = two_versions().await;
    let canary = json!({"version": "1.1.0", "percent": 0, "namespaces": ["team-a"]});
    decide(&app, "PUT", "canary", Some(canary)).await;
    assert_eq!(serving(&app, "team-a").await, "1.1.0");
    assert_eq!(serving(&app, "team-b").await, "1.0.0");
    let plugin = app.get("/api/v1/plugins/trees").await.body;
    let states: Vec<(&Value, &Value)> = plugin["versions"]
        .as_array()
        .expect("versions")
        .iter()
        .map(|version| (&version["version"], &version["state"]))
        .collect();
    assert_eq!(states, [(&json!("1.1.0"), &json!("Canary")), (&json!("1.0.0"), &json!("Active"))]);

    decide(&app, "POST", "promote", None).await;
    assert_eq!(serving(&app, "team-b").await, "1.1.0");
    decide(&app, "POST", "rollback", None).await;
    assert_eq!(serving(&app, "team-a").await, "1.0.0");
    let kinds: Vec<String> = decisions(&app).await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["CanaryStarted", "Promoted", "RolledBack"]);
}

#[tokio::test]
async fn canary_serves_its_share_and_the_same_job_always_the_same() {
    let app = two_versions().await;
    let each = async || {
        let mut served = Vec::new();
        for team in 0..32 {
            served.push(serving(&app, &format!("team-{team}")).await);
        }
        served
    };
    for (percent, least, most) in [(0, 0, 0), (50, 1, 31), (100, 32, 32)] {
        let canary = json!({"version": "1.1.0", "percent": percent, "namespaces": []});
        decide(&app, "PUT", "canary", Some(canary)).await;
        let served = each().await;
        let tried = served.iter().filter(|version| *version == "1.1.0").count();
        assert!((least..=most).contains(&tried), "{percent} %: {tried} of 32");
        assert_eq!(each().await, served, "{percent} %");
    }
}

#[tokio::test]
async fn pinned_version_stays_although_a_higher_one_is_dropped_in() {
    let app = two_versions().await;
    decide(&app, "PUT", "pin", Some(json!({"version": "1.1.0"}))).await;
    guest::install(&app.plugins_dir(), "2.0.0");
    until("version 2.0.0 is loaded", async || {
        let plugin = app.get("/api/v1/plugins/trees").await.body;
        plugin["versions"].as_array().is_some_and(|versions| versions.len() == 3)
    })
    .await;
    assert_eq!(serving(&app, "team-a").await, "1.1.0");
    decide(&app, "DELETE", "pin", None).await;
    assert_eq!(serving(&app, "team-a").await, "2.0.0");
}

#[tokio::test]
async fn rejected_file_is_listed_with_its_reason_and_is_in_the_history() {
    let setup = Setup::sqlite().own_plugins();
    guest::install(&setup.plugins_dir(), "1.0.0");
    std::fs::write(setup.plugins_dir().join("broken.wasm"), "no component").unwrap();
    let app = setup.start().await;
    let list = app.get("/api/v1/plugins").await.body;
    assert_eq!(list["plugins"][0]["name"], "trees");
    assert_eq!(list["rejected"][0]["file"], "broken.wasm");
    until("the rejection is on record", async || {
        let page = app.get("/api/v1/plugins/broken.wasm/events").await.body;
        let kind = page["items"][0]["kind"].as_str().map(str::to_owned);
        kind.is_some_and(|kind| kind == "Rejected")
    })
    .await;
    let loud = "Plugin `trees` 1.0.0 is not signed by a trusted key";
    assert!(app.host.log().contains(loud), "{}", app.host.log());
    let metrics = app.get("/metrics").await.body;
    let metrics = metrics.as_str().expect("text");
    assert!(metrics.contains("trainyard_plugin_files_rejected 1"), "{metrics}");
    assert!(metrics.contains("trainyard_plugins{state=\"active\"} 1"), "{metrics}");
}

#[tokio::test]
async fn pinned_version_outlives_its_file_and_a_restart() {
    let mut app = two_versions().await;
    decide(&app, "PUT", "pin", Some(json!({"version": "1.0.0"}))).await;
    std::fs::remove_file(guest::file(&app.plugins_dir(), "1.0.0")).unwrap();
    app.kill_and_restart().await;
    assert_eq!(serving(&app, "team-a").await, "1.0.0");
    let version = app.get("/api/v1/plugins/trees").await.body;
    assert!(version.to_string().contains("An operator pinned it."), "{version:#}");
}

#[tokio::test]
async fn only_signed_versions_serve_where_signatures_are_required() {
    let mut app = two_versions().await;
    decide(&app, "PUT", "pin", Some(json!({"version": "1.0.0"}))).await;
    std::fs::remove_file(guest::file(&app.plugins_dir(), "1.0.0")).unwrap();
    // A key that nobody holds.
    let key = format!("RWQ{}", "A".repeat(53));
    app.host.kill();
    app.set_env("TRAINYARD__PLUGINS__TRUSTED_KEYS", &key);
    app.set_env("TRAINYARD__PLUGINS__REQUIRE_SIGNATURE", "true");
    app.restart_unready().await;
    // Neither the file that is there, nor the pinned version from the archive.
    let answer = app.post("/api/v1/render", &form("team-a")).await;
    assert_eq!(answer.body["code"], "unknown-algorithm", "{}", answer.body);
    let list = app.get("/api/v1/plugins").await.body;
    let reason = list["rejected"][0]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains("not signed by a trusted key"), "{list:#}");
}
