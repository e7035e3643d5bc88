//! The templates in Python and JavaScript: their own tests, natively, and their components.

use std::path::Path;
use std::process::Command;

use crate::conformance::Loaded;
use crate::support::{alone_in, kept, new, run, skipped, tool};

#[tokio::test]
async fn a_new_plugin_in_python_builds_and_conforms() {
    let tests = ["python3", "-m", "unittest", "discover", "tests"];
    conforms("python", &tests).await;
}

#[tokio::test]
async fn a_new_plugin_in_javascript_builds_and_conforms() {
    conforms("javascript", &["node", "--test"]).await;
}

async fn conforms(language: &str, tests: &[&str]) {
    let tools = kept("example-tools").join(language);
    std::fs::create_dir_all(&tools).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let project = new(dir.path(), "gradient", language);
    let [program, args @ ..] = tests else { panic!("no tests") };
    let found = Command::new(program).arg("--version").output().is_ok();
    if found {
        let (output, out, err) = run(Command::new(program).args(args).current_dir(&project));
        assert!(output.status.success(), "{out}\n{err}");
        assert!(project_is_clean(&project), "tests leave nothing behind");
    }
    let component = project.join("gradient.wasm");
    let (output, err) = {
        let _alone = alone_in(&tools);
        let mut command = tool();
        command.args(["build", "--setup"]).arg(&project).arg("--tools").arg(&tools);
        let (output, _, err) = run(command.arg("--out").arg(&component));
        (output, err)
    };
    if skipped(&output, &err) {
        return;
    }
    assert!(output.status.success(), "{err}");
    let loaded = Loaded::open(&component).await;
    assert_eq!(loaded.plugin.info.name, "gradient");
    loaded.assert_cases(&project.join("cases")).await;
    loaded.assert_examples().await;
}

fn project_is_clean(project: &Path) -> bool {
    !project.join("src/__pycache__").exists() && !project.join("node_modules").exists()
}
