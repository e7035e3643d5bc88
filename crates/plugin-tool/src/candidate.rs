//! A plugin under trial: loaded as the host loads it, and walked with whole forms along the path
//! of a submission. Every command that judges a plugin does it through this file, so that they
//! cannot come to different verdicts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use plugin_runtime::{Config, Inspection, PluginRuntime};
use serde_json::{Map, Value};
use training::JobId;
use training::admit::{Owner, Policy, admit, check_form};
use training::job::JobSpec;
use training::manifest::Bundle;
use training::ports::{
    Conversion, ConversionInput, ConvertRefusal, FieldError, PluginFault, PluginInfo, Plugins,
    Report,
};

use crate::{Outcome, forms, load, start};

/// A loaded plugin.
#[derive(Debug)]
pub(crate) struct Candidate {
    runtime: Arc<PluginRuntime>,
    pub(crate) found: Inspection,
}

/// Who refused a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The host, before any plugin is asked.
    Form,
    /// The plugin's schema.
    Schema,
    /// The plugin's `validate`.
    Validate,
    /// The plugin's `convert`.
    Convert,
}

/// How a form ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// It became manifests.
    Planned(Box<Planned>),
    /// It has mistakes.
    Invalid(Stage, Vec<FieldError>),
    /// The plugin does not do this.
    Unsupported(String),
    /// The plugin broke.
    Fault(PluginFault),
}

/// What the plugin made of a job, before admission.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) input: ConversionInput,
    pub(crate) conversion: Conversion,
}

impl Planned {
    /// The manifests as text: what a comparison of bytes compares.
    pub(crate) fn bytes(&self) -> Vec<String> {
        texts(&self.conversion)
    }

    /// Sum of the lengths of the manifests.
    pub(crate) fn size(&self) -> usize {
        self.bytes().iter().map(String::len).sum()
    }
}

fn texts(conversion: &Conversion) -> Vec<String> {
    conversion
        .manifests
        .iter()
        .map(|manifest| format!("{} {}", manifest.role.as_str(), manifest.document))
        .collect()
}

/// How the runtime is set up.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// Keeps compiled code between runtimes of one command.
    pub(crate) cache_dir: Option<PathBuf>,
    /// Share of the default memory that calls get: 1 for all, 2 for half.
    pub(crate) memory_divided_by: usize,
}

impl Setup {
    /// The default memory.
    pub(crate) fn plain(cache_dir: Option<PathBuf>) -> Self {
        Self { cache_dir, memory_divided_by: 1 }
    }

    fn config(&self) -> Config {
        let base = crate::config();
        Config {
            cache_dir: self.cache_dir.clone(),
            memory_bytes: base.memory_bytes / self.memory_divided_by,
            ..base
        }
    }
}

impl Candidate {
    /// Loads a file as the host would.
    pub(crate) async fn load(file: &Path, setup: &Setup) -> Outcome<Self> {
        let runtime = start(setup.config()).await?;
        Ok(load(&runtime, file).await.map(|found| Self { runtime, found }))
    }

    /// What the plugin says about itself.
    pub(crate) fn info(&self) -> &PluginInfo {
        &self.found.info
    }

    /// Settings over the candidate's defaults, if its schema takes them.
    pub(crate) fn settings_with(&self, settings: &Value) -> Result<Value, String> {
        let defaults = self.found.settings.as_object().cloned().unwrap_or_default();
        let mut complete: Map<String, Value> = defaults;
        let Value::Object(settings) = settings else {
            return Err("they are not an object".to_owned());
        };
        complete.extend(settings.clone());
        let complete = Value::Object(complete);
        // The runtime has parsed and compiled it before.
        let schema: Value = serde_json::from_str(&self.info().settings_schema).unwrap_or_default();
        let validator = jsonschema::draft202012::new(&schema).map_err(|error| error.to_string())?;
        let errors: Vec<String> = validator
            .iter_errors(&complete)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        if errors.is_empty() { Ok(complete) } else { Err(errors.join("; ")) }
    }

    /// The path of a submission up to the plugin's answer, with an id that is always the same.
    pub(crate) async fn convert(&self, form: &Value) -> Ending {
        self.convert_as(form, None, None).await
    }

