//! A plugin's own examples, converted before the plugin serves anybody. A version that traps, hangs
//! or answers nonsense where its author says it works must not take the place of one that does; what
//! it answers is the conformance kit's to judge.

use training::form::{self, Surroundings};
use training::id::JobId;
use training::ports::ConversionInput;

use crate::answer;
use crate::backend::Backend;
use crate::config::Config;
use crate::error::LoadError;
use crate::guest_log;
use crate::input::write_job;
use crate::patience::Wait;
use crate::plugin::{LoadedPlugin, as_plugin_fault};
use crate::sandbox::{Call, Fault, Run};

/// Examples that are tried. They come in the order that the author finds useful, and each of them
/// may take as long as any call.
const TRIED: usize = 4;

/// Converts examples as if they were submitted. Refusals are no failure: the operator's settings may
/// forbid what an example asks for.
pub(crate) async fn run(
    backend: &Backend,
    config: &Config,
    plugin: &LoadedPlugin,
    file: &str,
) -> Result<(), LoadError> {
    for (index, example) in plugin.info.examples.iter().take(TRIED).enumerate() {
        // What no user could submit says nothing about the plugin's code.
        let Some(job) = job(plugin, example) else { continue };
        let (validated, converted) =
            backend.validate_and_convert(&plugin.handle, job, &Wait::default()).await;
        let failed = |call, fault| match fault {
            Fault::Crashed(how) | Fault::Gone(how) => LoadError::Lost { reason: how },
            fault => LoadError::SelfTest {
                example: index,
                fault: as_plugin_fault(fault, &plugin.info.name, call, config),
            },
        };
        answered(validated, file).map_err(|fault| failed(Call::Validate, fault))?;
        let Some(converted) = converted else { continue };
        let answer = answered(converted, file).map_err(|fault| failed(Call::Convert, fault))?;
        // Of everything that may follow, only what breaks the contract is the plugin's fault alone.
        answer::conversion(answer)
            .map_err(|breach| failed(Call::Convert, Fault::Failed(breach)))?
            .ok();
    }
    Ok(())
}

fn answered<R>(run: Run<R>, file: &str) -> Result<R, Fault> {
    guest_log::publish(&run.log, file, "");
    run.outcome
}

/// The job that becomes of an example, as a guest sees it.
fn job(plugin: &LoadedPlugin, example: &serde_json::Value) -> Option<String> {
    let around = Surroundings { serving: Some((&*plugin.info).into()), clusters: &[] };
    let mut spec = form::parse(example.clone(), &around).ok()?.spec;
    let prepared = plugin.hyperparameters.prepare(&spec.hyperparameters);
    if !prepared.errors.is_empty() || !plugin.info.algorithms.contains(&spec.algorithm) {
        return None;
    }
    spec.hyperparameters = prepared.hyperparameters;
    let input = ConversionInput { id: JobId::from_name(&spec.name, 0), spec, settings: None };
    write_job(&input, plugin.info.algorithm(), &plugin.settings).ok()
}
