//! The pool of runner processes. Each serves one call at a time, so that what happens to it is the
//! doing of one plugin. A runner that dies, falls silent or has served long enough is replaced.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use serde::de::DeserializeOwned;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use training::PluginDigest;

use crate::bindings::{self, Description};
use crate::cache::Code;
use crate::compiler::read_frame;
use crate::error::LoadError;
use crate::finish::finish;
use crate::limits::{COMPONENTS, CallLimits, SLOT_WAIT};
use crate::patience::Wait;
use crate::process;
use crate::sandbox::{Call, Checked, Fault, Run};
use crate::walls::Walls;
use crate::worker;
use crate::worker::wire::{
    self, Contents, Ended, REQUEST_BYTES, RESPONSE_BYTES, Request, Response, RunLimits, Unfit,
};

/// How much longer than the deadline of a call the host waits before it kills the runner. A runner
/// whose priority was lowered may have to wait for everybody else first.
const SILENCE: Duration = Duration::from_secs(2);
/// A call that takes longer than this is slower than any honest one, and from then on gives way to
/// everything else on the machine.
const SLOW: Duration = Duration::from_millis(250);
/// The lowest priority there is.
const LOWEST: i32 = 19;
/// Calls after which a runner is replaced: whatever an intruder may have left in it goes too.
const CALLS: u32 = 50_000;
/// Time in calls after which a runner is replaced, far below the processor time that it is given for
/// its life: no plugin shall be struck for what others used up.
const BUSY: Duration = Duration::from_mins(10);
/// How long a new runner may take to lock itself in. It takes milliseconds; a busy machine, more.
const START: Duration = Duration::from_secs(20);

/// A component that a runner can load.
#[derive(Debug, Clone)]
pub(crate) struct Loadable {
    pub(crate) digest: PluginDigest,
    pub(crate) code: Code,
}

/// The runners of this process.
#[derive(Debug)]
pub(crate) struct Runners {
    program: PathBuf,
    limits: CallLimits,
    code_dir: PathBuf,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Runner>>,
    tasks: TaskTracker,
    walls: OnceLock<Walls>,
}

#[derive(Debug)]
struct Runner {
    child: Child,
    socket: UnixStream,
    loaded: HashSet<PluginDigest>,
    calls: u32,
    busy: Duration,
    /// Its priority was lowered, which cannot be undone.
    slow: bool,
    buffer: Vec<u8>,
}

/// What a runner answered to a call: a [`Response::Called`] with its answer after it, perhaps a
/// second one after that.
struct Called(Vec<u8>);

impl Runners {
    /// Starts `count` runners, and fails if one of them cannot be started.
    pub(crate) async fn start(
        program: PathBuf,
        count: u32,
        limits: CallLimits,
        code_dir: PathBuf,
        tasks: TaskTracker,
    ) -> io::Result<Arc<Self>> {
        let this = Self {
            program,
            limits,
            code_dir,
            slots: Arc::new(Semaphore::new(count as usize)),
            idle: Mutex::default(),
            tasks,
            walls: OnceLock::new(),
        };
        let started = futures_util::future::try_join_all((0..count).map(|_| this.spawn())).await?;
        this.idle().extend(started);
        Ok(Arc::new(this))
    }

    /// What confines the runners, as the first of them found it.
    pub(crate) fn walls(&self) -> Option<Walls> {
        self.walls.get().copied()
    }

    /// Loads a component and asks it what it is.
    pub(crate) async fn introduce(
        self: &Arc<Self>,
        component: Loadable,
    ) -> Result<(Contents, Run<Description>), LoadError> {
        let wait = Wait::default();
        let Some(slot) = self.slot(&wait).await else {
            return Ok((Contents::default(), no_slot()));
        };
        let this = Arc::clone(self);
        let exchange = async move {
            let mut contents = None;
            let call = Call::Describe;
            let run = this.exchange(slot, &component, call, "", &wait, &mut contents).await;
            (contents, run)
        };
        let (contents, run) = finish(&self.tasks, exchange).await;
        let contents = contents.unwrap_or_else(|| Ok(Contents::default())).map_err(unfit)?;
        Ok((contents, answer(run)))
    }

    /// Calls a function of a component.
    pub(crate) async fn call<R: DeserializeOwned>(
        self: &Arc<Self>,
        component: Loadable,
        call: Call,
        json: String,
        wait: &Wait,
    ) -> Run<R> {
        let Some(slot) = self.slot(wait).await else { return no_slot() };
        let (this, wait) = (Arc::clone(self), wait.clone());
        let exchange =
            async move { this.exchange(slot, &component, call, &json, &wait, &mut None).await };
        // A caller that goes away must not leave half a message behind.
        answer(finish(&self.tasks, exchange).await)
    }

