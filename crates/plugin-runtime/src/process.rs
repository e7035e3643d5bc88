//! Starting a worker and watching it end. What a worker is, see [`crate::worker`].

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::text;
use crate::worker;

/// What a worker may write to its errors before it is cut off. A panic's message is far shorter.
const LAST_WORDS_BYTES: u64 = 4 << 10;
/// Threads of a compiler; more make no component of ours faster.
const MOST_THREADS: usize = 8;
/// How long the end of a process that was killed, or has closed its socket, may take.
const END_WAIT: Duration = Duration::from_secs(2);

/// Starts a worker: no environment, no arguments but its role, no open file but its socket. It is
/// killed when the returned child is dropped.
pub(crate) fn start(program: &Path, role: &str) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut command = Command::new(program);
    command
        .arg0(name(program))
        .arg(role)
        .env_clear()
        .envs(environment(role))
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Ok((command.spawn()?, UnixStream::from_std(ours)?))
}

/// A compiler is told how many processors there really are: behind its walls it sees those of the
/// whole machine, and each thread of its allocator reserves address space that its limit counts.
fn environment(role: &str) -> Vec<(&'static str, String)> {
    if role != worker::COMPILER {
        return Vec::new();
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    vec![("RAYON_NUM_THREADS", threads.to_string()), ("MALLOC_ARENA_MAX", "2".to_owned())]
}

/// The program's own name, whatever the path it is started by.
fn name(program: &Path) -> std::ffi::OsString {
    let real = program.canonicalize().unwrap_or_else(|_| program.to_owned());
    real.file_name().unwrap_or(OsStr::new("trainyard")).to_owned()
}

/// How a worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    /// In words.
    pub(crate) how: String,
    /// Whether a limit of its own ended it, and not somebody else.
    pub(crate) own_limit: bool,
}

/// Ends a worker, if it has not ended by itself, and says how it ended.
pub(crate) async fn end(mut child: Child, kill: bool) -> Ending {
    if kill {
        // Fails only if it has ended.
        drop(child.start_kill());
    }
    let words = async {
        let mut words = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            // What is cut off is no evidence.
            drop(stderr.take(LAST_WORDS_BYTES).read_to_end(&mut words).await);
        }
        let status = child.wait().await;
        (status, words)
    };
    let Ok((status, words)) = tokio::time::timeout(END_WAIT, words).await else {
        return Ending { how: "it did not end".to_owned(), own_limit: false };
    };
    let signal = status.as_ref().ok().and_then(ExitStatusExt::signal);
    let own_limit = matches!(signal, Some(libc::SIGXCPU | libc::SIGABRT));
    let words = text::clean(&String::from_utf8_lossy(&words), 512);
    let mut how = status.map_or_else(|error| error.to_string(), how);
    if !words.is_empty() {
        how.push_str(": ");
        how.push_str(&words);
    }
    Ending { how, own_limit }
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with code {code}"),
        (None, Some(libc::SIGXCPU)) => "it used up its processor time".to_owned(),
        (None, Some(libc::SIGABRT)) => "it gave up, as for want of memory".to_owned(),
        (None, Some(libc::SIGKILL)) => "it was killed".to_owned(),
        (None, Some(signal)) => format!("signal {signal} ended it"),
        (None, None) => status.to_string(),
    }
}
