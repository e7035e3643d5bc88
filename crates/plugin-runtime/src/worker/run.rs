//! The runner: calls guests, one at a time. One call at a time, because then a runner that dies or
//! falls silent says beyond doubt which plugin did it, and no guest shares a process with another
//! guest that is running.

use std::collections::HashMap;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use wasmtime::component::Component;

use crate::bindings;
use crate::cache;
use crate::engine::{self, Ticker};
use crate::error::LoadError;
use crate::limits::CallLimits;
use crate::sandbox::{self, Call, Fault, Guest, Run, Sandboxes};
use crate::walls::Walls;
use crate::worker::confine::{self, Rlimits, Work};
use crate::worker::wire::{
    self, Contents, Ended, Frame, REQUEST_BYTES, Request, Response, RunLimits, Unfit,
};

/// How exact a deadline is. Longer than in the host's own process: here nobody waits for the
/// thread, and an idle machine should not be woken more often than that.
const TICK: Duration = Duration::from_millis(2);
/// Memory of the runner itself and of what it loads, beside the guest's.
const OWN_BYTES: u64 = 512 << 20;
/// Processor time of one life. The host replaces a runner after a sixth of it; this is the last
/// resort against code that broke out and computes for itself.
const CPU_SECONDS: u64 = 3600;
/// Longest first frame: two numbers and a path.
const LIMITS_BYTES: usize = 8 << 10;

/// Serves requests until the host closes the socket.
pub(super) fn serve(mut socket: UnixStream) -> io::Result<()> {
    let limits: RunLimits = wire::read(&mut socket, LIMITS_BYTES)?;
    let internal = |error: wasmtime::Error| io::Error::other(sandbox::reason_of(&error));
    // Before anything is locked: it opens the map of its own pages, which only their owner may.
    let engine = engine::build(1, limits.memory_bytes).map_err(internal)?;
    confine::limit(Rlimits {
        cpu_seconds: CPU_SECONDS,
        // Each sandbox reserves address space by the GiB; what counts is what it can write to.
        address_space: None,
        data: OWN_BYTES + 2 * limits.memory_bytes as u64,
    })?;
    let namespaces = confine::leave_namespaces();
    let code_dir = Path::new(&limits.code_dir);
    let root = confine::enter(code_dir);
    let code_dir = if root { PathBuf::from("/") } else { code_dir.to_owned() };
    let landlock = confine::landlock(Some(&code_dir));
    // Its thread inherits what stands so far; the last wall is put up around both.
    let ticker = Ticker::start(&engine, TICK)?;
    let seccomp = confine::seccomp(Work::Run);

    let call_limits = CallLimits {
        deadline: Duration::from_micros(limits.deadline_us),
        memory_bytes: limits.memory_bytes,
        fewest_ticks: 4,
    };
    let sandboxes = Sandboxes::new(engine, call_limits).map_err(internal)?;
    let executor = tokio::runtime::Builder::new_current_thread().build()?;
    let mut runner = Runner { sandboxes, ticker, executor, code_dir, guests: HashMap::new() };
    let (no_files, no_network, no_programs) = confine::try_to_break_out();
    let walls = Walls { namespaces, root, landlock, seccomp, no_files, no_network, no_programs };
    wire::write(&mut socket, &walls)?;
    let mut buffer = Vec::new();
    while wire::read_frame(&mut socket, &mut buffer, REQUEST_BYTES)? {
        let response = match wire::parse(&buffer)? {
            Request::Load { digest, file } => {
                wire::frame(&Response::Loaded(runner.load(digest, file)))?
            }
            Request::Call { digest, call, json } => runner.call(digest, call, json)?,
        };
        socket.write_all(&response)?;
    }
    Ok(())
}

struct Runner {
    sandboxes: Sandboxes,
    ticker: Ticker,
    executor: tokio::runtime::Runtime,
    code_dir: PathBuf,
    guests: HashMap<String, Guest>,
}

impl Runner {
    fn load(&mut self, digest: &str, file: &str) -> Result<Contents, Unfit> {
        let engine = self.sandboxes.engine();
        let component = cache::revive(engine, &self.code_dir.join(file)).map_err(Unfit::Code)?;
        let contents = contents(engine, &component);
        let guest = self.sandboxes.link(&component).map_err(unfit)?;
        self.guests.insert(digest.to_owned(), guest);
        Ok(contents)
    }

    fn call(&mut self, digest: &str, call: Call, json: &str) -> io::Result<Vec<u8>> {
        let Some(guest) = self.guests.get(digest) else {
            let why = format!("component {digest} was never loaded");
            return called::<()>(Run::without_answer(Fault::Failed(why)));
        };
        let (sandboxes, executor) = (&self.sandboxes, &self.executor);
        self.ticker.busy(true);
        let frame = match call {
            Call::Describe => called(executor.block_on(sandboxes.describe(guest))),
            Call::Validate => {
                type Findings = Vec<bindings::Finding>;
                called(executor.block_on(sandboxes.call::<Findings>(guest, call, json)))
            }
            Call::Convert => {
                type Plan = Result<bindings::Plan, bindings::Failure>;
                called(executor.block_on(sandboxes.call::<Plan>(guest, call, json)))
            }
            Call::Interpret => {
                called(executor.block_on(sandboxes.call::<bindings::Report>(guest, call, json)))
            }
            Call::ValidateAndConvert => {
                let checked = sandboxes.validate_and_convert(guest, json);
                let (validated, converted) = executor.block_on(checked);
                let frame = add(Frame::new(), validated);
                let converted = converted.into_iter();
                converted.fold(frame, |frame, run| add(frame?, run)).and_then(Frame::into_bytes)
            }
        };
        self.ticker.busy(false);
        frame
    }
}

/// What a component imports and exports.
pub(crate) fn contents(engine: &wasmtime::Engine, component: &Component) -> Contents {
    Contents {
        imports: sandbox::imports(engine, component),
        exports: sandbox::exports(engine, component),
    }
}

/// The response to a call as a frame.
fn called<R: Serialize>(run: Run<R>) -> io::Result<Vec<u8>> {
    add(Frame::new(), run)?.into_bytes()
}

/// Adds what one function did.
fn add<R: Serialize>(frame: Frame, run: Run<R>) -> io::Result<Frame> {
    let Run { outcome, log, memory_bytes, took } = run;
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let fault = match outcome {
        Ok(answer) => {
            let response = Response::Called { ended: Ended::Answer, log, memory_bytes, took_us };
            return frame.with(&response)?.with(&answer);
        }
        Err(fault) => fault,
    };
    let ended = match fault {
        Fault::TimedOut => Ended::TimedOut,
        Fault::Failed(detail) | Fault::Crashed(detail) | Fault::Gone(detail) => {
            Ended::Failed(detail)
        }
        // One call at a time: the only slot was free.
        Fault::NoSlot => Ended::Failed("the sandbox was taken".to_owned()),
    };
    frame.with(&Response::Called { ended, log, memory_bytes, took_us })
}

fn unfit(error: LoadError) -> Unfit {
    match error {
        LoadError::ForbiddenImport { import } => Unfit::ForbiddenImport(import),
        LoadError::MissingExport { export } => Unfit::MissingExport(export),
        LoadError::Link { reason } => Unfit::Link(reason),
        other => Unfit::Code(other.to_string()),
    }
}