    /// Calls `validate` and, if it finds nothing, `convert`, with one message there and one back.
    pub(crate) async fn validate_and_convert(
        self: &Arc<Self>,
        component: Loadable,
        json: String,
        wait: &Wait,
    ) -> Checked {
        let Some(slot) = self.slot(wait).await else { return (no_slot(), None) };
        let (this, call, wait) = (Arc::clone(self), Call::ValidateAndConvert, wait.clone());
        let exchange =
            async move { this.exchange(slot, &component, call, &json, &wait, &mut None).await };
        let called = match finish(&self.tasks, exchange).await {
            Ok(called) => called,
            Err(fault) => return (Run::without_answer(fault), None),
        };
        let (validated, rest) = first_of::<Vec<bindings::Finding>>(&called.0);
        if !validated.outcome.as_ref().is_ok_and(Vec::is_empty) {
            return (validated, None);
        }
        (validated, Some(only(rest)))
    }

    async fn slot(&self, wait: &Wait) -> Option<OwnedSemaphorePermit> {
        let slots = &self.slots;
        if let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
            return Some(slot);
        }
        let until = wait.at_most(SLOT_WAIT);
        tokio::time::timeout_at(until, Arc::clone(slots).acquire_owned()).await.ok()?.ok()
    }

    /// One call on one runner. The slot is held until a runner stands ready for the next.
    async fn exchange(
        &self,
        _slot: OwnedSemaphorePermit,
        component: &Loadable,
        call: Call,
        json: &str,
        wait: &Wait,
        contents: &mut Option<Result<Contents, Unfit>>,
    ) -> Result<Called, Fault> {
        let mut runner = match self.take(&component.digest) {
            Some(runner) => runner,
            None => self.spawn().await.map_err(|error| {
                tracing::error!("A plugin runner cannot be started: {error}");
                Fault::NoSlot
            })?,
        };
        if wait.gives_way() {
            runner.lower();
        }
        wait.begin();
        let functions = if call == Call::ValidateAndConvert { 2 } else { 1 };
        let patience = functions * self.limits.deadline + SILENCE;
        let talk = tokio::time::timeout(patience, runner.talk(component, call, json, contents));
        match talk.await {
            Ok(Ok(called)) => {
                if runner.is_worn() {
                    process::end(runner.child, true).await;
                    self.replace().await;
                } else {
                    self.idle().push(runner);
                }
                called
            }
            Ok(Err(error)) => {
                let garbled = error.kind() == io::ErrorKind::InvalidData;
                let how = process::end(runner.child, garbled).await.how;
                self.replace().await;
                let how = if garbled {
                    format!("it does not keep to the protocol: {error}")
                } else {
                    how
                };
                Err(Fault::Crashed(how))
            }
            Err(_) => {
                process::end(runner.child, true).await;
                self.replace().await;
                let limit = patience.as_millis();
                Err(Fault::Crashed(format!("it was silent for {limit} ms and was killed")))
            }
        }
    }

    /// An idle runner that lives, one that has the component already if there is one.
    fn take(&self, digest: &PluginDigest) -> Option<Runner> {
        let mut idle = self.idle();
        loop {
            let knows = idle.iter().rposition(|runner| runner.loaded.contains(digest));
            let index = knows.or(idle.len().checked_sub(1))?;
            let mut runner = idle.swap_remove(index);
            // One that ended while nobody called it is nobody's fault.
            if matches!(runner.child.try_wait(), Ok(None)) {
                return Some(runner);
            }
        }
    }

    async fn replace(&self) {
        match self.spawn().await {
            Ok(runner) => self.idle().push(runner),
            // The next call tries again.
            Err(error) => tracing::error!("A plugin runner cannot be started: {error}"),
        }
    }

    async fn spawn(&self) -> io::Result<Runner> {
        let (child, mut socket) = process::start(&self.program, worker::RUNNER)?;
        let code_dir = self.code_dir.to_str().ok_or(io::ErrorKind::InvalidFilename)?.to_owned();
        let limits = wire::frame(&RunLimits {
            deadline_us: u64::try_from(self.limits.deadline.as_micros()).unwrap_or(u64::MAX),
            memory_bytes: self.limits.memory_bytes,
            code_dir,
        })?;
        let mut buffer = Vec::new();
        let greet = async {
            socket.write_all(&limits).await?;
            read_frame(&mut socket, &mut buffer, RESPONSE_BYTES).await?;
            wire::parse::<Walls>(&buffer)
        };
        let greeted = tokio::time::timeout(START, greet).await;
        let walls = match greeted.map_err(|_| io::ErrorKind::TimedOut.into()).flatten() {
            Ok(walls) => walls,
            Err(error) => {
                let how = process::end(child, true).await.how;
                return Err(io::Error::new(error.kind(), format!("{error}; {how}")));
            }
        };
        self.walls.get_or_init(|| {
            walls.report();
            walls
        });
        Ok(Runner {
            child,
            socket,
            loaded: HashSet::new(),
            calls: 0,
            busy: Duration::ZERO,
            slow: false,
            buffer,
        })
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Runner>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runner {
    /// The inner error is the guest's, the outer one the runner's.
    async fn talk(
        &mut self,
        component: &Loadable,
        call: Call,
        json: &str,
        contents: &mut Option<Result<Contents, Unfit>>,
    ) -> io::Result<Result<Called, Fault>> {
        let digest = &component.digest.to_string();
        if !self.loaded.contains(&component.digest) || call == Call::Describe {
            let load = Request::Load { digest, file: &component.code.file };
            self.say(&load).await?;
            let Response::Loaded(found) = wire::parse(&self.buffer)? else {
                return Err(unexpected());
            };
            let fits = found.is_ok();
            let found = contents.insert(found);
            if !fits {
                let why = found.as_ref().err().map(|unfit| format!("{unfit:?}"));
                return Ok(Err(Fault::Gone(why.unwrap_or_default())));
            }
            self.loaded.insert(component.digest);
        }
        self.calls = self.calls.saturating_add(1);
        let request = wire::frame(&Request::Call { digest, call, json })?;
        if request.len() > REQUEST_BYTES {
            let why = format!("its input has {} bytes; at most {REQUEST_BYTES} fit", json.len());
            return Ok(Err(Fault::Failed(why)));
        }
        let started = Instant::now();
        self.slow |= {
            let mut asked = std::pin::pin!(ask(&mut self.socket, &request, &mut self.buffer));
            match tokio::time::timeout(SLOW, asked.as_mut()).await {
                Ok(done) => done.map(|()| false)?,
                Err(_) => {
                    lower(&self.child);
                    asked.await?;
                    true
                }
            }
        };
        self.busy += started.elapsed();
        let (response, _) = wire::split(&self.buffer)?;
        let Response::Called { .. } = response else { return Err(unexpected()) };
        // The next answer is often as large, and its buffer is made anew only if it is not.
        let next = Vec::with_capacity(self.buffer.len());
        Ok(Ok(Called(std::mem::replace(&mut self.buffer, next))))
    }

    async fn say(&mut self, request: &Request<'_>) -> io::Result<()> {
        let request = wire::frame(request)?;
        ask(&mut self.socket, &request, &mut self.buffer).await
    }

    /// Lets everybody else go first, for the rest of its life.
    fn lower(&mut self) {
        lower(&self.child);
        self.slow = true;
    }

    fn is_worn(&self) -> bool {
        self.slow || self.calls >= CALLS || self.busy >= BUSY || self.loaded.len() >= COMPONENTS
    }
}

fn lower(child: &Child) {
    if let Some(pid) = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
        // Only a courtesy to the others: it may just have ended.
        let _ = rustix::process::setpriority_process(Some(pid), LOWEST);
    }
}

