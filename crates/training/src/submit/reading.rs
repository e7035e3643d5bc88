//! From the text of a form to a checked one, and from the answer of a use-case back to the fields
//! of that form. The server and the offline tools read forms through here, so they cannot differ.

use serde_json::Value;

use super::{SubmitError, check_name, located};
use crate::ClusterName;
use crate::form::{self, Form, Surroundings};
use crate::ports::{Audience, FieldError, PluginInfo, Plugins};

/// The algorithm that a form names, under whatever name, if it can be read at all.
pub fn algorithm_of(form: &Value) -> Option<&str> {
    let algorithm = form.get("algorithm")?;
    algorithm.as_str().or_else(|| algorithm.get("algorithmName")?.as_str())
}

/// For whom a form asks for a plugin, as far as it can be read.
pub fn audience_of(form: &Value) -> Audience<'_> {
    let text = |member: &str| form.get(member).and_then(Value::as_str).unwrap_or_default();
    let namespace = Some(text("namespace")).filter(|namespace| !namespace.is_empty());
    Audience { namespace: namespace.unwrap_or(form::DEFAULT_NAMESPACE), job_name: text("jobName") }
}

/// Reads a form. If it has mistakes, its hyperparameters and the length of its name are checked
/// nevertheless, so that one answer holds every mistake. `plugin` is the one that serves
/// [`algorithm_of`] the form, if there is one; `clusters` are those that were seen, and nothing is
/// checked against them if none ever was.
///
/// # Errors
/// Every mistake, each with a pointer into the form.
pub fn read_form(
    plugins: &dyn Plugins,
    plugin: Option<&PluginInfo>,
    clusters: &[ClusterName],
    value: Value,
) -> Result<Form, Vec<FieldError>> {
    let serving = |name: &str| {
        plugin.filter(|plugin| plugin.algorithms.iter().any(|algorithm| algorithm == name))
    };
    let aliases =
        |name: &str| serving(name).map(|plugin| plugin.algorithms.clone()).unwrap_or_default();
    let around = Surroundings { aliases: &aliases, clusters };
    let name = value.get("jobName").and_then(Value::as_str).unwrap_or_default().to_owned();
    form::parse(value, &around).map_err(|mistaken| {
        let mut errors = mistaken.errors;
        let Some(found) = mistaken.hyperparameters else { return errors };
        let Some(plugin) = serving(&found.algorithm) else { return errors };
        if let Ok(prepared) = plugins.prepare(&plugin.digest, &found.values) {
            errors.extend(located(prepared.errors, &found.member));
        }
        if !errors.iter().any(|error| error.pointer == "/jobName") {
            errors.extend(check_name(&name, plugin));
        }
        errors
    })
}

impl SubmitError {
    /// Points to where the form has its hyperparameters. A use-case points below the algorithm as
    /// it was requested; `member` is the name under which the form has them, [`Form::member`].
    pub fn pointing_into_form(self, member: &str) -> Self {
        let Self::Invalid(mut errors) = self else { return self };
        for error in &mut errors {
            let below = error.pointer.strip_prefix("/hyperparameters/");
            let below = below.map(|below| below.split_once('/').map_or("", |(_, rest)| rest));
            if let Some(below) = below {
                let slash = if below.is_empty() { "" } else { "/" };
                error.pointer =
                    format!("{}{slash}{below}", form::pointer("/hyperparameters", member));
            }
        }
        Self::Invalid(errors)
    }
}
