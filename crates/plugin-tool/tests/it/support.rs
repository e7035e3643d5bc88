//! Running the program, and the places that tests share to spare compilations.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Set to `1`, this variable makes a compiler that cannot be had an error.
const REQUIRED: &str = "TRAINYARD_REQUIRE_EXAMPLES";

/// The program under test.
pub(crate) fn tool() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainyard-plugin"));
    // What Cargo says to a test is not meant for the builds that the program starts.
    for (name, _) in std::env::vars_os() {
        if name != "CARGO_HOME" && name.to_string_lossy().starts_with("CARGO_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs to the end; the second text is what it says to people.
pub(crate) fn run(command: &mut Command) -> (Output, String, String) {
    let output = command.output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    (output, out, err)
}

/// Makes a project that must be made.
pub(crate) fn new(dir: &Path, name: &str, language: &str) -> PathBuf {
    let mut command = tool();
    command.args(["new", name, "--language", language, "--dir"]).arg(dir);
    let (output, out, err) = run(&mut command);
    assert!(output.status.success(), "{err}");
    let project = dir.join(name);
    assert_eq!(out.trim_end(), project.display().to_string());
    project
}

/// A folder below the target directory, kept between runs. Compiling the dependencies of a plugin
/// anew for each test would take minutes.
pub(crate) fn kept(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_trainyard-plugin"));
    let target = program.ancestors().nth(2).expect("the target directory");
    let dir = target.join(name);
    std::fs::create_dir_all(&dir).expect("a folder for the tests");
    dir
}

/// One test at a time in a kept folder; the system lets go when the test ends, however it ends.
pub(crate) fn alone_in(dir: &Path) -> File {
    let lock = File::create(dir.join("lock")).expect("a lock file");
    lock.lock().expect("the lock");
    lock
}

/// Whether a build failed for want of a compiler, which is said loudly, or is an error where
/// everything must be there.
pub(crate) fn skipped(output: &Output, err: &str) -> bool {
    let missing = output.status.code() == Some(2);
    if missing {
        assert!(std::env::var_os(REQUIRED).is_none_or(|value| value != "1"), "{err}");
        eprintln!("SKIPPED: {err}{REQUIRED}=1 makes this an error");
    }
    missing
}

/// Runs a project's own tests where its interpreter is there. They leave nothing behind.
pub(crate) fn native_tests(language: &str, project: &Path) {
    let (program, args) = match language {
        "python" => ("python3", &["-m", "unittest", "discover", "tests"][..]),
        "javascript" => ("node", &["--test"][..]),
        other => panic!("no tests are known for {other}"),
    };
    if Command::new(program).arg("--version").output().is_err() {
        assert!(std::env::var_os(REQUIRED).is_none_or(|value| value != "1"), "no {program}");
        eprintln!("SKIPPED: the tests of {} need {program}", project.display());
        return;
    }
    let (output, out, err) = run(Command::new(program).args(args).current_dir(project));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(!project.join("src/__pycache__").exists(), "tests left a cache behind");
}
