//! How Karmada is to read the kinds of a plugin: what the plugin ships beside what the control plane
//! has, and the decision of an administrator to install it. Nothing is ever installed by itself: a
//! script runs inside Karmada, for every object of its kind, whoever made it.

use serde_json::{Value, json};

use super::PluginPorts;
use crate::ports::{
    ControlError, ControlPlane, Interpreter, NewPluginEvent, PluginVersion, StoreError,
    VersionState,
};

/// One interpreter, and what the control plane has under its name.
#[derive(Debug, Clone, PartialEq)]
pub struct InterpreterSeen {
    /// What the plugin ships.
    pub shipped: Interpreter,
    /// What is there, without what the API server keeps about it; `None` if nothing is.
    pub found: Option<Value>,
}

impl InterpreterSeen {
    /// Whether what is there says what the plugin wants.
    pub fn is_same(&self) -> bool {
        self.found
            .as_ref()
            .is_some_and(|found| found.get("spec") == self.shipped.document.get("spec"))
    }
}

/// Why interpreters could not be shown or installed.
#[derive(Debug, thiserror::Error)]
pub enum InterpreterError {
    /// No version of this plugin serves.
    #[error("no version of plugin `{plugin}` serves")]
    UnknownPlugin {
        /// As the operator wrote it.
        plugin: String,
    },
    /// The version that serves ships no interpreter of this name.
    #[error("plugin `{plugin}` ships no interpreter `{name}`")]
    Unknown {
        /// Name of the plugin.
        plugin: String,
        /// As the operator wrote it.
        name: String,
    },
    /// Karmada failed.
    #[error("the control plane did not do as asked")]
    Control(#[source] ControlError),
    /// The store failed, so that nothing was installed.
    #[error("the decision could not be recorded")]
    Store(#[source] StoreError),
}

/// What the version of the plugin that serves ships, by name.
///
/// # Errors
/// See [`InterpreterError`].
pub async fn interpreters(
    ports: &PluginPorts,
    control: &dyn ControlPlane,
    plugin: &str,
) -> Result<Vec<InterpreterSeen>, InterpreterError> {
    let version = active(ports, plugin)?;
    let mut seen = Vec::new();
    for shipped in &version.info.interpreters {
        seen.push(look(control, shipped).await?);
    }
    seen.sort_by(|a, b| a.shipped.name.cmp(&b.shipped.name));
    Ok(seen)
}

/// Makes what the control plane has say what the plugin ships.
///
/// # Errors
/// See [`InterpreterError`].
pub async fn install(
    ports: &PluginPorts,
    control: &dyn ControlPlane,
    plugin: &str,
    name: &str,
    actor: &str,
) -> Result<InterpreterSeen, InterpreterError> {
    let version = active(ports, plugin)?;
    let shipped = version.info.interpreters.iter().find(|shipped| shipped.name == name);
    let Some(shipped) = shipped else {
        return Err(InterpreterError::Unknown { plugin: plugin.to_owned(), name: name.to_owned() });
    };
    let before = look(control, shipped).await?;
    if before.is_same() {
        return Ok(before);
    }
    let Interpreter { api_version, kind, document, .. } = shipped;
    // Recorded first: a change that nobody can account for is worse than one to be repeated.
    let event = NewPluginEvent {
        at: ports.clock.now(),
        plugin: plugin.to_owned(),
        kind: "InterpreterInstalled".to_owned(),
        digest: Some(version.info.digest),
        actor: actor.to_owned(),
        message: format!("`{actor}` installed the interpreter `{name}` for {api_version} {kind}."),
        evidence: json!({"installed": document, "before": before.found}),
    };
    ports.registry.record(&[event]).await.map_err(InterpreterError::Store)?;
    control.install_interpreter(name, document).await.map_err(InterpreterError::Control)?;
    tracing::info!(plugin.name = %plugin, actor = %actor, "Installed the interpreter `{name}`");
    look(control, shipped).await
}

fn active(ports: &PluginPorts, plugin: &str) -> Result<PluginVersion, InterpreterError> {
    let mut versions = ports.plugins.catalog().versions.into_iter();
    let active = versions
        .find(|version| version.info.name == plugin && version.state == VersionState::Active);
    active.ok_or_else(|| InterpreterError::UnknownPlugin { plugin: plugin.to_owned() })
}

async fn look(
    control: &dyn ControlPlane,
    shipped: &Interpreter,
) -> Result<InterpreterSeen, InterpreterError> {
    let found = control.interpreter(&shipped.name).await.map_err(InterpreterError::Control)?;
    let found = found.map(|found| {
        json!({
            "apiVersion": found.get("apiVersion"),
            "kind": found.get("kind"),
            "metadata": {"name": shipped.name},
            "spec": found.get("spec"),
        })
    });
    Ok(InterpreterSeen { shipped: shipped.clone(), found })
}
