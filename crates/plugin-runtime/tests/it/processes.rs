//! The second wall: what confines a runner, what happens when one is lost, and what a compilation
//! may cost.

use std::path::PathBuf;
use std::time::Duration;

use plugin_runtime::{CompileCosts, Config, PluginRuntime};
use serde_json::json;
use tempfile::TempDir;
use training::PluginDigest;
use training::ports::{Audience, ConversionInput, PluginFault, Plugins, VersionState};

use crate::support::{WORKER, config, dir_with, info, isolated, job, shipped_dir, start};
use plugin_runtime::testing::{Guest, compilation_bomb};

fn two_plugins() -> TempDir {
    dir_with(&[
        ("bad.wasm", Guest::good("bad").build()),
        ("good.wasm", Guest::good("good").build()),
    ])
}

/// The worker under the name by which it breaks when asked to.
fn fragile() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let program = home.path().join("fragile");
    std::fs::copy(WORKER, &program).unwrap();
    (home, program)
}

/// Compilers are real, runners fragile.
fn with_fragile_runners(dir: &TempDir, program: PathBuf) -> Config {
    let strikes_apart = Duration::ZERO;
    let config = config(dir.path()).isolated(program, 4);
    Config { compiler: Some(WORKER.into()), strikes_apart, ..config }
}

/// A job that makes a fragile runner do this.
fn asking(algorithm: &str, word: &str) -> ConversionInput {
    job(algorithm, json!({ "rounds": 1, "ask": word }))
}

async fn converts(runtime: &PluginRuntime, algorithm: &str) {
    let plugin = info(runtime, algorithm);
    let input = job(algorithm, json!({}));
    assert!(runtime.convert(&plugin.digest, &input).await.unwrap().is_ok());
}

#[tokio::test]
async fn runner_cannot_open_files_sockets_or_programs() {
    let dir = two_plugins();
    let runtime = start(isolated(dir.path())).await;
    let walls = runtime.walls().unwrap();
    assert!(walls.hold(), "{walls:?}");
    assert!(walls.seccomp, "{walls:?}");
    converts(&runtime, "good").await;
}

#[tokio::test]
async fn lost_runner_costs_its_plugin_a_fault_and_its_neighbour_nothing() {
    let dir = two_plugins();
    let (_home, program) = fragile();
    let runtime = start(with_fragile_runners(&dir, program)).await;
    let bad = info(&runtime, "bad");
    let fault = runtime.convert(&bad.digest, &asking("bad", "die")).await.unwrap_err();
    let PluginFault::Failed { plugin, call: "convert", detail } = &fault else { panic!("{fault}") };
    assert_eq!(plugin, "bad");
    assert!(detail.contains("dying as asked"), "{detail}");
    converts(&runtime, "good").await;
    converts(&runtime, "bad").await;
    let usage = usage(&runtime, &bad.digest);
    // A lost process is tried once more.
    assert_eq!((usage.crashed, usage.failed), (2, 1));
}

fn usage(runtime: &PluginRuntime, digest: &PluginDigest) -> training::ports::Usage {
    let view = Plugins::catalog(runtime);
    view.versions.iter().find(|version| version.info.digest == *digest).unwrap().usage
}

#[tokio::test]
async fn silent_runner_is_killed_and_replaced() {
    let dir = two_plugins();
    let (_home, program) = fragile();
    let runtime = start(with_fragile_runners(&dir, program)).await;
    let bad = info(&runtime, "bad");
    let fault = runtime.convert(&bad.digest, &asking("bad", "hang")).await.unwrap_err();
    assert!(fault.to_string().contains("silent for 2150 ms"), "{fault}");
    converts(&runtime, "bad").await;
    converts(&runtime, "good").await;
}

