//! The converters below `plugins/examples/`, as `cargo xtask plugins --examples` built them.

use std::path::{Path, PathBuf};

use crate::conformance::Loaded;
use crate::support::{native_tests, run, tool};

fn folder(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/examples").join(language)
}

/// The component, or nothing with a loud line where its compiler could not be had.
fn built(name: &str) -> Option<PathBuf> {
    let file = std::env::var_os("TRAINYARD_EXAMPLES_DIR")
        .map(|dir| PathBuf::from(dir).join(format!("{name}.wasm")))
        .filter(|file| file.is_file());
    if file.is_none() {
        let required = std::env::var_os("TRAINYARD_REQUIRE_EXAMPLES");
        assert!(required.is_none_or(|value| value != "1"), "the example {name} was not built");
        eprintln!("SKIPPED: the example {name} was not built; `cargo xtask test` builds it");
    }
    file
}

async fn conforms(language: &str, name: &str) {
    native_tests(language, &folder(language));
    let Some(component) = built(name) else { return };
    let loaded = Loaded::open(&component).await;
    assert_eq!(loaded.plugin.info.name, name);
    loaded.assert_cases(&folder(language).join("cases")).await;
    loaded.assert_examples().await;
    // Interpreters take their time, above all where nothing is optimised.
    let jobs = ["--jobs", "20"];
    let (output, out, err) = run(tool().arg("check").arg(&component).args(jobs));
    assert!(output.status.success(), "{out}{err}");
}

#[tokio::test]
async fn the_example_in_python_conforms() {
    conforms("python", "catboost").await;
}

#[tokio::test]
async fn the_example_in_javascript_conforms() {
    conforms("javascript", "vowpal-wabbit").await;
}

/// What the examples share with the templates is the same to the byte.
#[test]
fn examples_carry_the_library_of_the_templates() {
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut compared = 0;
    for (language, same) in [
        ("python", &["src/trainyard", "src/component.py", "tests/kit.py", "requirements.txt"][..]),
        ("javascript", &["src/trainyard", "src/component.js", "tests/kit.js"][..]),
    ] {
        for path in same {
            let (ours, theirs) = (templates.join(language).join(path), folder(language).join(path));
            let files: Vec<PathBuf> = if ours.is_dir() {
                let entries = std::fs::read_dir(&ours).unwrap();
                entries.map(|entry| entry.unwrap().file_name().into()).collect()
            } else {
                vec![PathBuf::new()]
            };
            for file in files.iter().filter(|file| file.as_path() != Path::new("__pycache__")) {
                let read = |path: &Path| std::fs::read_to_string(path).unwrap();
                let (ours, theirs) = if file.as_os_str().is_empty() {
                    (read(&ours), read(&theirs))
                } else {
                    (read(&ours.join(file)), read(&theirs.join(file)))
                };
                assert_eq!(ours, theirs, "{language}/{path} {}", file.display());
                compared += 1;
            }
        }
    }
    assert!(compared > 15, "{compared} files");
}
