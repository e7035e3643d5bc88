//! Constructors for what a plugin answers with.

use serde::Serialize;

use crate::{
    Failure, FailureClass, Finding, Kind, LogTarget, Manifest, Plan, Report, RunState, log,
};

/// A RayJob with its volumes is a little over 6 KiB as JSON: one allocation is enough.
const DOCUMENT_BYTES: usize = 8 * 1024;

impl Finding {
    /// `code` is a stable, lower-case, hyphenated word; `message` a whole sentence.
    pub fn new(pointer: impl Into<String>, code: &str, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            code: code.to_owned(),
            message: message.into(),
            extra: Vec::new(),
        }
    }
}

impl Kind {
    /// A kind that runs the training.
    pub fn workload(api_version: &str, kind: &str, plural: &str, max_name_length: u32) -> Self {
        Self { workload: true, ..Self::support(api_version, kind, plural, max_name_length) }
    }

    /// A kind that exists for the workload.
    pub fn support(api_version: &str, kind: &str, plural: &str, max_name_length: u32) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            workload: false,
            max_name_length,
        }
    }
}

impl Plan {
    /// A plan without manifests, to be filled with [`Plan::push`].
    pub fn new() -> Self {
        Self { manifests: Vec::with_capacity(2), warnings: Vec::new(), extra: Vec::new() }
    }

    /// Appends one object. `role` is `workload`, `storage` or `config`.
    pub fn push(&mut self, role: &str, object: &impl Serialize) -> Result<(), Failure> {
        let mut document = Vec::with_capacity(DOCUMENT_BYTES);
        serde_json::to_writer(&mut document, object)
            .map_err(|e| internal(&format!("cannot write the manifest `{role}`: {e}")))?;
        let document = String::from_utf8(document)
            .map_err(|e| internal(&format!("the manifest `{role}` is not UTF-8: {e}")))?;
        self.manifests.push(Manifest { role: role.to_owned(), document });
        Ok(())
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self::new()
    }
}

impl Report {
    /// A report without times, progress and logs.
    pub fn new(state: RunState, reason: &str, message: impl Into<String>) -> Self {
        Self {
            state,
            reason: reason.to_owned(),
            message: message.into(),
            progress: None,
            failure: FailureClass::None,
            started_at: None,
            finished_at: None,
            logs: Vec::new(),
            extra: Vec::new(),
        }
    }
}

impl LogTarget {
    /// Pods of `role` that carry the labels, and the container to read.
    pub fn new(role: &str, label_selector: String, container: Option<&str>) -> Self {
        Self { role: role.to_owned(), label_selector, container: container.map(str::to_owned) }
    }
}

/// The plugin's own mistake: told to the operator, not to the user.
pub(crate) fn internal(message: &str) -> Failure {
    log::write(log::Level::Error, message);
    Failure::Internal(message.to_owned())
}
