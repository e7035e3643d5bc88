//! The only place that configures wasmtime. Code compiled, cached and run by this crate comes from
//! one and the same [`Engine`], whose settings decide both what a guest can do and what it costs.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How often a running guest is asked to give its thread back, and how exact a deadline is.
///
/// One tick is one atomic addition, so 1 ms costs nothing measurable, while a hostile guest holds
/// a worker thread of the executor for at most this long.
pub(crate) const TICK: Duration = Duration::from_millis(1);

/// Memories of one component: a composed component brings an engine of its own language and
/// adapters, three in practice.
pub(crate) const MEMORIES_PER_COMPONENT: u32 = 4;
/// Core instances of one component. Interpreters bring up to 38.
pub(crate) const INSTANCES_PER_COMPONENT: u32 = 64;
/// Tables of one component.
pub(crate) const TABLES_PER_COMPONENT: u32 = 8;
/// Elements of one table. Interpreters need more than 7 688.
pub(crate) const TABLE_ELEMENTS: usize = 20_000;

/// Bytes of a guest's stack. More than any converter needs, small enough for every fiber.
const STACK_BYTES: usize = 512 << 10;
/// Bytes of a linear memory that stay resident between two users of a slot. Only pages that were
/// written are reset, which is cheaper than giving them back to the kernel.
const KEEP_RESIDENT_BYTES: usize = 1 << 20;

/// Builds the engine and reserves every sandbox slot.
///
/// The address space of all slots (about 4 GiB per memory) is reserved here, so a machine that
/// cannot give it fails now, by name, instead of serving slower or refusing calls later.
pub(crate) fn build(slots: u32, memory_bytes: usize) -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(INSTANCES_PER_COMPONENT))
        .total_memories(slots.saturating_mul(MEMORIES_PER_COMPONENT))
        .total_tables(slots.saturating_mul(TABLES_PER_COMPONENT))
        .total_stacks(slots)
        .max_memory_size(memory_bytes)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_core_instances_per_component(INSTANCES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .table_elements(TABLE_ELEMENTS)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(64 << 10)
        .max_unused_warm_slots(slots.saturating_mul(MEMORIES_PER_COMPONENT))
        .pagemap_scan(Enabled::Auto);

    let mut config = features();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// Builds an engine that compiles and checks, but runs nothing: no slot is reserved. Its code fits
/// the engines of [`build`].
pub(crate) fn compiler() -> wasmtime::Result<Engine> {
    let mut config = features();
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config)
}

/// Everything that decides what code looks like, in one place: code of another configuration would
/// be refused, or worse.
fn features() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // The same form gives the same bytes on every machine.
        .cranelift_nan_canonicalization(true)
        .max_wasm_stack(STACK_BYTES)
        // Everything that no guest of ours needs is off: less to compile, less to attack. These
        // switches are part of what a plugin may rely on; turning one off later breaks plugins.
        // Multi-memory stays on: without it, compiling a composed component panics.
        .concurrency_support(false)
        .gc_support(false)
        .shared_memory(false)
        .wasm_gc(false)
        .wasm_memory64(false)
        .wasm_tail_call(false)
        .wasm_relaxed_simd(false)
        .wasm_simd(false)
        .wasm_backtrace_max_frames(NonZeroUsize::new(8));
    config
}

/// Starts the thread that advances the engine's epoch, on which every deadline depends.
///
/// An operating-system thread, because a task of the executor would stand still exactly when the
/// executor is busy. It holds the engine weakly and ends with it.
pub(crate) fn start_ticker(engine: &Engine) -> std::io::Result<()> {
    let weak = engine.weak();
    std::thread::Builder::new().name("plugin-ticker".to_owned()).spawn(move || {
        while let Some(engine) = weak.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    })?;
    Ok(())
}

/// Ticks without a call after which a runner's ticker goes to sleep.
const IDLE_TICKS: u32 = 50;

/// Advances the epoch of an engine that is idle most of the time. While no call runs it sleeps, so
/// that a pool of idle runners does not wake the machine; waking it costs a call one system call.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Busy>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Busy {
    running: AtomicBool,
    asleep: AtomicBool,
}

impl Ticker {
    /// Starts the thread. It ends with the process.
    pub(crate) fn start(engine: &Engine, tick: Duration) -> std::io::Result<Self> {
        let (engine, shared) = (engine.weak(), Arc::new(Busy::default()));
        let busy = Arc::clone(&shared);
        let run = move || {
            let mut idle = 0;
            while let Some(engine) = engine.upgrade() {
                idle = if busy.running.load(Ordering::SeqCst) { 0 } else { idle + 1 };
                if idle > IDLE_TICKS {
                    drop(engine);
                    busy.asleep.store(true, Ordering::SeqCst);
                    // A call that began meanwhile has seen `asleep`, or is seen here.
                    if !busy.running.load(Ordering::SeqCst) {
                        std::thread::park();
                    }
                    busy.asleep.store(false, Ordering::SeqCst);
                    idle = 0;
                    continue;
                }
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(tick);
            }
        };
        let handle = std::thread::Builder::new().name("plugin-ticker".to_owned()).spawn(run)?;
        Ok(Self { shared, thread: handle.thread().clone() })
    }

    /// Says that a call begins or is over.
    pub(crate) fn busy(&self, running: bool) {
        self.shared.running.store(running, Ordering::SeqCst);
        if running && self.shared.asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}
