//! Hot reload as platform teams do it: renames, copies, half-written files, mounted volumes. Each
//! test follows the directory as the host does, and waits for states.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use plugin_runtime::signature::TrustedKey;
use plugin_runtime::{Config, PluginRuntime};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use training::ports::{Audience, Plugins, Signature};

use crate::support::{config, dir_with, info, isolated, job, start};
use plugin_runtime::testing::Guest;

/// Far above what any of these needs.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs `steps` beside a runtime that follows its directory.
async fn following(runtime: &Arc<PluginRuntime>, steps: impl Future<Output = ()>) {
    let stop = CancellationToken::new();
    let follow = Arc::clone(runtime).follow(stop.clone());
    tokio::pin!(follow);
    tokio::select! {
        () = &mut follow => panic!("it stopped following"),
        () = steps => {}
    }
    stop.cancel();
    follow.await;
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never: {what}");
}

fn version(runtime: &PluginRuntime, algorithm: &str) -> Option<String> {
    let found = runtime.resolve(algorithm, Audience::ANYBODY);
    found.map(|plugin| plugin.version.clone())
}

/// As a deployment tool does it.
fn rename_into(dir: &Path, name: &str, bytes: &[u8]) {
    let temporary = dir.join(format!(".{name}.new"));
    std::fs::write(&temporary, bytes).unwrap();
    std::fs::rename(&temporary, dir.join(name)).unwrap();
}

#[tokio::test]
async fn files_that_are_added_replaced_and_removed_take_effect() {
    let dir = dir_with(&[("a.wasm", Guest::good("a").build())]);
    let runtime = start(isolated(dir.path())).await;
    following(&runtime, async {
        rename_into(dir.path(), "b.wasm", &Guest::good("b").build());
        until("b serves", || version(&runtime, "b").is_some()).await;
        rename_into(dir.path(), "a.wasm", &Guest::good("a").version("2.0.0").build());
        until("a 2 serves", || version(&runtime, "a").as_deref() == Some("2.0.0")).await;
        std::fs::remove_file(dir.path().join("b.wasm")).unwrap();
        until("b is gone", || version(&runtime, "b").is_none()).await;
    })
    .await;
    let kinds: Vec<_> = runtime.take_changes().iter().map(|change| change.kind).collect();
    assert_eq!(kinds, ["Activated", "Activated", "Activated", "Removed"]);
}

#[tokio::test]
async fn no_request_fails_while_versions_change() {
    let dir = dir_with(&[("a.wasm", Guest::good("a").build())]);
    let runtime = start(isolated(dir.path())).await;
    let (done, served) = (AtomicBool::new(false), AtomicU32::new(0));
    let requests = async {
        let input = job("a", json!({}));
        while !done.load(Ordering::SeqCst) {
            let plugin = info(&runtime, "a");
            let plan = runtime.convert(&plugin.digest, &input).await;
            assert!(plan.unwrap().is_ok());
            served.fetch_add(1, Ordering::SeqCst);
        }
    };
    let changes = async {
        for minor in 1..=5 {
            let next = format!("1.{minor}.0");
            rename_into(dir.path(), "a.wasm", &Guest::good("a").version(&next).build());
            until(&next, || version(&runtime, "a").as_deref() == Some(&next)).await;
            let before = served.load(Ordering::SeqCst);
            until("requests go on", || served.load(Ordering::SeqCst) > before).await;
        }
        done.store(true, Ordering::SeqCst);
    };
    let both = async {
        tokio::join!(requests, changes);
    };
    following(&runtime, both).await;
}

