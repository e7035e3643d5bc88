//! `cargo xtask tidy`: the house rules that no compiler and no linter checks.
//!
//! Each check is a function from text to violations, so that its tests are small strings; only
//! this file and `tree` read the disk. `cargo test -p xtask` runs all checks on this repository.

mod algorithms;
mod contracts;
mod documents;
mod error_pages;
mod import_law;
mod inner_law;
mod law;
mod source;
mod test_names;
mod text;
mod tree;

use std::fmt;

use anyhow::{Result, bail};

use crate::setup::Repo;
use tree::Tree;

/// One broken rule. Prints as one line: where, what is wrong, what to do.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    line: usize,
    what: String,
    remedy: String,
}

impl Violation {
    /// `line` counts from 1.
    fn at(path: &str, line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into(), remedy: remedy.into() }
    }

    /// For a rule about a whole file.
    fn file(path: &str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::at(path, 1, what, remedy)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; {}", self.path, self.line, self.what, self.remedy)
    }
}

/// Prints every violation on standard output, then fails if there was one.
pub(crate) fn run(repo: &Repo) -> Result<()> {
    let violations = check(repo)?;
    for violation in &violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => Ok(()),
        1 => bail!("1 house rule is broken; to repeat just this: cargo xtask tidy"),
        n => bail!("{n} house rules are broken; to repeat just this: cargo xtask tidy"),
    }
}

fn check(repo: &Repo) -> Result<Vec<Violation>> {
    let tree = Tree::read(&repo.root)?;
    let packages = import_law::packages(&repo.metadata, &repo.root);
    let mut found = import_law::check(&packages);
    let algorithms = algorithms::names(&packages);
    for file in tree.files() {
        found.extend(source::check(&file.path, &file.text));
        found.extend(inner_law::check(&file.path, &file.text));
        found.extend(algorithms::check(&file.path, &file.text, &algorithms));
        found.extend(text::check(&file.path, &file.text));
    }
    found.extend(source::check_exceptions(&tree));
    found.extend(documents::check(&tree, &packages));
    found.extend(error_pages::check(&tree));
    found.extend(contracts::check(&tree));
    found.extend(test_names::check(&tree));
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_is_tidy() {
        let repo = Repo::find().unwrap();
        let found: Vec<String> = check(&repo).unwrap().iter().map(Violation::to_string).collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    #[test]
    fn a_violation_is_one_line_that_editors_can_open() {
        let violation = Violation::at("a/b.rs", 7, "a thing is wrong", "mend it");
        assert_eq!(violation.to_string(), "a/b.rs:7: a thing is wrong; mend it");
    }
}
