//! Job forms as the host reads them.

use serde_json::Value;
use training::job::JobSpec;
use training::ports::{FieldError, PluginInfo, Plugins};

use crate::job::{JobText, from_form};

/// Reads a form for a plugin, or tells every mistake.
pub(crate) fn read(
    _plugins: &dyn Plugins,
    _info: &PluginInfo,
    form: &Value,
) -> Result<JobSpec, Vec<FieldError>> {
    let wrong = |why: String| vec![FieldError::new("", "invalid", why)];
    JobText::parse(from_form(form))
        .and_then(JobText::into_input)
        .map(|input| input.spec)
        .map_err(wrong)
}
