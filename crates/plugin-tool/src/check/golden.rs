//! Golden cases: a folder for each, with a form and what must become of it. A change of the plugin
//! then shows as a change of files that a person reviews.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use training::ports::{Conversion, FieldError};

use super::report::Section;
use crate::candidate::{Candidate, Ending};
use crate::unified;

/// The form of a case, as a user would post it.
const FORM: &str = "form.json";
/// The operator's settings over the plugin's defaults, where a case needs others.
const SETTINGS: &str = "settings.json";
/// What a form without mistakes becomes: `[{"role", "document"}]` as the plugin made it.
const PLAN: &str = "plan.json";
/// What a form with mistakes is answered with: `[{"pointer", "code"}]`.
const FINDINGS: &str = "findings.json";

/// Runs every case below `dir`, or writes what comes out as the new truth.
pub(crate) async fn run(candidate: &Candidate, dir: &Path, update: bool) -> Section {
    let mut section = Section::new("cases");
    let cases = match list(dir) {
        Ok(cases) if cases.is_empty() => {
            section
                .fail("there are cases", format!("{} holds no folder with {FORM}", dir.display()));
            return section;
        }
        Ok(cases) => cases,
        Err(why) => {
            section.fail("there are cases", why);
            return section;
        }
    };
    for case in cases {
        let name = case.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match run_case(candidate, &case, update).await {
            Ok(()) => section.pass(name),
            Err(why) => section.fail(name, why),
        }
    }
    section
}

/// Folders with a form, by name.
fn list(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut cases: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.join(FORM).is_file())
        .collect();
    cases.sort();
    Ok(cases)
}

async fn run_case(candidate: &Candidate, case: &Path, update: bool) -> Result<(), String> {
    let form = read(&case.join(FORM))?;
    let settings = case.join(SETTINGS);
    let settings = settings.exists().then(|| read(&settings)).transpose()?;
    let settings = settings.map(|given| candidate.settings_with(&given)).transpose()?;
    let (name, found, other) = match candidate.convert_as(&form, None, settings).await {
        Ending::Planned(planned) => (PLAN, plan(&planned.conversion), FINDINGS),
        Ending::Invalid(_, errors) => (FINDINGS, findings(&errors), PLAN),
        Ending::Unsupported(_) => (FINDINGS, json!([{"pointer": "", "code": "unsupported"}]), PLAN),
        Ending::Fault(fault) => return Err(fault.to_string()),
    };
    let text = format!("{found:#}\n");
    let path = case.join(name);
    if update {
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        // What does not exist is as good as removed.
        let _ = std::fs::remove_file(case.join(other));
        return Ok(());
    }
    if case.join(other).exists() {
        return Err(format!("there is a {other}, but the outcome is a {name}:\n{text}"));
    }
    if !path.exists() {
        return Err(format!("there is no {name}; `--update` writes it"));
    }
    let wanted = read(&path)?;
    // The order of members means nothing in JSON, and other languages sort them in other ways.
    if wanted == found {
        return Ok(());
    }
    let diff = unified::diff(&format!("{wanted:#}\n"), &text, name, "now");
    Err(format!("the outcome is another:\n{diff}"))
}

fn plan(conversion: &Conversion) -> Value {
    conversion
        .manifests
        .iter()
        .map(|manifest| json!({"role": manifest.role.as_str(), "document": manifest.document}))
        .collect()
}

/// Sorted: their order is nobody's promise, and the kits of the languages write them so.
fn findings(errors: &[FieldError]) -> Value {
    let mut found: Vec<(&str, &str)> =
        errors.iter().map(|error| (error.pointer.as_str(), &*error.code)).collect();
    found.sort_unstable();
    found.into_iter().map(|(pointer, code)| json!({"pointer": pointer, "code": code})).collect()
}

fn read(path: &Path) -> Result<Value, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{} is not JSON: {error}", path.display()))
}
