//! Runs child processes: shows the command, fails with its exact text, and stops it on a signal.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a waiting loop looks at its child; short against any build, long against CPU cost.
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// How long a child may take to stop before it is killed.
const GRACE: Duration = Duration::from_secs(20);

/// The number of the signal that arrived first, or 0.
static SIGNAL: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// From here on an interrupt, hang-up or termination does not end this process at once: waits end
/// with an error, so that everything that was started is stopped and removed on the way out.
/// A second signal ends the process at once.
pub(crate) fn catch_signals() -> Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let seen = Arc::new(AtomicUsize::new(0));
    let armed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        let number = usize::try_from(signal)?;
        // In this order: the first signal finds `armed` unset, sets it, and only the second ends us.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, armed.clone())?;
        signal_hook::flag::register(signal, armed.clone())?;
        signal_hook::flag::register_usize(signal, seen.clone(), number)?;
    }
    SIGNAL.set(seen).ok().context("signals are caught once")
}

/// Whether a signal asked this process to stop.
pub(crate) fn interrupted() -> bool {
    SIGNAL.get().is_some_and(|seen| seen.load(Ordering::Relaxed) != 0)
}

/// Fails when a signal asked this process to stop.
pub(crate) fn fail_if_interrupted() -> Result<()> {
    if interrupted() {
        bail!("interrupted");
    }
    Ok(())
}

/// `cargo`, the one that runs this program, in the repository's root.
pub(crate) fn cargo(root: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root);
    // What `cargo run` says about xtask is not true of the packages built from here.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name.as_ref());
        }
    }
    command
}

/// Runs to the end with the terminal attached; an exit code other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    eprintln!("\n$ {shown}");
    let status = wait(&mut spawn(command.stdin(Stdio::null()))?)?;
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}

/// Runs to the end without a word and returns standard output; both streams are in the error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", program(command)))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("`{shown}` failed: {}\n{}{}", output.status, text, errors.trim_end());
    }
    Ok(text)
}

/// Starts a child; the error names the program, because the system's text does not.
pub(crate) fn spawn(command: &mut Command) -> Result<Child> {
    command.spawn().with_context(|| format!("cannot start `{}`", program(command)))
}

/// Waits for the end of a child, or stops it and fails when a signal arrives.
fn wait(child: &mut Child) -> Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            fail_if_interrupted()?;
            return Ok(status);
        }
        if interrupted() {
            stop(child)?;
            bail!("interrupted");
        }
        sleep(POLL);
    }
}

/// Asks a child to stop, by its id, and kills it when it has not done so within the grace time.
pub(crate) fn stop(child: &mut Child) -> Result<ExitStatus> {
    if let Some(status) = child.try_wait()? {
        return Ok(status);
    }
    output(Command::new("kill").args(["-TERM", &child.id().to_string()])).ok();
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        sleep(POLL);
    }
    child.kill()?;
    Ok(child.wait()?)
}

/// The first folder of `PATH` with an executable of this name.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// The command as a person would type it.
fn show(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    let mut words = vec![name.to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| {
        let arg = arg.to_string_lossy();
        if arg.contains(' ') { format!("'{arg}'") } else { arg.into_owned() }
    }));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_is_named_with_its_arguments() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c 'exit 3'` failed: exit status: 3");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `no-such-program`");
    }

    #[test]
    fn what_a_quiet_command_said_is_in_the_error() {
        let error = output(Command::new("sh").args(["-c", "echo why >&2; exit 1"])).unwrap_err();
        assert!(error.to_string().ends_with("\nwhy"), "{error}");
    }
}
