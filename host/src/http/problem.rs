//! The one place where an error becomes an answer. A handler returns a [`Failure`]; the middleware
//! [`finish`] turns it, and whatever a layer or the router answered by itself, into problem+json
//! with the request's id, and logs what is the host's fault once, with every cause.

use std::error::Error;

use api_types::{ErrorCode, FieldProblem, Problem};
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use training::job::Provenance;
use training::logs::LogError;
use training::plugins::{InterpreterError, PluginError};
use training::ports::{ControlError, FieldError, MemberError, PluginFault, StoreError};
use training::submit::SubmitError;
use training::verify::VerifyError;

use super::request_id;

/// When to try again after an answer that says "not now". Short: overload and fail-over pass in
/// seconds, and a client that waits longer than needed is a slow product.
const RETRY_AFTER_SECONDS: &str = "2";

/// Why a request was not carried out.
#[derive(Debug)]
pub(crate) struct Failure {
    code: ErrorCode,
    detail: Option<String>,
    errors: Vec<FieldProblem>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A refusal that the client can do something about.
    pub(crate) fn refusal(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self { code, detail: Some(detail.into()), errors: Vec::new(), cause: None }
    }

    /// A failure of ours: the cause is for the log, the client gets only the code.
    fn ours(code: ErrorCode, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { code, detail: None, errors: Vec::new(), cause: Some(cause.into()) }
    }

    /// A form with mistakes.
    pub(crate) fn form(errors: Vec<FieldError>) -> Self {
        let count = match errors.len() {
            1 => "The form has 1 error.".to_owned(),
            count => format!("The form has {count} errors."),
        };
        Self {
            code: ErrorCode::InvalidForm,
            detail: Some(count),
            errors: field_problems(errors),
            cause: None,
        }
    }

    /// What is wrong with a form, if that is why; everything else stays a failure.
    pub(crate) fn into_mistakes(self) -> Result<Vec<FieldProblem>, Self> {
        match self.code {
            ErrorCode::InvalidForm | ErrorCode::UnknownAlgorithm => Ok(self.errors),
            _ => Err(self),
        }
    }

    /// No job has this id.
    pub(crate) fn no_job() -> Self {
        Self::refusal(ErrorCode::JobNotFound, "There is no training job with this id.")
    }

