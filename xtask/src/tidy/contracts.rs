//! Promises to other code and other versions: frozen WIT files, and migrations on both databases.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::Violation;
use super::tree::Tree;

const CONTRACT: &str = "wit/converter.wit";
const FROZEN: &str = "wit/frozen";
const SUMS: &str = "wit/frozen/SHA256SUMS";
const DATABASES: [&str; 2] = ["migrations/postgres", "migrations/sqlite"];

pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = frozen(tree);
    found.extend(migrations(tree));
    found
}

/// A released contract never changes: plugins in the field were built against its bytes.
fn frozen(tree: &Tree) -> Vec<Violation> {
    let sums: Vec<(usize, &str, &str)> = tree
        .text(SUMS)
        .unwrap_or_default()
        .lines()
        .enumerate()
        .filter_map(|(number, line)| {
            let (sum, name) = line.split_once("  ")?;
            Some((number + 1, sum, name))
        })
        .collect();
    let mut found = Vec::new();
    if sums.is_empty() && tree.text(CONTRACT).is_some() {
        found.push(Violation::file(
            SUMS,
            "no released contract is listed",
            "plugins are built against them; restore the list",
        ));
    }
    for (name, file) in tree.below(FROZEN).filter(|(name, _)| name.ends_with(".wit")) {
        match sums.iter().find(|(_, _, known)| *known == name) {
            None => found.push(Violation::file(
                &file.path,
                format!("a frozen contract that {SUMS} does not list"),
                format!("run in {FROZEN}: sha256sum {name} >> SHA256SUMS"),
            )),
            Some((_, sum, _)) if *sum != sha256(&file.text) => found.push(Violation::file(
                &file.path,
                "a released contract was changed",
                "restore it, and make the change in a new version",
            )),
            Some(_) => {}
        }
    }
    for (line, _, name) in sums {
        if tree.text(&format!("{FROZEN}/{name}")).is_none() {
            let what = format!("the released contract {name} is gone");
            found.push(Violation::at(
                SUMS,
                line,
                what,
                "restore it: plugins were built against it",
            ));
        }
    }
    found
}

fn sha256(text: &str) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(text) {
        write!(hex, "{byte:02x}").ok();
    }
    hex
}

/// Both databases take the same steps in the same order.
fn migrations(tree: &Tree) -> Vec<Violation> {
    let names = |dir| -> BTreeSet<&str> {
        tree.below(dir).map(|(name, _)| name).filter(|name| name.ends_with(".sql")).collect()
    };
    let mut found = Vec::new();
    for (here, other) in [(DATABASES[0], DATABASES[1]), (DATABASES[1], DATABASES[0])] {
        let present = names(here);
        for name in names(other).difference(&present) {
            found.push(Violation::file(
                &format!("{other}/{name}"),
                format!("{here} has no file of this name"),
                "add one; when there is nothing to do, a comment that says so",
            ));
        }
        let mut numbers = BTreeSet::new();
        for name in present {
            let number = name.split('_').next().unwrap_or_default();
            let is_number = number.len() == 4 && number.chars().all(|c| c.is_ascii_digit());
            if !is_number || !numbers.insert(number) {
                found.push(Violation::file(
                    &format!("{here}/{name}"),
                    "the name does not begin with a number of its own",
                    "name it NNNN_what.sql with the next free number",
                ));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files)).into_iter().map(|violation| violation.what).collect()
    }

    #[test]
    fn a_migration_for_one_database_is_found() {
        let files = [
            ("migrations/postgres/0001_jobs.sql", ""),
            ("migrations/sqlite/0001_jobs.sql", ""),
            ("migrations/postgres/0002_more.sql", ""),
        ];
        assert_eq!(what(&files), ["migrations/sqlite has no file of this name"]);
    }

    #[test]
    fn two_migrations_do_not_share_a_number() {
        let files = [
            ("migrations/postgres/0001_a.sql", ""),
            ("migrations/postgres/0001_b.sql", ""),
            ("migrations/sqlite/0001_a.sql", ""),
            ("migrations/sqlite/0001_b.sql", ""),
        ];
        assert_eq!(what(&files).len(), 2);
    }

    #[test]
    fn a_frozen_contract_keeps_its_bytes() {
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a@1/a.wit\n";
        assert!(what(&[(SUMS, sum), ("wit/frozen/a@1/a.wit", "abc")]).is_empty());
        assert_eq!(
            what(&[(SUMS, sum), ("wit/frozen/a@1/a.wit", "abd")]),
            ["a released contract was changed"]
        );
        assert_eq!(what(&[(SUMS, sum)]), ["the released contract a@1/a.wit is gone"]);
        assert_eq!(what(&[("wit/frozen/b.wit", "")]).len(), 1);
        assert_eq!(what(&[(CONTRACT, "")]), ["no released contract is listed"]);
    }
}
