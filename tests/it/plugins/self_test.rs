//! A new version that fails on its own examples: it never serves, and the one before it does.

use plugin_runtime::testing::{Guest, HOSTILE};
use serde_json::Value;

use super::guest;
use crate::harness::{App, Setup, until};

/// Version 2.0.0 of `trees`, which does on every job what a hostile guest does.
fn failing(how: &str) -> Vec<u8> {
    let (_, fragment) = HOSTILE.iter().find(|(name, _)| *name == how).expect("a hostile guest");
    Guest { manifests: Vec::new(), ..guest::trees("2.0.0") }.with(fragment).build()
}

async fn version(app: &App) -> Value {
    let answer = app.post("/api/v1/render", &guest::form("trees")).await;
    answer.body["plugin"]["version"].clone()
}

/// The reason for which `next.wasm` is rejected.
async fn rejection(app: &App) -> String {
    let mut reason = String::new();
    until("next.wasm is rejected", async || {
        let list = app.get("/api/v1/plugins").await.body;
        let rejected = list["rejected"].as_array().expect("a list");
        let ours = rejected.iter().find(|file| file["file"] == "next.wasm");
        reason = ours.map(|file| file["reason"].to_string()).unwrap_or_default();
        !reason.is_empty()
    })
    .await;
    reason
}

#[tokio::test]
async fn version_that_fails_on_its_own_example_never_serves() {
    let setup = Setup::sqlite().own_plugins();
    guest::install(&setup.plugins_dir(), "1.0.0");
    let app = setup.start().await;
    let next = app.plugins_dir().join("next.wasm");
    for (how, why) in [
        ("trap", "it fails on its own example 0: plugin `trees` failed in `convert`"),
        ("huge-string", "it fails on its own example 0: plugin `trees` failed in `convert`"),
        ("loop", "it fails on its own example 0: plugin `trees` did not finish"),
    ] {
        guest::put(&next, &failing(how));
        let reason = rejection(&app).await;
        assert!(reason.contains(why), "{how}: {reason}");
        assert_eq!(version(&app).await, "1.0.0", "beside {how}");
        std::fs::remove_file(&next).unwrap();
        until("the rejection is gone", async || {
            app.get("/api/v1/plugins").await.body["rejected"] == Value::Array(Vec::new())
        })
        .await;
    }
    guest::put(&next, &guest::component("2.0.0"));
    until("2.0.0 serves", async || version(&app).await == "2.0.0").await;
}
