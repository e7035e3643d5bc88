//! Extractors whose refusals are problems like all others.

use api_types::ErrorCode;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use training::JobId;
use training::id::Sha256Digest;
use training::ports::{FieldError, Idempotency};

use super::problem::Failure;

/// The header of a client's promise that two requests are one.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The header with the name of whoever decides.
const ACTOR: &str = "x-trainyard-actor";
/// Whoever decides without saying who.
const NOBODY: &str = "api";
/// A longer name is not one.
const LONGEST_ACTOR: usize = 64;

/// A JSON body, and the bytes it was.
pub(crate) struct JsonBody {
    pub(crate) value: Value,
    pub(crate) bytes: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        if !is_json(request.headers()) {
            return Err(Failure::refusal(
                ErrorCode::UnsupportedMediaType,
                "Send the form with the header `Content-Type: application/json`.",
            ));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
                Failure::refusal(ErrorCode::PayloadTooLarge, "The body is larger than allowed.")
            } else {
                Failure::refusal(ErrorCode::BadRequest, "The body could not be read to its end.")
            }
        })?;
        let value = serde_json::from_slice(&bytes).map_err(|error| {
            Failure::refusal(ErrorCode::MalformedJson, format!("The body is not JSON: {error}."))
        })?;
        Ok(Self { value, bytes })
    }
}

/// Whether the body is declared to be JSON: `application/json`, or anything ending in `+json`.
fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = declared.and_then(|text| text.split(';').next()).unwrap_or_default();
    let media = media.trim().to_ascii_lowercase();
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}

/// The `{id}` of a job's path. A text that cannot be an id is an unknown job.
pub(crate) struct JobPath(pub(crate) JobId);

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let PathText(text) = PathText::from_request_parts(parts, state).await?;
        JobId::parse(text).map(Self).map_err(|_| Failure::no_job())
    }
}

/// The one parameter of a path, as text.
pub(crate) struct PathText(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        axum::extract::Path::<String>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(text)| Self(text))
            // Bytes that are not UTF-8 name nothing of ours.
            .map_err(|_| Failure::refusal(ErrorCode::RouteNotFound, "The path is not UTF-8."))
    }
}

/// A query string. Unknown parameters are ignored: proxies and clients add their own.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        axum::extract::Query::<T>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|rejection| invalid_parameter(rejection.body_text()))
    }
}

/// A parameter that cannot be used.
pub(crate) fn invalid_parameter(detail: impl Into<String>) -> Failure {
    Failure::refusal(ErrorCode::InvalidParameter, detail)
}

/// Who decides, for the record. The client says so, and nobody checks it: there is no login yet.
pub(crate) struct Actor(pub(crate) String);

impl Actor {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Actor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let sane = |name: &&str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._@:+-".contains(c);
            (1..=LONGEST_ACTOR).contains(&name.len()) && name.chars().all(plain)
        };
        let named = parts.headers.get(ACTOR).and_then(|value| value.to_str().ok()).filter(sane);
        Ok(Self(named.unwrap_or(NOBODY).to_owned()))
    }
}

/// Reads a small body whose members are all there is.
pub(crate) fn typed<T: DeserializeOwned>(body: &Value) -> Result<T, Failure> {
    serde_path_to_error::deserialize(body).map_err(|error| {
        let path: String = error.path().iter().fold(String::new(), |path, segment| match segment {
            serde_path_to_error::Segment::Seq { index } => format!("{path}/{index}"),
            serde_path_to_error::Segment::Map { key } => format!("{path}/{key}"),
            _ => path,
        });
        Failure::form(vec![FieldError::new(path, "invalid", format!("{}.", error.inner()))])
    })
}

/// The client's idempotency key, if it sent one, for a request that consists of these parts.
pub(crate) fn idempotency_of(
    headers: &HeaderMap,
    parts: &[&[u8]],
) -> Result<Option<Idempotency>, Failure> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
    let key = key.ok_or_else(|| {
        invalid_parameter("The header `Idempotency-Key` has 1 to 255 printable ASCII characters.")
    })?;
    Ok(Some(Idempotency { key: key.to_owned(), fingerprint: Sha256Digest::of(parts.concat()) }))
}
