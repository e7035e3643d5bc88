//! The template in Rust: its own tests, its component, and that the component's bytes do not tell
//! who built them where.

use std::process::Command;

use serde_json::Value;

use crate::conformance::Loaded;
use crate::support::{alone_in, kept, new, run, tool};

#[tokio::test]
async fn a_new_plugin_in_rust_builds_conforms_and_is_reproducible() {
    let target = kept("authoring-rust");
    let _alone = alone_in(&target);
    let dir = tempfile::tempdir().unwrap();
    let first = new(&dir.path().join("first"), "oak", "rust");

    let mut tests = Command::new(env!("CARGO"));
    tests.arg("test").arg("--quiet").current_dir(&first).env("CARGO_TARGET_DIR", &target);
    let (output, out, err) = run(&mut tests);
    assert!(output.status.success(), "{out}\n{err}");

    let build = |project: &std::path::Path| {
        let mut command = tool();
        command.arg("build").arg(project).arg("--json").env("CARGO_TARGET_DIR", &target);
        let (output, out, err) = run(&mut command);
        assert!(output.status.success(), "{err}");
        serde_json::from_str::<Value>(&out).expect("one JSON object")
    };
    let built = build(&first);
    let component = first.join("oak.wasm");
    assert_eq!(built["file"], component.canonicalize().unwrap().to_str().unwrap());
    assert_eq!(built["written"], true);
    let bytes = std::fs::read(&component).unwrap();
    assert_eq!(built["bytes"], bytes.len());
    assert!(bytes.len() < 1 << 20, "{} bytes", bytes.len());
    assert_eq!(build(&first)["written"], false);

    let loaded = Loaded::open(&component).await;
    assert_eq!(built["digest"], format!("sha256:{}", loaded.plugin.info.digest));
    loaded.assert_cases(&first.join("cases")).await;
    loaded.assert_examples().await;

    // Made after the first one was built, so that Cargo finds its sources newer.
    let module = target.join("wasm32-unknown-unknown/release/oak.wasm");
    let before = std::fs::metadata(&module).unwrap().modified().unwrap();
    let second = new(&dir.path().join("in/another/place"), "oak", "rust");
    assert_eq!(build(&second)["digest"], built["digest"]);
    let after = std::fs::metadata(&module).unwrap().modified().unwrap();
    assert_ne!(before, after, "the second one was not compiled");
}

#[test]
fn sources_that_do_not_compile_are_the_authors_mistake() {
    let target = kept("authoring-rust");
    let _alone = alone_in(&target);
    let dir = tempfile::tempdir().unwrap();
    let project = new(dir.path(), "oak", "rust");
    std::fs::write(project.join("src/rules.rs"), "fn").unwrap();
    let mut command = tool();
    command.arg("build").arg(&project).env("CARGO_TARGET_DIR", &target);
    let (output, out, err) = run(&mut command);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(out.is_empty() && err.contains("cargo could not build the plugin"), "{err}");
    assert!(!project.join("oak.wasm").exists());
}
