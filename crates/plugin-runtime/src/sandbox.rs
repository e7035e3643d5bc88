//! One call into a guest. Every call gets a store and an instance of its own and destroys both, so
//! that neither state nor memory of one call reaches the next.

use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::{Instrument, Span};
use training::ports::PluginFault;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, HasSelf, InstancePre, Lift, Linker, Lower,
};
use wasmtime::{Engine, PoolConcurrencyLimitError, Store, Trap, UpdateDeadline};

use crate::bindings::{self, CONVERTER, LOG_PREFIX, TYPES_PREFIX};
use crate::error::LoadError;
use crate::guest_log::GuestLog;
use crate::limits::{Budget, CallLimits, HANDLES, RESULT_BYTES, SLOT_WAIT, TEXT_BYTES};
use crate::text;

/// A guest that ran for fewer ticks than this is not stopped: the machine, not the guest, was slow.
const FEWEST_TICKS: u32 = 8;

/// The exported functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Describe,
    Validate,
    Convert,
    Interpret,
}

impl Call {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Validate => "validate",
            Self::Convert => "convert",
            Self::Interpret => "interpret",
        }
    }

    fn span(self, caller: &Caller<'_>) -> Span {
        macro_rules! span {
            ($name:literal) => {
                tracing::info_span!(
                    $name,
                    plugin.name = caller.plugin,
                    plugin.version = caller.version,
                    plugin.digest = caller.digest,
                    job.id = caller.subject,
                    duration_us = tracing::field::Empty,
                )
            };
        }
        match self {
            Self::Describe => span!("plugin.describe"),
            Self::Validate => span!("plugin.validate"),
            Self::Convert => span!("plugin.convert"),
            Self::Interpret => span!("plugin.interpret"),
        }
    }
}

/// Who is called, and for which job. For logs and errors only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// Name of the plugin; of its file while it is not known yet.
    pub(crate) plugin: &'a str,
    /// Its version.
    pub(crate) version: &'a str,
    /// Its digest in hex.
    pub(crate) digest: &'a str,
    /// The job's id or the workload's name; empty for none.
    pub(crate) subject: &'a str,
}

/// What a store holds for its one call.
#[derive(Debug)]
pub(crate) struct CallState {
    budget: Budget,
    log: GuestLog,
}

/// A compiled component with its imports resolved, ready to be instantiated.
pub(crate) struct Guest {
    pre: InstancePre<CallState>,
    describe: ComponentExportIndex,
    validate: ComponentExportIndex,
    convert: ComponentExportIndex,
    interpret: ComponentExportIndex,
}

impl std::fmt::Debug for Guest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guest").finish_non_exhaustive()
    }
}

impl Guest {
    fn export(&self, call: Call) -> &ComponentExportIndex {
        match call {
            Call::Describe => &self.describe,
            Call::Validate => &self.validate,
            Call::Convert => &self.convert,
            Call::Interpret => &self.interpret,
        }
    }
}

/// The sandbox slots of this process.
pub(crate) struct Sandboxes {
    engine: Engine,
    linker: Linker<CallState>,
    slots: Semaphore,
    limits: CallLimits,
}

