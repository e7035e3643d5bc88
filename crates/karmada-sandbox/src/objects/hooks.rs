//! What the admission of one API server does to new objects, as a test programs it: a mutating
//! webhook that annotates, a validating one or a quota that refuses. Called by `write::create`.

use serde_json::Value;

use super::Res;
use crate::{
    faults::glob,
    json::{self as js, meta},
    status::{ApiError, ApiResult},
};

/// The programmed rules.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    annotations: Vec<Annotate>,
    refusals: Vec<Refuse>,
}

#[derive(Debug)]
struct Annotate {
    kind: String,
    name: String,
    key: String,
    value: String,
}

#[derive(Debug)]
struct Refuse {
    plural: String,
    why: String,
}

impl Hooks {
    pub(crate) fn annotate(&mut self, kind: &str, name: &str, key: &str, value: &str) {
        let [kind, name, key, value] = [kind, name, key, value].map(str::to_owned);
        self.annotations.push(Annotate { kind, name, key, value });
    }

    pub(crate) fn refuse(&mut self, plural: &str, why: &str) {
        self.refusals.push(Refuse { plural: plural.to_owned(), why: why.to_owned() });
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What becomes of a new object.
    pub(crate) fn admit(&self, res: Res, object: &mut Value) -> ApiResult<()> {
        let name = meta(object, "name").to_owned();
        for rule in &self.annotations {
            if rule.kind == res.kind && glob(&rule.name, &name) {
                js::set(object, &["metadata", "annotations", &rule.key], rule.value.as_str());
            }
        }
        match self.refusals.iter().find(|rule| rule.plural == res.plural) {
            Some(rule) => Err(ApiError::forbidden(res, &name, &rule.why)),
            None => Ok(()),
        }
    }
}
