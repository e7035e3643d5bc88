//! Rules for Rust files: header, length, names, nothing left open.

use super::Violation;
use super::tree::Tree;

/// Longer files are read by nobody from top to bottom.
const MAX_CODE_LINES: usize = 500;

/// Files that may be longer, each with the reason why splitting it would not help a reader.
const LONG_FILES: &[(&str, &str)] = &[];

pub(super) fn check(path: &str, text: &str) -> Vec<Violation> {
    if !path.ends_with(".rs") {
        return Vec::new();
    }
    let mut found = Vec::new();
    if path.ends_with("/mod.rs") {
        found.push(Violation::file(path, "a file named mod.rs", "name it after its module"));
    }
    if !text.starts_with("//!") {
        found.push(Violation::file(
            path,
            "the file does not open with `//!`",
            "say in one to five lines what it is and who calls it",
        ));
    }
    let lines = code_lines(text);
    if lines > MAX_CODE_LINES && !LONG_FILES.iter().any(|(long, _)| *long == path) {
        found.push(Violation::file(
            path,
            format!("{lines} lines of code, {MAX_CODE_LINES} are allowed"),
            "split it by what a reader looks for",
        ));
    }
    found.extend(left_open(path, text));
    found
}

/// An exception nobody needs any more is a trap for the next reader.
pub(super) fn check_exceptions(tree: &Tree) -> Vec<Violation> {
    let here = "xtask/src/tidy/source.rs";
    let needless =
        |path: &str| tree.text(path).is_none_or(|text| code_lines(text) <= MAX_CODE_LINES);
    LONG_FILES
        .iter()
        .filter(|(path, _)| needless(path))
        .map(|(path, _)| {
            Violation::file(here, format!("{path} needs no exception"), "remove it from LONG_FILES")
        })
        .collect()
}

fn left_open(path: &str, text: &str) -> Vec<Violation> {
    let marks = [concat!("todo", "!("), concat!("unimplemented", "!(")];
    let mut found = Vec::new();
    for (number, line) in code(text) {
        for mark in marks.into_iter().filter(|mark| line.contains(mark)) {
            found.push(Violation::at(path, number, format!("`{mark}…)`"), "finish it"));
        }
    }
    found
}

fn code_lines(text: &str) -> usize {
    code(text).len()
}

/// The lines that are neither blank, nor comment, nor part of an inline test module, with their
/// numbers from 1.
pub(super) fn code(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    let mut in_comment = false;
    while let Some((number, line)) = lines.next() {
        let code = line.trim();
        if in_comment {
            in_comment = !code.contains("*/");
            continue;
        }
        if code.starts_with("/*") {
            in_comment = !code.contains("*/");
            continue;
        }
        if code.is_empty() || code.starts_with("//") {
            continue;
        }
        let opens_module = |(_, next): &(usize, &str)| {
            let next = next.trim();
            next.starts_with("mod ") && next.ends_with('{')
        };
        if code == "#[cfg(test)]" && lines.peek().is_some_and(opens_module) {
            // The formatter puts the module's last brace under its first attribute.
            let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
            lines.by_ref().find(|(_, line)| *line == end);
            continue;
        }
        found.push((number + 1, line));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(path: &str, text: &str) -> Vec<String> {
        check(path, text).into_iter().map(|violation| violation.what).collect()
    }

    #[test]
    fn a_file_says_what_it_is() {
        assert_eq!(what("a/b.rs", "fn f() {}\n"), ["the file does not open with `//!`"]);
        assert!(what("a/b.rs", "//! It is.\nfn f() {}\n").is_empty());
        assert!(what("a/b.toml", "x = 1\n").is_empty());
    }

    #[test]
    fn a_module_has_a_name() {
        assert_eq!(what("a/mod.rs", "//! It is.\n"), ["a file named mod.rs"]);
    }

    #[test]
    fn nothing_is_left_open() {
        let text =
            concat!("//! It is.\nfn f() {\n    todo", "!()\n}\n// A todo", "!() in words.\n");
        let found = check("a.rs", text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 3);
    }

    #[test]
    fn length_counts_code_only() {
        let long = format!("//! It is.\n{}", "fn f() {}\n".repeat(501));
        assert_eq!(what("a.rs", &long), ["501 lines of code, 500 are allowed"]);
        let text = "//! It is.\n\n/* a\n b */\nfn f() {\n    // why\n}\n\n#[cfg(test)]\nmod tests {\n    \
                    fn g() {\n    }\n}\nconst X: u8 = 1;\n";
        assert_eq!(code_lines(text), 3);
    }

    #[test]
    fn an_attribute_on_something_else_is_code() {
        assert_eq!(code_lines("#[cfg(test)]\nuse a::b;\n#[cfg(test)]\nmod tests;\n"), 4);
    }
}