#[tokio::test]
async fn runner_that_breaks_the_protocol_is_killed_and_replaced() {
    let dir = two_plugins();
    let (_home, program) = fragile();
    let runtime = start(with_fragile_runners(&dir, program)).await;
    let bad = info(&runtime, "bad");
    let fault = runtime.convert(&bad.digest, &asking("bad", "babble")).await.unwrap_err();
    assert!(fault.to_string().contains("protocol"), "{fault}");
    converts(&runtime, "good").await;
}

#[tokio::test]
async fn plugin_that_loses_three_processes_is_quarantined_until_released() {
    let dir = two_plugins();
    let (_home, program) = fragile();
    let runtime = start(with_fragile_runners(&dir, program)).await;
    let bad = info(&runtime, "bad");
    for _ in 0..2 {
        runtime.convert(&bad.digest, &asking("bad", "die")).await.unwrap_err();
    }
    let state = |runtime: &PluginRuntime| {
        let view = Plugins::catalog(runtime);
        view.versions.iter().find(|version| version.info.digest == bad.digest).unwrap().state
    };
    assert_eq!(state(&runtime), VersionState::Quarantined);
    let fault = runtime.convert(&bad.digest, &job("bad", json!({}))).await.unwrap_err();
    assert!(matches!(fault, PluginFault::Quarantined { .. }), "{fault}");
    assert!(runtime.resolve("bad", Audience::ANYBODY).is_none());
    converts(&runtime, "good").await;
    let changes = runtime.take_changes();
    let kinds: Vec<&str> = changes.iter().map(|change| change.kind).collect();
    assert!(kinds.contains(&"Quarantined"), "{kinds:?}");

    assert!(runtime.release(&bad.digest) && !runtime.release(&bad.digest));
    assert_eq!(state(&runtime), VersionState::Active);
    converts(&runtime, "bad").await;
}

#[tokio::test]
async fn quarantined_version_gives_way_to_the_one_below_it() {
    let dir = dir_with(&[
        ("1.wasm", Guest::good("bad").build()),
        ("2.wasm", Guest::good("bad").version("2.0.0").build()),
    ]);
    let (_home, program) = fragile();
    let runtime = start(with_fragile_runners(&dir, program)).await;
    let newest = info(&runtime, "bad");
    assert_eq!(newest.version, "2.0.0");
    for _ in 0..2 {
        runtime.convert(&newest.digest, &asking("bad", "die")).await.unwrap_err();
    }
    assert_eq!(info(&runtime, "bad").version, "1.0.0");
    converts(&runtime, "bad").await;
}

#[tokio::test]
async fn caller_that_goes_away_leaves_a_runner_that_works() {
    let dir = dir_with(&[(
        "bad.wasm",
        Guest::good("bad").with(include_str!("../hostile/loop.wat")).build(),
    )]);
    std::fs::write(dir.path().join("good.wasm"), Guest::good("good").build()).unwrap();
    let runtime = start(config(dir.path()).isolated(WORKER, 1)).await;
    let bad = info(&runtime, "bad");
    let input = job("bad", json!({}));
    let call = runtime.convert(&bad.digest, &input);
    // It has certainly begun, and certainly not ended: the deadline is 150 ms.
    assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err());
    converts(&runtime, "good").await;
}

