//! What a host serves that starts over a plugin directory which is not as it should be.

use super::guest;
use crate::harness::{App, Setup, until};

/// A host that has served version 1.0.0 of `trees` from `trees.wasm`, and has it on record.
async fn served_once() -> App {
    let setup = Setup::sqlite().own_plugins();
    guest::put(&setup.plugins_dir().join("trees.wasm"), &guest::component("1.0.0"));
    setup.start().await
}

async fn version(app: &App) -> Option<String> {
    let answer = app.post("/api/v1/render", &guest::form("trees")).await;
    Some(answer.body["plugin"]["version"].as_str()?.to_owned())
}

#[tokio::test]
async fn half_written_file_does_not_stop_its_plugin_from_serving_after_a_restart() {
    let mut app = served_once().await;
    let file = app.plugins_dir().join("trees.wasm");
    let next = guest::component("2.0.0");
    app.host.kill();
    std::fs::write(&file, &next[..next.len() / 2]).unwrap();
    app.restart().await;
    assert_eq!(version(&app).await.as_deref(), Some("1.0.0"));
    let list = app.get("/api/v1/plugins").await.body;
    let rejected = &list["rejected"][0];
    let reason = rejected["reason"].as_str().expect("a reason");
    assert!(reason.contains("it is not a component that this host can run"), "{list:#}");
    assert!(reason.ends_with("serving the last good version, 1.0.0"), "{list:#}");
    assert_eq!(rejected["lastGood"]["version"], "1.0.0");
    assert_eq!(rejected["lastGood"]["sha256"], list["plugins"][0]["versions"][0]["sha256"]);
    // Its writer comes back.
    guest::put(&file, &next);
    until("2.0.0 serves", async || version(&app).await.as_deref() == Some("2.0.0")).await;
    let list = app.get("/api/v1/plugins").await.body;
    assert_eq!(list["rejected"], serde_json::json!([]));
}

#[tokio::test]
async fn removed_file_does_not_come_back_with_a_restart() {
    let mut app = served_once().await;
    let file = app.plugins_dir().join("trees.wasm");
    app.host.kill();
    std::fs::remove_file(&file).unwrap();
    app.restart_unready().await;
    assert_eq!(version(&app).await, None);
    app.host.kill();
    std::fs::write(&file, "no component").unwrap();
    app.restart_unready().await;
    assert_eq!(version(&app).await, None);
    let list = app.get("/api/v1/plugins").await.body;
    assert!(list["rejected"][0].get("lastGood").is_none(), "{list:#}");
}
