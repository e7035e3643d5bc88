//! The compiler: one component in, machine code out, and the end. Compiling is not interruptible,
//! and 200 KB of odd code can cost half a minute; the kernel's limits and the host's patience end
//! it from outside.

use std::io;
use std::os::unix::net::UnixStream;

use wasmtime::Engine;

use crate::engine;
use crate::limits::COMPONENT_BYTES;
use crate::sandbox::reason_of;
use crate::worker::confine::{self, Rlimits, Work};
use crate::worker::wire::{self, CompileLimits, Compiled};

/// How much lower than the host's its priority is: a compilation takes every core it finds.
const NICENESS: i32 = 10;
/// Longest first frame: two numbers.
const LIMITS_BYTES: usize = 64;

/// Serves the one request of this process.
pub(super) fn serve(mut socket: UnixStream) -> io::Result<()> {
    let limits: CompileLimits = wire::read(&mut socket, LIMITS_BYTES)?;
    rustix::process::nice(NICENESS)?;
    confine::limit(Rlimits {
        cpu_seconds: limits.cpu_seconds,
        address_space: Some(limits.memory_bytes),
        data: limits.memory_bytes,
    })?;
    confine::leave_namespaces();
    let engine = engine::compiler().map_err(|error| io::Error::other(reason_of(&error)))?;
    confine::landlock(None);
    confine::seccomp(Work::Compile);

    let mut component = Vec::new();
    let most = usize::try_from(COMPONENT_BYTES).unwrap_or(usize::MAX);
    if !wire::read_frame(&mut socket, &mut component, most)? {
        return Ok(());
    }
    wire::write(&mut socket, &compile(&engine, &component))
}

/// Compiles. A text file that happens to parse must never become a plugin, and does not: the
/// text format is not part of this build.
pub(crate) fn compile(engine: &Engine, component: &[u8]) -> Compiled {
    engine.precompile_component(component).map_err(|error| reason_of(&error))
}
