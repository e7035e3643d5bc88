//! From a component to machine code, in a process of its own: nothing can interrupt a compilation,
//! and 200 KB of odd code cost half a minute and a GiB.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use wasmtime::Engine;

use crate::error::LoadError;
use crate::process::{self, Ending};
use crate::worker;
use crate::worker::wire::{self, CODE_BYTES, CompileLimits, Compiled};

/// Compilations at a time. Each takes every core it finds; a second one keeps a hostile file from
/// holding up the good ones behind it.
const AT_A_TIME: usize = 2;

/// What one compilation may cost.
#[derive(Debug, Clone, Copy)]
pub struct CompileCosts {
    /// Processor time in seconds. The largest interpreters need 14.
    pub cpu_seconds: u64,
    /// Address space in bytes. The largest interpreters need half a GiB.
    pub memory_bytes: u64,
    /// Wall-clock time.
    pub patience: Duration,
}

impl Default for CompileCosts {
    fn default() -> Self {
        Self { cpu_seconds: 40, memory_bytes: 3 << 30, patience: Duration::from_mins(1) }
    }
}

/// Compiles components.
#[derive(Debug)]
pub(crate) struct Compiler {
    engine: Engine,
    /// `None` compiles in this process.
    program: Option<PathBuf>,
    costs: CompileCosts,
    slots: Semaphore,
}

impl Compiler {
    pub(crate) fn new(engine: Engine, program: Option<PathBuf>, costs: CompileCosts) -> Self {
        Self { engine, program, costs, slots: Semaphore::new(AT_A_TIME) }
    }

    /// Compiles, within the limits. An error is the file's, unless it is retryable.
    pub(crate) async fn compile(&self, component: Vec<u8>) -> Result<Vec<u8>, LoadError> {
        let unusable = |reason: String| LoadError::NotAComponent { reason };
        let Ok(_slot) = self.slots.acquire().await else {
            return Err(LoadError::Compiler { reason: "the runtime is stopping".to_owned() });
        };
        let Some(program) = &self.program else {
            let engine = self.engine.clone();
            // The compiler has been seen to panic on odd input; that is a broken file.
            let here = spawn_blocking(move || worker::compile::compile(&engine, &component));
            let gave_up = |_| unusable("the compiler gave up".to_owned());
            return here.await.map_err(gave_up)?.map_err(unusable);
        };
        let broken = |error: io::Error| LoadError::Compiler { reason: error.to_string() };
        let (child, mut socket) = process::start(program, worker::COMPILER).map_err(broken)?;
        let exchange = exchange(&mut socket, self.costs, &component);
        match tokio::time::timeout(self.costs.patience, exchange).await {
            Ok(Ok(answer)) => {
                process::end(child, true).await;
                answer.map_err(unusable)
            }
            Ok(Err(_)) => {
                let Ending { how, own_limit } = process::end(child, false).await;
                Err(LoadError::CompileLimit { reason: how, certain: own_limit })
            }
            Err(_) => {
                process::end(child, true).await;
                let seconds = self.costs.patience.as_secs();
                let reason = format!("it took more than {seconds} s");
                Err(LoadError::CompileLimit { reason, certain: false })
            }
        }
    }
}

async fn exchange(
    socket: &mut UnixStream,
    costs: CompileCosts,
    component: &[u8],
) -> io::Result<Compiled> {
    let CompileCosts { cpu_seconds, memory_bytes, .. } = costs;
    let limits = wire::frame(&CompileLimits { cpu_seconds, memory_bytes })?;
    socket.write_all(&limits).await?;
    let length = u32::try_from(component.len()).map_err(io::Error::other)?;
    socket.write_all(&length.to_le_bytes()).await?;
    socket.write_all(component).await?;
    let mut answer = Vec::new();
    read_frame(socket, &mut answer, CODE_BYTES).await?;
    wire::parse(&answer)
}

/// Reads one frame that must come.
pub(crate) async fn read_frame(
    socket: &mut UnixStream,
    buffer: &mut Vec<u8>,
    limit: usize,
) -> io::Result<()> {
    let mut head = [0; 4];
    socket.read_exact(&mut head).await?;
    buffer.resize(wire::length(head, limit)?, 0);
    socket.read_exact(buffer).await?;
    Ok(())
}
