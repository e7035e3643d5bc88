//! The other side of the wall: what this program is when the host starts it a second time. A
//! compiler turns one untrusted component into machine code, a runner calls guests. Both read and
//! write one socket, know no secret, have no environment, and lock themselves in before they read
//! anything that came from a plugin.
//!
//! | module | what it holds |
//! |---|---|
//! | `wire` | the messages of both, and how they are framed |
//! | `confine` | limits, namespaces, Landlock, seccomp |
//! | `compile`, `run` | the two roles |

pub(crate) mod compile;
pub(crate) mod confine;
pub(crate) mod run;
pub(crate) mod wire;

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

/// First argument of a compiler.
pub(crate) const COMPILER: &str = "__plugin-compiler";
/// First argument of a runner.
pub(crate) const RUNNER: &str = "__plugin-runner";

/// Does the work of a compiler or runner if this process was started as one. A program that starts
/// a runtime with processes calls this first of all in its `main`: before any thread and before it
/// opens or reads anything.
pub fn run_if_asked() -> Option<ExitCode> {
    let role = std::env::args_os().nth(1)?;
    let work = match role.to_str()? {
        COMPILER => compile::serve,
        RUNNER => run::serve,
        _ => return None,
    };
    close_inherited();
    // Nobody reads what a worker prints but the host, which keeps it as evidence of a crash.
    Some(match socket().and_then(work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    })
}

/// Whatever started the host may have left files open that are not closed when a program starts
/// another: a wall that is built later does not close what is open already.
#[expect(unsafe_code, reason = "whoever closes a file that somebody owns breaks him")]
fn close_inherited() {
    // SAFETY: the process has just begun and owns nothing but its three standard streams.
    let closed = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    if closed != 0 {
        // Before Linux 5.9.
        for fd in open_files() {
            // SAFETY: as above; one that is closed already is an error and nothing more.
            unsafe { libc::close(fd) };
        }
    }
}

/// Descriptors above the standard streams.
fn open_files() -> Vec<i32> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|fd| *fd > 2).collect()
}

/// The host hands its socket over as the standard input.
fn socket() -> std::io::Result<UnixStream> {
    std::io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from)
}
