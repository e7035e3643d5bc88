//! For plans that hold texts of many lines, which a person cannot review as JSON: every folder
//! `cases/<name>` holds a `job.json` as the host would send it and, beside it, the reviewed snapshot
//! of what the converter makes of it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::run;
use crate::{Converter, Failure, Finding, Plan};

/// One case folder.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name of the folder.
    pub name: String,
    /// Text of `job.json`.
    pub job: String,
}

/// Reads every case below `directory`, sorted by name.
pub fn cases(directory: &Path) -> std::io::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let job = fs::read_to_string(entry.path().join("job.json"))?;
        cases.push(Case { name: entry.file_name().to_string_lossy().into_owned(), job });
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

/// Compares every case with its snapshot `cases/<name>/plan.snap`.
///
/// # Panics
///
/// If a snapshot differs or a folder cannot be read: it is a test's assertion.
pub fn assert_cases<C: Converter>(directory: &Path) {
    let cases = cases(directory).unwrap_or_default();
    assert!(!cases.is_empty(), "no cases in {}", directory.display());
    for case in cases {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(directory.join(&case.name));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!("plan", render(&run::<C>(&case.job))));
    }
}

/// A text that a person can review: texts of several lines, such as embedded YAML, stand on lines
/// of their own below the object that holds them.
pub fn render(answer: &Result<Plan, Failure>) -> String {
    match answer {
        Ok(plan) => render_plan(plan),
        Err(Failure::Invalid(findings)) => findings.iter().fold(String::new(), render_finding),
        Err(Failure::Unsupported(message)) => format!("unsupported: {message}\n"),
        Err(Failure::Internal(message)) => format!("internal: {message}\n"),
    }
}

fn render_finding(mut out: String, finding: &Finding) -> String {
    let Finding { pointer, code, message, .. } = finding;
    let _ = writeln!(out, "{pointer}\n  {code}: {message}");
    out
}

fn render_plan(plan: &Plan) -> String {
    let mut out = String::new();
    for warning in &plan.warnings {
        let _ = writeln!(out, "warning: {warning}\n");
    }
    for manifest in &plan.manifests {
        let mut document: Value = serde_json::from_str(&manifest.document).unwrap_or_default();
        let mut texts = Vec::new();
        extract_texts(&mut document, "", &mut texts);
        let _ = writeln!(out, "# {}\n{document:#}", manifest.role);
        for (pointer, text) in texts {
            let _ = writeln!(out, "\n## {pointer}\n{text}");
        }
        out.push('\n');
    }
    out
}

fn extract_texts(value: &mut Value, pointer: &str, texts: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) if text.contains('\n') => {
            texts.push((pointer.to_owned(), std::mem::take(text)));
            "(below)".clone_into(text);
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                extract_texts(item, &format!("{pointer}/{index}"), texts);
            }
        }
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                extract_texts(member, &format!("{pointer}/{name}"), texts);
            }
        }
        _ => {}
    }
}
