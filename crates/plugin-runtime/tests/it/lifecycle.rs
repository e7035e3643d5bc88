//! Versions, reloads, and the cache of compiled code.

use std::os::unix::fs::PermissionsExt;

use plugin_runtime::{Config, PluginRuntime, StartError};
use serde_json::json;
use training::ports::{Audience, PluginFault, Plugins};

use crate::support::{config, dir_with, info, job, start};
use plugin_runtime::testing::Guest;

#[tokio::test]
async fn highest_version_is_active_and_every_version_is_found_by_digest() {
    let dir = dir_with(&[
        ("a.wasm", Guest::good("a").version("1.10.0").build()),
        ("b.wasm", Guest::good("a").version("1.9.0").build()),
        ("c.wasm", Guest::good("a").version("1.10.0-rc.1").build()),
    ]);
    let runtime = start(config(dir.path())).await;
    assert_eq!(info(&runtime, "a").version, "1.10.0");
    let old = training::PluginDigest::of(Guest::good("a").version("1.9.0").build());
    assert!(runtime.convert(&old, &job("a", json!({}))).await.is_ok());
}

#[tokio::test]
async fn algorithm_stays_with_the_plugin_that_had_it() {
    let claim = |name: &str| Guest { algorithms: vec!["x".to_owned()], ..Guest::good(name) };
    let dir = dir_with(&[("b.wasm", claim("first").build())]);
    let runtime = start(config(dir.path())).await;
    std::fs::write(dir.path().join("a.wasm"), claim("second").build()).unwrap();
    runtime.reload().await.unwrap();
    assert_eq!(info(&runtime, "x").name, "first");
    let catalog = runtime.catalog();
    let failure = &catalog.failures()[0];
    assert_eq!(failure.file, "a.wasm");
    assert!(failure.reason.contains("`first` already serves"), "{}", failure.reason);

    std::fs::remove_file(dir.path().join("b.wasm")).unwrap();
    runtime.reload().await.unwrap();
    assert_eq!(info(&runtime, "x").name, "second");
    assert!(runtime.catalog().failures().is_empty());
}

#[tokio::test]
async fn new_version_cannot_take_what_another_plugin_serves_and_the_one_before_it_serves_on() {
    let of = |name: &str, version: &str, algorithms: &[&str]| {
        let algorithms = algorithms.iter().map(|name| (*name).to_owned()).collect();
        Guest { algorithms, ..Guest::good(name).version(version) }.build()
    };
    // Whichever file comes first by its name.
    for (victim, claimant) in [("a.wasm", "b"), ("z.wasm", "b")] {
        let dir = dir_with(&[(victim, of("victim", "1.0.0", &["x", "y"]))]);
        std::fs::write(dir.path().join("b-1.wasm"), of("claimant", "1.0.0", &["c"])).unwrap();
        let runtime = start(config(dir.path())).await;
        let newer = dir.path().join(format!("{claimant}-2.wasm"));
        std::fs::write(&newer, of("claimant", "2.0.0", &["c", "y"])).unwrap();
        runtime.reload().await.unwrap();
        for (algorithm, name, version) in
            [("x", "victim", "1.0.0"), ("y", "victim", "1.0.0"), ("c", "claimant", "1.0.0")]
        {
            let serving = info(&runtime, algorithm);
            assert_eq!((&*serving.name, &*serving.version), (name, version), "{algorithm}");
        }
        let catalog = runtime.catalog();
        let [failure] = catalog.failures() else { panic!("{:?}", catalog.failures()) };
        assert_eq!(failure.file, "b-2.wasm");
        assert!(failure.reason.contains("`victim` already serves"), "{}", failure.reason);

        // Once nobody else serves it, it may.
        std::fs::remove_file(dir.path().join(victim)).unwrap();
        runtime.reload().await.unwrap();
        assert_eq!(info(&runtime, "y").version, "2.0.0");
        assert!(runtime.catalog().failures().is_empty());
    }
}