#[tokio::test]
async fn callers_that_go_away_cost_their_plugin_and_not_its_neighbour() {
    let bad = Guest::good("bad").with(include_str!("../hostile/loop.wat")).build();
    let dir = dir_with(&[("bad.wasm", bad), ("good.wasm", Guest::good("good").build())]);
    let runtime = start(config(dir.path()).isolated(WORKER, 4)).await;
    let bad = info(&runtime, "bad");
    let input = job("bad", json!({}));
    let calls = (0..8).map(|_| async {
        let call = runtime.convert(&bad.digest, &input);
        drop(tokio::time::timeout(Duration::from_millis(20), call).await);
    });
    futures_util::future::join_all(calls).await;
    // Two of four sandboxes are in use for as long as the guest may run, and no more.
    converts(&runtime, "good").await;
    let usage = || {
        let versions = Plugins::catalog(&*runtime).versions;
        let of_it = versions.into_iter().find(|version| version.info.name == "bad");
        of_it.map(|version| version.usage.timed_out).unwrap_or_default()
    };
    let counted = async {
        while usage() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let counted = tokio::time::timeout(Duration::from_secs(30), counted).await;
    assert!(counted.is_ok(), "nobody waited for them, and they count all the same");
}

/// What the runners of this process, started by this name, have open.
fn open_files(program: &str) -> Vec<String> {
    let mut open = Vec::new();
    for thread in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for pid in children.split_whitespace() {
            let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
            if command.is_ok_and(|command| command.starts_with(program)) {
                let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
                let targets = files.flatten().filter_map(|file| file.path().read_link().ok());
                open.extend(targets.map(|target| target.display().to_string()));
            }
        }
    }
    open
}

#[tokio::test]
async fn what_started_the_host_leaves_no_file_open_for_a_runner() {
    let dir = two_plugins();
    let secret = dir.path().join("secret.db");
    std::fs::write(&secret, "rows").unwrap();
    let home = tempfile::tempdir().unwrap();
    let program = home.path().join("heir");
    std::fs::copy(WORKER, &program).unwrap();
    // A copy of a descriptor stays open in programs that are started, unless it is told not to.
    let file = std::fs::File::open(&secret).unwrap();
    let inherited = rustix::io::dup(&file).unwrap();
    let runtime = start(config(dir.path()).isolated(program, 2)).await;
    converts(&runtime, "good").await;
    let open = open_files("heir");
    assert!(open.len() >= 4, "{open:?}");
    assert!(!open.iter().any(|target| target.ends_with("secret.db")), "{open:?}");
    drop(inherited);
}

#[tokio::test]
async fn answers_are_the_same_in_both_places() {
    let Some(dir) = shipped_dir() else { return };
    let here = start(config(dir.path())).await;
    let apart = start(isolated(dir.path())).await;
    let plugin = info(&here, "xgboost");
    let given = json!({ "objective": "binary:logistic" });
    let prepared = here.prepare(&plugin.digest, &given).unwrap();
    let input = job("xgboost", prepared.hyperparameters);
    let (one, two) =
        tokio::join!(here.convert(&plugin.digest, &input), apart.convert(&plugin.digest, &input));
    assert_eq!(one.unwrap(), two.unwrap());
    let (one, two) =
        tokio::join!(here.validate(&plugin.digest, &input), apart.validate(&plugin.digest, &input));
    assert_eq!(one.unwrap(), two.unwrap());
}

#[tokio::test]
async fn compilation_that_costs_too_much_is_ended_and_keeps_nobody_waiting() {
    let dir =
        dir_with(&[("bomb.wasm", compilation_bomb()), ("good.wasm", Guest::good("good").build())]);
    let costs = CompileCosts { cpu_seconds: 1, ..CompileCosts::default() };
    let runtime = start(Config { compile_costs: costs, ..isolated(dir.path()) }).await;
    converts(&runtime, "good").await;
    let catalog = runtime.catalog();
    let [failure] = catalog.failures() else { panic!("{:?}", catalog.failures()) };
    assert_eq!(failure.file, "bomb.wasm");
    assert!(failure.reason.contains("used up its processor time"), "{}", failure.reason);
}

#[tokio::test]
async fn compilation_that_needs_too_much_memory_is_ended() {
    let dir = dir_with(&[("bomb.wasm", compilation_bomb())]);
    let costs = CompileCosts { memory_bytes: 128 << 20, ..CompileCosts::default() };
    let runtime = start(Config { compile_costs: costs, ..isolated(dir.path()) }).await;
    let catalog = runtime.catalog();
    let [failure] = catalog.failures() else { panic!("{:?}", catalog.failures()) };
    assert!(failure.reason.contains("want of memory"), "{}", failure.reason);
}
