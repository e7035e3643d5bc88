//! What admission found and did: every refusal, and every place that the host set or changed.

use serde_json::{Map, Value, json};

use crate::ports::FieldError;

/// Refusals and changes beyond these are counted, not listed: nobody reads more, and a hostile
/// bundle could make ten thousand of either.
const MOST: usize = 200;

/// One place of a bundle that the host set or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// RFC 6901 pointer into the bundle: `/1/metadata/namespace` lies in its second manifest.
    pub pointer: String,
    /// Lower-case hyphenated word for the rule that asked for it.
    pub rule: String,
    /// A whole sentence: what was done, and why.
    pub detail: String,
}

impl Change {
    /// As JSON, for the record of a job.
    pub fn to_value(&self) -> Value {
        json!({"pointer": self.pointer, "rule": self.rule, "detail": self.detail})
    }
}

/// Collects refusals and changes in the order in which they are found.
#[derive(Debug, Default)]
pub(super) struct Report {
    refusals: Vec<FieldError>,
    changes: Vec<Change>,
    unlisted_refusals: usize,
    unlisted_changes: usize,
}

impl Report {
    pub(super) fn refuse(
        &mut self,
        pointer: impl Into<String>,
        code: &str,
        detail: impl Into<String>,
    ) {
        if self.refusals.len() < MOST {
            self.refusals.push(FieldError::new(pointer, code, detail));
        } else {
            self.unlisted_refusals += 1;
        }
    }

    pub(super) fn change(
        &mut self,
        pointer: impl Into<String>,
        rule: &str,
        detail: impl Into<String>,
    ) {
        if self.changes.len() < MOST {
            let (pointer, detail) = (pointer.into(), detail.into());
            self.changes.push(Change { pointer, rule: rule.to_owned(), detail });
        } else {
            self.unlisted_changes += 1;
        }
    }

    pub(super) fn refusals(&self) -> usize {
        self.refusals.len()
    }

    /// The changes, or the refusals if there is one.
    pub(super) fn finish(mut self) -> Result<Vec<Change>, Vec<FieldError>> {
        if self.unlisted_refusals > 0 {
            let detail = format!("{} more places are refused.", self.unlisted_refusals);
            self.refusals.push(FieldError::new("", "more", detail));
        }
        if self.unlisted_changes > 0 {
            self.changes.push(Change {
                pointer: String::new(),
                rule: "more".to_owned(),
                detail: format!("{} more places were set likewise.", self.unlisted_changes),
            });
        }
        if self.refusals.is_empty() { Ok(self.changes) } else { Err(self.refusals) }
    }
}

/// A pointer to the member `key` of what `at` points to.
pub(super) fn below(at: &str, key: &str) -> String {
    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// A member that is there and not `null`; Kubernetes takes `null` for absent.
pub(super) fn given<'v>(members: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
    members.get(key).filter(|value| !value.is_null())
}

/// Text from a plugin for a sentence: short, on one line.
pub(super) fn quoted(text: &str) -> String {
    let mut short: String =
        text.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("`{short}`")
}

/// Maps of texts that are somebody's data, not settings of an object.
const TEXT_MAPS: [&str; 4] = ["labels", "annotations", "matchLabels", "nodeSelector"];

/// Visits every object at and below `value`, outer before inner, with its pointer. Maps that hold
/// nothing but somebody's texts are left out: a label may be called like a field.
pub(super) fn each_object<'v>(
    value: &'v Value,
    at: &str,
    visit: &mut dyn FnMut(&'v Map<String, Value>, &str),
) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                each_object(item, &format!("{at}/{index}"), visit);
            }
        }
        Value::Object(members) => {
            visit(members, at);
            for (key, item) in members {
                if !is_text_map(key, item) {
                    each_object(item, &below(at, key), visit);
                }
            }
        }
        _ => {}
    }
}

/// [`each_object`] for changes.
pub(super) fn each_object_mut(
    value: &mut Value,
    at: &str,
    visit: &mut dyn FnMut(&mut Map<String, Value>, &str),
) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                each_object_mut(item, &format!("{at}/{index}"), visit);
            }
        }
        Value::Object(members) => {
            visit(members, at);
            for (key, item) in members {
                if !is_text_map(key, item) {
                    each_object_mut(item, &below(at, key), visit);
                }
            }
        }
        _ => {}
    }
}

fn is_text_map(key: &str, value: &Value) -> bool {
    TEXT_MAPS.contains(&key)
        && value.as_object().is_some_and(|members| members.values().all(Value::is_string))
}
