//! What it costs to ask another process at all: a partner that reads as many bytes as a runner is
//! sent, computes as long as a conversion takes, and answers as many bytes. It shows how much of a
//! runner's price is the machine's.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream as Socket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::conversion::SLICE;

/// Tells this program to be the partner: bytes of a question, of an answer, and microseconds between.
pub(crate) const PARTNER: &str = "TRAINYARD_BENCH_PARTNER";

/// A process that answers.
pub(crate) struct Partner {
    child: Child,
    socket: UnixStream,
    question: Vec<u8>,
    answer: Vec<u8>,
}

impl Partner {
    /// Starts one. `question` and `answer` are in bytes.
    pub(crate) fn start(question: usize, answer: usize, busy: Duration) -> anyhow::Result<Self> {
        let (ours, theirs) = Socket::pair()?;
        ours.set_nonblocking(true)?;
        let child = Command::new(std::env::current_exe()?)
            .env(PARTNER, format!("{question} {answer} {}", busy.as_micros()))
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .spawn()?;
        let socket = UnixStream::from_std(ours)?;
        Ok(Self { child, socket, question: vec![b'q'; question], answer: vec![0; answer] })
    }

    /// Microseconds of each round trip in one slice of time.
    pub(crate) async fn slice(&mut self, each: &mut Vec<f64>) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < SLICE {
            let one = Instant::now();
            self.socket.write_all(&self.question).await?;
            self.socket.read_exact(&mut self.answer).await?;
            each.push(one.elapsed().as_secs_f64() * 1e6);
        }
        Ok(())
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The partner: serves until the other side closes.
pub(crate) fn be_partner(sizes: &OsStr) -> anyhow::Result<()> {
    let sizes = sizes.to_str().context("three numbers")?;
    let sizes: Vec<usize> = sizes.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let &[question, answer, busy] = sizes.as_slice() else { anyhow::bail!("three numbers") };
    let (mut question, answer) = (vec![0; question], vec![b'a'; answer]);
    let busy = Duration::from_micros(busy.try_into()?);
    // Whoever made this process gave it one end of a pair as its input.
    let fd = std::os::fd::AsFd::as_fd(&std::io::stdin()).try_clone_to_owned()?;
    let mut socket = Socket::from(fd);
    while socket.read_exact(&mut question).is_ok() {
        let asked = Instant::now();
        while asked.elapsed() < busy {
            std::hint::spin_loop();
        }
        socket.write_all(&answer)?;
    }
    Ok(())
}
