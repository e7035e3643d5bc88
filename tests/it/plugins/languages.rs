//! Converters written in Python and JavaScript serve beside the ones in Rust, unchanged.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::guest;
use crate::harness::{Setup, until_within};

/// For an interpreter of 18 MB that nothing has compiled yet, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(4);

/// The component, or nothing with a loud line where its compiler could not be had.
fn built(name: &str) -> Option<PathBuf> {
    let file = std::env::var_os("TRAINYARD_EXAMPLES_DIR")
        .map(|dir| PathBuf::from(dir).join(format!("{name}.wasm")))
        .filter(|file| file.is_file());
    if file.is_none() {
        let required = std::env::var_os("TRAINYARD_REQUIRE_EXAMPLES");
        assert!(required.is_none_or(|value| value != "1"), "the example {name} was not built");
        eprintln!("SKIPPED: the example {name} was not built; `cargo xtask test` builds it");
    }
    file
}

/// Drops the example in, submits its own first example, and waits for the job to end well.
async fn trains(name: &str) {
    let Some(component) = built(name) else { return };
    let mut setup = Setup::sqlite().own_plugins();
    // This host is not optimised, and neither is its compiler.
    setup.env = vec![
        ("TRAINYARD__PLUGINS__COMPILE_CPU_SECONDS", "240".to_owned()),
        ("TRAINYARD__PLUGINS__COMPILE_SECONDS", "240".to_owned()),
    ];
    guest::install(&setup.plugins_dir(), "1.0.0");
    let app = setup.start().await;
    let file = app.plugins_dir().join(format!("{name}.wasm"));
    guest::put(&file, &std::fs::read(component).unwrap());
    let path = format!("/api/v1/algorithms/{name}");
    until_within(PATIENCE, "it serves", async || app.get(&path).await.status == 200).await;
    let algorithm = app.get(&path).await.body;
    let mut form = algorithm["examples"][0].clone();
    form["jobName"] = json!("foreign");
    let id = app.submit(&form).await;
    app.job_in_phase(&id, "Succeeded").await;
    let verified = app.post(&format!("/api/v1/jobs/{id}/verify"), &json!({})).await;
    assert_eq!(verified.body["verdict"], "same", "{}", verified.body);
}

#[tokio::test]
async fn converter_in_python_trains() {
    trains("catboost").await;
}

#[tokio::test]
async fn converter_in_javascript_trains() {
    trains("vowpal-wabbit").await;
}
