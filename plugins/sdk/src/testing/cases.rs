//! Golden cases: a form, and the plan or the findings that it must give.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::form::{hyperparameters_of, job_of};
use super::{run, schema};
use crate::{Converter, Failure, Plan, guest};

/// Set to `1`, this variable makes [`assert_cases`] write what it would compare.
const UPDATE: &str = "TRAINYARD_UPDATE_CASES";

/// One case folder.
#[derive(Clone, Debug)]
pub struct Case {
    /// The folder.
    pub folder: PathBuf,
    /// `form.json`.
    pub form: Value,
    /// `settings.json`, if there is one: the operator's settings over the plugin's defaults.
    pub settings: Value,
    /// What must become of it; absent in a case that is being written.
    pub expected: Option<Expected>,
}

/// What must become of a form.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// `plan.json`: `[{"role", "document"}]`, in the order of the plugin.
    Plan(Value),
    /// `findings.json`: `[{"pointer", "code"}]` of the schema or, if it holds, of `validate`;
    /// sorted.
    Findings(Value),
}

impl Expected {
    fn file(&self) -> (&'static str, &Value) {
        match self {
            Self::Plan(value) => ("plan.json", value),
            Self::Findings(value) => ("findings.json", value),
        }
    }
}

/// Reads every case below `directory`, sorted by name.
pub fn cases(directory: &Path) -> Result<Vec<Case>, String> {
    let failed = |path: &Path, why: String| format!("{}: {why}", path.display());
    let entries = fs::read_dir(directory).map_err(|e| failed(directory, e.to_string()))?;
    let mut cases = Vec::new();
    for entry in entries {
        let folder = entry.map_err(|e| failed(directory, e.to_string()))?.path();
        let read = |name: &str| -> Result<Option<Value>, String> {
            let path = folder.join(name);
            if !path.exists() {
                return Ok(None);
            }
            let text = fs::read_to_string(&path).map_err(|e| failed(&path, e.to_string()))?;
            serde_json::from_str(&text).map(Some).map_err(|e| failed(&path, e.to_string()))
        };
        let form = read("form.json")?.ok_or_else(|| failed(&folder, "no form.json".to_owned()))?;
        let expected = match (read("plan.json")?, read("findings.json")?) {
            (Some(_), Some(_)) => {
                return Err(failed(&folder, "both a plan and findings are expected".to_owned()));
            }
            (Some(plan), None) => Some(Expected::Plan(plan)),
            (None, Some(findings)) => Some(Expected::Findings(findings)),
            (None, None) => None,
        };
        let settings = read("settings.json")?.unwrap_or_else(|| json!({}));
        cases.push(Case { folder, form, settings, expected });
    }
    cases.sort_by(|a, b| a.folder.cmp(&b.folder));
    Ok(cases)
}

/// Takes every case and compares. With `TRAINYARD_UPDATE_CASES=1` in the environment it writes the
/// answers instead; review them as you would review code.
///
/// # Panics
///
/// If an answer differs or a folder cannot be read: it is a test's assertion.
pub fn assert_cases<C: Converter>(directory: &Path) {
    let update = std::env::var_os(UPDATE).is_some_and(|value| value == "1");
    let cases = cases(directory).unwrap_or_else(|why| fail(&why));
    assert!(!cases.is_empty(), "no cases in {}", directory.display());
    for case in cases {
        let folder = case.folder.display();
        let answer = answer::<C>(&case).unwrap_or_else(|why| fail(&format!("{folder}: {why}")));
        if update {
            write(&case, &answer).unwrap_or_else(|why| fail(&format!("{folder}: {why}")));
            continue;
        }
        let Some(expected) = &case.expected else {
            fail(&format!("{folder} says nothing of the answer; {UPDATE}=1 writes it"))
        };
        let ((file, expected), (_, answer)) = (expected.file(), answer.file());
        assert_eq!(answer, expected, "{folder}/{file}; after a wanted change: {UPDATE}=1");
    }
}

#[expect(clippy::panic, reason = "this is a test's assertion")]
fn fail(why: &str) -> ! {
    panic!("{why}")
}

/// What becomes of the case's form.
fn answer<C: Converter>(case: &Case) -> Result<Expected, String> {
    let description = guest::describe::<C>();
    let algorithm = description.algorithms.first().ok_or("the plugin serves no algorithm")?;
    let read = |text: &str| serde_json::from_str::<Value>(text).map_err(|e| e.to_string());
    let values = hyperparameters_of(&case.form, algorithm);
    let violations = schema::violations(&read(&description.hyperparameters_schema)?, &values)?;
    if !violations.is_empty() {
        let located = violations
            .into_iter()
            .map(|(pointer, code)| (format!("/hyperparameters/{algorithm}{pointer}"), code));
        return Ok(findings_json(located.collect()));
    }
    let job = job_of(&case.form, algorithm, &case.settings).to_string();
    match run::<C>(&job) {
        Ok(plan) => Ok(Expected::Plan(plan_json(&plan)?)),
        Err(Failure::Invalid(findings)) => {
            Ok(findings_json(findings.into_iter().map(|f| (f.pointer, f.code)).collect()))
        }
        Err(Failure::Unsupported(_)) => {
            Ok(findings_json(vec![(String::new(), "unsupported".to_owned())]))
        }
        Err(Failure::Internal(message)) => Err(message),
    }
}

fn plan_json(plan: &Plan) -> Result<Value, String> {
    let manifests = plan.manifests.iter().map(|manifest| {
        let document: Value =
            serde_json::from_str(&manifest.document).map_err(|e| e.to_string())?;
        Ok(json!({ "role": manifest.role, "document": document }))
    });
    manifests.collect::<Result<Vec<_>, String>>().map(Value::from)
}

/// Their order is nobody's promise.
fn findings_json(mut findings: Vec<(String, String)>) -> Expected {
    findings.sort();
    let listed = findings.iter().map(|(pointer, code)| json!({ "pointer": pointer, "code": code }));
    Expected::Findings(listed.collect())
}

fn write(case: &Case, answer: &Expected) -> Result<(), String> {
    let (file, value) = answer.file();
    for other in ["plan.json", "findings.json"].into_iter().filter(|other| *other != file) {
        fs::remove_file(case.folder.join(other)).ok();
    }
    fs::write(case.folder.join(file), format!("{value:#}\n")).map_err(|e| e.to_string())
}
