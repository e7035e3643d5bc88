//! The templates in Python and JavaScript: their own tests, natively, and their components.

use crate::conformance::Loaded;
use crate::support::{alone_in, kept, native_tests, new, run, skipped, tool};

#[tokio::test]
async fn a_new_plugin_in_python_builds_and_conforms() {
    conforms("python").await;
}

#[tokio::test]
async fn a_new_plugin_in_javascript_builds_and_conforms() {
    conforms("javascript").await;
}

async fn conforms(language: &str) {
    let tools = kept("example-tools").join(language);
    std::fs::create_dir_all(&tools).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let project = new(dir.path(), "gradient", language);
    native_tests(language, &project);
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
