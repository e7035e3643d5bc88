//! The part of the import law that holds between modules of one package.

use super::Violation;
use super::law::INNER_LAWS;
use super::source;

pub(super) fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    for law in INNER_LAWS {
        let inside = path.strip_prefix(law.within).is_some_and(|rest| rest.starts_with('/'));
        if !inside || !path.ends_with(".rs") || law.except.contains(&path) {
            continue;
        }
        for (number, line) in source::code(text) {
            for name in law.never.iter().filter(|name| begins_a_name(line, name)) {
                found.push(Violation::at(
                    path,
                    number,
                    format!("`{name}` must not be used here: {}", law.because),
                    "take a trait of `training`, or move the code",
                ));
            }
        }
    }
    found
}

/// Whether the line has this path, and not as the end of a longer name.
fn begins_a_name(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        line[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_do_not_read_files() {
        let found = check("crates/training/src/job.rs", "//! It is.\nuse std::fs::File;\n");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 2);
    }

    #[test]
    fn tests_and_comments_may_say_anything() {
        let text = "//! Not std::fs::read.\n#[cfg(test)]\nmod tests {\n    use std::fs::File;\n}\n";
        assert!(check("crates/training/src/job.rs", text).is_empty());
    }

    #[test]
    fn only_the_composition_root_names_adapters() {
        assert_eq!(check("host/src/http/jobs.rs", "use job_store::connect;\n").len(), 1);
        assert!(check("host/src/wire.rs", "use job_store::connect;\n").is_empty());
        assert!(check("host/src/http/jobs.rs", "use my_job_store::connect;\n").is_empty());
    }
}
