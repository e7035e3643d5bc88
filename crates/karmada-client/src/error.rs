//! What can go wrong on the wire, and what it means for a caller. No text made here holds a
//! credential, a request body or more than a line of an answer.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use kube::core::Status;
use training::manifest::ObjectRef;
use training::ports::ControlError;

/// Longest text taken over from an answer, in characters: a proxy may answer with a whole page.
const MAX_MESSAGE: usize = 1000;

/// Why no client could be made. A control plane that does not answer is not among the reasons.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig cannot be read, or does not have the wanted context.
    #[error("the kubeconfig `{}` cannot be used", path.display())]
    Kubeconfig {
        /// Where it was looked for.
        path: PathBuf,
        /// What is wrong with it.
        source: kube::config::KubeconfigError,
    },
    /// The certificates or the address in it make no client.
    #[error("no client can be made from the kubeconfig `{}`", path.display())]
    Client {
        /// The kubeconfig.
        path: PathBuf,
        /// What is wrong with it.
        source: kube::Error,
    },
}

/// Why one call has no result.
#[derive(Debug)]
pub(crate) enum CallError {
    /// No connection, or it broke. Whether the call had an effect is unknown.
    Transport(String),
    /// No complete answer in time. Whether the call had an effect is unknown.
    Timeout(Duration),
    /// An answer that is too long or not what it should be.
    Unreadable(String),
    /// The server said no.
    Answered(Answer),
}

/// An answer with a status code that is not a success.
#[derive(Debug)]
pub(crate) struct Answer {
    code: u16,
    /// `None` if the body is not a Kubernetes `Status`: an unknown path, or a proxy in between.
    status: Option<Box<Status>>,
    text: String,
}

impl Answer {
    pub(crate) fn new(code: u16, body: &[u8]) -> Self {
        let status = serde_json::from_slice::<Status>(body).ok();
        // Any JSON object would pass for a `Status`; a real one has words or a reason.
        let status =
            status.filter(|status| !status.message.is_empty() || !status.reason.is_empty());
        let text = match &status {
            Some(status) if !status.message.is_empty() => shorten(&status.message),
            Some(status) => shorten(&status.reason),
            None => shorten(&String::from_utf8_lossy(body)),
        };
        Self { code, status: status.map(Box::new), text }
    }

    pub(crate) fn code(&self) -> u16 {
        self.code
    }

    /// The server's words.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn reason(&self) -> &str {
        self.status.as_ref().map_or("", |status| status.reason.as_str())
    }

    /// The kind of object that an error of the API server is about, such as `namespaces`.
    fn subject(&self) -> &str {
        let details = self.status.as_ref().and_then(|status| status.details.as_ref());
        details.map_or("", |details| details.kind.as_str())
    }

    fn has_cause(&self, reason: &str) -> bool {
        let details = self.status.as_ref().and_then(|status| status.details.as_ref());
        details.is_some_and(|details| details.causes.iter().any(|cause| cause.reason == reason))
    }

    /// The object does not exist, says the API server itself.
    pub(crate) fn is_not_found(&self) -> bool {
        self.code == 404 && self.status.is_some()
    }

    /// The path does not exist: the kind is not served, or something else answered.
    pub(crate) fn is_unknown_path(&self) -> bool {
        self.code == 404 && self.status.is_none()
    }

    /// The API server says of just this object that it does not exist. A proxied call may also
    /// fail because of something on its way, such as the cluster.
    pub(crate) fn is_absence_of(&self, plural: &str, name: &str) -> bool {
        let details = self.status.as_ref().and_then(|status| status.details.as_ref());
        self.code == 404
            && details.is_some_and(|details| details.kind == plural && details.name == name)
    }

    /// The cluster of a proxied call is not registered.
    pub(crate) fn is_unknown_cluster(&self) -> bool {
        self.is_not_found()
            && (self.subject() == "clusters" || self.text.starts_with("clusters.cluster.karmada"))
    }

    pub(crate) fn is_already_exists(&self) -> bool {
        self.code == 409 && self.reason() == "AlreadyExists"
    }

    /// The object has another uid than the request expects.
    pub(crate) fn is_other_uid(&self) -> bool {
        self.code == 409 && self.reason() == "Conflict" && self.text.contains("uid")
    }

    fn is_namespace_missing(&self) -> bool {
        self.is_not_found()
            && (self.subject() == "namespaces" || self.text.starts_with("namespaces \""))
    }

    /// A refusal for want of rights, which says nothing about what was sent. A refusal by a
    /// webhook, a quota or a policy is worded otherwise.
    fn is_lack_of_rights(&self) -> bool {
        self.code == 403 && self.text.contains("User \"") && self.text.contains("\" cannot ")
    }
}

