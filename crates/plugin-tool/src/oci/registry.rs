//! A registry: the few calls of the OCI distribution specification that one artifact needs, with
//! the token flow and basic authentication.

use std::sync::Mutex;

use base64::Engine as _;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use serde_json::Value;

use super::artifact::{Artifact, Descriptor, MANIFEST, MANIFEST_BYTES, digest};
use super::auth::{self, Credentials};
use super::http::{Answer, Ask, Http, host_of, is_this_machine, resolve};

/// One repository, and how to get in.
#[derive(Debug)]
pub(crate) struct Registry {
    http: Http,
    credentials: Credentials,
    base: String,
    repository: String,
    /// What the registry wants to see, once it has said so.
    authorization: Mutex<Option<HeaderValue>>,
}

impl Registry {
    pub(crate) fn open(host: &str, repository: &str) -> Result<Self, String> {
        let scheme = if is_this_machine(host) { "http" } else { "https" };
        Ok(Self {
            http: Http::new()?,
            credentials: auth::of(host)?,
            base: format!("{scheme}://{host}"),
            repository: repository.to_owned(),
            authorization: Mutex::default(),
        })
    }

    fn url(&self, rest: &str) -> String {
        format!("{}/v2/{}/{rest}", self.base, self.repository)
    }

    /// Uploads blobs, then the manifest under the tag, or under its digest.
    pub(crate) async fn push(&self, tag: Option<&str>, artifact: &Artifact) -> Result<(), String> {
        for bytes in [&artifact.component, &artifact.config] {
            self.push_blob(bytes).await?;
        }
        let own = digest(&artifact.manifest);
        let url = self.url(&format!("manifests/{}", tag.unwrap_or(&own)));
        let mut ask =
            Ask::new(Method::PUT, url).header(CONTENT_TYPE, HeaderValue::from_static(MANIFEST));
        ask.body = artifact.manifest.clone().into();
        expect(&self.send(ask, "pull,push").await?, StatusCode::CREATED).map(drop)
    }

    async fn push_blob(&self, bytes: &[u8]) -> Result<(), String> {
        let digest = digest(bytes);
        let url = self.url(&format!("blobs/{digest}"));
        let known = self.send(Ask::new(Method::HEAD, url), "pull,push").await?;
        if known.status == StatusCode::OK {
            return Ok(());
        }
        let start = Ask::new(Method::POST, self.url("blobs/uploads/"));
        let started = self.send(start, "pull,push").await?;
        let started = expect(&started, StatusCode::ACCEPTED)?;
        let location = started.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.ok_or("it does not say where to upload to")?;
        let location = resolve(&self.base, location)?;
        let sign = if location.contains('?') { '&' } else { '?' };
        let mut ask = Ask::new(Method::PUT, format!("{location}{sign}digest={digest}"))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        ask.body = bytes.to_vec().into();
        expect(&self.send(ask, "pull,push").await?, StatusCode::CREATED).map(drop)
    }

    /// The manifest under a digest or a tag, unchecked. `Ok(None)`: there is none.
    pub(crate) async fn manifest(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let mut ask = Ask::new(Method::GET, self.url(&format!("manifests/{name}")))
            .header(ACCEPT, HeaderValue::from_static(MANIFEST));
        ask.most = MANIFEST_BYTES;
        let answer = self.send(ask, "pull").await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        expect(&answer, StatusCode::OK)?;
        Ok(Some(answer.body))
    }

    /// A blob that a manifest names. Reading stops as soon as it is longer than promised.
    pub(crate) async fn blob(&self, blob: &Descriptor) -> Result<Vec<u8>, String> {
        let mut ask = Ask::new(Method::GET, self.url(&format!("blobs/{}", blob.digest)));
        ask.most = blob.size;
        let answer = self.send(ask, "pull").await?;
        expect(&answer, StatusCode::OK)?;
        Ok(answer.body)
    }

    /// Sends with what the registry wanted to see before; if it wants something else, once more.
    async fn send(&self, ask: Ask, actions: &str) -> Result<Answer, String> {
        let answer = self.http.send(self.authorized(ask.clone())).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let challenges = answer.headers.get_all(WWW_AUTHENTICATE);
        let challenge = challenges
            .iter()
            .filter_map(|value| value.to_str().ok())
            .find_map(Challenge::parse)
            .ok_or("it wants a login of a kind that is not known here")?;
        let value = self.answer_to(&challenge, actions).await?;
        *self.authorization.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(value);
        self.http.send(self.authorized(ask)).await
    }

