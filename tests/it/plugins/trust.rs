//! Signatures outlive their files: what comes from the database is trusted by the keys of now.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::guest;
use crate::harness::{Setup, program, until};

/// Runs `trainyard-plugin` in a directory.
fn run(dir: &Path, args: &[&str]) {
    let status = Command::new(program("trainyard-plugin")).current_dir(dir).args(args).output();
    let output = status.expect("the tool runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes a pair of keys, and gives the public one.
fn keys(dir: &Path, name: &str) -> String {
    run(dir, &["keygen", "--no-password", "--out", &format!("{name}.key")]);
    let text = std::fs::read_to_string(dir.join(format!("{name}.pub"))).expect("the public key");
    text.lines().nth(1).expect("a key").to_owned()
}

#[tokio::test]
async fn pinned_version_outlives_its_signed_file_until_its_key_is_withdrawn() {
    let work = tempfile::tempdir().unwrap();
    let (team, stranger) = (keys(work.path(), "team"), keys(work.path(), "stranger"));
    let mut setup = Setup::sqlite().own_plugins();
    let plugins = setup.plugins_dir();
    for (version, signer) in [("1.0.0", "team"), ("2.0.0", "stranger")] {
        guest::install(&plugins, version);
        let file = guest::file(&plugins, version).display().to_string();
        run(work.path(), &["sign", &file, "--key", &format!("{signer}.key")]);
    }
    setup.env = vec![
        ("TRAINYARD__PLUGINS__TRUSTED_KEYS", format!("{team},{stranger}")),
        ("TRAINYARD__PLUGINS__REQUIRE_SIGNATURE", "true".to_owned()),
    ];
    let mut app = setup.start().await;
    let pin = json!({"version": "1.0.0"});
    let path = "/api/v1/plugins/trees/pin";
    assert_eq!(app.send_as("ada", "PUT", path, Some(&pin)).await.status, 200);
    let id = app.submit(&guest::form("trees")).await;

    // Its file goes with its signature, and it serves on from the database.
    let file = guest::file(&plugins, "1.0.0");
    std::fs::remove_file(file.with_extension("wasm.minisig")).unwrap();
    std::fs::remove_file(file).unwrap();
    app.kill_and_restart().await;
    let answer = app.post("/api/v1/render", &guest::form("trees")).await;
    assert_eq!(answer.body["plugin"]["version"], "1.0.0", "{}", answer.body);
    let plugin = app.get("/api/v1/plugins/trees").await.body;
    assert!(plugin.to_string().contains(&format!("\"signedBy\":\"{team}\"")), "{plugin:#}");

    // Its key is withdrawn: it makes nothing any more, and everybody who asks is told why.
    app.host.kill();
    app.set_env("TRAINYARD__PLUGINS__TRUSTED_KEYS", &stranger);
    app.restart_unready().await;
    let answer = app.post("/api/v1/render", &guest::form("trees")).await;
    assert_eq!(answer.body["code"], "unknown-algorithm", "{}", answer.body);
    let plugin = app.get("/api/v1/plugins/trees").await.body;
    assert!(plugin.to_string().contains("No trusted key signed it."), "{plugin:#}");
    let verify = format!("/api/v1/jobs/{id}/verify");
    for (method, path, body) in [("PUT", path, Some(&pin)), ("POST", verify.as_str(), None)] {
        if method == "PUT" {
            // A pin that is in force is not checked again; take it away first.
            assert_eq!(app.send_as("ada", "DELETE", path, None).await.status, 200);
        }
        let answer = app.send_as("ada", method, path, body).await;
        let (code, detail) = (&answer.body["code"], answer.body["detail"].as_str());
        assert_eq!((answer.status, code), (409, &json!("plugin-untrusted")), "{}", answer.body);
        let detail = detail.expect("a detail");
        assert!(detail.contains("version 1.0.0 of plugin `trees`"), "{detail}");
    }
    until("2.0.0 serves", async || {
        let answer = app.post("/api/v1/render", &guest::form("trees")).await;
        answer.body["plugin"]["version"] == "2.0.0"
    })
    .await;
}
