//! Size and texture of a manifest: depth, number of nodes, bytes, and characters that a reader of
//! YAML or JSON may treat in its own way. Everything after this may recurse.

use serde_json::Value;

use super::Policy;
use super::report::{Report, below};

/// Measures the manifests of one bundle.
pub(super) struct Shape<'a> {
    policy: &'a Policy,
    nodes: usize,
}

impl<'a> Shape<'a> {
    pub(super) fn new(policy: &'a Policy) -> Self {
        Self { policy, nodes: 0 }
    }

    /// Whether the manifest is small and plain enough to be looked at closer.
    pub(super) fn check(&mut self, document: &Value, at: &str, report: &mut Report) -> bool {
        let before = report.refusals();
        self.walk(document, at, 1, report);
        if report.refusals() > before {
            return false;
        }
        let (bytes, most) = (document.to_string().len(), self.policy.max_manifest_bytes);
        if bytes > most {
            let detail = format!("The manifest has {bytes} bytes; at most {most} are allowed.");
            report.refuse(at, "manifest-too-large", detail);
            return false;
        }
        true
    }

    fn walk(&mut self, value: &Value, at: &str, depth: usize, report: &mut Report) {
        let policy = self.policy;
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > policy.max_nodes {
            // Once is enough, and the rest need not be walked.
            if self.nodes == policy.max_nodes.saturating_add(1) {
                let detail = format!("The bundle has more than {} values.", policy.max_nodes);
                report.refuse(at, "too-many-nodes", detail);
            }
            return;
        }
        if depth > policy.max_depth {
            let detail = format!("It is nested deeper than {} levels.", policy.max_depth);
            report.refuse(at, "too-deep", detail);
            return;
        }
        match value {
            Value::String(text) => self.check_text(text, at, report),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.walk(item, &format!("{at}/{index}"), depth + 1, report);
                }
            }
            Value::Object(members) => {
                for (key, item) in members {
                    self.check_text(key, at, report);
                    self.walk(item, &below(at, key), depth + 1, report);
                }
            }
            _ => {}
        }
    }

    fn check_text(&self, text: &str, at: &str, report: &mut Report) {
        let (bytes, most) = (text.len(), self.policy.max_string_bytes);
        if bytes > most {
            let detail = format!("The text has {bytes} bytes; at most {most} are allowed.");
            report.refuse(at, "string-too-long", detail);
        }
        if let Some(odd) = text.chars().find(|c| is_odd(*c)) {
            let detail = format!("It holds the control character U+{:04X}.", u32::from(odd));
            report.refuse(at, "control-character", detail);
        }
    }
}

fn is_odd(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}
