//! The host knows no algorithm: the name of one, in code outside `plugins/`, is a fix at the wrong
//! depth. What differs between algorithms comes from the plugin.

use super::Violation;
use super::import_law::Package;
use super::source;

/// Where nothing may know an algorithm. Tests may: they need some plugin.
const FOLDERS: [&str; 3] = ["crates/", "host/", "xtask/"];
/// Plays the operators of other projects, which name their containers and runtimes after frameworks.
const OPERATORS: &str = "crates/karmada-sandbox/src/kinds";

/// The names of the converters of this repository.
pub(super) fn names(packages: &[Package]) -> Vec<&str> {
    let in_plugins = packages.iter().filter(|package| package.dir.starts_with("plugins/"));
    in_plugins.map(|package| package.name.as_str()).filter(|name| *name != "plugin-sdk").collect()
}

/// Whether a line, in lower case, speaks of the algorithm. Operators named some of their kinds after
/// one: `PyTorchJob` and its `pytorchReplicaSpecs` are words of Kubernetes.
fn mentions(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(start, _)| {
        let rest = line.get(start + name.len()..).unwrap_or_default();
        let rest = rest.trim_start_matches('_');
        !["job", "replicaspecs"].iter().any(|word| rest.starts_with(word))
    })
}

pub(super) fn check(path: &str, text: &str, algorithms: &[&str]) -> Vec<Violation> {
    let in_scope = FOLDERS.iter().any(|folder| path.starts_with(folder)) && path.ends_with(".rs");
    let exempt = ["xtask/src/tidy/", OPERATORS].iter().any(|folder| path.starts_with(folder));
    if !in_scope || path.contains("test") || exempt {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (number, line) in source::code(text) {
        let line = line.to_ascii_lowercase();
        for name in algorithms.iter().filter(|name| mentions(&line, name)) {
            found.push(Violation::at(
                path,
                number,
                format!("the algorithm `{name}` is known outside plugins/"),
                "let the plugin say what is special about it",
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        check(path, text, &["xgboost"]).len()
    }

    #[test]
    fn code_outside_plugins_knows_no_algorithm() {
        assert_eq!(count("host/src/http.rs", "if name == \"XGBoost\" {\n"), 1);
        assert_eq!(count("crates/training/src/job.rs", "enum A { Xgboost }\n"), 1);
    }

    #[test]
    fn kinds_that_operators_named_after_an_algorithm_are_not_the_algorithm() {
        let names = |text: &str| check("crates/x/src/a.rs", text, &["pytorch"]).len();
        assert_eq!(names("\"PyTorchJob\" => PYTORCH_JOB.at(\"pytorchReplicaSpecs\")\n"), 0);
        assert_eq!(names("if algorithm == \"pytorch\" && kind == \"PyTorchJob\" {\n"), 1);
    }

    #[test]
    fn comments_tests_and_plugins_may() {
        assert_eq!(count("host/src/http.rs", "/// For instance xgboost.\n"), 0);
        assert_eq!(count("host/src/a.rs", "#[cfg(test)]\nmod tests {\n    \"xgboost\";\n}\n"), 0);
        assert_eq!(count("tests/it/api.rs", "\"xgboost\"\n"), 0);
        assert_eq!(count("crates/training/src/testing.rs", "\"xgboost\"\n"), 0);
        assert_eq!(count("plugins/xgboost/src/lib.rs", "\"xgboost\"\n"), 0);
    }
}
