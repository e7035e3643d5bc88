//! Lists: pages of one consistent snapshot, rebuilt from the event log.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{Api, Key, Res, selectors::Selector};
use crate::status::{ApiError, ApiResult};

/// The parameters of a list request.
#[derive(Debug, Default)]
pub(crate) struct ListRequest<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) selector: Selector,
    pub(crate) limit: usize,
    pub(crate) continue_token: &'a str,
}

/// One page.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) revision: u64,
    pub(crate) items: Vec<Arc<Value>>,
    pub(crate) continue_token: Option<String>,
    pub(crate) remaining: Option<usize>,
}

impl Page {
    /// The `ListMeta` of the answer.
    pub(crate) fn metadata(&self) -> Value {
        let mut metadata = json!({ "resourceVersion": self.revision.to_string() });
        if let Some(token) = &self.continue_token {
            crate::json::set(&mut metadata, &["continue"], token.as_str());
        }
        if let Some(remaining) = self.remaining {
            crate::json::set(&mut metadata, &["remainingItemCount"], remaining);
        }
        metadata
    }
}

impl Api {
    pub(crate) fn list(&self, res: Res, request: &ListRequest<'_>) -> ApiResult<Page> {
        let (revision, start) = match request.continue_token {
            "" => (self.revision(), None),
            token => {
                let (revision, start) = decode(token).ok_or_else(|| {
                    ApiError::bad_request("continue key is not valid: illegal base64 data")
                })?;
                (revision, Some(start))
            }
        };
        // A page of an older snapshot: put back what changed since.
        let mut undo: BTreeMap<&Key, Option<&Arc<Value>>> = BTreeMap::new();
        let later = self.events_after(revision).ok_or_else(|| {
            ApiError::expired(
                "The provided continue parameter is too old to display a consistent list result. \
                 You can start a new list without the continue parameter.",
            )
        })?;
        for entry in later.rev().filter(|entry| entry.key.res == res) {
            undo.insert(&entry.key, entry.old.as_ref());
        }
        let current = self.all(res, request.namespace).filter(|(key, _)| !undo.contains_key(key));
        let mut found: Vec<(&Key, &Arc<Value>)> = current.collect();
        if !undo.is_empty() {
            found.extend(
                undo.iter()
                    .filter(|(key, _)| {
                        request.namespace.is_empty() || key.namespace == request.namespace
                    })
                    .filter_map(|(key, object)| Some((*key, (*object)?))),
            );
            found.sort_by_key(|(key, _)| *key);
        }
        let mut matching = found
            .into_iter()
            .filter(|(key, _)| {
                start.as_ref().is_none_or(|(namespace, name)| {
                    (&key.namespace, &key.name) >= (namespace, name)
                })
            })
            .filter(|(_, object)| request.selector.matches(object));
        let limit = if request.limit == 0 { usize::MAX } else { request.limit };
        let items: Vec<Arc<Value>> =
            matching.by_ref().take(limit).map(|(_, object)| Arc::clone(object)).collect();
        let next = matching.next().map(|(key, _)| encode(revision, key));
        let remaining =
            next.is_some().then(|| matching.count() + 1).filter(|_| request.selector.is_empty());
        Ok(Page { revision, items, continue_token: next, remaining })
    }
}

/// The token is opaque to clients, so hexadecimal does as well as the real server's base64.
fn encode(revision: u64, key: &Key) -> String {
    let text = format!("{revision}/{}/{}", key.namespace, key.name);
    text.bytes().fold(String::new(), |mut out, byte| {
        use std::fmt::Write as _;
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn decode(token: &str) -> Option<(u64, (String, String))> {
    let bytes = token
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect::<Option<Vec<u8>>>()?;
    let text = String::from_utf8(bytes).ok()?;
    let mut parts = text.splitn(3, '/');
    let revision = parts.next()?.parse().ok()?;
    Some((revision, (parts.next()?.to_owned(), parts.next()?.to_owned())))
}