#[tokio::test]
async fn version_under_a_file_name_of_its_own_takes_over_without_a_gap() {
    let dir = dir_with(&[("a-1.0.0.wasm", Guest::good("a").build())]);
    let runtime = start(isolated(dir.path())).await;
    let done = AtomicBool::new(false);
    let requests = async {
        while !done.load(Ordering::SeqCst) {
            assert!(version(&runtime, "a").is_some(), "nobody serves");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let changes = async {
        for (old, next) in [("1.0.0", "2.0.0"), ("2.0.0", "3.0.0")] {
            let new = Guest::good("a").version(next).build();
            std::fs::write(dir.path().join("next"), new).unwrap();
            // One after the other in no time, as when a mounted directory is exchanged.
            std::fs::remove_file(dir.path().join(format!("a-{old}.wasm"))).unwrap();
            let file = dir.path().join(format!("a-{next}.wasm"));
            std::fs::rename(dir.path().join("next"), file).unwrap();
            until(next, || version(&runtime, "a").as_deref() == Some(next)).await;
        }
        // A bad successor does not end it either, until it is taken away.
        std::fs::remove_file(dir.path().join("a-3.0.0.wasm")).unwrap();
        std::fs::write(dir.path().join("a-4.0.0.wasm"), b"no component").unwrap();
        until("it is reported", || !runtime.catalog().failures().is_empty()).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        done.store(true, Ordering::SeqCst);
    };
    let both = async {
        tokio::join!(requests, changes);
        assert_eq!(version(&runtime, "a").as_deref(), Some("3.0.0"));
        std::fs::remove_file(dir.path().join("a-4.0.0.wasm")).unwrap();
        until("it is gone", || version(&runtime, "a").is_none()).await;
    };
    following(&runtime, both).await;
}

#[tokio::test]
async fn half_written_file_never_serves_and_the_last_good_version_stays() {
    use std::io::Write as _;
    let dir = dir_with(&[("a.wasm", Guest::good("a").build())]);
    let runtime = start(isolated(dir.path())).await;
    following(&runtime, async {
        let next = Guest::good("a").version("2.0.0").build();
        let mut file = std::fs::File::create(dir.path().join("a.wasm")).unwrap();
        for part in next.chunks(next.len() / 8 + 1) {
            file.write_all(part).unwrap();
            file.flush().unwrap();
            assert_eq!(version(&runtime, "a").as_deref(), Some("1.0.0"));
            tokio::task::yield_now().await;
        }
        drop(file);
        until("a 2 serves", || version(&runtime, "a").as_deref() == Some("2.0.0")).await;
        // What was seen of it meanwhile was never reported as broken.
        assert!(runtime.take_changes().iter().all(|change| change.kind != "Rejected"));

        // A writer that died half way: what it left is reported, and the good one stays.
        std::fs::write(dir.path().join("a.wasm"), &next[..next.len() / 2]).unwrap();
        until("the rest is reported", || !runtime.catalog().failures().is_empty()).await;
        assert_eq!(version(&runtime, "a").as_deref(), Some("2.0.0"));
        let changes = runtime.take_changes();
        let rejected = changes.iter().find(|change| change.kind == "Rejected").unwrap();
        assert!(rejected.message.contains("not a component"), "{}", rejected.message);
    })
    .await;
}

#[tokio::test]
async fn mounted_volume_is_swapped_as_a_whole() {
    let dir = dir_with(&[]);
    let publish = |generation: &str, version: &str| {
        let data = dir.path().join(format!("..{generation}"));
        std::fs::create_dir(&data).unwrap();
        for name in ["a", "b"] {
            let bytes = Guest::good(name).version(version).build();
            std::fs::write(data.join(format!("{name}.wasm")), bytes).unwrap();
        }
        let link = dir.path().join("..data_tmp");
        std::os::unix::fs::symlink(format!("..{generation}"), &link).unwrap();
        std::fs::rename(&link, dir.path().join("..data")).unwrap();
    };
    publish("one", "1.0.0");
    for name in ["a.wasm", "b.wasm"] {
        std::os::unix::fs::symlink(format!("..data/{name}"), dir.path().join(name)).unwrap();
    }
    let runtime = start(isolated(dir.path())).await;
    assert_eq!(version(&runtime, "a").as_deref(), Some("1.0.0"));
    following(&runtime, async {
        publish("two", "2.0.0");
        std::fs::remove_dir_all(dir.path().join("..one")).unwrap();
        for name in ["a", "b"] {
            until("2 serves", || version(&runtime, name).as_deref() == Some("2.0.0")).await;
        }
    })
    .await;
}

#[tokio::test]
async fn directory_that_is_replaced_is_followed_all_the_same() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("plugins");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("a.wasm"), Guest::good("a").build()).unwrap();
    let runtime = start(isolated(&dir)).await;
    following(&runtime, async {
        std::fs::rename(&dir, home.path().join("old")).unwrap();
        // Nothing is there to say otherwise, so everything stays.
        tokio::task::yield_now().await;
        assert!(version(&runtime, "a").is_some());
        let next = home.path().join("next");
        std::fs::create_dir(&next).unwrap();
        std::fs::write(next.join("a.wasm"), Guest::good("a").version("2.0.0").build()).unwrap();
        std::fs::rename(&next, &dir).unwrap();
        until("2 serves", || version(&runtime, "a").as_deref() == Some("2.0.0")).await;
    })
    .await;
}

