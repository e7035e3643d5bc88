//! What went wrong, as `application/problem+json` (RFC 9457).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where the pages about error codes are found; `type` is this and the code.
const TYPE_BASE: &str = "https://trainyard.dev/errors/";

/// Tells machines what went wrong. Each has a page in `docs/errors/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The body is not JSON.
    MalformedJson,
    /// Fields of the form are wrong; `errors` lists them all.
    InvalidForm,
    /// No loaded plugin serves the algorithm.
    UnknownAlgorithm,
    /// A query parameter or header has a value that cannot be used.
    InvalidParameter,
    /// There is no such job.
    JobNotFound,
    /// No loaded plugin serves the algorithm of this path.
    AlgorithmNotFound,
    /// There is no plugin of this name.
    PluginNotFound,
    /// The plugin has no such version, neither loaded nor kept.
    PluginVersionNotFound,
    /// Karmada has no such cluster.
    ClusterNotFound,
    /// The cluster does not have this kind of object.
    KindNotFound,
    /// The operator does not let this kind of object be read.
    KindNotReadable,
    /// The API has no such path.
    RouteNotFound,
    /// The path exists, but not for this method.
    MethodNotAllowed,
    /// Another job holds this name in this namespace.
    NameTaken,
    /// The job is in a state that does not allow this.
    WrongState,
    /// A decision about a plugin does not fit what is in force.
    PluginRouteConflict,
    /// The body is larger than allowed.
    PayloadTooLarge,
    /// The body is not declared to be JSON.
    UnsupportedMediaType,
    /// The idempotency key came before with another body.
    KeyReused,
    /// The same request came before, and the job it made was deleted since.
    JobDeleted,
    /// A request that HTTP does not allow, or that this host does not understand.
    BadRequest,
    /// The host failed in a way it did not expect.
    Internal,
    /// The plugin failed, or broke its contract.
    PluginFault,
    /// The plugin ran longer than allowed.
    PluginTimeout,
    /// No trusted key signed the version, and only signed ones may convert.
    PluginUntrusted,
    /// The plugin broke its sandbox too often and is not called.
    PluginQuarantined,
    /// The plugin made manifests that the host's rules forbid.
    ManifestsRefused,
    /// Too many requests at once.
    Overloaded,
    /// The database does not answer.
    StoreUnavailable,
    /// Karmada does not answer.
    ControlPlaneUnavailable,
    /// The member cluster does not answer, or gives no access.
    ClusterUnavailable,
    /// No log of the job can be read now.
    LogsUnavailable,
    /// The host did not finish the request in time.
    RequestTimeout,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: &'static [Self] = &[
        Self::MalformedJson,
        Self::InvalidForm,
        Self::UnknownAlgorithm,
        Self::InvalidParameter,
        Self::JobNotFound,
        Self::AlgorithmNotFound,
        Self::PluginNotFound,
        Self::PluginVersionNotFound,
        Self::ClusterNotFound,
        Self::KindNotFound,
        Self::KindNotReadable,
        Self::RouteNotFound,
        Self::MethodNotAllowed,
        Self::NameTaken,
        Self::WrongState,
        Self::PluginRouteConflict,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::KeyReused,
        Self::JobDeleted,
        Self::BadRequest,
        Self::Internal,
        Self::PluginFault,
        Self::PluginTimeout,
        Self::PluginUntrusted,
        Self::PluginQuarantined,
        Self::ManifestsRefused,
        Self::Overloaded,
        Self::StoreUnavailable,
        Self::ControlPlaneUnavailable,
        Self::ClusterUnavailable,
        Self::LogsUnavailable,
        Self::RequestTimeout,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed-json",
            Self::InvalidForm => "invalid-form",
            Self::UnknownAlgorithm => "unknown-algorithm",
            Self::InvalidParameter => "invalid-parameter",
            Self::JobNotFound => "job-not-found",
            Self::AlgorithmNotFound => "algorithm-not-found",
            Self::PluginNotFound => "plugin-not-found",
            Self::PluginVersionNotFound => "plugin-version-not-found",
            Self::ClusterNotFound => "cluster-not-found",
            Self::KindNotFound => "kind-not-found",
            Self::KindNotReadable => "kind-not-readable",
            Self::RouteNotFound => "route-not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::NameTaken => "name-taken",
            Self::WrongState => "wrong-state",
            Self::PluginRouteConflict => "plugin-route-conflict",
            Self::PayloadTooLarge => "payload-too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::KeyReused => "key-reused",
            Self::JobDeleted => "job-deleted",
            Self::BadRequest => "bad-request",
            Self::Internal => "internal",
            Self::PluginFault => "plugin-fault",
            Self::PluginTimeout => "plugin-timeout",
            Self::PluginUntrusted => "plugin-untrusted",
            Self::PluginQuarantined => "plugin-quarantined",
            Self::ManifestsRefused => "manifests-refused",
            Self::Overloaded => "overloaded",
            Self::StoreUnavailable => "store-unavailable",
            Self::ControlPlaneUnavailable => "control-plane-unavailable",
            Self::ClusterUnavailable => "cluster-unavailable",
            Self::LogsUnavailable => "logs-unavailable",
            Self::RequestTimeout => "request-timeout",
        }
    }

    /// The HTTP status that comes with it.
    pub fn status(self) -> u16 {
        match self {
            Self::MalformedJson
            | Self::InvalidForm
            | Self::UnknownAlgorithm
            | Self::InvalidParameter
            | Self::BadRequest => 400,
            Self::JobNotFound
            | Self::AlgorithmNotFound
            | Self::PluginNotFound
            | Self::PluginVersionNotFound
            | Self::ClusterNotFound
            | Self::KindNotFound
            | Self::RouteNotFound => 404,
            Self::KindNotReadable => 403,
            Self::MethodNotAllowed => 405,
            Self::NameTaken
            | Self::WrongState
            | Self::PluginRouteConflict
            | Self::PluginUntrusted => 409,
            Self::PayloadTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::JobDeleted => 410,
            Self::KeyReused => 422,
            Self::Internal | Self::PluginFault | Self::PluginTimeout | Self::ManifestsRefused => {
                500
            }
            Self::PluginQuarantined
            | Self::Overloaded
            | Self::StoreUnavailable
            | Self::ControlPlaneUnavailable
            | Self::ClusterUnavailable
            | Self::LogsUnavailable => 503,
            Self::RequestTimeout => 504,
        }
    }

    /// A few words for people, the same for every occurrence. Where the predecessor had an error
    /// text for the case, it is that text.
    pub fn title(self) -> &'static str {
        match self {
            Self::MalformedJson | Self::InvalidForm => "Invalid request payload",
            Self::UnknownAlgorithm => "Unsupported algorithm",
            Self::InvalidParameter => "Invalid parameter",
            Self::JobNotFound => "Training job not found",
            Self::AlgorithmNotFound => "Algorithm not found",
            Self::PluginNotFound => "Plugin not found",
            Self::PluginVersionNotFound => "Plugin version not found",
            Self::ClusterNotFound => "Cluster not found",
            Self::KindNotFound => "The cluster does not have this kind",
            Self::KindNotReadable => "This kind may not be read",
            Self::RouteNotFound => "Path not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::NameTaken => "Job name is taken",
            Self::WrongState => "The job is in a state that does not allow this",
            Self::PluginRouteConflict => "The decision does not fit what is in force",
            Self::PayloadTooLarge => "Request body too large",
            Self::UnsupportedMediaType => "Unsupported media type",
            Self::JobDeleted => "Job of this request was deleted",
            Self::KeyReused => "Idempotency key was used for another request",
            Self::BadRequest => "Bad request",
            Self::Internal => "Internal error",
            Self::PluginFault => "The plugin failed",
            Self::PluginTimeout => "The plugin took too long",
            Self::PluginUntrusted => "The plugin is not signed by a trusted key",
            Self::PluginQuarantined => "The plugin is in quarantine",
            Self::ManifestsRefused => "The plugin's manifests were refused",
            Self::Overloaded => "Too many requests at once",
            Self::StoreUnavailable => "The job store is unavailable",
            Self::ControlPlaneUnavailable => "Failed to list member clusters",
            Self::ClusterUnavailable => "Failed to get resources",
            Self::LogsUnavailable => "No log can be read now",
            Self::RequestTimeout => "The request took too long",
        }
    }

    /// The URI of its page.
    pub fn type_uri(self) -> String {
        format!("{TYPE_BASE}{}", self.as_str())
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldProblem {
    /// RFC 6901 pointer into the form as it was sent; `""` is the whole form. With the code
    /// `manifests-refused` it is the number of a manifest, counted from 0, and the place in it.
    pub pointer: String,
    /// Lower-case hyphenated word for machines.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
}

/// The body of every answer with a status of 400 or more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// URI of the page about the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for every occurrence of the code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong for machines. Newer hosts may send codes that are not listed here.
    #[schema(value_type = ErrorCode)]
    pub code: String,
    /// What went wrong this time. Absent if the cause is the host's own business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Every wrong field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// Finds the host's log lines about this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// For older clients: the same as `title`.
    pub error: String,
    /// For older clients: `detail` and `errors` as one text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}

impl Problem {
    /// The problem for a code, with what is known about this occurrence.
    pub fn new(code: ErrorCode, detail: Option<String>, errors: Vec<FieldProblem>) -> Self {
        let mut parts: Vec<String> = detail.iter().cloned().collect();
        parts.extend(errors.iter().map(|error| format!("{}: {}", error.pointer, error.detail)));
        Self {
            kind: code.type_uri(),
            title: code.title().to_owned(),
            status: code.status(),
            code: code.as_str().to_owned(),
            detail,
            errors,
            request_id: None,
            error: code.title().to_owned(),
            details: (!parts.is_empty()).then(|| parts.join(" ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_words_that_serde_writes() {
        for code in ErrorCode::ALL {
            let word = serde_json::to_value(code).unwrap();
            assert_eq!(word, code.as_str());
            assert!((400..600).contains(&code.status()));
        }
    }

    #[test]
    fn older_clients_find_error_and_details() {
        let wrong = FieldProblem {
            pointer: "/jobName".to_owned(),
            code: "required".to_owned(),
            detail: "It is missing.".to_owned(),
        };
        let problem =
            Problem::new(ErrorCode::InvalidForm, Some("1 error.".to_owned()), vec![wrong]);
        let body = serde_json::to_value(&problem).unwrap();
        assert_eq!(body["error"], "Invalid request payload");
        assert_eq!(body["details"], "1 error. /jobName: It is missing.");
        assert_eq!(body["type"], "https://trainyard.dev/errors/invalid-form");
    }
}
