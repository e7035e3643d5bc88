//! Differences between two texts as people know them from `diff -u`.

use similar::TextDiff;

/// A unified diff with three lines of context; empty for equal texts.
pub(crate) fn diff(old: &str, new: &str, old_name: &str, new_name: &str) -> String {
    TextDiff::from_lines(old, new).unified_diff().header(old_name, new_name).to_string()
}

/// A manifest as YAML, which shows differences line by line.
pub(crate) fn yaml(document: &serde_json::Value) -> String {
    // JSON is YAML, too: a document that the writer cannot write is shown as it is.
    serde_saphyr::to_string(document).unwrap_or_else(|_| format!("{document:#}\n"))
}
