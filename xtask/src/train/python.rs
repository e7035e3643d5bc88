//! Python environments with the libraries of the training images, below the target directory. One
//! is made once for each set of requirements.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::cmd;

/// The environment that holds the tools of this command, too.
pub(super) const KIT: &str = "light";

/// Set to `1`, this variable makes it an error that nothing can be installed.
const REQUIRED: &str = "TRAINYARD_REQUIRE_TRAINING";

/// What the images are based on comes first; the others have wheels of all libraries.
const INTERPRETERS: [&str; 4] = ["python3.11", "python3.12", "python3.13", "python3"];
const OLDEST: (u32, u32) = (3, 11);
const NEWEST: (u32, u32) = (3, 13);

/// Says that the index was not reached, in pip's words.
const UNREACHABLE: [&str; 5] = [
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeoutError",
    "ProxyError",
    "from versions: none",
];

/// A virtual environment.
pub(super) struct Environment(PathBuf);

impl Environment {
    /// The environment with these requirements; it is made if it is missing. `None`, with a loud
    /// line, where there is no Python or no package index.
    pub(super) fn of(folder: &Path, name: &str, requirements: &[PathBuf]) -> Result<Option<Self>> {
        let dir = folder.join(format!("{name}-{}", digest(requirements)?));
        let mark = dir.join("complete");
        if mark.is_file() {
            return Ok(Some(Self(dir)));
        }
        let Some(python) = interpreter() else {
            return skipped("there is no Python from 3.11 to 3.13 with its module venv");
        };
        println!("train: installing the environment `{name}`");
        // A half-made one of an interrupted run.
        fs::remove_dir_all(&dir).ok();
        cmd::output(Command::new(python).args(["-m", "venv"]).arg(&dir))?;
        let environment = Self(dir);
        let mut install = environment.python();
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        for file in requirements {
            install.arg("--requirement").arg(file);
        }
        if let Err(error) = cmd::output(&mut install) {
            let text = format!("{error:#}");
            if UNREACHABLE.iter().any(|words| text.contains(words)) {
                eprintln!("{text}");
                return skipped("the Python Package Index cannot be reached");
            }
            return Err(error).context("the requirements of the training images do not install");
        }
        fs::write(mark, "").context("cannot write into the environment")?;
        Ok(Some(environment))
    }

    /// Its interpreter, without what the caller's environment has for Python.
    pub(super) fn python(&self) -> Command {
        let mut command = Command::new(self.bin().join("python"));
        command.env_remove("PYTHONPATH").env_remove("PYTHONHOME");
        // Nothing is left behind beside the sources.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// The folder of its programs.
    pub(super) fn bin(&self) -> PathBuf {
        self.0.join("bin")
    }
}

/// The tests of what the images share.
pub(super) fn run_tests(environment: &Environment, images: &Path) -> Result<()> {
    let mut command = environment.python();
    command.args(["-m", "unittest", "discover", "--start-directory"]).arg(images.join("common"));
    cmd::run(&mut command).context("a test of the training images fails")
}

fn skipped(reason: &str) -> Result<Option<Environment>> {
    if std::env::var_os(REQUIRED).is_some_and(|value| value == "1") {
        bail!("the training programs cannot be run: {reason}");
    }
    eprintln!("SKIPPED: training programs: {reason}; {REQUIRED}=1 makes this an error");
    Ok(None)
}

fn interpreter() -> Option<&'static str> {
    const ASK: &str = "import sys, venv, ensurepip; print(*sys.version_info[:2])";
    INTERPRETERS.into_iter().find(|name| {
        let said = cmd::output(Command::new(name).args(["-c", ASK])).unwrap_or_default();
        version(&said).is_some_and(|version| (OLDEST..=NEWEST).contains(&version))
    })
}

fn version(said: &str) -> Option<(u32, u32)> {
    let (major, minor) = said.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn digest(files: &[PathBuf]) -> Result<String> {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(fs::read(file).with_context(|| format!("cannot read {}", file.display()))?);
        hash.update([0]);
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_requirements_are_another_environment() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("requirements.txt");
        fs::write(&file, "a==1").unwrap();
        let before = digest(std::slice::from_ref(&file)).unwrap();
        fs::write(&file, "a==2").unwrap();
        assert_ne!(digest(&[file]).unwrap(), before);
    }

    #[test]
    fn only_pythons_with_wheels_of_all_libraries_serve() {
        let serves = |said| version(said).is_some_and(|v| (OLDEST..=NEWEST).contains(&v));
        assert!(serves("3 11\n") && serves("3 13\n"));
        assert!(!serves("3 9\n") && !serves("3 14\n") && !serves(""));
    }
}
