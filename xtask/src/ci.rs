//! `cargo xtask ci`: every check a change must pass, the same on a laptop and on a build machine.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::setup::Repo;
use crate::{algorithms, cmd, deny, openapi, setup, test, tidy};

/// In the order they run: what fails fastest comes first.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// Formatting
    Fmt,
    /// The house rules
    Tidy,
    /// Licences, bans, sources and known vulnerabilities of dependencies
    Deny,
    /// Lints, warnings are errors
    Clippy,
    /// API documentation, warnings are errors
    Doc,
    /// All tests
    Test,
    /// docs/openapi.json is what the code says
    Openapi,
    /// docs/algorithms is what the plugins say
    Algorithms,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Tidy => "tidy",
            Self::Deny => "deny",
            Self::Clippy => "clippy",
            Self::Doc => "doc",
            Self::Test => "test",
            Self::Openapi => "openapi",
            Self::Algorithms => "algorithms",
        }
    }

    fn run(self, repo: &Repo) -> Result<()> {
        let mut cargo = cmd::cargo(&repo.root);
        match self {
            Self::Fmt => cmd::run(cargo.args(["fmt", "--all", "--check"])),
            Self::Tidy => tidy::run(repo),
            Self::Deny => deny::run(repo),
            Self::Clippy => {
                setup::c_compiler()?;
                cargo.args(["clippy", "--locked", "--workspace", "--all-targets"]);
                cmd::run(cargo.args(["--", "-D", "warnings"]))
            }
            Self::Doc => {
                cargo.args(["doc", "--locked", "--no-deps", "--workspace"]);
                cmd::run(cargo.arg("--document-private-items").env("RUSTDOCFLAGS", "-D warnings"))
            }
            Self::Test => test::run(
                repo,
                &test::Options { ci: true, conformance: false, train: false, args: Vec::new() },
            ),
            Self::Openapi => openapi::run(repo, true),
            Self::Algorithms => algorithms::run(repo, true),
        }
    }
}

struct Done {
    step: Step,
    took: Duration,
    passed: bool,
}

/// A failed step does not hide what the later ones have to say.
pub(crate) fn run(repo: &Repo, steps: &[Step]) -> Result<()> {
    let steps = if steps.is_empty() { Step::value_variants() } else { steps };
    let mut done = Vec::new();
    for &step in steps {
        eprintln!("\n=== {}", step.name());
        let start = Instant::now();
        let result = step.run(repo);
        cmd::fail_if_interrupted()?;
        if let Err(error) = &result {
            let name = step.name();
            eprintln!("\nerror: {error:#}\n  to repeat just this step: cargo xtask ci {name}");
        }
        done.push(Done { step, took: start.elapsed(), passed: result.is_ok() });
    }
    eprint!("\n{}", summary(&done));
    let failed: Vec<&str> =
        done.iter().filter(|done| !done.passed).map(|done| done.step.name()).collect();
    if !failed.is_empty() {
        bail!(
            "failed: {}; to repeat just that: cargo xtask ci {}",
            failed.join(", "),
            failed.join(" ")
        );
    }
    Ok(())
}

fn summary(done: &[Done]) -> String {
    let row = |name: &str, result: &str, took: Duration| {
        let seconds = took.as_secs();
        format!("{name:<8}  {result:<6}  {:>3}m{:02}s\n", seconds / 60, seconds % 60)
    };
    let mut table = String::new();
    for Done { step, took, passed } in done {
        table += &row(step.name(), if *passed { "ok" } else { "FAILED" }, *took);
    }
    table + &row("total", "", done.iter().map(|done| done.took).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_a_line_per_step_and_a_total() {
        let done = [
            Done { step: Step::Fmt, took: Duration::from_secs(1), passed: true },
            Done { step: Step::Clippy, took: Duration::from_secs(125), passed: false },
        ];
        assert_eq!(
            summary(&done),
            "fmt       ok        0m01s\nclippy    FAILED    2m05s\ntotal               2m06s\n"
        );
    }
}
