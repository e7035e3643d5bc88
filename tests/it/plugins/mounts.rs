//! Plugins in a mounted volume, which Kubernetes changes by swapping one link, while requests keep
//! coming.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::guest;
use crate::harness::{App, Setup, until};

/// Publishes this content of `trees.wasm` as a mounted volume does: a new directory, then one
/// rename of the link that leads to it, then the old directory goes.
fn publish(volume: &Path, generation: u32, component: &[u8]) {
    let fresh = format!("..generation_{generation}");
    std::fs::create_dir(volume.join(&fresh)).unwrap();
    std::fs::write(volume.join(&fresh).join("trees.wasm"), component).unwrap();
    symlink(&fresh, volume.join("..data_tmp")).unwrap();
    std::fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    if generation == 1 {
        symlink("..data/trees.wasm", volume.join("trees.wasm")).unwrap();
    } else {
        std::fs::remove_dir_all(volume.join(format!("..generation_{}", generation - 1))).unwrap();
    }
}

/// The version that made the manifests of one request, which must not fail.
async fn served_by(app: &App) -> String {
    let answer = app.post("/api/v1/render", &guest::form("trees")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["plugin"]["version"].as_str().expect("a version").to_owned()
}

#[tokio::test]
async fn no_request_fails_while_a_mounted_volume_goes_from_version_to_version() {
    let setup = Setup::sqlite().own_plugins();
    publish(&setup.plugins_dir(), 1, &guest::component("1.0.0"));
    let app = setup.start().await;
    let volume = app.plugins_dir();
    let done = AtomicBool::new(false);
    let users = async {
        let mut versions = Vec::new();
        while !done.load(Ordering::Relaxed) {
            versions.push(served_by(&app).await);
        }
        versions.dedup();
        versions
    };
    let operator = async {
        for (generation, version) in [(2, "1.1.0"), (3, "1.2.0")] {
            publish(&volume, generation, &guest::component(version));
            until("it serves", async || served_by(&app).await == version).await;
        }
        publish(&volume, 4, b"no component");
        until("it is rejected", async || {
            let list = app.get("/api/v1/plugins").await.body;
            list["rejected"][0]["file"] == "trees.wasm"
        })
        .await;
        assert_eq!(served_by(&app).await, "1.2.0", "the last good version stays");
        // Back to an older one: what is in the volume is what serves.
        publish(&volume, 5, &guest::component("1.1.0"));
        until("the older one serves", async || served_by(&app).await == "1.1.0").await;
        done.store(true, Ordering::Relaxed);
    };
    let (versions, ()) = tokio::join!(users, operator);
    assert_eq!(versions, ["1.0.0", "1.1.0", "1.2.0", "1.1.0"], "each in its turn");
}
