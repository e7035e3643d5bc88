//! Job forms as the host reads them.

use serde_json::Value;
use training::job::JobSpec;
use training::ports::{FieldError, PluginInfo, Plugins};

use crate::job::from_form;

/// Reads a form for a plugin, or tells every mistake.
pub(crate) fn read(
    plugins: &dyn Plugins,
    info: &PluginInfo,
    form: &Value,
) -> Result<JobSpec, Vec<FieldError>> {
    from_form(plugins, info, form.clone()).map(|form| form.spec)
}
