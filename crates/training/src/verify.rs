//! Proves, or fails to prove, that a stored job is what its plugin makes of its form: repeats the
//! conversion with the plugin, id and settings of then, and compares hash by hash.
//!
//! Changes nothing. A job of an older host has fewer hashes on record; what cannot be compared is
//! said to be unknown, never to be the same.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;

use crate::admit::{Owner, admit};
use crate::id::Sha256Digest;
use crate::job::{Job, JobSpec};
use crate::ports::{Conversion, ConversionInput, FieldError, PluginFault, PluginInfo, StoreError};
use crate::submit::{self, SubmitPorts};

/// How a comparison ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Proven to be equal.
    Same,
    /// Proven to differ.
    Different,
    /// There is nothing on record to compare with, or nothing to compare.
    Unknown,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// `schema`, `input`, `plan`, `bundle` or `stored`.
    pub name: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// What that means, as a sentence.
    pub message: String,
    /// The hash on record.
    pub recorded: Option<Sha256Digest>,
    /// The hash that was found now.
    pub found: Option<Sha256Digest>,
}

/// Everything that was compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Verification {
    /// The plugin that was asked.
    pub plugin: Arc<PluginInfo>,
    /// In the order of the conversion.
    pub items: Vec<Item>,
}

impl Verification {
    /// Different if anything is, or else unknown if anything is.
    pub fn verdict(&self) -> Verdict {
        let any = |verdict| self.items.iter().any(|item| item.verdict == verdict);
        if any(Verdict::Different) {
            Verdict::Different
        } else if any(Verdict::Unknown) {
            Verdict::Unknown
        } else {
            Verdict::Same
        }
    }
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The plugin's bytes are neither loaded nor kept.
    #[error("the plugin that made the job is not kept")]
    NotKept,
    /// The plugin or its sandbox failed.
    #[error("the plugin failed")]
    Plugin(#[source] PluginFault),
    /// The store failed.
    #[error("the job's bundle could not be read")]
    Store(#[source] StoreError),
}

/// Reads a stored form, given the plugin that served it.
pub type ReadForm<'a> =
    &'a (dyn Fn(Value, &PluginInfo) -> Result<JobSpec, Vec<FieldError>> + Send + Sync);

/// Repeats the conversion of a stored job and compares.
///
/// # Errors
/// See [`VerifyError`]. That something differs is an answer, not an error.
pub async fn verify(
    ports: &SubmitPorts,
    job: &Job,
    read_form: ReadForm<'_>,
) -> Result<Verification, VerifyError> {
    let digest = &job.provenance.plugin_digest;
    let plugin = ports.plugins.load(digest).await.map_err(fault)?;
    let mut items = vec![compare_schema(job, &plugin)];

    match rebuild(ports, job, &plugin, read_form)? {
        Err(why) => {
            for name in ["input", "plan", "bundle"] {
                items.push(unknown(name, job, why.clone()));
            }
        }
        Ok(input) => {
            let text = ports.plugins.input_text(digest, &input).await.map_err(fault)?;
            items.push(compare_input(job, Sha256Digest::of(text)));
            match ports.plugins.convert(digest, &input).await.map_err(fault)? {
                Err(_) => {
                    let why = "The plugin refuses the form now.";
                    items.push(different("plan", job, why.to_owned(), None));
                    let why = "There is no plan to make a bundle of.";
                    items.push(unknown("bundle", job, why.to_owned()));
                }
                Ok(conversion) => {
                    let plan = compare_plan(job, &conversion);
                    let bundle = compare_bundle(ports, job, &plugin, &input, &conversion, &plan);
                    items.push(plan);
                    items.push(bundle);
                }
            }
        }
    }
    items.push(compare_stored(ports, job).await?);
    Ok(Verification { plugin, items })
}

fn fault(fault: PluginFault) -> VerifyError {
    match fault {
        PluginFault::NotLoaded(_) => VerifyError::NotKept,
        fault => VerifyError::Plugin(fault),
    }
}

/// What the plugin was given, made anew. The inner error says why it cannot be.
fn rebuild(
    ports: &SubmitPorts,
    job: &Job,
    plugin: &PluginInfo,
    read_form: ReadForm<'_>,
) -> Result<Result<ConversionInput, String>, VerifyError> {
    let spec = match read_form(job.request.clone(), plugin) {
        Ok(spec) => spec,
        Err(errors) => {
            let list: Vec<String> =
                errors.iter().map(|error| format!("{}: {}", error.pointer, error.detail)).collect();
            return Ok(Err(format!("This host does not accept the form: {}", list.join(" "))));
        }
    };
    let settings = match job.provenance.settings.as_deref().map(serde_json::from_str) {
        // Those in force now: all that is left for a job of a host that did not record them.
        None => None,
        Some(Ok(settings)) => Some(settings),
        Some(Err(_)) => return Ok(Err("The settings on record are not JSON.".to_owned())),
    };
    let spec = submit::with_alias_defaults(spec, plugin);
    let prepared = ports.plugins.prepare(&plugin.digest, &spec.hyperparameters).map_err(fault)?;
    let attempt = job.attempt.clone();
    let spec = JobSpec { hyperparameters: prepared.hyperparameters, attempt, ..spec };
    Ok(Ok(ConversionInput { id: job.id.clone(), spec, settings }))
}

fn recorded(name: &str, job: &Job) -> Option<Sha256Digest> {
    let provenance = &job.provenance;
    match name {
        "schema" => Some(provenance.schema_digest),
        "input" => provenance.input_digest,
        "plan" => provenance.plan_digest,
        _ => Some(provenance.bundle_digest),
    }
}

fn item(
    name: &'static str,
    job: &Job,
    verdict: Verdict,
    message: String,
    found: Option<Sha256Digest>,
) -> Item {
    Item { name, verdict, message, recorded: recorded(name, job), found }
}

fn unknown(name: &'static str, job: &Job, message: String) -> Item {
    item(name, job, Verdict::Unknown, message, None)
}

fn different(name: &'static str, job: &Job, message: String, found: Option<Sha256Digest>) -> Item {
    item(name, job, Verdict::Different, message, found)
}

fn compare_schema(job: &Job, plugin: &PluginInfo) -> Item {
    let found = plugin.schema_digest;
    if found == job.provenance.schema_digest {
        let message = "The plugin has the schema that the form was checked against.";
        return item("schema", job, Verdict::Same, message.to_owned(), Some(found));
    }
    // The bytes of the plugin are the same, so its schema is, too: the record was changed.
    let message = "The same plugin has another schema: the record of the job was changed.";
    different("schema", job, message.to_owned(), Some(found))
}

fn compare_input(job: &Job, found: Sha256Digest) -> Item {
    match job.provenance.input_digest {
        None => {
            let message = "The host that accepted the job did not record its input.";
            item("input", job, Verdict::Unknown, message.to_owned(), Some(found))
        }
        Some(recorded) if recorded == found => {
            let message = "The form and the settings on record give the input of then.";
            item("input", job, Verdict::Same, message.to_owned(), Some(found))
        }
        Some(_) => {
            let message = format!(
                "The form and the settings on record give another input: they were changed, or \
                 this host reads forms in another way than version {}.",
                job.provenance.host_version
            );
            different("input", job, message, Some(found))
        }
    }
}

fn compare_plan(job: &Job, conversion: &Conversion) -> Item {
    let found = conversion.digest();
    match job.provenance.plan_digest {
        None => {
            let message = "The host that accepted the job did not record the plugin's answer.";
            item("plan", job, Verdict::Unknown, message.to_owned(), Some(found))
        }
        Some(recorded) if recorded == found => {
            let message = "The plugin gives the answer of then.";
            item("plan", job, Verdict::Same, message.to_owned(), Some(found))
        }
        Some(_) => {
            let message = "The plugin gives another answer: see `input`; if that is the same, the \
                           record was changed or the plugin is not deterministic.";
            different("plan", job, message.to_owned(), Some(found))
        }
    }
}

/// Admits the answer of now by the rules of now.
fn compare_bundle(
    ports: &SubmitPorts,
    job: &Job,
    plugin: &PluginInfo,
    input: &ConversionInput,
    conversion: &Conversion,
    plan: &Item,
) -> Item {
    let owner = Owner {
        job_id: &job.id,
        name: &job.name,
        namespace: &job.namespace,
        algorithm: plugin.algorithm(),
        origin: &ports.origin,
        resources: input.spec.resources,
        exact: &input.spec.exact,
    };
    let bundle = match admit(conversion, &plugin.kinds, owner, &ports.policy) {
        Ok(admitted) => admitted.bundle,
        Err(errors) => {
            let list: Vec<String> =
                errors.iter().map(|error| format!("{}: {}", error.pointer, error.detail)).collect();
            let message =
                format!("This host's rules refuse the plugin's answer: {}", list.join(" "));
            return different("bundle", job, message, None);
        }
    };
    let found = bundle.digest();
    if found == job.provenance.bundle_digest {
        let message = "The plugin's answer and this host's rules give the bundle of then.";
        return item("bundle", job, Verdict::Same, message.to_owned(), Some(found));
    }
    match plan.verdict {
        Verdict::Same => {
            let message = format!(
                "The plugin's answer is the same, but the bundle differs: the admission rules \
                 have changed since, by configuration or between host {} and {}.",
                job.provenance.host_version, ports.host_version
            );
            different("bundle", job, message, Some(found))
        }
        Verdict::Different => {
            let message = "The bundle differs because the plugin's answer does.";
            different("bundle", job, message.to_owned(), Some(found))
        }
        Verdict::Unknown => {
            let message = "The bundle differs, but settings or rules may have changed since: the \
                           host that accepted the job did not record them.";
            item("bundle", job, Verdict::Unknown, message.to_owned(), Some(found))
        }
    }
}

/// Whether the bundle in the store, which is what was applied, is the one on record.
async fn compare_stored(ports: &SubmitPorts, job: &Job) -> Result<Item, VerifyError> {
    let changed = "The stored bundle is not the one whose hash the job has: it was changed.";
    match ports.store.bundle(&job.id).await {
        Ok(Some(bundle)) if bundle.digest() == job.provenance.bundle_digest => {
            let message = "The stored bundle is the one whose hash the job has.";
            let found = Some(bundle.digest());
            Ok(item("stored", job, Verdict::Same, message.to_owned(), found))
        }
        Ok(Some(bundle)) => Ok(different("stored", job, changed.to_owned(), Some(bundle.digest()))),
        Ok(None) => Ok(different("stored", job, "The stored bundle is gone.".to_owned(), None)),
        // It does not even match the hash beside it.
        Err(StoreError::Corrupt { .. }) => Ok(different("stored", job, changed.to_owned(), None)),
        Err(error) => Err(VerifyError::Store(error)),
    }
}
