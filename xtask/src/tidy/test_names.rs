//! A test that a document names exists. What nobody runs any more proves nothing.

use std::collections::HashSet;

use super::Violation;
use super::tree::Tree;

/// Documents whose tables say which test shows what.
const DOCUMENTS: [&str; 2] = ["docs/karmada.md", "docs/regressions.md"];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let functions: HashSet<&str> = tree
        .files()
        .filter(|file| file.path.ends_with(".rs"))
        .flat_map(|file| functions(&file.text))
        .collect();
    let mut found = Vec::new();
    for document in DOCUMENTS {
        let Some(text) = tree.text(document) else { continue };
        for (number, line) in text.lines().enumerate() {
            for name in names(line).filter(|name| !functions.contains(name)) {
                found.push(Violation::at(
                    document,
                    number + 1,
                    format!("no function is called `{name}`"),
                    "correct the name, or write the test again",
                ));
            }
        }
    }
    found
}

/// Names after `fn`.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    text.split("fn ").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        rest.get(..end).filter(|name| !name.is_empty())
    })
}

/// The last words of paths in backticks. One that ends in `tests` is a whole module.
fn names(line: &str) -> impl Iterator<Item = &str> {
    line.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|quoted| quoted.rsplit_once("::").map(|(_, name)| name))
        .filter(|name| *name != "tests")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_function_has_are_found() {
        let files = [
            ("crates/a/src/lib.rs", "#[test]\nfn is_there() {}\n"),
            ("docs/karmada.md", "| `a b::is_there`, `a b::tests` |\n| `it c::was_there` |\n"),
        ];
        let found = check(&Tree::of(&files));
        let found: Vec<_> = found.iter().map(|found| (found.line, found.what.as_str())).collect();
        assert_eq!(found, [(2, "no function is called `was_there`")]);
    }
}
