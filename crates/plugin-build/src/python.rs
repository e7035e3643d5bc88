//! Plugins in Python: componentize-py puts the interpreter and the sources into one component.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::toolchain::{find_program, read_text, run};
use crate::{BuildError, Options, Project};

const TOOL: &str = "componentize-py";

pub(crate) fn build(
    project: &Project,
    options: Options<'_>,
    say: &mut dyn FnMut(&str),
) -> Result<Vec<u8>, BuildError> {
    let venv = options.tools.unwrap_or(&project.root).join(".venv");
    let tool = ensure_tool(project, &venv, options.setup, say)?;
    say("componentizing the sources with componentize-py; this takes about 20 s");
    let scratch = tempfile::tempdir().map_err(BuildError::io(Path::new("a temporary folder")))?;
    // The interpreter writes caches beside the sources that it reads.
    let sources = scratch.path().join("src");
    copy_sources(&project.root.join("src"), &sources)?;
    let output = scratch.path().join("plugin.wasm");
    let mut command = Command::new(tool);
    command
        .env("VIRTUAL_ENV", &venv)
        .args(["--world", "plugin", "--wit-path"])
        .arg(project.wit(scratch.path())?)
        // The sandbox offers no WASI: what the interpreter would ask of it traps instead.
        .args(["componentize", "--stub-wasi", "--python-path"])
        .arg(&sources)
        .arg("--output")
        .arg(&output)
        .arg("component");
    run(TOOL, &mut command)?;
    fs::read(&output).map_err(BuildError::io(&output))
}

/// The tool in the project's virtual environment, in the version that `requirements.txt` pins.
fn ensure_tool(
    project: &Project,
    venv: &Path,
    setup: bool,
    say: &mut dyn FnMut(&str),
) -> Result<PathBuf, BuildError> {
    let requirements = project.root.join("requirements.txt");
    let pinned = pinned_version(&read_text(&requirements)?).ok_or_else(|| {
        BuildError::Project(format!(
            "{} must pin the compiler, in a line like `{TOOL}==0.25.1`",
            requirements.display()
        ))
    })?;
    let tool = venv.join("bin").join(TOOL);
    if installed_version(&tool).as_deref() == Some(&pinned) {
        return Ok(tool);
    }
    if !setup {
        return Err(BuildError::Missing {
            what: format!("{TOOL} {pinned} is not installed in {}", venv.display()),
            remedy: format!(
                "install it: trainyard-plugin build --setup {}, or by hand: python3 -m venv {} && \
                 {}/bin/pip install --requirement {}",
                project.root.display(),
                venv.display(),
                venv.display(),
                requirements.display()
            ),
        });
    }
    let Some(python) = find_program("python3") else {
        return Err(BuildError::Missing {
            what: "Python is not in PATH".to_owned(),
            remedy: "install Python 3.10 or later with its module `venv`; on Debian: apt-get \
                     install python3-venv"
                .to_owned(),
        });
    };
    say("setting up .venv with the pinned componentize-py");
    let explained = |error: BuildError| match error {
        BuildError::Compile { detail, .. } => BuildError::Missing {
            what: format!("{TOOL} {pinned} could not be installed{detail}"),
            remedy: "install Python 3.10 or later with its modules `venv` and `pip`, and make a \
                     package index reachable"
                .to_owned(),
        },
        other => other,
    };
    run("python3", Command::new(python).args(["-m", "venv"]).arg(venv)).map_err(explained)?;
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    run("pip", pip.arg(&requirements)).map_err(explained)?;
    match installed_version(&tool) {
        Some(version) if version == pinned => Ok(tool),
        found => Err(BuildError::Missing {
            what: format!("{TOOL} {pinned} was installed, but it says to be {found:?}"),
            remedy: format!("remove {} and try again", venv.display()),
        }),
    }
}

fn pinned_version(requirements: &str) -> Option<String> {
    let pin = requirements.lines().find_map(|line| line.trim().strip_prefix(TOOL))?;
    let version = pin.trim_start().strip_prefix("==")?.trim_start();
    let version = version.split([' ', ';', '#']).next().unwrap_or_default();
    (!version.is_empty()).then(|| version.to_owned())
}

/// What `componentize-py --version` says after the name.
fn installed_version(tool: &Path) -> Option<String> {
    let output = Command::new(tool).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.trim().strip_prefix(TOOL).map(|version| version.trim().to_owned())
}

fn copy_sources(from: &Path, to: &Path) -> Result<(), BuildError> {
    fs::create_dir_all(to).map_err(BuildError::io(to))?;
    for entry in fs::read_dir(from).map_err(BuildError::io(from))? {
        let path = entry.map_err(BuildError::io(from))?.path();
        let Some(name) = path.file_name() else { continue };
        if path.is_dir() {
            if name != "__pycache__" {
                copy_sources(&path, &to.join(name))?;
            }
        } else {
            fs::copy(&path, to.join(name)).map_err(BuildError::io(&path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_exact_version_is_a_pin() {
        let pinned = |text: &str| pinned_version(text);
        assert_eq!(pinned("# tools\ncomponentize-py==0.25.1\n").as_deref(), Some("0.25.1"));
        assert_eq!(pinned("componentize-py == 0.25.1  # why").as_deref(), Some("0.25.1"));
        for loose in ["", "componentize-py", "componentize-py>=0.25", "componentize-py=="] {
            assert_eq!(pinned(loose), None, "{loose}");
        }
    }

    #[test]
    fn caches_of_the_interpreter_stay_behind() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("src");
        fs::create_dir_all(from.join("a/__pycache__")).unwrap();
        fs::write(from.join("a/b.py"), "1").unwrap();
        fs::write(from.join("a/__pycache__/b.pyc"), "2").unwrap();
        let to = dir.path().join("copy");
        copy_sources(&from, &to).unwrap();
        assert!(to.join("a/b.py").is_file() && !to.join("a/__pycache__").exists());
    }
}
