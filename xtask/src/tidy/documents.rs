//! ARCHITECTURE.md must be true: it names every package, and no path that is not there.

use super::Violation;
use super::import_law::Package;
use super::tree::Tree;

const FILE: &str = "ARCHITECTURE.md";

/// A path is worth checking when it ends like a file of ours, or begins with a folder of ours.
const ENDINGS: [&str; 8] = [".rs", ".toml", ".md", ".wit", ".sql", ".json", ".yaml", ".tsx"];

pub(super) fn check(tree: &Tree, packages: &[Package]) -> Vec<Violation> {
    let Some(text) = tree.text(FILE) else {
        return vec![Violation::file(FILE, "the file is missing", "describe every package in it")];
    };
    let mut found = Vec::new();
    for package in packages {
        let named = quoted(text)
            .any(|(_, word)| word == package.name || word.trim_end_matches('/') == package.dir);
        if !named {
            found.push(Violation::file(
                FILE,
                format!("package `{}` ({}) is not named", package.name, package.dir),
                "say in one paragraph what it is and what it must not do",
            ));
        }
    }
    for (line, word) in quoted(text) {
        if is_path(tree, word) && !tree.exists(word) {
            found.push(Violation::at(
                FILE,
                line,
                format!("`{word}` does not exist"),
                "correct the path or remove it",
            ));
        }
    }
    found
}

/// The text between backticks outside of fenced blocks, with its line.
fn quoted(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().flat_map(move |(number, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        let words = if fenced || fence { "" } else { line };
        words.split('`').skip(1).step_by(2).map(move |word| (number + 1, word))
    })
}

fn is_path(tree: &Tree, word: &str) -> bool {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "._-/@".contains(c));
    let Some((first, _)) = word.split_once('/') else {
        return false;
    };
    let ours = tree.exists(first) || ENDINGS.iter().any(|ending| word.ends_with(ending));
    plain && !first.is_empty() && ours
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(text: &str) -> Vec<String> {
        let tree = Tree::of(&[(FILE, text), ("host/src/wire.rs", "//! It is.\n")]);
        check(&tree, &[]).into_iter().map(|violation| violation.what).collect()
    }

    #[test]
    fn a_path_that_is_gone_is_found() {
        assert_eq!(what("See `host/src/gone.rs`."), ["`host/src/gone.rs` does not exist"]);
        assert_eq!(what("See `lost/gone.rs`."), ["`lost/gone.rs` does not exist"]);
        assert!(what("See `host/src/wire.rs` and `host/`.").is_empty());
    }

    #[test]
    fn other_words_with_a_slash_pass() {
        assert!(what("`/api/v1/jobs`, `application/problem+json`, `a/<b>`, `batch/v1`").is_empty());
        assert!(what("```\nhost/src/`gone.rs`\n```\n").is_empty());
    }

    #[test]
    fn it_must_be_there() {
        assert_eq!(check(&Tree::of(&[]), &[])[0].what, "the file is missing");
    }
}