    /// The store failed.
    pub(crate) fn store(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Unavailable(_) => ErrorCode::StoreUnavailable,
            StoreError::Corrupt { .. } | StoreError::Internal(_) => ErrorCode::Internal,
        };
        Self::ours(code, error)
    }

    /// The control plane failed while it was asked for a display.
    pub(crate) fn control_plane(error: ControlError) -> Self {
        Self::ours(ErrorCode::ControlPlaneUnavailable, error)
    }

    /// A member cluster could not be read. Where it is and what it said are the host's business.
    pub(crate) fn member(error: MemberError) -> Self {
        let (code, detail) = match &error {
            MemberError::Unregistered { cluster } => return Self::no_cluster(cluster.as_str()),
            MemberError::NotFound { cluster, what } => {
                (ErrorCode::KindNotFound, format!("Cluster `{cluster}` does not have {what}."))
            }
            MemberError::Refused { cluster, message } => (
                ErrorCode::InvalidParameter,
                format!("Cluster `{cluster}` cannot use a parameter: {message}."),
            ),
            MemberError::Denied { cluster, .. } => (
                ErrorCode::ClusterUnavailable,
                format!("The host has no access to cluster `{cluster}`."),
            ),
            MemberError::Busy { cluster } => (
                ErrorCode::ClusterUnavailable,
                format!("Cluster `{cluster}` is being read by too many at once."),
            ),
            MemberError::Unavailable { cluster, .. } => {
                (ErrorCode::ClusterUnavailable, format!("Cluster `{cluster}` does not answer."))
            }
        };
        let cause: Option<Box<dyn Error + Send + Sync>> =
            (code.status() >= 500).then(|| error.into());
        Self { cause, ..Self::refusal(code, detail) }
    }

    /// Karmada has no cluster of this name.
    pub(crate) fn no_cluster(name: &str) -> Self {
        let detail = format!("Karmada has no cluster `{}`.", printable(name));
        Self::refusal(ErrorCode::ClusterNotFound, detail)
    }

    /// There is no log to read. Told in full: which cluster does not answer is no secret.
    pub(crate) fn logs(error: LogError) -> Self {
        match error {
            LogError::Store(error) => Self::store(error),
            LogError::NoMatch(detail) => Self::refusal(ErrorCode::InvalidParameter, detail),
            LogError::Unavailable(detail) => Self::refusal(ErrorCode::LogsUnavailable, detail),
        }
    }

    /// A submission failed.
    pub(crate) fn submit(error: SubmitError) -> Self {
        match error {
            SubmitError::Invalid(errors) => Self::form(errors),
            SubmitError::UnknownAlgorithm { name, known, pointer } => {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let detail = format!("No plugin serves the algorithm `{name}`. Known: {known}.");
                Self {
                    errors: vec![FieldProblem {
                        pointer,
                        code: "unknown-algorithm".to_owned(),
                        detail: detail.clone(),
                    }],
                    ..Self::refusal(ErrorCode::UnknownAlgorithm, detail)
                }
            }
            SubmitError::NameTaken { id } => Self::refusal(
                ErrorCode::NameTaken,
                format!(
                    "The job `{id}` holds this name in this namespace. Delete it first, or choose \
                     another name."
                ),
            ),
            SubmitError::KeyReused => Self::refusal(
                ErrorCode::KeyReused,
                "This idempotency key came before with another body.",
            ),
            SubmitError::Deleted { id } => Self::refusal(
                ErrorCode::JobDeleted,
                format!(
                    "This request made the job `{id}`, which was deleted since. To run it once \
                     more, send the form under a new idempotency key."
                ),
            ),
            SubmitError::Plugin(fault) => Self::plugin(fault),
            SubmitError::Rejected { plugin, errors } => Self::rejected(&plugin, errors),
            SubmitError::Store(error) => Self::store(error),
        }
    }

    /// A plugin's manifests break the host's rules. Unlike other failures of status 5xx this one is
    /// told in full: whoever owns the plugin has to mend it, and places, rules and names are no
    /// secrets. The values that a rule about secrets refuses are never quoted.
    fn rejected(plugin: &str, errors: Vec<FieldError>) -> Self {
        let list: Vec<String> =
            errors.iter().map(|error| format!("{}: {}", error.pointer, error.detail)).collect();
        let cause = format!("plugin `{plugin}`: {}", list.join("; "));
        let detail = format!(
            "The plugin `{plugin}` made manifests that this host's rules forbid. The pointers lead \
             into its list of manifests."
        );
        Self {
            detail: Some(detail),
            errors: field_problems(errors),
            ..Self::ours(ErrorCode::ManifestsRefused, cause)
        }
    }

    pub(crate) fn plugin(fault: PluginFault) -> Self {
        let code = match &fault {
            // Told in full: only an operator can do something about it, and keys are no secrets.
            PluginFault::Untrusted { plugin, version } => {
                let detail = format!(
                    "This host converts with signed plugins only, and no key that it trusts signed \
                     version {version} of plugin `{plugin}`. Put the file and its signature into \
                     the plugin directory."
                );
                return Self::refusal(ErrorCode::PluginUntrusted, detail);
            }
            PluginFault::Busy => ErrorCode::Overloaded,
            PluginFault::Unreachable(_) => ErrorCode::StoreUnavailable,
            PluginFault::TimedOut { .. } => ErrorCode::PluginTimeout,
            PluginFault::Quarantined { .. } => ErrorCode::PluginQuarantined,
            PluginFault::NotLoaded(_) | PluginFault::Failed { .. } => ErrorCode::PluginFault,
        };
        Self::ours(code, fault)
    }

    /// An interpreter of a plugin could not be shown or installed.
    pub(crate) fn interpreter(error: InterpreterError) -> Self {
        match error {
            InterpreterError::UnknownPlugin { plugin } => Self::refusal(
                ErrorCode::PluginNotFound,
                format!("No version of a plugin `{}` serves.", printable(&plugin)),
            ),
            InterpreterError::Unknown { plugin, name } => Self::refusal(
                ErrorCode::PluginNotFound,
                format!("Plugin `{plugin}` ships no interpreter `{}`.", printable(&name)),
            ),
            InterpreterError::Control(error) => Self::control_plane(error),
            InterpreterError::Store(error) => Self::store(error),
        }
    }

    /// A decision about a plugin was not taken.
    pub(crate) fn decision(error: PluginError) -> Self {
        let detail = |error: PluginError| match error {
            PluginError::UnknownPlugin { plugin } => {
                format!("There is no plugin `{plugin}`, neither loaded nor kept.")
            }
            PluginError::UnknownVersion { plugin, version } => format!(
                "Plugin `{plugin}` has no version {version}, neither loaded nor kept; `GET \
                 /api/v1/plugins/{plugin}` lists them."
            ),
            PluginError::Stale { plugin } => format!(
                "Somebody else decided about plugin `{plugin}` at the same time. Look at its \
                 route, and decide again."
            ),
            other => other.to_string(),
        };
        match error {
            PluginError::UnknownPlugin { .. } => {
                Self::refusal(ErrorCode::PluginNotFound, detail(error))
            }
            PluginError::UnknownVersion { .. } => {
                Self::refusal(ErrorCode::PluginVersionNotFound, detail(error))
            }
            PluginError::Unfit(_) | PluginError::Stale { .. } => {
                Self::refusal(ErrorCode::PluginRouteConflict, detail(error))
            }
            PluginError::Plugin(fault) => Self::plugin(fault),
            PluginError::Store(error) => Self::store(error),
        }
    }

    /// A job could not be verified.
    pub(crate) fn verification(error: VerifyError, made_by: &Provenance) -> Self {
        match error {
            VerifyError::NotKept => Self::refusal(
                ErrorCode::PluginVersionNotFound,
                format!(
                    "The plugin that made the job, `{}` {} with sha256 {}, is neither loaded nor \
                     kept. Put its file back into the plugin directory, and ask again.",
                    made_by.plugin_name, made_by.plugin_version, made_by.plugin_digest
                ),
            ),
            VerifyError::Plugin(fault) => Self::plugin(fault),
            VerifyError::Store(error) => Self::store(error),
        }
    }

    fn log(&self, request_id: &str, method: &str, route: &str) {
        let Some(cause) = &self.cause else { return };
        let error = cause.as_ref() as &(dyn Error + 'static);
        let causes = causes(error);
        let code = self.code.as_str();
        // An outage or overload is not a defect; the loops and the probes tell operators.
        if self.code.status() == 503 {
            tracing::warn!(%request_id, code, "{method} {route} failed: {causes}");
        } else {
            tracing::error!(%request_id, code, "{method} {route} failed: {causes}");
        }
    }

    fn into_response_with(self, request_id: Option<String>) -> Response {
        let mut problem = Problem::new(self.code, self.detail, self.errors);
        problem.request_id = request_id;
        let mut response = axum::Json(problem).into_response();
        *response.status_mut() = status(self.code);
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if matches!(self.code.status(), 503 | 504) {
            let seconds = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            headers.insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

fn field_problems(errors: Vec<FieldError>) -> Vec<FieldProblem> {
    let problem = |FieldError { pointer, code, detail }| FieldProblem { pointer, code, detail };
    errors.into_iter().map(problem).collect()
}

/// An error and everything below it, as one line.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// Carries the failure from a handler to [`finish`], which alone knows the request's id.
#[derive(Clone)]
struct Carried(std::sync::Arc<std::sync::Mutex<Option<Failure>>>);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = status(self.code).into_response();
        let carried = Carried(std::sync::Arc::new(std::sync::Mutex::new(Some(self))));
        response.extensions_mut().insert(carried);
        response
    }
}

fn status(code: ErrorCode) -> StatusCode {
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Gives every answer with a status of 400 or more the same form.
pub(crate) async fn finish(request: Request, next: Next) -> Response {
    let id = request_id::of(&request);
    let method = request.method().as_str().to_owned();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned());
    let mut response = next.run(request).await;
    let carried = response.extensions_mut().remove::<Carried>();
    let carried = carried.and_then(|Carried(slot)| slot.lock().ok()?.take());
    let Some(failure) = carried.or_else(|| bare(&response, &path)) else { return response };
    // A path that is no route is somebody's text; it stays out of the log.
    failure.log(id.as_deref().unwrap_or("-"), &method, route.as_deref().unwrap_or("(no route)"));
    let mut finished = failure.into_response_with(id);
    for (name, value) in response.headers() {
        if name == header::ALLOW {
            finished.headers_mut().insert(name, value.clone());
        }
    }
    finished
}

/// What a layer or the router meant by an answer that no handler of ours made.
fn bare(response: &Response, path: &str) -> Option<Failure> {
    let status = response.status();
    let (code, detail) = match status.as_u16() {
        0..400 => return None,
        404 => (ErrorCode::RouteNotFound, format!("The API has no path `{}`.", printable(path))),
        405 => (
            ErrorCode::MethodNotAllowed,
            "This path does not know the method; the header `Allow` lists those it knows."
                .to_owned(),
        ),
        413 => (ErrorCode::PayloadTooLarge, "The body is larger than allowed.".to_owned()),
        503 if is_probe(response) => return None,
        503 => (ErrorCode::Overloaded, "Too many requests at once; try again.".to_owned()),
        504 => (
            ErrorCode::RequestTimeout,
            "The host did not finish in time. A submission may nevertheless have been accepted; \
             send it again with the same `Idempotency-Key` to find out."
                .to_owned(),
        ),
        400..500 => (ErrorCode::BadRequest, "The request cannot be understood.".to_owned()),
        _ => return Some(Failure::ours(ErrorCode::Internal, "a layer answered by itself")),
    };
    Some(Failure::refusal(code, detail))
}

/// Probes answer 503 with a body of their own.
fn is_probe(response: &Response) -> bool {
    response.headers().contains_key(header::CONTENT_TYPE)
}

fn printable(text: &str) -> String {
    text.chars().take(200).filter(|c| !c.is_control()).collect()
}

/// What a panicking handler is answered with. The panic hook has logged message and place.
pub(crate) fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    Failure::ours(ErrorCode::Internal, "the handler panicked").into_response()
}