#[tokio::test]
async fn signature_decides_where_signatures_are_required() {
    let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let sign = |bytes: &[u8]| {
        minisign::sign(None, &pair.sk, bytes, Some("by hand"), None).unwrap().to_string()
    };
    let signed = Guest::good("signed").build();
    let dir = dir_with(&[
        ("signed.wasm", signed.clone()),
        ("unsigned.wasm", Guest::good("unsigned").build()),
        ("swapped.wasm", Guest::good("swapped").build()),
    ]);
    let beside = |name: &str, text: String| {
        std::fs::write(dir.path().join(format!("{name}.minisig")), text).unwrap();
    };
    beside("signed.wasm", sign(&signed));
    beside("swapped.wasm", sign(&signed));
    let key = TrustedKey::parse(&pair.pk.to_base64()).unwrap();
    let keys = Config { trusted_keys: vec![key.clone()], ..config(dir.path()) };

    let lenient = start(keys.clone()).await;
    let view = Plugins::catalog(&*lenient);
    let signatures: Vec<_> =
        view.versions.iter().map(|v| (v.info.name.as_str(), v.signature.clone())).collect();
    let trusted = Signature::Trusted { key: key.as_str().to_owned() };
    let expected = [
        ("signed", trusted.clone()),
        ("swapped", Signature::Unsigned),
        ("unsigned", Signature::Unsigned),
    ];
    assert_eq!(signatures, expected);

    let strict = start(Config { require_signature: true, ..keys }).await;
    assert_eq!(strict.list().len(), 1);
    let catalog = strict.catalog();
    let reasons: Vec<_> = catalog.failures().iter().map(|failure| &*failure.reason).collect();
    assert!(reasons[0].contains("was changed after it was signed"), "{reasons:?}");
    assert!(reasons[1].contains("there is no file `unsigned.wasm.minisig`"), "{reasons:?}");

    following(&strict, async {
        beside("unsigned.wasm", sign(&Guest::good("unsigned").build()));
        until("it is signed", || version(&strict, "unsigned").is_some()).await;
    })
    .await;
    // The start reported it, and the looks that followed, at a file still young, did not again.
    let changes = strict.take_changes();
    let reports = changes.iter().filter(|change| change.kind == "Rejected");
    assert_eq!(reports.count(), 2, "{changes:?}");
}

#[tokio::test]
async fn pipe_in_the_place_of_a_signature_holds_up_nothing() {
    let dir = dir_with(&[("a.wasm", Guest::good("a").build())]);
    for name in ["a.wasm.minisig", "b.wasm"] {
        let made = std::process::Command::new("mkfifo").arg(dir.path().join(name)).status();
        assert!(made.unwrap().success());
    }
    let runtime = start(isolated(dir.path())).await;
    assert_eq!(version(&runtime, "a").as_deref(), Some("1.0.0"));
    assert!(runtime.catalog().failures()[0].reason.contains("not a regular file"));
}

#[tokio::test]
async fn file_from_the_future_takes_effect() {
    let dir = dir_with(&[]);
    let runtime = start(isolated(dir.path())).await;
    following(&runtime, async {
        rename_into(dir.path(), "a.wasm", &Guest::good("a").build());
        let file = std::fs::File::options().write(true).open(dir.path().join("a.wasm")).unwrap();
        let future = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
        file.set_modified(future).unwrap();
        drop(file);
        until("a serves", || version(&runtime, "a").is_some()).await;
    })
    .await;
}

#[tokio::test]
async fn plugin_that_never_says_what_it_is_is_reported_once() {
    let endless = Guest::hostile("loop-in-start");
    let dir = dir_with(&[("a.wasm", endless.build()), ("b.wasm", Guest::good("b").build())]);
    let runtime = start(isolated(dir.path())).await;
    runtime.reload().await.unwrap();
    runtime.reload().await.unwrap();
    assert!(version(&runtime, "b").is_some());
    assert_eq!(runtime.catalog().failures().len(), 1);
    let changes = runtime.take_changes();
    let rejected = changes.iter().filter(|change| change.kind == "Rejected");
    assert_eq!(rejected.count(), 1, "{changes:?}");
}