async fn ask(socket: &mut UnixStream, request: &[u8], buffer: &mut Vec<u8>) -> io::Result<()> {
    socket.write_all(request).await?;
    read_frame(socket, buffer, RESPONSE_BYTES).await
}

fn unexpected() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an answer to another question")
}

/// What a runner says is checked like what a guest says: it is read into the contract's type, and
/// everything else about it is checked where answers of guests are.
fn answer<R: DeserializeOwned>(called: Result<Called, Fault>) -> Run<R> {
    match called {
        Ok(called) => only(&called.0),
        Err(fault) => Run::without_answer(fault),
    }
}

/// What one function did, after which nothing may follow.
fn only<R: DeserializeOwned>(frame: &[u8]) -> Run<R> {
    let (mut run, rest) = first_of(frame);
    if run.outcome.is_ok() && !rest.is_empty() {
        run.outcome = Err(Fault::Failed("its answer is followed by another".to_owned()));
    }
    run
}

/// What the first function of a frame did, and what follows it.
fn first_of<R: DeserializeOwned>(frame: &[u8]) -> (Run<R>, &[u8]) {
    let unreadable = |error| Fault::Failed(format!("its answer cannot be read: {error}"));
    let (ended, log, memory_bytes, took_us, rest) = match wire::split(frame) {
        Ok((Response::Called { ended, log, memory_bytes, took_us }, rest)) => {
            (ended, log, memory_bytes, took_us, rest)
        }
        Ok((Response::Loaded(_), _)) => {
            return (Run::without_answer(unreadable(unexpected())), &[]);
        }
        Err(error) => return (Run::without_answer(unreadable(error)), &[]),
    };
    let (outcome, rest) = match ended {
        Ended::Answer => match wire::split(rest) {
            Ok((answer, rest)) => (Ok(answer), rest),
            Err(error) => (Err(unreadable(error)), &[][..]),
        },
        Ended::TimedOut => (Err(Fault::TimedOut), rest),
        Ended::Failed(detail) => (Err(Fault::Failed(detail)), rest),
    };
    (Run { outcome, log, memory_bytes, took: Duration::from_micros(took_us) }, rest)
}

fn no_slot<R>() -> Run<R> {
    Run::without_answer(Fault::NoSlot)
}

fn unfit(unfit: Unfit) -> LoadError {
    let bounded = |text: String| crate::text::clean(&text, 512);
    match unfit {
        Unfit::ForbiddenImport(import) => LoadError::ForbiddenImport { import: bounded(import) },
        Unfit::MissingExport(export) => LoadError::MissingExport { export: bounded(export) },
        Unfit::Link(reason) => LoadError::Link { reason: bounded(reason) },
        Unfit::Code(reason) => LoadError::NotAComponent { reason: bounded(reason) },
    }
}