#[tokio::test]
async fn version_that_only_stands_by_keeps_nobody_from_an_algorithm() {
    let old = Guest {
        algorithms: vec!["a".to_owned(), "given-up".to_owned()],
        ..Guest::good("a").version("1.0.0")
    };
    let dir = dir_with(&[("a-1.wasm", old.build())]);
    std::fs::write(dir.path().join("a-2.wasm"), Guest::good("a").version("2.0.0").build()).unwrap();
    let heir = Guest { algorithms: vec!["given-up".to_owned()], ..Guest::good("heir") };
    std::fs::write(dir.path().join("heir.wasm"), heir.build()).unwrap();
    let runtime = start(config(dir.path())).await;
    assert_eq!(info(&runtime, "given-up").name, "heir");
    assert_eq!(info(&runtime, "a").version, "2.0.0");
    assert!(runtime.catalog().failures().is_empty(), "{:?}", runtime.catalog().failures());
}

#[tokio::test]
async fn same_version_with_other_bytes_is_refused() {
    let other = Guest { schema: r#"{"type":"object"}"#.to_owned(), ..Guest::good("a") };
    let dir = dir_with(&[("1.wasm", Guest::good("a").build()), ("2.wasm", other.build())]);
    let runtime = start(config(dir.path())).await;
    assert!(runtime.catalog().failures()[0].reason.contains("other bytes of plugin `a` 1.0.0"));
}

#[tokio::test]
async fn broken_replacement_keeps_the_last_good_plugin() {
    let dir = dir_with(&[("a.wasm", Guest::good("a").build())]);
    let runtime = start(config(dir.path())).await;
    let before = info(&runtime, "a");
    std::fs::write(dir.path().join("a.wasm"), b"half").unwrap();
    runtime.reload().await.unwrap();
    assert_eq!(info(&runtime, "a").digest, before.digest);
    assert_eq!(runtime.catalog().failures().len(), 1);
    runtime.reload().await.unwrap();
    assert_eq!(info(&runtime, "a").digest, before.digest);
}

#[tokio::test]
async fn removed_plugin_is_inactive_but_still_answers_by_digest() {
    let dir = dir_with(&[("a.wasm", Guest::good("a").build())]);
    let runtime = start(config(dir.path())).await;
    let old = info(&runtime, "a");
    std::fs::write(dir.path().join("a.wasm"), Guest::good("a").version("2.0.0").build()).unwrap();
    runtime.reload().await.unwrap();
    assert_eq!(info(&runtime, "a").version, "2.0.0");
    assert!(runtime.convert(&old.digest, &job("a", json!({}))).await.is_ok());
    std::fs::remove_file(dir.path().join("a.wasm")).unwrap();
    runtime.reload().await.unwrap();
    assert!(runtime.resolve("a", Audience::ANYBODY).is_none() && runtime.list().is_empty());
    assert!(runtime.convert(&old.digest, &job("a", json!({}))).await.is_ok());
}

#[tokio::test]
async fn unknown_digest_is_not_loaded_and_interpret_falls_back_to_the_algorithm() {
    let dir = dir_with(&[("a.wasm", Guest::good("a").build())]);
    let runtime = start(config(dir.path())).await;
    let unknown = training::PluginDigest::of("unknown");
    let result = runtime.convert(&unknown, &job("a", json!({}))).await;
    assert!(matches!(result, Err(PluginFault::NotLoaded(_))), "{result:?}");
    assert!(runtime.interpret(&unknown, "a", &json!({})).await.is_ok());
    assert!(runtime.interpret(&unknown, "b", &json!({})).await.is_err());
}

#[tokio::test]
async fn settings_that_break_the_schema_fail_the_plugin() {
    let dir = dir_with(&[("a.wasm", Guest::good("a").build())]);
    let mut config = config(dir.path());
    config.settings.insert("a".to_owned(), json!([]));
    let runtime = start(config).await;
    assert!(runtime.catalog().failures()[0].reason.contains("settings for plugin `a`"));
}

#[tokio::test]
async fn directory_that_is_missing_stops_the_start() {
    let dir = dir_with(&[]);
    let result = PluginRuntime::start(config(&dir.path().join("missing"))).await;
    assert!(matches!(result, Err(StartError::Directory { .. })), "{result:?}");
}

/// Names of the cached entries.
fn entries(cache: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(cache.join("code"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cwasm"))
        .collect();
    paths.sort();
    paths
}

#[tokio::test]
async fn compiled_code_is_kept_reused_and_replaced_when_it_is_damaged() {
    let dir = dir_with(&[("a.wasm", Guest::good("a").build())]);
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join("cache");
    let config = Config { cache_dir: Some(cache.clone()), ..config(dir.path()) };

    start(config.clone()).await;
    let [entry] = entries(&cache).try_into().unwrap();
    assert_eq!(std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(
        std::fs::metadata(cache.join("secret")).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let written = |path: &std::path::Path| std::fs::metadata(path).unwrap().modified().unwrap();
    let first = written(&entry);

    let runtime = start(config.clone()).await;
    assert!(runtime.convert(&info(&runtime, "a").digest, &job("a", json!({}))).await.is_ok());
    assert_eq!(written(&entry), first, "a hit writes nothing");
    drop(runtime);

    // A flipped byte in the middle is native code that somebody else chose.
    let intact = std::fs::read(&entry).unwrap();
    let mut damaged = intact.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    std::fs::remove_file(&entry).unwrap();
    std::fs::write(&entry, &damaged).unwrap();
    let runtime = start(config).await;
    assert!(runtime.convert(&info(&runtime, "a").digest, &job("a", json!({}))).await.is_ok());
    assert_ne!(std::fs::read(&entry).unwrap(), damaged);
}

#[tokio::test]
async fn cache_that_others_may_write_to_stops_the_start() {
    let dir = dir_with(&[]);
    let home = tempfile::tempdir().unwrap();
    let open = home.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    let config = Config { cache_dir: Some(open.clone()), ..config(dir.path()) };
    let result = PluginRuntime::start(config.clone()).await;
    assert!(matches!(result, Err(StartError::Cache { .. })), "{result:?}");

    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::write(open.join("secret"), [7; 32]).unwrap();
    std::fs::set_permissions(open.join("secret"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let result = PluginRuntime::start(config).await;
    assert!(matches!(result, Err(StartError::Cache { .. })), "{result:?}");
}

#[tokio::test]
async fn newcomer_with_the_same_version_does_not_take_the_place_of_who_was_there() {
    let other = Guest { schema: r#"{"type":"object"}"#.to_owned(), ..Guest::good("x") };
    let dir = dir_with(&[("x.wasm", Guest::good("x").build())]);
    let runtime = start(config(dir.path())).await;
    let before = info(&runtime, "x").digest;
    std::fs::write(dir.path().join("a.wasm"), other.build()).unwrap();
    runtime.reload().await.unwrap();
    assert_eq!(info(&runtime, "x").digest, before);
    assert_eq!(runtime.catalog().failures()[0].file, "a.wasm");
}

#[tokio::test]
async fn compiled_code_that_vanishes_is_made_again() {
    let dir = dir_with(&[("a.wasm", Guest::good("a").build())]);
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join("cache");
    // One runner, and another in its place that has to load the code again. Its program has a
    // name of its own, by which it is told from those of other tests.
    let program = home.path().join("solitary");
    std::fs::copy(crate::support::WORKER, &program).unwrap();
    let config =
        Config { cache_dir: Some(cache.clone()), ..config(dir.path()) }.isolated(program, 1);
    let runtime = start(config).await;
    let plugin = info(&runtime, "a");
    for entry in entries(&cache) {
        std::fs::remove_file(entry).unwrap();
    }
    kill_runners();
    let input = job("a", json!({}));
    // The first call finds out, the next look mends it.
    let lost = runtime.convert(&plugin.digest, &input).await.unwrap_err();
    assert!(lost.to_string().contains("compiled code is lost"), "{lost}");
    runtime.reload().await.unwrap();
    assert!(runtime.convert(&plugin.digest, &input).await.unwrap().is_ok());
}

/// Ends the runners of this process that were started by this name.
fn kill_runners() {
    for thread in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for pid in children.split_whitespace() {
            let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
            if command.is_ok_and(|command| command.starts_with("solitary")) {
                std::process::Command::new("kill").args(["-9", pid]).status().unwrap();
            }
        }
    }
}
