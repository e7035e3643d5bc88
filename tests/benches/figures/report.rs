//! Collects figures and prints them as a table and as JSON lines.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::json;

/// One figure.
struct Figure {
    name: Cow<'static, str>,
    value: f64,
    unit: &'static str,
    goal: &'static str,
    context: String,
}

/// All figures of a run.
pub(crate) struct Report {
    figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { figures: Vec::new() }
    }

    /// Adds a figure. `context` holds the absolute values behind a ratio.
    pub(crate) fn add(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: f64,
        unit: &'static str,
        goal: &'static str,
        context: String,
    ) {
        let name = name.into();
        eprintln!("  {name}: {value:.2} {unit} ({context})");
        self.figures.push(Figure { name, value, unit, goal, context });
    }

    /// Prints the table; writes the JSON lines to the file named by `TRAINYARD_BENCH_JSON`.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        println!("\n{:<58} {:>9} {:<5} {:<12} context", "figure", "value", "unit", "goal");
        let mut lines = String::new();
        for figure in &self.figures {
            println!(
                "{:<58} {:>9.2} {:<5} {:<12} {}",
                figure.name, figure.value, figure.unit, figure.goal, figure.context
            );
            let line = json!({
                "figure": figure.name,
                "value": figure.value,
                "unit": figure.unit,
                "goal": figure.goal,
                "context": figure.context,
            });
            writeln!(lines, "{line}")?;
        }
        if let Some(path) = std::env::var_os("TRAINYARD_BENCH_JSON") {
            std::fs::write(path, lines)?;
        }
        Ok(())
    }
}

/// How often something is measured. A build for debugging measures nothing worth knowing: there a
/// run only shows that the benchmark works, and shall be short.
pub(crate) const fn rounds(wanted: usize) -> usize {
    let few = if wanted < 2 { wanted } else { 2 };
    if cfg!(debug_assertions) { few } else { wanted }
}

/// The middle value; 0 of nothing.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    percentile(values, 50)
}

/// The value below which so many percent lie; 0 of nothing.
pub(crate) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get(last * percent / 100).copied().unwrap_or_default()
}