impl std::fmt::Debug for Sandboxes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandboxes").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Sandboxes {
    /// The linker offers `log` and nothing else.
    pub(crate) fn new(engine: Engine, slots: u32, limits: CallLimits) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(&engine);
        bindings::add_to_linker::<_, HasSelf<GuestLog>>(&mut linker, |state: &mut CallState| {
            &mut state.log
        })?;
        Ok(Self { engine, linker, slots: Semaphore::new(slots as usize), limits })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Checks imports and exports by name and resolves them. Runs nothing of the guest.
    pub(crate) fn link(&self, component: &Component) -> Result<Guest, LoadError> {
        if let Some(import) = imports(&self.engine, component)
            .into_iter()
            .find(|name| !name.starts_with(LOG_PREFIX) && !name.starts_with(TYPES_PREFIX))
        {
            return Err(LoadError::ForbiddenImport { import: text::clean(&import, 256) });
        }
        let interface = component
            .get_export_index(None, CONVERTER)
            .ok_or(LoadError::MissingExport { export: CONVERTER.to_owned() })?;
        let find = |call: Call| {
            component.get_export_index(Some(&interface), call.name()).ok_or_else(|| {
                LoadError::MissingExport { export: format!("{CONVERTER}#{}", call.name()) }
            })
        };
        Ok(Guest {
            describe: find(Call::Describe)?,
            validate: find(Call::Validate)?,
            convert: find(Call::Convert)?,
            interpret: find(Call::Interpret)?,
            pre: self
                .linker
                .instantiate_pre(component)
                .map_err(|error| LoadError::Link { reason: reason_of(&error) })?,
        })
    }

    /// Calls `describe`, and proves that the other exports have the contract's types.
    pub(crate) async fn describe(
        &self,
        guest: &Guest,
        caller: Caller<'_>,
    ) -> Result<bindings::Description, PluginFault> {
        self.run(guest, caller, Call::Describe, (), |store, instance| {
            typed::<(&str,), (Vec<bindings::Finding>,)>(store, instance, &guest.validate)?;
            typed::<(&str,), (Result<bindings::Plan, bindings::Failure>,)>(
                store,
                instance,
                &guest.convert,
            )?;
            typed::<(&str,), (bindings::Report,)>(store, instance, &guest.interpret)
        })
        .await
    }

    /// Calls one of the functions that take a JSON text.
    pub(crate) async fn call<R>(
        &self,
        guest: &Guest,
        caller: Caller<'_>,
        call: Call,
        json: &str,
    ) -> Result<R, PluginFault>
    where
        R: Lift + Send + Sync + 'static,
    {
        self.run(guest, caller, call, (json,), |_, _| Ok(())).await
    }

    async fn run<P, R>(
        &self,
        guest: &Guest,
        caller: Caller<'_>,
        call: Call,
        params: P,
        check: impl FnOnce(
            &mut Store<CallState>,
            &wasmtime::component::Instance,
        ) -> wasmtime::Result<()>
        + Send,
    ) -> Result<R, PluginFault>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: Lift + Send + Sync + 'static,
    {
        let _slot = self.slot().await?;
        let span = call.span(&caller);
        let started = Instant::now();
        let result = async {
            let mut store = self.store(caller, started);
            let outcome = async {
                let instance = guest.pre.instantiate_async(&mut store).await?;
                check(&mut store, &instance)?;
                let function =
                    instance.get_typed_func::<P, (R,)>(&mut store, guest.export(call))?;
                let (answer,) = function.call_async(&mut store, params).await?;
                Ok(answer)
            }
            .await;
            outcome.map_err(|error| self.fault(&error, caller, call, &store.data().log))
        }
        .instrument(span.clone())
        .await;
        span.record("duration_us", u64::try_from(started.elapsed().as_micros()).unwrap_or(0));
        result
    }

    async fn slot(&self) -> Result<SemaphorePermit<'_>, PluginFault> {
        if let Ok(slot) = self.slots.try_acquire() {
            return Ok(slot);
        }
        match tokio::time::timeout(SLOT_WAIT, self.slots.acquire()).await {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_)) | Err(_) => Err(PluginFault::Busy),
        }
    }

    /// A store with every limit set. The deadline must stand before the guest is instantiated: its
    /// start functions run then.
    fn store(&self, caller: Caller<'_>, started: Instant) -> Store<CallState> {
        let state = CallState {
            budget: Budget::new(self.limits.memory_bytes),
            log: GuestLog::new(caller.plugin, caller.subject),
        };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.budget);
        store.set_hostcall_fuel(RESULT_BYTES);
        store.set_max_component_handles(HANDLES);
        store.set_epoch_deadline(1);
        let deadline = self.limits.deadline;
        let mut ticks = 0_u32;
        store.epoch_deadline_callback(move |_| {
            ticks = ticks.saturating_add(1);
            if ticks >= FEWEST_TICKS && started.elapsed() >= deadline {
                return Ok(UpdateDeadline::Interrupt);
            }
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        store
    }

    fn fault(
        &self,
        error: &wasmtime::Error,
        caller: Caller<'_>,
        call: Call,
        log: &GuestLog,
    ) -> PluginFault {
        if error.is::<PoolConcurrencyLimitError>() {
            return PluginFault::Busy;
        }
        let plugin = caller.plugin.to_owned();
        if matches!(error.downcast_ref::<Trap>(), Some(Trap::Interrupt)) {
            return PluginFault::TimedOut {
                plugin,
                call: call.name(),
                limit_ms: millis(self.limits.deadline),
            };
        }
        let mut detail = reason_of(error);
        if let Some(line) = log.last_line() {
            detail.push_str("; its last log line was: ");
            detail.push_str(line);
        }
        PluginFault::Failed { plugin, call: call.name(), detail }
    }
}

/// The names of everything that a component imports.
pub(crate) fn imports(engine: &Engine, component: &Component) -> Vec<String> {
    component.component_type().imports(engine).map(|(name, _)| name.to_owned()).collect()
}

/// The names of everything that a component exports.
pub(crate) fn exports(engine: &Engine, component: &Component) -> Vec<String> {
    component.component_type().exports(engine).map(|(name, _)| name.to_owned()).collect()
}

fn typed<P, R>(
    store: &mut Store<CallState>,
    instance: &wasmtime::component::Instance,
    export: &ComponentExportIndex,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lower,
    R: ComponentNamedList + Lift,
{
    instance.get_typed_func::<P, R>(store, export).map(drop)
}

/// The innermost cause, in one line: the chain around it repeats names that the caller knows.
pub(crate) fn reason_of(error: &wasmtime::Error) -> String {
    text::clean(&error.root_cause().to_string(), TEXT_BYTES)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
