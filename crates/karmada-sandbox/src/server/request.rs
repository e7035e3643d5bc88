//! Reads a request's path and query: which API server, which resource, which verb. Decides
//! nothing.

use std::borrow::Cow;

use axum::body::Bytes;
use http::{HeaderMap, Method, request::Parts};
use serde_json::Value;

use crate::{
    objects::{Api, Key, Res, resources, selectors::Selector},
    status::{ApiError, ApiResult},
};

const PROXY_PREFIX: &str = "/apis/cluster.karmada.io/v1alpha1/clusters/";

/// One request, body read.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Call {
    pub(crate) fn new(parts: Parts, body: Bytes) -> Self {
        let query = parts
            .uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (unescape(key), unescape(value))
            })
            .collect();
        Self {
            method: parts.method,
            path: unescape_path(parts.uri.path()),
            query,
            headers: parts.headers,
            body,
        }
    }

    pub(crate) fn query(&self, key: &str) -> &str {
        self.query.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
    }

    pub(crate) fn has_query(&self, key: &str) -> bool {
        self.query.iter().any(|(name, _)| name == key)
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        matches!(self.query(key), "true" | "1")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn user_agent(&self) -> &str {
        self.header("user-agent")
    }

    /// The field manager: the parameter, else the first word of the user agent, as the real
    /// server does.
    pub(crate) fn manager(&self) -> Cow<'_, str> {
        let stated = self.query("fieldManager");
        if !stated.is_empty() {
            return stated.into();
        }
        let agent = self.user_agent().split('/').next().unwrap_or_default();
        if agent.is_empty() { "unknown".into() } else { agent.into() }
    }

    pub(crate) fn json(&self) -> ApiResult<Value> {
        serde_json::from_slice(&self.body).map_err(|error| {
            ApiError::bad_request(format!("the object provided is unrecognized: {error}"))
        })
    }

    /// The body of a request that may have none.
    pub(crate) fn options(&self) -> ApiResult<Value> {
        if self.body.is_empty() { Ok(Value::Null) } else { self.json() }
    }

    pub(crate) fn selector(&self, res: Res) -> ApiResult<Selector> {
        Selector::parse(res, self.query("labelSelector"), self.query("fieldSelector"))
    }

    /// `list rayjobs`, for the counters.
    pub(crate) fn verb_name(&self) -> String {
        let rest = Place::of(&self.path).rest;
        let Shape { plural, name, subresource, .. } = Shape::of(&rest);
        let verb = match (&self.method, name.is_empty()) {
            (&Method::GET, _) if self.flag("watch") => "watch",
            (&Method::GET, true) => "list",
            (&Method::GET, false) => "get",
            (&Method::POST, _) => "create",
            (&Method::PUT, _) => "update",
            (&Method::PATCH, _) => "patch",
            (&Method::DELETE, true) => "deletecollection",
            (&Method::DELETE, false) => "delete",
            _ => "other",
        };
        match (plural.as_str(), subresource.as_str()) {
            ("", _) => format!("{verb} {rest}"),
            (plural, "") => format!("{verb} {plural}"),
            (plural, subresource) => format!("{verb} {plural}/{subresource}"),
        }
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn unescape(text: &str) -> String {
    unescape_path(&text.replace('+', " "))
}

fn unescape_path(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        match (byte, ahead.next().and_then(hex), ahead.next().and_then(hex)) {
            (b'%', Some(high), Some(low)) => {
                out.push(high * 16 + low);
                bytes = ahead;
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Which API server a path is for, and the path there.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) cluster: Option<String>,
    pub(crate) rest: String,
}

/// A resource path of one API server.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) cluster: Option<String>,
    pub(crate) key: Key,
    pub(crate) subresource: String,
}

impl Target {
    pub(crate) fn is_collection(&self) -> bool {
        self.key.name.is_empty()
    }

    pub(crate) fn res(&self) -> Res {
        self.key.res
    }
}

/// A resource path taken apart, before anyone asks whether the resource exists.
#[derive(Debug, Default)]
struct Shape {
    group: String,
    version: String,
    plural: String,
    namespace: String,
    name: String,
    subresource: String,
}

impl Shape {
    fn of(path: &str) -> Self {
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return Self::default(),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, plural, tail @ ..]
                if !(group.is_empty()
                    && tail.is_empty()
                    && matches!(*plural, "status" | "finalize")) =>
            {
                (*namespace, [&[*plural], tail].concat())
            }
            rest => ("", rest.to_vec()),
        };
        let part = |at: usize| rest.get(at).copied().unwrap_or_default().to_owned();
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: part(0),
            namespace: namespace.to_owned(),
            name: part(1),
            subresource: part(2),
        }
    }
}

impl Place {
    pub(crate) fn of(path: &str) -> Self {
        if let Some(rest) = path.strip_prefix(PROXY_PREFIX)
            && let Some((cluster, tail)) = rest.split_once('/')
            && let Some(inner) = tail.strip_prefix("proxy")
            && (inner.is_empty() || inner.starts_with('/'))
        {
            let rest = if inner.is_empty() { "/" } else { inner };
            return Self { cluster: Some(cluster.to_owned()), rest: rest.to_owned() };
        }
        Self { cluster: None, rest: path.to_owned() }
    }

    /// Finds the resource, or answers like a server that does not serve it.
    pub(crate) fn target(&self, api: &Api) -> ApiResult<Target> {
        let shape = Shape::of(&self.rest);
        let res = resources::by_plural(&shape.group, &shape.version, &shape.plural)
            .filter(|res| api.serves(res))
            .ok_or_else(ApiError::no_such_path)?;
        if !res.namespaced && !shape.namespace.is_empty() {
            return Err(ApiError::no_such_path());
        }
        let known = match shape.subresource.as_str() {
            "" => true,
            "status" => res.status,
            "log" | "binding" => *res == resources::POD,
            "finalize" => *res == resources::NAMESPACE,
            _ => false,
        };
        if !known {
            return Err(ApiError::new(
                404,
                "NotFound",
                "the server could not find the requested resource",
            ));
        }
        Ok(Target {
            cluster: self.cluster.clone(),
            key: Key::new(res, &shape.namespace, &shape.name),
            subresource: shape.subresource,
        })
    }
}
