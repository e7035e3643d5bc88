//! Where guests run: in runner processes, or in this one. Two walls or one; everything else about a
//! call is the same.

use std::path::PathBuf;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use training::PluginDigest;
use wasmtime::component::Lift;

use crate::bindings::Description;
use crate::cache::{self, Cache, Code};
use crate::config::{Config, Isolation};
use crate::engine;
use crate::error::{LoadError, StartError};
use crate::limits::{CallLimits, SLOT_WAIT};
use crate::patience::Wait;
use crate::runners::{Loadable, Runners};
use crate::sandbox::{Call, Checked, Fault, Guest, Run, Sandboxes};
use crate::worker::run::contents;
use crate::worker::wire::Contents;

/// Ticks of a millisecond that a guest in this process runs at least.
const FEWEST_TICKS: u32 = 8;

/// Where guests run.
pub(crate) enum Backend {
    /// In this process.
    Here {
        /// The sandboxes.
        sandboxes: Box<Sandboxes>,
        /// One permit for each.
        slots: Semaphore,
        /// Directory of compiled code.
        code_dir: PathBuf,
    },
    /// In processes of their own.
    Apart(Arc<Runners>),
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Here { .. } => "Here",
            Self::Apart(_) => "Apart",
        })
    }
}

/// What a call needs to know of a component.
#[derive(Debug)]
pub(crate) enum Handle {
    Here(Box<Guest>),
    Apart(Loadable),
}

impl Backend {
    /// Reserves the sandboxes, or starts the runners.
    pub(crate) async fn start(config: &Config, cache: &Cache) -> Result<Self, StartError> {
        let limits = CallLimits {
            deadline: config.deadline,
            memory_bytes: config.memory_bytes,
            fewest_ticks: FEWEST_TICKS,
        };
        let code_dir = cache.code_dir();
        match &config.isolation {
            Isolation::InProcess => {
                let slots = config.max_concurrent;
                let unavailable = |source: wasmtime::Error| StartError::Sandboxes {
                    slots,
                    source: source.into(),
                };
                let engine = engine::build(slots, config.memory_bytes).map_err(unavailable)?;
                engine::start_ticker(&engine)
                    .map_err(|error| StartError::Internal(error.to_string()))?;
                let sandboxes = Sandboxes::new(engine, limits).map_err(unavailable)?;
                Ok(Self::Here {
                    sandboxes: Box::new(sandboxes),
                    slots: Semaphore::new(slots as usize),
                    code_dir,
                })
            }
            Isolation::Processes { program } => {
                let (count, tasks) = (config.max_concurrent, config.tasks.clone());
                let runners = Runners::start(program.clone(), count, limits, code_dir, tasks);
                let failed = |error: std::io::Error| StartError::Runner {
                    program: program.clone(),
                    reason: error.to_string(),
                };
                Ok(Self::Apart(runners.await.map_err(failed)?))
            }
        }
    }

    /// Loads a component and asks it what it is.
    pub(crate) async fn introduce(
        &self,
        digest: PluginDigest,
        code: &Code,
    ) -> Result<(Handle, Contents, Run<Description>), LoadError> {
        match self {
            Self::Here { sandboxes, slots, code_dir } => {
                let (engine, path) = (sandboxes.engine().clone(), code_dir.join(&*code.file));
                let component =
                    tokio::task::spawn_blocking(move || cache::revive(&engine, &path)).await;
                let component = component.unwrap_or_else(|error| Err(error.to_string()));
                let component = component.map_err(|reason| LoadError::NotAComponent { reason })?;
                let guest = sandboxes.link(&component)?;
                let contents = contents(sandboxes.engine(), &component);
                let run = match slot(slots, &Wait::default()).await {
                    Some(_slot) => sandboxes.describe(&guest).await,
                    None => no_slot(),
                };
                Ok((Handle::Here(Box::new(guest)), contents, run))
            }
            Self::Apart(runners) => {
                let component = Loadable { digest, code: code.clone() };
                let (contents, run) = runners.introduce(component.clone()).await?;
                Ok((Handle::Apart(component), contents, run))
            }
        }
    }

    /// Calls a function of a component.
    pub(crate) async fn call<R>(
        &self,
        handle: &Handle,
        call: Call,
        json: String,
        wait: &Wait,
    ) -> Run<R>
    where
        R: Lift + DeserializeOwned + Send + Sync + 'static,
    {
        match (self, handle) {
            (Self::Here { sandboxes, slots, .. }, Handle::Here(guest)) => {
                let Some(_slot) = slot(slots, wait).await else { return no_slot() };
                wait.begin();
                sandboxes.call(guest, call, &json).await
            }
            (Self::Apart(runners), Handle::Apart(component)) => {
                runners.call(component.clone(), call, json, wait).await
            }
            _ => elsewhere(),
        }
    }

    /// Calls `validate` of a component and, if it finds nothing, `convert`.
    pub(crate) async fn validate_and_convert(
        &self,
        handle: &Handle,
        json: String,
        wait: &Wait,
    ) -> Checked {
        match (self, handle) {
            (Self::Here { sandboxes, slots, .. }, Handle::Here(guest)) => {
                let Some(_slot) = slot(slots, wait).await else { return (no_slot(), None) };
                wait.begin();
                sandboxes.validate_and_convert(guest, &json).await
            }
            (Self::Apart(runners), Handle::Apart(component)) => {
                runners.validate_and_convert(component.clone(), json, wait).await
            }
            _ => (elsewhere(), None),
        }
    }
}

async fn slot<'a>(slots: &'a Semaphore, wait: &Wait) -> Option<tokio::sync::SemaphorePermit<'a>> {
    if let Ok(slot) = slots.try_acquire() {
        return Some(slot);
    }
    tokio::time::timeout_at(wait.at_most(SLOT_WAIT), slots.acquire()).await.ok()?.ok()
}

fn no_slot<R>() -> Run<R> {
    Run::without_answer(Fault::NoSlot)
}

/// Never seen: a handle comes from the one backend of its runtime.
fn elsewhere<R>() -> Run<R> {
    Run::without_answer(Fault::Failed("it was loaded elsewhere".to_owned()))
}
