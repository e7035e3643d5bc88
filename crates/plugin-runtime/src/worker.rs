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
    // Nobody reads what a worker prints but the host, which keeps it as evidence of a crash.
    Some(match socket().and_then(work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    })
}

/// The host hands its socket over as the standard input.
fn socket() -> std::io::Result<UnixStream> {
    std::io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from)
}
