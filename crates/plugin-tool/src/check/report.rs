//! What the conformance kit found, section by section: as lines for people, and as one JSON
//! object with a badge.

use serde_json::{Value, json};

/// How one check ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    Passed,
    /// Why, in a sentence, and the job that shows it.
    Failed {
        why: String,
        form: Option<Value>,
    },
    /// Why it was not made.
    Skipped(String),
}

/// One line of a section.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Check {
    pub(crate) what: String,
    pub(crate) verdict: Verdict,
}

/// Checks that belong together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) checks: Vec<Check>,
}

impl Section {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, checks: Vec::new() }
    }

    pub(crate) fn pass(&mut self, what: impl Into<String>) {
        self.checks.push(Check { what: what.into(), verdict: Verdict::Passed });
    }

    pub(crate) fn fail(&mut self, what: impl Into<String>, why: impl Into<String>) {
        let verdict = Verdict::Failed { why: why.into(), form: None };
        self.checks.push(Check { what: what.into(), verdict });
    }

    pub(crate) fn fail_with(&mut self, what: impl Into<String>, why: String, form: Value) {
        let verdict = Verdict::Failed { why, form: Some(form) };
        self.checks.push(Check { what: what.into(), verdict });
    }

    pub(crate) fn skip(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.checks.push(Check { what: what.into(), verdict: Verdict::Skipped(why.into()) });
    }

    /// One check that passes if nothing was found, and else fails once for each finding.
    pub(crate) fn findings(&mut self, what: &str, found: Vec<String>) {
        if found.is_empty() {
            self.pass(what);
        }
        for why in found {
            self.fail(what, why);
        }
    }

    fn passed(&self) -> bool {
        !self.checks.iter().any(|check| matches!(check.verdict, Verdict::Failed { .. }))
    }
}

/// Everything that was checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    /// Name, version and digest of the plugin.
    pub(crate) plugin: Value,
    /// What reproduces the generated jobs.
    pub(crate) seed: u64,
    pub(crate) sections: Vec<Section>,
}

impl Report {
    pub(crate) fn passed(&self) -> bool {
        self.sections.iter().all(Section::passed)
    }

    fn count(&self, of: fn(&Verdict) -> bool) -> usize {
        let checks = self.sections.iter().flat_map(|section| &section.checks);
        checks.filter(|check| of(&check.verdict)).count()
    }

    /// `12 passed, 1 failed, 2 skipped`.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{} passed, {} failed, {} skipped",
            self.count(|verdict| matches!(verdict, Verdict::Passed)),
            self.count(|verdict| matches!(verdict, Verdict::Failed { .. })),
            self.count(|verdict| matches!(verdict, Verdict::Skipped(_))),
        )
    }

    /// Every failure as a sentence.
    pub(crate) fn failures(&self) -> Vec<String> {
        let checks = self.sections.iter().flat_map(|section| &section.checks);
        checks
            .filter_map(|check| match &check.verdict {
                Verdict::Failed { why, .. } => Some(format!("{}: {why}", check.what)),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn print(&self) {
        for section in &self.sections {
            data_line!("{}", section.name);
            for check in &section.checks {
                match &check.verdict {
                    Verdict::Passed => data_line!("  ok    {}", check.what),
                    Verdict::Failed { why, form } => {
                        data_line!("  FAIL  {}: {why}", check.what);
                        if let Some(form) = form {
                            data_line!("        smallest job that shows it: {form}");
                        }
                    }
                    Verdict::Skipped(why) => data_line!("  skip  {}: {why}", check.what),
                }
            }
        }
        data_line!("{} (seed {})", self.summary(), self.seed);
    }

    /// The whole report. `badge` follows the endpoint format of shields.io.
    pub(crate) fn to_json(&self) -> Value {
        let sections: Vec<Value> = self
            .sections
            .iter()
            .map(|section| {
                let checks: Vec<Value> = section.checks.iter().map(check_to_json).collect();
                json!({"name": section.name, "passed": section.passed(), "checks": checks})
            })
            .collect();
        let passed = self.passed();
        json!({
            "plugin": self.plugin,
            "passed": passed,
            "seed": self.seed,
            "sections": sections,
            "badge": {
                "schemaVersion": 1,
                "label": "trainyard-plugin check",
                "message": self.summary(),
                "color": if passed { "brightgreen" } else { "red" },
            },
        })
    }
}

fn check_to_json(check: &Check) -> Value {
    match &check.verdict {
        Verdict::Passed => json!({"what": check.what, "outcome": "passed"}),
        Verdict::Failed { why, form: None } => {
            json!({"what": check.what, "outcome": "failed", "why": why})
        }
        Verdict::Failed { why, form: Some(form) } => {
            json!({"what": check.what, "outcome": "failed", "why": why, "form": form})
        }
        Verdict::Skipped(why) => json!({"what": check.what, "outcome": "skipped", "why": why}),
    }
}
