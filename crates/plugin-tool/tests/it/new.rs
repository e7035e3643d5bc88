//! `new`: what it refuses, and that it says why.

use crate::support::{new, run, tool};

#[test]
fn names_that_cannot_be_are_refused_with_what_would_be_right() {
    let dir = tempfile::tempdir().unwrap();
    for (name, algorithm, expected) in [
        ("Iris", "iris", "lower-case letters"),
        ("../iris", "iris", "lower-case letters"),
        ("serde", "iris", "serde-plugin"),
        ("iris", "a/b", "not a name for an algorithm"),
    ] {
        let mut command = tool();
        command.args(["new", name, "--language", "rust", "--algorithm", algorithm, "--dir"]);
        let (output, out, err) = run(command.arg(dir.path()));
        assert_eq!(output.status.code(), Some(1), "{name}");
        assert!(out.is_empty() && err.contains(expected), "{err}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn a_folder_that_is_there_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("iris");
    std::fs::create_dir(&project).unwrap();
    std::fs::write(project.join("mine"), "").unwrap();
    let mut command = tool();
    command.args(["new", "iris", "--language", "javascript", "--dir"]).arg(dir.path());
    let (output, _, err) = run(&mut command);
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains("is there already"), "{err}");
    assert_eq!(std::fs::read_dir(&project).unwrap().count(), 1);
}

#[test]
fn an_sdk_of_another_place_must_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = tool();
    command.args(["new", "iris", "--language", "rust", "--sdk"]).arg(dir.path());
    let (output, _, err) = run(command.arg("--dir").arg(dir.path()));
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains("not the folder of an SDK"), "{err}");
    let mut command = tool();
    command.args(["new", "iris", "--language", "python", "--sdk", ".", "--dir"]);
    let (output, _, err) = run(command.arg(dir.path()));
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains("--sdk is for plugins in Rust"), "{err}");
}

#[test]
fn build_says_what_a_folder_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let (output, _, err) = run(tool().arg("build").arg(dir.path()));
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains("holds no plugin") && err.contains("trainyard-plugin new"), "{err}");
}

#[test]
fn build_says_what_to_install() {
    let dir = tempfile::tempdir().unwrap();
    let python = new(dir.path(), "iris", "python");
    let (output, _, err) = run(tool().arg("build").arg(&python));
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("componentize-py") && err.contains("build --setup"), "{err}");

    let javascript = new(dir.path(), "rose", "javascript");
    // Without a path there is neither Node nor npm.
    let (output, _, err) = run(tool().arg("build").arg(&javascript).env("PATH", ""));
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("Node.js is not in PATH; install"), "{err}");

    let rust = new(dir.path(), "oak", "rust");
    let mut command = tool();
    // A toolchain without the compilation target: one whose root is an empty folder.
    let fake = dir.path().join("bin");
    std::fs::create_dir(&fake).unwrap();
    for (name, script) in [("cargo", "exec \"$REAL_CARGO\" \"$@\""), ("rustc", "echo /nowhere")] {
        let path = fake.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", fake.display(), std::env::var("PATH").unwrap());
    command.env("REAL_CARGO", env!("CARGO")).env("PATH", path).arg("build").arg(&rust);
    let (output, _, err) = run(&mut command);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("rustup target add wasm32-unknown-unknown"), "{err}");
}