    /// The same for a job that has an id and settings of its own.
    pub(crate) async fn convert_as(
        &self,
        form: &Value,
        id: Option<JobId>,
        settings: Option<Value>,
    ) -> Ending {
        let spec = match forms::read(&*self.runtime, self.info(), form) {
            Ok(spec) => spec,
            Err(errors) => return Ending::Invalid(Stage::Form, errors),
        };
        let errors = check_form(&spec, &Policy::default());
        if !errors.is_empty() {
            return Ending::Invalid(Stage::Form, errors);
        }
        let digest = &self.info().digest;
        let prepared = match self.runtime.prepare(digest, &spec.hyperparameters) {
            Ok(prepared) => prepared,
            Err(fault) => return Ending::Fault(fault),
        };
        if !prepared.errors.is_empty() {
            let algorithm = spec.algorithm.replace('~', "~0").replace('/', "~1");
            let located = |error: FieldError| FieldError {
                pointer: format!("/hyperparameters/{algorithm}{}", error.pointer),
                ..error
            };
            let errors = prepared.errors.into_iter().map(located).collect();
            return Ending::Invalid(Stage::Schema, errors);
        }
        let id = id.unwrap_or_else(|| JobId::from_name(&spec.name, 0x1a2b_3c4d));
        let spec = JobSpec { hyperparameters: prepared.hyperparameters, ..spec };
        let input = ConversionInput { id, spec, settings };
        match self.runtime.validate(digest, &input).await {
            Ok(findings) if findings.is_empty() => {}
            Ok(findings) => return Ending::Invalid(Stage::Validate, findings),
            Err(fault) => return Ending::Fault(fault),
        }
        match self.runtime.convert(digest, &input).await {
            Ok(Ok(conversion)) => Ending::Planned(Box::new(Planned { input, conversion })),
            Ok(Err(ConvertRefusal::Invalid(errors))) => Ending::Invalid(Stage::Convert, errors),
            Ok(Err(ConvertRefusal::Unsupported(why))) => Ending::Unsupported(why),
            Err(fault) => Ending::Fault(fault),
        }
    }

    /// Asks once more for the same job, in another sandbox: `None` if the answer is equal to the
    /// byte, else what is different.
    pub(crate) async fn repeats(&self, planned: &Planned) -> Option<String> {
        match self.runtime.convert(&self.info().digest, &planned.input).await {
            Ok(Ok(conversion)) => difference(&planned.bytes(), &texts(&conversion)),
            Ok(Err(_)) => Some("it was refused the second time".to_owned()),
            Err(fault) => Some(format!("it broke the second time: {fault}")),
        }
    }

    /// Asks `validate` alone.
    pub(crate) async fn validate(&self, input: &ConversionInput) -> Result<(), PluginFault> {
        self.runtime.validate(&self.info().digest, input).await.map(drop)
    }

    /// Asks `convert` alone.
    pub(crate) async fn convert_input(&self, input: &ConversionInput) -> Result<(), PluginFault> {
        self.runtime.convert(&self.info().digest, input).await.map(drop)
    }

    /// Lets the plugin read a status.
    pub(crate) async fn interpret(&self, object: &Value) -> Result<Report, PluginFault> {
        let info = self.info();
        self.runtime.interpret(&info.digest, info.algorithm(), object).await
    }
}

/// The host's rules on what a plugin made.
pub(crate) fn admitted(
    planned: &Planned,
    info: &PluginInfo,
    origin: &str,
    policy: &Policy,
) -> Result<Bundle, Vec<FieldError>> {
    let ConversionInput { id, spec, .. } = &planned.input;
    let owner = Owner {
        job_id: id,
        name: &spec.name,
        namespace: &spec.namespace,
        algorithm: info.algorithm(),
        origin,
        resources: spec.resources,
        exact: &spec.exact,
    };
    admit(&planned.conversion, &info.kinds, owner, policy).map(|admitted| admitted.bundle)
}

/// Mistakes in one line.
pub(crate) fn listed(errors: &[FieldError]) -> String {
    let line = |error: &FieldError| format!("{} ({}): {}", error.pointer, error.code, error.detail);
    errors.iter().map(line).collect::<Vec<_>>().join(" ")
}

/// How two conversions of one job differ.
fn difference(first: &[String], again: &[String]) -> Option<String> {
    let shorter = first.len().min(again.len());
    let at = first.iter().zip(again).position(|(one, other)| one != other);
    let at = at.or_else(|| (first.len() != again.len()).then_some(shorter))?;
    Some(format!("manifest {at} differs from the first conversion"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_that_differ_in_anything_are_told_apart() {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let first = texts(&["workload {\"a\":1}", "config {}"]);
        assert_eq!(difference(&first, &first), None);
        for (again, at) in [
            (texts(&["workload {\"a\":2}", "config {}"]), 0),
            (texts(&["workload {\"a\":1}", "storage {}"]), 1),
            (texts(&["workload {\"a\":1}"]), 1),
            (texts(&["workload {\"a\":1}", "config {}", "config {}"]), 2),
        ] {
            let expected = format!("manifest {at} differs from the first conversion");
            assert_eq!(difference(&first, &again), Some(expected));
        }
    }
}
