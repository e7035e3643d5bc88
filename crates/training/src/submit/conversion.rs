//! From a form that was read to the bundle that would be stored. The server and the offline tools
//! convert through here; given the same plugin, settings, policy, origin and id they get the same
//! bytes.

use serde_json::Value;

use super::{SubmitError, check_name, located};
use crate::admit::{Admitted, Change, Owner, Policy, TOO_LARGE, admit, check_form, makes_claims};
use crate::form::typing;
use crate::id::{JobId, Sha256Digest};
use crate::job::JobSpec;
use crate::manifest::Bundle;
use crate::ports::{ConversionInput, ConvertRefusal, FieldError, PluginInfo, Plugins};

/// For whom a form is converted.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// What the manifests may hold.
    pub policy: &'a Policy,
    /// Identity of the installation that will own them.
    pub origin: &'a str,
}

/// A form and what it became.
#[derive(Debug, Clone)]
pub struct Converted {
    /// The job's id, as it stands in the bundle.
    pub id: JobId,
    /// The form, with the defaults of its plugin's schema.
    pub spec: JobSpec,
    /// The manifests.
    pub bundle: Bundle,
    /// What proves later that these are the plugin's manifests of this form.
    pub evidence: Evidence,
    /// What the host set or changed in them.
    pub changes: Vec<Change>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What a repetition of a conversion is compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The operator's settings that were in force.
    pub settings: Value,
    /// sha-256 of the JSON text that the plugin was given.
    pub input: Sha256Digest,
    /// sha-256 of what it answered.
    pub plan: Sha256Digest,
}

/// Checks a form against its plugin's schema, rules and the policy, converts it, and admits the
/// result. Needs neither store nor clock, and draws nothing at random.
///
/// # Errors
/// [`SubmitError::Invalid`] with every mistake, [`SubmitError::Plugin`] or
/// [`SubmitError::Rejected`].
pub async fn convert(
    plugins: &dyn Plugins,
    plugin: &PluginInfo,
    id: JobId,
    spec: JobSpec,
    terms: Terms<'_>,
) -> Result<Converted, SubmitError> {
    let mut errors = check_name(spec.name.as_str(), plugin);
    let spec = with_alias_defaults(spec, plugin);
    let prepared =
        plugins.prepare(&plugin.digest, &spec.hyperparameters).map_err(SubmitError::Plugin)?;
    let schema_holds = prepared.errors.is_empty();
    errors.extend(located(prepared.errors, &spec.algorithm));
    errors.extend(check_form(&spec, terms.policy));

    let spec = JobSpec { hyperparameters: prepared.hyperparameters, ..spec };
    // Given by value, so that a change of the settings meanwhile cannot come between.
    let settings = plugins.settings(&plugin.digest).map_err(SubmitError::Plugin)?;
    let input = ConversionInput { id, spec, settings: Some(settings) };
    if !errors.is_empty() {
        if schema_holds {
            let findings =
                plugins.validate(&plugin.digest, &input).await.map_err(SubmitError::Plugin)?;
            for finding in findings {
                // One mistake needs one sentence, and the host's came first.
                if !errors.iter().any(|error| error.pointer == finding.pointer) {
                    errors.push(finding);
                }
            }
        }
        return Err(SubmitError::Invalid(errors));
    }
    let answer = plugins.validate_and_convert(&plugin.digest, &input).await;
    let conversion = match answer.map_err(SubmitError::Plugin)? {
        Ok(conversion) => conversion,
        Err(ConvertRefusal::Invalid(errors)) => return Err(SubmitError::Invalid(errors)),
        Err(ConvertRefusal::Unsupported(detail)) => {
            return Err(SubmitError::Invalid(vec![FieldError::new("", "unsupported", detail)]));
        }
    };
    let text = plugins.input_text(&plugin.digest, &input).await.map_err(SubmitError::Plugin)?;
    let ConversionInput { id, spec, settings } = input;
    let evidence = Evidence {
        settings: settings.unwrap_or_default(),
        input: Sha256Digest::of(text),
        plan: conversion.digest(),
    };
    let owner = Owner {
        job_id: &id,
        name: &spec.name,
        namespace: &spec.namespace,
        algorithm: plugin.algorithm(),
        origin: terms.origin,
        resources: spec.resources,
        exact: &spec.exact,
    };
    let Admitted { bundle, changes } = admit(&conversion, &plugin.kinds, owner, terms.policy)
        .map_err(|errors| refused(plugin, errors))?;
    let mut warnings = conversion.warnings;
    if let Some(class) = &spec.exact.storage_class
        && !makes_claims(&bundle)
    {
        warnings.push(format!("No volume is made for this job, so nothing uses `{class}`."));
    }
    Ok(Converted { id, spec, bundle, evidence, changes, warnings })
}

/// Fills what the alias that the form names means, before everything else gets the defaults of the
/// schema. A parameter that was sent is kept, whatever it is.
pub(crate) fn with_alias_defaults(mut spec: JobSpec, plugin: &PluginInfo) -> JobSpec {
    if spec.algorithm == plugin.algorithm() {
        return spec;
    }
    if let Some(values) = spec.hyperparameters.as_object_mut() {
        let schema = typing::Schema::parse(&plugin.schema);
        for (name, default) in schema.alias_defaults(&spec.algorithm) {
            values.entry(name).or_insert_with(|| default.clone());
        }
    }
    spec
}

/// Whose fault refused manifests are.
fn refused(plugin: &PluginInfo, errors: Vec<FieldError>) -> SubmitError {
    if errors.iter().all(|error| TOO_LARGE.contains(&error.code.as_str())) {
        let detail = "The form makes manifests that are larger than a cluster takes; shorten its \
                      lists and texts.";
        return SubmitError::Invalid(vec![FieldError::new("", "too-large", detail)]);
    }
    SubmitError::Rejected { plugin: plugin.name.clone(), errors }
}
