//! Runs the program.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// stdout as the one JSON object it must be.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts how it ended, and shows everything if it ended otherwise.
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}

/// The program with these arguments, in an environment without settings of the developer.
pub(crate) fn command<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainyard-plugin"));
    command.args(args).env_remove("TRAINYARD_SCHEMAS").env_remove("TRAINYARD_KEY_PASSWORD");
    command
}

pub(crate) fn finish(mut command: Command) -> Run {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Run {
        code: status.code().unwrap(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

pub(crate) fn run<S: AsRef<OsStr>>(args: &[S]) -> Run {
    finish(command(args))
}

/// A plugin of this repository. Only a developer's machine may lack it.
pub(crate) fn shipped(name: &str) -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("TRAINYARD_PLUGINS_DIR") {
        return Some(PathBuf::from(dir).join(name));
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "TRAINYARD_PLUGINS_DIR must name the built plugins"
    );
    eprintln!("SKIPPED: TRAINYARD_PLUGINS_DIR is not set, so shipped plugins are not tested");
    None
}

#[test]
fn reader_that_went_away_is_nobodys_mistake() {
    let Some(plugin) = shipped("sklearn.wasm") else { return };
    let plugin = plugin.display().to_string();
    for args in [&["inspect", plugin.as_str(), "--json"][..], &["inspect", plugin.as_str()]] {
        let mut command = command(args);
        let (reader, writer) = std::io::pipe().unwrap();
        command.stdout(writer).stderr(std::process::Stdio::piped());
        drop(reader);
        let child = command.spawn().unwrap();
        // The command holds an end of the pipe, too.
        drop(command);
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        assert_eq!((status.code(), stderr.as_slice()), (Some(0), &b""[..]), "{args:?}");
    }
}