    fn authorized(&self, mut ask: Ask) -> Ask {
        // An upload may go to another host, which must not see the credentials.
        if host_of(&ask.url) == Some(self.base.clone()) {
            let known =
                self.authorization.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some(value) = known.clone() {
                ask.headers.insert(AUTHORIZATION, value);
            }
        }
        ask
    }

    async fn answer_to(&self, challenge: &Challenge, actions: &str) -> Result<HeaderValue, String> {
        let basic = self.credentials.basic();
        match challenge {
            Challenge::Basic => match basic {
                Some(pair) => secret(&format!("Basic {pair}")),
                None => Err("it wants a login, and no credentials are known for it".to_owned()),
            },
            Challenge::Bearer { realm, service } => {
                if let Credentials::Token(token) = &self.credentials {
                    return secret(&format!("Bearer {token}"));
                }
                let scope = format!("repository:{}:{actions}", self.repository);
                let sign = if realm.contains('?') { '&' } else { '?' };
                let mut url = format!("{realm}{sign}scope={}", escape(&scope));
                if let Some(service) = service {
                    url = format!("{url}&service={}", escape(service));
                }
                let mut ask = Ask::new(Method::GET, url);
                if let Some(pair) = basic {
                    ask = ask.header(AUTHORIZATION, secret(&format!("Basic {pair}"))?);
                }
                let answer = self.http.send(ask).await?;
                expect(&answer, StatusCode::OK)?;
                let answer: Value = serde_json::from_slice(&answer.body)
                    .map_err(|_| "it hands out tokens that cannot be read".to_owned())?;
                let token = answer.get("token").or_else(|| answer.get("access_token"));
                let token = token.and_then(Value::as_str).ok_or("it hands out no token")?;
                secret(&format!("Bearer {token}"))
            }
        }
    }
}

/// A header's value that is never printed.
fn secret(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| "the credentials hold a character that no header can".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

impl Credentials {
    /// User and password as basic authentication wants them.
    fn basic(&self) -> Option<String> {
        match self {
            Self::Basic { user, password } => {
                let pair = format!("{user}:{password}");
                Some(base64::engine::general_purpose::STANDARD.encode(pair))
            }
            _ => None,
        }
    }
}

/// What a registry wants to see.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String> },
}

impl Challenge {
    /// Reads `Bearer realm="…",service="…"`.
    fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let field = |name: &str| {
            let at = rest.find(&format!("{name}=\""))?;
            let value = rest.get(at + name.len() + 2..)?;
            value.split('"').next().map(str::to_owned)
        };
        Some(Self::Bearer { realm: field("realm")?, service: field("service") })
    }
}

/// Percent-encodes what a query's value cannot hold.
fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~:/,".contains(&byte) {
            format!("{escaped}{}", char::from(byte))
        } else {
            format!("{escaped}%{byte:02X}")
        }
    })
}

/// The answer, if it has the wanted status; else what the registry says, shortened.
fn expect(answer: &Answer, wanted: StatusCode) -> Result<&Answer, String> {
    if answer.status == wanted {
        return Ok(answer);
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let said = |member: &str| {
        body.pointer("/errors/0").and_then(|error| error.get(member)).and_then(Value::as_str)
    };
    let words: String = match (said("code"), said("message")) {
        (None, None) => String::new(),
        (code, message) => {
            let text = format!(" {} {}", code.unwrap_or_default(), message.unwrap_or_default());
            text.chars().filter(|c| !c.is_control()).take(300).collect()
        }
    };
    Err(format!("it answered {}{words}", answer.status.as_u16()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let bearer = "Bearer realm=\"https://auth.example/token\",service=\"r.example\",\
                      scope=\"repository:a:pull\"";
        let expected = Challenge::Bearer {
            realm: "https://auth.example/token".to_owned(),
            service: Some("r.example".to_owned()),
        };
        assert_eq!(Challenge::parse(bearer), Some(expected));
        assert_eq!(Challenge::parse("basic realm=\"x\""), Some(Challenge::Basic));
        for odd in ["", "Bearer", "Bearer realm=x", "Negotiate abc"] {
            assert_eq!(Challenge::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn scope_is_a_query_value() {
        assert_eq!(escape("repository:a/b:pull,push"), "repository:a/b:pull,push");
        assert_eq!(escape("a b&c"), "a%20b%26c");
    }
}
