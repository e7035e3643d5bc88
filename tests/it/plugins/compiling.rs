//! What a compilation may cost: it runs in a process of its own, and that process has an end.

use plugin_runtime::testing::{Guest, compilation_bomb};

use super::guest;
use super::hostile::children;
use crate::harness::{App, Setup, until};

/// What a compiler is called among the processes of a host.
const COMPILER: &str = "__plugin-compiler";

async fn reason_of(app: &App, file: &str) -> Option<String> {
    let list = app.get("/api/v1/plugins").await.body;
    let rejected = list["rejected"].as_array()?.iter().find(|each| each["file"] == file)?;
    Some(rejected["reason"].as_str()?.to_owned())
}

/// A host with one bound, into which a component is dropped that no compiler gets done with.
async fn bounded(setting: &'static str, value: &str, why: &str) {
    let mut setup = Setup::sqlite().own_plugins();
    setup.env = vec![(setting, value.to_owned())];
    guest::install(&setup.plugins_dir(), "1.0.0");
    let app = setup.start().await;
    guest::put(&app.plugins_dir().join("bomb.wasm"), &compilation_bomb());
    // Dropped in after it, and served whether or not the other is still being compiled.
    let bush = Guest::good("bush").emits("workload", &guest::workload("1"));
    guest::put(&app.plugins_dir().join("bush.wasm"), &bush.build());
    until("bush serves", async || app.get("/api/v1/algorithms/bush").await.status == 200).await;
    until("the other is rejected", async || reason_of(&app, "bomb.wasm").await.is_some()).await;
    let reason = reason_of(&app, "bomb.wasm").await.unwrap_or_default();
    assert!(reason.contains(why), "{reason}");
    until("its compiler is gone", async || children(app.host.pid(), COMPILER).is_empty()).await;
    let answer = app.post("/api/v1/render", &guest::form("trees")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn component_that_costs_the_compiler_too_much_is_rejected_and_keeps_nobody_waiting() {
    bounded("TRAINYARD__PLUGINS__COMPILE_CPU_SECONDS", "1", "used up its processor time").await;
}

#[tokio::test]
async fn compiler_that_takes_too_long_is_killed() {
    // Enough for every other component of the test, also on a busy machine.
    bounded("TRAINYARD__PLUGINS__COMPILE_SECONDS", "8", "took more than 8 s").await;
}

#[tokio::test]
async fn component_that_wants_a_larger_table_than_any_may_have_is_rejected() {
    let setup = Setup::sqlite().own_plugins();
    guest::install(&setup.plugins_dir(), "1.0.0");
    let greedy = Guest::good("greedy").with("(table 100000 funcref)");
    guest::put(&setup.plugins_dir().join("greedy.wasm"), &greedy.build());
    let app = setup.start().await;
    let reason = reason_of(&app, "greedy.wasm").await.unwrap_or_default();
    assert!(reason.contains("table"), "{reason}");
    let answer = app.post("/api/v1/render", &guest::form("trees")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn compiled_code_that_was_exchanged_on_disk_is_not_run() {
    let mut setup = Setup::sqlite().own_plugins();
    let cache = tempfile::tempdir().unwrap();
    setup.env = vec![("TRAINYARD__PLUGINS__CACHE_DIR", cache.path().display().to_string())];
    guest::install(&setup.plugins_dir(), "1.0.0");
    let mut app = setup.start().await;
    let compiled = || {
        let entries = std::fs::read_dir(cache.path().join("code")).expect("the cache");
        let files = entries.map(|entry| entry.expect("an entry").path());
        files.filter(|path| path.extension().is_some_and(|end| end == "cwasm")).collect::<Vec<_>>()
    };
    let before = compiled();
    assert_eq!(before.len(), 1, "{before:?}");
    let mut bytes = std::fs::read(&before[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&before[0], &bytes).unwrap();
    app.kill_and_restart().await;
    let answer = app.post("/api/v1/render", &guest::form("trees")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_ne!(std::fs::read(&before[0]).unwrap(), bytes, "it was compiled again");
}
