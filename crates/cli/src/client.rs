//! Talks to the host. Every answer is the API's JSON or one of four kinds of failure.

use std::time::Duration;

use api_types::Problem;
use serde_json::Value;

/// Longest wait for an answer; the host itself gives up after 30 s.
const TIMEOUT: Duration = Duration::from_secs(40);

/// Longest silence of a stream; the host gives a sign of life every 15 s.
const SILENCE: Duration = Duration::from_mins(1);

/// Why a command did not do as asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The user's input cannot be used.
    Input(String),
    /// The host refused or failed, and said why.
    Problem(Box<Problem>),
    /// No answer, or none that can be read.
    Transport(String),
    /// The job that was waited for did not succeed.
    Job(String),
}

/// The host's API.
pub(crate) struct Client {
    http: reqwest::Client,
    streams: reqwest::Client,
    base: String,
}

impl Client {
    pub(crate) fn new(server: &str) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .user_agent(concat!("trainyard/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::Transport(error.to_string()))?;
        let streams = reqwest::Client::builder()
            .connect_timeout(TIMEOUT)
            .read_timeout(SILENCE)
            .user_agent(concat!("trainyard/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::Transport(error.to_string()))?;
        let base = server.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") {
            return Err(Failure::Input(format!(
                "the server `{server}` is not an `http://` URL; TLS is not spoken here"
            )));
        }
        Ok(Self { http, streams, base })
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.send(self.http.get(self.url(path))).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.send(self.http.delete(self.url(path))).await
    }

    /// Posts a body, with an idempotency key if there is one.
    pub(crate) async fn post(
        &self,
        path: &str,
        body: String,
        key: Option<&str>,
    ) -> Result<Value, Failure> {
        let mut request =
            self.http.post(self.url(path)).header("content-type", "application/json").body(body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.send(request).await
    }

    /// Sends a decision, signed by whoever takes it.
    pub(crate) async fn decide(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<String>,
        actor: Option<&str>,
    ) -> Result<Value, Failure> {
        let mut request = self.http.request(method, self.url(path));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        if let Some(actor) = actor {
            request = request.header("x-trainyard-actor", actor);
        }
        self.send(request).await
    }

    /// Opens a stream of events, after the one with this id if there is one.
    pub(crate) async fn stream(
        &self,
        path: &str,
        last_id: Option<&str>,
    ) -> Result<EventStream, Failure> {
        let mut request = self.streams.get(self.url(path)).header("accept", "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(EventStream(response));
        }
        let status = response.status();
        let text = response.text().await.map_err(|error| self.unreachable(&error))?;
        Err(refusal(status, &text))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        Failure::Transport(format!("no answer from {}: {}", self.base, chain(error)))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            return serde_json::from_str(&text).map_err(|_| unreadable(status));
        }
        Err(refusal(status, &text))
    }
}

/// An answer that has no end yet.
pub(crate) struct EventStream(reqwest::Response);

impl EventStream {
    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let broken = |error| Failure::Transport(format!("the stream broke: {}", chain(&error)));
        Ok(self.0.chunk().await.map_err(broken)?.map(Vec::from))
    }
}

/// An error and everything below it, as one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn unreadable(status: reqwest::StatusCode) -> Failure {
    Failure::Transport(format!("the server answered {status} with something unreadable"))
}

fn refusal(status: reqwest::StatusCode, text: &str) -> Failure {
    match serde_json::from_str::<Problem>(text) {
        Ok(problem) => Failure::Problem(Box::new(problem)),
        Err(_) => unreadable(status),
    }
}

/// A path segment in which every byte that is not a letter, digit, hyphen, dot or underscore is
/// escaped, so that no id leads elsewhere.
pub(crate) fn segment(text: &str) -> String {
    use std::fmt::Write as _;
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn ids_stay_one_path_segment() {
        assert_eq!(segment("iris-1a2b"), "iris-1a2b");
        assert_eq!(segment("../x?y"), "%2E%2E%2Fx%3Fy");
    }
}
