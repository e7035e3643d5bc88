//! Several versions of one plugin: who serves whom, and the archive that outlives the files.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use plugin_runtime::PluginRuntime;
use serde_json::json;
use training::ports::{
    Audience, Canary, ComponentArchive, KeptComponent, PluginFault, Plugins, Route, StoreError,
    VersionState,
};
use training::{Namespace, PluginDigest, Timestamp};

use crate::support::{config, dir_with, info, job, start};
use plugin_runtime::testing::Guest;

fn route(pinned: Option<PluginDigest>, canary: Option<Canary>) -> Route {
    Route {
        plugin: "a".to_owned(),
        pinned,
        canary,
        previous: None,
        version: 1,
        updated_at: Timestamp::UNIX_EPOCH,
        updated_by: "ada".to_owned(),
    }
}

fn states(runtime: &PluginRuntime) -> Vec<(String, VersionState)> {
    let view = Plugins::catalog(runtime);
    view.versions.iter().map(|v| (v.info.version.clone(), v.state)).collect()
}

fn bytes(version: &str) -> Vec<u8> {
    Guest::good("a").version(version).build()
}

#[tokio::test]
async fn pinned_version_serves_although_a_higher_one_is_there() {
    let dir = dir_with(&[("1.wasm", bytes("1.0.0")), ("2.wasm", bytes("2.0.0"))]);
    let runtime = start(config(dir.path())).await;
    assert_eq!(info(&runtime, "a").version, "2.0.0");
    let one = PluginDigest::of(bytes("1.0.0"));
    runtime.set_routes(&[route(Some(one), None)]).await;
    assert_eq!(info(&runtime, "a").version, "1.0.0");
    std::fs::write(dir.path().join("3.wasm"), bytes("3.0.0")).unwrap();
    runtime.reload().await.unwrap();
    assert_eq!(info(&runtime, "a").version, "1.0.0", "a reload keeps the routes");
    let expected = [
        ("3.0.0", VersionState::Standby),
        ("2.0.0", VersionState::Standby),
        ("1.0.0", VersionState::Active),
    ];
    assert_eq!(states(&runtime), expected.map(|(v, state)| (v.to_owned(), state)));
    runtime.set_routes(&[]).await;
    assert_eq!(info(&runtime, "a").version, "3.0.0");
}

#[tokio::test]
async fn canary_serves_its_namespace_and_nobody_else() {
    let dir = dir_with(&[("1.wasm", bytes("1.0.0")), ("2.wasm", bytes("2.0.0"))]);
    let runtime = start(config(dir.path())).await;
    let canary = Canary {
        digest: PluginDigest::of(bytes("2.0.0")),
        percent: 0,
        namespaces: vec![Namespace::parse("brave").unwrap()],
    };
    runtime.set_routes(&[route(None, Some(canary))]).await;
    let served = |namespace| {
        let audience = Audience { namespace, job_name: "j" };
        runtime.resolve("a", audience).unwrap().version.clone()
    };
    assert_eq!(served("brave"), "2.0.0");
    assert_eq!(served("default"), "1.0.0");
    assert_eq!(info(&runtime, "a").version, "1.0.0");
}

/// An archive that can be looked into.
#[derive(Debug, Default)]
struct Shelf(Mutex<HashMap<PluginDigest, Vec<u8>>>);

#[async_trait]
impl ComponentArchive for Shelf {
    async fn keep(&self, component: &KeptComponent) -> Result<(), StoreError> {
        self.0.lock().unwrap().insert(component.digest, component.bytes.clone());
        Ok(())
    }

    async fn kept(&self) -> Result<HashSet<PluginDigest>, StoreError> {
        Ok(self.0.lock().unwrap().keys().copied().collect())
    }

    async fn fetch(&self, digest: &PluginDigest) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.lock().unwrap().get(digest).cloned())
    }
}

#[tokio::test]
async fn version_whose_file_is_gone_comes_back_from_the_archive() {
    let dir = dir_with(&[("a.wasm", bytes("1.0.0"))]);
    let one = PluginDigest::of(bytes("1.0.0"));
    let shelf = Arc::new(Shelf::default());
    let runtime = start(config(dir.path())).await;
    runtime.set_archive(Arc::clone(&shelf) as Arc<dyn ComponentArchive>).await;
    std::fs::write(dir.path().join("a.wasm"), bytes("2.0.0")).unwrap();
    runtime.reload().await.unwrap();
    assert_eq!(shelf.kept().await.unwrap().len(), 2);
    drop(runtime);

    // Another process, which never saw the first version's file.
    let runtime = start(config(dir.path())).await;
    let input = job("a", json!({}));
    assert!(matches!(runtime.convert(&one, &input).await, Err(PluginFault::NotLoaded(_))));
    runtime.set_archive(Arc::clone(&shelf) as Arc<dyn ComponentArchive>).await;
    assert!(runtime.convert(&one, &input).await.unwrap().is_ok());
    assert_eq!(info(&runtime, "a").version, "2.0.0");

    // An operator can go back to it.
    runtime.set_routes(&[route(Some(one), None)]).await;
    assert_eq!(info(&runtime, "a").version, "1.0.0");
    runtime.reload().await.unwrap();
    assert_eq!(info(&runtime, "a").version, "1.0.0");
}

#[tokio::test]
async fn archive_that_holds_other_bytes_is_not_believed() {
    let dir = dir_with(&[("a.wasm", bytes("2.0.0"))]);
    let one = PluginDigest::of(bytes("1.0.0"));
    let shelf = Shelf::default();
    shelf.0.lock().unwrap().insert(one, bytes("1.0.1"));
    let runtime = start(config(dir.path())).await;
    runtime.set_archive(Arc::new(shelf)).await;
    let result = runtime.convert(&one, &job("a", json!({}))).await;
    assert!(matches!(result, Err(PluginFault::NotLoaded(_))), "{result:?}");
}
