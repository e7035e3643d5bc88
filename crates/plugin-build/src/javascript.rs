//! Plugins in JavaScript: componentize-qjs puts QuickJS and the sources into one component. It is
//! what `jco componentize --backend qjs` calls, without the other hundred megabytes of jco.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::toolchain::{find_program, read_text, run};
use crate::{BuildError, Options, Project};

const TOOL: &str = "componentize-qjs";

pub(crate) fn build(
    project: &Project,
    options: Options<'_>,
    say: &mut dyn FnMut(&str),
) -> Result<Vec<u8>, BuildError> {
    let tools = options.tools.unwrap_or(&project.root);
    let (node, tool) = ensure_tool(project, tools, options.setup, say)?;
    say("componentizing the sources with componentize-qjs");
    let scratch = tempfile::tempdir().map_err(BuildError::io(Path::new("a temporary folder")))?;
    let output = scratch.path().join("plugin.wasm");
    let mut command = Command::new(node);
    command
        .current_dir(&project.root)
        .arg(tool)
        .args(["--world", "plugin", "--wit"])
        .arg(project.wit(scratch.path())?)
        .arg("--js")
        .arg(project.root.join("src/component.js"))
        .arg("--module-root")
        .arg(&project.root)
        // The sandbox offers no WASI, and calls are synchronous.
        .args(["--stub-wasi", "--sync", "--output"])
        .arg(&output);
    run(TOOL, &mut command)?;
    fs::read(&output).map_err(BuildError::io(&output))
}

/// Node and the tool in `node_modules`, in the version that `package.json` pins.
fn ensure_tool(
    project: &Project,
    tools: &Path,
    setup: bool,
    say: &mut dyn FnMut(&str),
) -> Result<(PathBuf, PathBuf), BuildError> {
    let manifest = project.root.join("package.json");
    let pinned = version_at(&manifest, &format!("/devDependencies/{TOOL}"))?
        .filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        .ok_or_else(|| {
            BuildError::Project(format!(
                "{} must pin the compiler: `\"devDependencies\": {{\"{TOOL}\": \"0.4.5\"}}`",
                manifest.display()
            ))
        })?;
    let Some(node) = find_program("node") else {
        return Err(BuildError::Missing {
            what: "Node.js is not in PATH".to_owned(),
            remedy: "install Node.js 20 or later from https://nodejs.org".to_owned(),
        });
    };
    let package = tools.join("node_modules").join(TOOL);
    let tool = package.join("bin").join(TOOL);
    let is_there = || {
        let found = version_at(&package.join("package.json"), "/version");
        tool.is_file() && found.is_ok_and(|version| version.as_deref() == Some(&*pinned))
    };
    if is_there() {
        return Ok((node, tool));
    }
    if !setup {
        return Err(BuildError::Missing {
            what: format!(
                "{TOOL} {pinned} is not installed in {}",
                tools.join("node_modules").display()
            ),
            remedy: format!(
                "install it: trainyard-plugin build --setup {}, or by hand: npm ci --prefix {}",
                project.root.display(),
                tools.display()
            ),
        });
    }
    let Some(npm) = find_program("npm") else {
        return Err(BuildError::Missing {
            what: "npm is not in PATH".to_owned(),
            remedy: "install Node.js 20 or later from https://nodejs.org; npm comes with it"
                .to_owned(),
        });
    };
    say("setting up node_modules with the pinned componentize-qjs");
    if tools != project.root {
        fs::create_dir_all(tools).map_err(BuildError::io(tools))?;
        for name in ["package.json", "package-lock.json"] {
            let from = project.root.join(name);
            fs::copy(&from, tools.join(name)).map_err(BuildError::io(&from))?;
        }
    }
    let mut command = Command::new(npm);
    command.args(["ci", "--no-audit", "--no-fund"]).current_dir(tools);
    run("npm", &mut command).map_err(|error| match error {
        BuildError::Compile { detail, .. } => BuildError::Missing {
            what: format!("{TOOL} {pinned} could not be installed{detail}"),
            remedy: "make a package registry reachable for npm".to_owned(),
        },
        other => other,
    })?;
    if is_there() {
        return Ok((node, tool));
    }
    Err(BuildError::Missing {
        what: format!("npm installed another {TOOL} than {pinned}"),
        remedy: "bring package.json and package-lock.json in step: npm install".to_owned(),
    })
}

/// A text in a JSON file; none if it is not there.
fn version_at(path: &Path, pointer: &str) -> Result<Option<String>, BuildError> {
    let json: Value = serde_json::from_str(&read_text(path)?)
        .map_err(|error| BuildError::Project(format!("{} is not JSON: {error}", path.display())))?;
    Ok(json.pointer(pointer).and_then(Value::as_str).map(str::to_owned))
}