impl CallError {
    pub(crate) fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Answered(answer) => Some(answer),
            _ => None,
        }
    }

    /// The same for a call that is about no object in particular.
    pub(crate) fn unavailable(&self, what: &str) -> ControlError {
        ControlError::Unavailable { message: format!("{what}: {self}") }
    }

    /// What it means that `what` failed for `object`.
    ///
    /// A missing right is [`ControlError::Missing`]: it may be granted again, and until then the
    /// job waits instead of failing. So is a namespace on its way out.
    pub(crate) fn control(&self, what: &str, object: &ObjectRef) -> ControlError {
        let Some(answer) = self.answer() else {
            return self.unavailable(&format!("{what} {object}"));
        };
        let refused =
            || ControlError::Refused { object: object.clone(), message: answer.text.clone() };
        let missing = |what: String| ControlError::Missing { what };
        match answer.code {
            404 if answer.is_unknown_path() => missing(kind_of(object)),
            404 if answer.is_namespace_missing() => {
                missing(format!("namespace \"{}\"", object.namespace))
            }
            404 => missing(object.to_string()),
            403 if answer.has_cause("NamespaceTerminating") => {
                missing(format!("namespace \"{}\" (it is being deleted)", object.namespace))
            }
            403 if answer.is_lack_of_rights() => {
                missing(format!("the right to {what} {object} ({})", answer.text))
            }
            400 | 403 | 405 | 413 | 415 | 422 => refused(),
            // The API server answers so when a field has the wrong type.
            500 if answer.text.contains("failed to create typed patch object") => refused(),
            _ => self.unavailable(&format!("{what} {object}")),
        }
    }
}

/// `kind ray.io/v1 RayJob`.
pub(crate) fn kind_of(object: &ObjectRef) -> String {
    format!("kind {} {}", object.api_version, object.kind)
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Transport(text) | Self::Unreadable(text) => f.write_str(text),
            Self::Timeout(after) => write!(f, "no answer within {after:?}"),
            Self::Answered(answer) => write!(f, "{} {}", answer.code, answer.text),
        }
    }
}

impl From<kube::Error> for CallError {
    fn from(error: kube::Error) -> Self {
        match error {
            // A credential helper's own words may hold what it printed.
            kube::Error::Auth(_) => Self::Transport("no credentials could be obtained".to_owned()),
            error => Self::Transport(chain(&error)),
        }
    }
}

/// An error with its causes on one line; a cause that its parent already printed is left out.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    shorten(&text)
}

fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> ObjectRef {
        ObjectRef {
            api_version: "ray.io/v1".to_owned(),
            kind: "RayJob".to_owned(),
            namespace: "team".to_owned(),
            name: "a".to_owned(),
        }
    }

    fn meaning(code: u16, body: &str) -> String {
        let error =
            CallError::Answered(Answer::new(code, body.as_bytes())).control("create", &object());
        match error {
            ControlError::Unavailable { .. } => "unavailable".to_owned(),
            ControlError::Refused { message, .. } => format!("refused: {message}"),
            ControlError::Missing { what } => format!("missing: {what}"),
            ControlError::NameConflict { .. } => "conflict".to_owned(),
        }
    }

    #[test]
    fn answers_mean_what_the_port_promises() {
        let status =
            |message: &str| serde_json::json!({"kind": "Status", "message": message}).to_string();
        for (code, body, expected) in [
            (404, "404 page not found".to_owned(), "missing: kind ray.io/v1 RayJob"),
            (404, status("namespaces \"team\" not found"), "missing: namespace \"team\""),
            (400, status("bad"), "refused: bad"),
            (422, status("RayJob \"a\" is invalid"), "refused: RayJob \"a\" is invalid"),
            (
                403,
                status("admission webhook \"x\" denied the request: no"),
                "refused: admission webhook \"x\" denied the request: no",
            ),
            (
                500,
                status("failed to create typed patch object (a)"),
                "refused: failed to create typed patch object (a)",
            ),
            (500, status("failed calling webhook"), "unavailable"),
            (401, status("Unauthorized"), "unavailable"),
            (409, status("the object has been modified"), "unavailable"),
            (429, "slow down".to_owned(), "unavailable"),
            (502, "<html>".to_owned(), "unavailable"),
        ] {
            assert_eq!(meaning(code, &body), expected, "{code} {body}");
        }
        let rights =
            status("rayjobs.ray.io is forbidden: User \"u\" cannot create resource \"rayjobs\"");
        assert!(meaning(403, &rights).starts_with("missing: the right to create RayJob team/a"));
    }

    #[test]
    fn pages_are_cut() {
        let answer = Answer::new(502, "é ".repeat(100_000).as_bytes());
        assert!(answer.text().chars().count() <= MAX_MESSAGE + 1);
        assert!(Answer::new(404, b"{}").is_unknown_path());
    }
}
