//! Finding and running the tools of a language.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::BuildError;

/// The program of this name in `PATH`.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|program| program.is_file())
}

/// Runs to the end without a word; what it said is in the error.
pub(crate) fn run(tool: &'static str, command: &mut Command) -> Result<String, BuildError> {
    let program = PathBuf::from(command.get_program());
    let output = command.stdin(Stdio::null()).output().map_err(BuildError::io(&program))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let detail = format!(" ({}):\n{}\n{}", output.status, text.trim_end(), errors.trim_end());
    Err(BuildError::Compile { tool, detail })
}

pub(crate) fn read_text(path: &Path) -> Result<String, BuildError> {
    std::fs::read_to_string(path).map_err(BuildError::io(path))
}
