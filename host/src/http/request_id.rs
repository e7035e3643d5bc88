//! One id per request: the client's `x-request-id` if it is harmless, else a random one. It comes
//! back in the answer and stands in every log line about the request.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

/// The header.
pub(crate) const NAME: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request that went through [`assign`].
pub(crate) fn of(request: &Request) -> Option<String> {
    request.headers().get(NAME)?.to_str().ok().map(str::to_owned)
}

/// Makes sure that the request has an id, and repeats it in the answer.
pub(crate) async fn assign(mut request: Request, next: Next) -> Response {
    let given = request.headers().get(NAME).filter(|id| is_harmless(id)).cloned();
    let id = given.or_else(|| HeaderValue::from_str(&random()).ok());
    if let Some(id) = &id {
        request.headers_mut().insert(NAME, id.clone());
    }
    let mut response = next.run(request).await;
    if let Some(id) = id {
        response.headers_mut().insert(NAME, id);
    }
    response
}

fn is_harmless(id: &HeaderValue) -> bool {
    let id = id.as_bytes();
    (1..=64).contains(&id.len())
        && id.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

#[expect(clippy::disallowed_methods, reason = "nothing depends on the value; it only finds logs")]
fn random() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_plain_ids_are_taken_over() {
        assert!(is_harmless(&HeaderValue::from_static("abc-1._")));
        for bad in ["", "a b", "<x>", "\"", &"a".repeat(65)] {
            assert!(!is_harmless(&HeaderValue::from_str(bad).unwrap()), "{bad}");
        }
    }
}
