//! The record of what clients asked for: every mutating request, and counters of all requests.
//! Written by `server`, read by tests.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::json::Tree as _;
use crate::server::{Call, Counts};

/// Enough for ten mutating requests for each of 10 000 jobs; older entries are dropped.
const LENGTH: usize = 100_000;

/// One mutating request, whatever its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// `metadata.name` in the body, or the last part of the path.
    pub name: String,
    /// The uid of the object that was written; empty if there was none.
    pub uid: String,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// The status code of the answer.
    pub status: u16,
    /// The sandbox's time.
    pub at: Timestamp,
}

#[derive(Debug, Default)]
pub(crate) struct Audit {
    entries: std::collections::VecDeque<AuditEntry>,
    counts: Counts,
}

impl Audit {
    pub(crate) fn count(&mut self, verb: &str) {
        match self.counts.get_mut(verb) {
            Some(count) => *count += 1,
            None => drop(self.counts.insert(verb.to_owned(), 1)),
        }
    }

    pub(crate) fn record(&mut self, call: &Call, status: u16, uid: &str, at: Timestamp) {
        let named = serde_json::from_slice::<Value>(&call.body)
            .ok()
            .and_then(|body| body.at(&["metadata", "name"]).as_str().map(str::to_owned));
        let name =
            named.unwrap_or_else(|| call.path.rsplit('/').next().unwrap_or_default().to_owned());
        if self.entries.len() >= LENGTH {
            self.entries.pop_front();
        }
        self.entries.push_back(AuditEntry {
            method: call.method.to_string(),
            path: call.path.clone(),
            name,
            uid: uid.to_owned(),
            user_agent: call.user_agent().to_owned(),
            status,
            at,
        });
    }

    pub(crate) fn entries(&self) -> Vec<AuditEntry> {
        self.entries.iter().cloned().collect()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts.clone()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}
