//! The only place that writes: data to standard output, talk to standard error.

use std::io::{IsTerminal as _, Write as _};

use comfy_table::{Table, presets};
use serde_json::Value;

use crate::client::Failure;

/// Prints the API's object as it is.
pub(crate) fn json(value: &Value) {
    line(&serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string()));
}

/// Prints rows under headings, as `kubectl` does.
pub(crate) fn table(headings: &[&str], rows: Vec<Vec<String>>) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(headings.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for row in table.to_string().lines() {
        // Every cell is padded, the first one on the left, too.
        line(row.strip_prefix(' ').unwrap_or(row).trim_end());
    }
}

/// Prints one line of data. A reader that went away is not an error.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", printable(text));
}

/// Prints one line of data that more will follow. `false` if nobody reads them any more.
pub(crate) fn data(text: &str) -> bool {
    writeln!(std::io::stdout(), "{}", printable(text)).is_ok()
}

/// Says something that belongs to the data without being part of it.
pub(crate) fn remark(text: &str) {
    complain(text);
}

/// Says something to the person, if there is one.
pub(crate) fn talk(text: &str) {
    if std::io::stderr().is_terminal() {
        complain(text);
    }
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable(text));
}

/// Says what went wrong and what to do.
pub(crate) fn failure(failure: &Failure) {
    match failure {
        Failure::Input(text) | Failure::Job(text) => complain(&format!("error: {text}")),
        Failure::Transport(text) => {
            complain(&format!("error: {text}"));
            complain("hint: is the host running? `--server` or TRAINYARD_SERVER names it");
        }
        Failure::Problem(problem) => {
            let detail = problem.detail.as_deref().unwrap_or(&problem.title);
            complain(&format!("error[{}]: {detail}", problem.code));
            for error in &problem.errors {
                let at = if error.pointer.is_empty() { "(form)" } else { &error.pointer };
                complain(&format!("  {at}: {} [{}]", error.detail, error.code));
            }
            complain(&format!("hint: {}", problem.kind));
        }
    }
}

/// Texts come from servers and clusters: none of their control characters reaches a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c })
        .collect()
}
