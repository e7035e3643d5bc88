//! From the text of a form to a checked one, and from the answer of a use-case back to the fields
//! of that form. The server and the offline tools read forms through here, so they cannot differ.

use serde_json::Value;

use super::{SubmitError, check_name, located};
use crate::ClusterName;
use crate::form::{self, Form, Mistaken, Places, Surroundings};
use crate::ports::{Audience, FieldError, PluginInfo, Plugins};

/// The algorithm that a form names, under whatever name, if it can be read at all.
pub fn algorithm_of(form: &Value) -> Option<&str> {
    form::algorithm_of(form)
}

/// Where a form names its algorithm.
pub fn algorithm_pointer(form: &Value) -> &'static str {
    form::algorithm_pointer(form)
}

/// For whom a form asks for a plugin, as far as it can be read.
pub fn audience_of(form: &Value) -> Audience<'_> {
    let text = |member: &str| form.get(member).and_then(Value::as_str).unwrap_or_default();
    let namespace = Some(text("namespace")).filter(|namespace| !namespace.is_empty());
    Audience {
        namespace: namespace.unwrap_or(form::DEFAULT_NAMESPACE),
        job_name: form::name_of(form).unwrap_or_default(),
    }
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
    let around = Surroundings { serving: plugin.map(Into::into), clusters };
    let name = form::name_of(&value).unwrap_or_default().to_owned();
    form::parse(value, &around).map_err(|mistaken| {
        let Mistaken { mut errors, places, hyperparameters } = mistaken;
        let Some(found) = hyperparameters else { return errors };
        let serves = |plugin: &&PluginInfo| plugin.algorithms.contains(&found.algorithm);
        let Some(plugin) = plugin.filter(serves) else { return errors };
        let mut more = Vec::new();
        if let Ok(prepared) = plugins.prepare(&plugin.digest, &found.values) {
            more.extend(located(prepared.errors, &found.member));
        }
        more.extend(check_name(&name, plugin));
        for error in more {
            let error = FieldError { pointer: places.of(&error.pointer), ..error };
            // One mistake needs one sentence, and the form's came first.
            if !errors.iter().any(|known| known.pointer == error.pointer) {
                errors.push(error);
            }
        }
        errors
    })
}

impl SubmitError {
    /// Points into the form as it was sent. A use-case points into the nested form, below the
    /// algorithm as it was requested.
    #[must_use]
    pub fn pointing_into_form(self, places: &Places) -> Self {
        match self {
            Self::Invalid(mut errors) => {
                for error in &mut errors {
                    error.pointer = places.of(&error.pointer);
                }
                Self::Invalid(errors)
            }
            Self::UnknownAlgorithm { name, known, pointer } => {
                Self::UnknownAlgorithm { name, known, pointer: places.of(&pointer) }
            }
            other => other,
        }
    }
}
