//! A compiler or runner and nothing else. Products start themselves again; tests of this package,
//! whose program is a test runner, start this one. Under the name `fragile` it stands between the
//! host and a real runner and breaks when a job asks it to, as no guest can.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    if Path::new(&name).file_name().is_some_and(|name| name == "fragile") {
        return relay(args.next().unwrap_or_default())
            .map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    plugin_runtime::worker::run_if_asked().unwrap_or_else(|| {
        eprintln!("error: this program is started by others");
        ExitCode::FAILURE
    })
}

/// Passes frames on, until one holds a word that it obeys.
fn relay(role: std::ffi::OsString) -> std::io::Result<()> {
    let mut host = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut runner = Command::new("/proc/self/exe")
        .arg(role)
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    while let Some(request) = frame(&mut host)? {
        let asks = |word: &[u8]| request.windows(word.len()).any(|part| part == word);
        if asks(b"die") {
            runner.kill()?;
            eprintln!("dying as asked");
            std::process::abort();
        }
        if asks(b"hang") {
            std::thread::park();
        }
        if asks(b"babble") {
            host.write_all(&[0xff; 64])?;
            std::thread::park();
        }
        ours.write_all(&request)?;
        let Some(response) = frame(&mut ours)? else { break };
        host.write_all(&response)?;
    }
    runner.kill()
}

/// One frame with its length; `None` at the end.
fn frame(from: &mut UnixStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut head = [0; 4];
    if from.read_exact(&mut head).is_err() {
        return Ok(None);
    }
    let mut frame = head.to_vec();
    frame.resize(4 + u32::from_le_bytes(head) as usize, 0);
    if let Some(body) = frame.get_mut(4..) {
        from.read_exact(body)?;
    }
    Ok(Some(frame))
}
