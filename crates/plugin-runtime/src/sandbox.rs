//! One call into a guest. Every call gets a store and an instance of its own and destroys both, so
//! that neither state nor memory of one call reaches the next. The same code runs in the host's
//! own process and in a runner.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, HasSelf, InstancePre, Lift, Linker, Lower,
};
use wasmtime::{Engine, PoolConcurrencyLimitError, Store, Trap, UpdateDeadline};

use crate::bindings::{self, CONVERTER, LOG_PREFIX, TYPES_PREFIX};
use crate::error::LoadError;
use crate::guest_log::{GuestLog, Line};
use crate::limits::{Budget, CallLimits, HANDLES, RESULT_BYTES, TEXT_BYTES};
use crate::text;

/// The exported functions, and two of them in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Call {
    Describe,
    Validate,
    Convert,
    Interpret,
    /// [`Call::Validate`] and, if that finds nothing, [`Call::Convert`], each in an instance of its
    /// own.
    ValidateAndConvert,
}

impl Call {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Validate => "validate",
            Self::Convert => "convert",
            Self::Interpret => "interpret",
            Self::ValidateAndConvert => "validate, convert",
        }
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No sandbox was free. The guest did not run.
    NoSlot,
    /// The deadline passed.
    TimedOut,
    /// It trapped, or its answer does not fit the contract.
    Failed(String),
    /// The process that ran it ended, or fell silent and was killed.
    Crashed(String),
    /// Its compiled code is not there any more. The guest did not run.
    Gone(String),
}

/// One call that is over.
#[derive(Debug)]
pub(crate) struct Run<R> {
    pub(crate) outcome: Result<R, Fault>,
    /// What the guest logged.
    pub(crate) log: Vec<Line>,
    /// Linear memory it had at most.
    pub(crate) memory_bytes: u64,
    /// From before the guest was instantiated until it had answered, where it ran.
    pub(crate) took: Duration,
}

impl<R> Run<R> {
    /// A call that has no answer and left nothing else, either.
    pub(crate) fn without_answer(fault: Fault) -> Self {
        Self { outcome: Err(fault), log: Vec::new(), memory_bytes: 0, took: Duration::ZERO }
    }
}

/// What a plugin says of a job: what is wrong with it or, if nothing is, what becomes of it.
pub(crate) type Checked =
    (Run<Vec<bindings::Finding>>, Option<Run<Result<bindings::Plan, bindings::Failure>>>);

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
            Call::Convert | Call::ValidateAndConvert => &self.convert,
            Call::Interpret => &self.interpret,
        }
    }
}

/// The sandbox slots of this process.
pub(crate) struct Sandboxes {
    engine: Engine,
    linker: Linker<CallState>,
    limits: CallLimits,
}

impl std::fmt::Debug for Sandboxes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandboxes").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Sandboxes {
    /// The linker offers `log` and nothing else.
    pub(crate) fn new(engine: Engine, limits: CallLimits) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(&engine);
        bindings::add_to_linker::<_, HasSelf<GuestLog>>(&mut linker, |state: &mut CallState| {
            &mut state.log
        })?;
        Ok(Self { engine, linker, limits })
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
    pub(crate) async fn describe(&self, guest: &Guest) -> Run<bindings::Description> {
        self.run(guest, Call::Describe, (), |store, instance| {
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
    pub(crate) async fn call<R>(&self, guest: &Guest, call: Call, json: &str) -> Run<R>
    where
        R: Lift + Send + Sync + 'static,
    {
        self.run(guest, call, (json,), |_, _| Ok(())).await
    }

    /// Calls `validate` and, if it finds nothing, `convert`.
    pub(crate) async fn validate_and_convert(&self, guest: &Guest, json: &str) -> Checked {
        let validated: Run<Vec<bindings::Finding>> = self.call(guest, Call::Validate, json).await;
        if !validated.outcome.as_ref().is_ok_and(Vec::is_empty) {
            return (validated, None);
        }
        let converted = self.call(guest, Call::Convert, json).await;
        (validated, Some(converted))
    }

    async fn run<P, R>(
        &self,
        guest: &Guest,
        call: Call,
        params: P,
        check: impl FnOnce(
            &mut Store<CallState>,
            &wasmtime::component::Instance,
        ) -> wasmtime::Result<()>
        + Send,
    ) -> Run<R>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: Lift + Send + Sync + 'static,
    {
        let started = Instant::now();
        let mut store = self.store(started);
        let outcome = async {
            let instance = guest.pre.instantiate_async(&mut store).await?;
            check(&mut store, &instance)?;
            let function = instance.get_typed_func::<P, (R,)>(&mut store, guest.export(call))?;
            let (answer,) = function.call_async(&mut store, params).await?;
            Ok(answer)
        }
        .await;
        let CallState { budget, log } = store.into_data();
        let outcome = outcome.map_err(|error| fault(&error, &log));
        let took = started.elapsed();
        Run { outcome, log: log.into_lines(), memory_bytes: budget.used(), took }
    }

    /// A store with every limit set. The deadline must stand before the guest is instantiated: its
    /// start functions run then.
    fn store(&self, started: Instant) -> Store<CallState> {
        let CallLimits { deadline, memory_bytes, fewest_ticks } = self.limits;
        let state = CallState { budget: Budget::new(memory_bytes), log: GuestLog::default() };
        let mut store = Store::new(&self.engine, state);
        store.limiter(|state| &mut state.budget);
        store.set_hostcall_fuel(RESULT_BYTES);
        store.set_max_component_handles(HANDLES);
        store.set_epoch_deadline(1);
        let mut ticks = 0_u32;
        store.epoch_deadline_callback(move |_| {
            ticks = ticks.saturating_add(1);
            if ticks >= fewest_ticks && started.elapsed() >= deadline {
                return Ok(UpdateDeadline::Interrupt);
            }
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        store
    }
}

fn fault(error: &wasmtime::Error, log: &GuestLog) -> Fault {
    if error.is::<PoolConcurrencyLimitError>() {
        return Fault::NoSlot;
    }
    if matches!(error.downcast_ref::<Trap>(), Some(Trap::Interrupt)) {
        return Fault::TimedOut;
    }
    let mut detail = reason_of(error);
    if let Some(line) = log.last_line() {
        detail.push_str("; its last log line was: ");
        detail.push_str(&line);
    }
    Fault::Failed(detail)
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
