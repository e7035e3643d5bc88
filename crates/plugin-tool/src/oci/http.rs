//! HTTP as a registry needs it: bounded answers, a limit on every silence, TLS by rustls with ring,
//! and redirects that never carry credentials to another host.
//!
//! Not reqwest: its TLS is a feature that every program of the workspace would get, and one without
//! a crypto provider then panics. The parts used here are those of the Kubernetes client.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// Longest silence of a server.
const PATIENCE: Duration = Duration::from_secs(30);
/// Redirects of one request: registries send to a store once.
const REDIRECTS: usize = 5;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Longest answer that is read.
    pub(crate) most: u64,
}

impl Ask {
    pub(crate) fn new(method: Method, url: String) -> Self {
        // Enough for the errors and tokens of a registry.
        Self { method, url, headers: HeaderMap::new(), body: Bytes::new(), most: 256 << 10 }
    }

    pub(crate) fn header(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// One answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// The client.
#[derive(Debug)]
pub(crate) struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl Http {
    pub(crate) fn new() -> Result<Self, String> {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .map_err(|error| format!("the certificates of this machine cannot be read: {error}"))?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// Sends, and follows redirects of a request without a body.
    pub(crate) async fn send(&self, mut ask: Ask) -> Result<Answer, String> {
        for _ in 0..=REDIRECTS {
            let answer = self.once(&ask).await?;
            let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
            let follows = answer.status.is_redirection() && ask.body.is_empty();
            let (true, Some(location)) = (follows, location) else { return Ok(answer) };
            let next = resolve(&ask.url, location)?;
            if host_of(&next) != host_of(&ask.url) {
                ask.headers.remove(AUTHORIZATION);
            }
            ask.url = next;
        }
        Err(format!("{} redirects without end", ask.url))
    }

    async fn once(&self, ask: &Ask) -> Result<Answer, String> {
        let uri: Uri = ask.url.parse().map_err(|_| format!("`{}` is not a URL", ask.url))?;
        // Credentials and plugins do not travel in the clear, whatever a redirect or a challenge
        // says.
        let host = uri.host().unwrap_or_default().to_owned();
        if uri.scheme_str() != Some("https") && !is_this_machine(&host) {
            return Err(format!("{host} is not asked over plain HTTP"));
        }
        let mut request = Request::builder().method(ask.method.clone()).uri(uri);
        if let Some(headers) = request.headers_mut() {
            headers.extend(ask.headers.clone());
            headers.insert(USER_AGENT, HeaderValue::from_static("trainyard-plugin"));
        }
        let request = request.body(Full::new(ask.body.clone())).map_err(|e| e.to_string())?;
        let silent = |_| format!("{host} was silent for {} s", PATIENCE.as_secs());
        let response = tokio::time::timeout(PATIENCE, self.0.request(request))
            .await
            .map_err(silent)?
            .map_err(|error| chain(&error))?;
        let (parts, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        while let Some(frame) =
            tokio::time::timeout(PATIENCE, body.frame()).await.map_err(silent)?
        {
            let frame = frame.map_err(|error| chain(&error))?;
            let Ok(data) = frame.into_data() else { continue };
            if (bytes.len() + data.len()) as u64 > ask.most {
                return Err(format!("{host} sends more than {} bytes", ask.most));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Answer { status: parts.status, headers: parts.headers, body: bytes })
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Scheme, host and port.
pub(crate) fn host_of(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    Some(format!("{}://{}", uri.scheme_str()?, uri.authority()?))
}

/// An absolute URL from what a `Location` header says.
pub(crate) fn resolve(base: &str, location: &str) -> Result<String, String> {
    if location.contains("://") {
        return Ok(location.to_owned());
    }
    let host = host_of(base).ok_or_else(|| format!("`{base}` is not a URL"))?;
    if location.starts_with('/') {
        Ok(format!("{host}{location}"))
    } else {
        Err(format!("the location `{location}` cannot be followed"))
    }
}

/// Whether a host, with or without a port, can only be this machine.
pub(crate) fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => {
            name
        }
        _ => host,
    };
    name == "localhost"
        || name
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for local in ["localhost", "localhost:5000", "127.0.0.1:1", "[::1]:5000", "[::1]", "::1"] {
            assert!(is_this_machine(local), "{local}");
        }
        for remote in ["registry.example", "localhost.example:5000", "10.0.0.1:5000", "128.0.0.1"] {
            assert!(!is_this_machine(remote), "{remote}");
        }
    }

    #[test]
    fn locations_are_followed_from_where_they_were_given() {
        let base = "https://r.example/v2/a/blobs/uploads/";
        assert_eq!(resolve(base, "/x?y=1").unwrap(), "https://r.example/x?y=1");
        assert_eq!(resolve(base, "https://s.example/x").unwrap(), "https://s.example/x");
        assert!(resolve(base, "x").is_err());
    }

    #[tokio::test]
    async fn nothing_leaves_in_the_clear() {
        let http = Http::new().unwrap();
        let ask = Ask::new(Method::GET, "http://registry.example/v2/".to_owned());
        let refused = http.send(ask).await.unwrap_err();
        assert!(refused.contains("not asked over plain HTTP"), "{refused}");
    }
}
