//! Compares the dependencies of each workspace package with the import law.

use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata};

use super::Violation;
use super::law::{CONVERTER, LAWS, Law};

/// A workspace package, as far as the law looks at it.
pub(super) struct Package {
    pub(super) name: String,
    /// Its folder, from the root.
    pub(super) dir: String,
    edges: Vec<Edge>,
}

struct Edge {
    name: String,
    in_workspace: bool,
    tests_only: bool,
}

pub(super) fn packages(metadata: &Metadata, root: &Path) -> Vec<Package> {
    let mut packages: Vec<Package> = metadata
        .workspace_packages()
        .into_iter()
        .map(|package| {
            let dir = package.manifest_path.parent().map(|dir| dir.as_std_path());
            let dir = dir.and_then(|dir| dir.strip_prefix(root).ok()).unwrap_or(Path::new(""));
            Package {
                name: package.name.to_string(),
                dir: dir.to_string_lossy().replace('\\', "/"),
                edges: package.dependencies.iter().map(edge).collect(),
            }
        })
        .collect();
    packages.sort_by(|a, b| a.dir.cmp(&b.dir));
    packages
}

fn edge(dependency: &cargo_metadata::Dependency) -> Edge {
    Edge {
        name: dependency.name.clone(),
        in_workspace: dependency.path.is_some(),
        tests_only: dependency.kind == DependencyKind::Development,
    }
}

pub(super) fn check(packages: &[Package]) -> Vec<Violation> {
    packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<Violation> {
    let manifest = format!("{}/Cargo.toml", package.dir);
    let violation = |what: String, remedy: &str| Violation::file(&manifest, what, remedy);
    let Some(law) = law_of(package) else {
        return vec![violation(
            format!("package `{}` is not in the import law", package.name),
            "write an ADR that says why it is not a module, then add a row in xtask/src/tidy/law.rs",
        )];
    };
    let name = &package.name;
    let mut found = Vec::new();
    for edge in &package.edges {
        let other = edge.name.as_str();
        let from = if edge.tests_only { "the tests of " } else { "" };
        let known = law.may.contains(&other) || edge.tests_only && law.tests_may.contains(&other);
        let forbidden = if edge.in_workspace {
            // `tests` runs every converter, also one that is not written yet.
            let is_converter = law_by_name(other).is_none();
            let by_tests = law.package == "tests" && edge.tests_only && is_converter;
            !known && !by_tests
        } else {
            !edge.tests_only && law.never.contains(&other)
        };
        if forbidden {
            found.push(violation(
                format!("{from}`{name}` must not depend on `{other}`: {}", law.because),
                "move the code to a package that may, or pass the thing in",
            ));
        }
    }
    found
}

fn law_of(package: &Package) -> Option<&'static Law> {
    let converter = package.dir.starts_with("plugins/").then_some(&CONVERTER);
    law_by_name(&package.name).or(converter)
}

fn law_by_name(name: &str) -> Option<&'static Law> {
    LAWS.iter().find(|law| law.package == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dir: &str, edges: &[(&str, bool, bool)]) -> Package {
        let edges = edges
            .iter()
            .map(|(name, in_workspace, tests_only)| Edge {
                name: (*name).to_owned(),
                in_workspace: *in_workspace,
                tests_only: *tests_only,
            })
            .collect();
        Package { name: name.to_owned(), dir: dir.to_owned(), edges }
    }

    fn count(name: &str, dir: &str, edge: (&str, bool, bool)) -> usize {
        check_package(&package(name, dir, &[edge])).len()
    }

    #[test]
    fn decisions_do_no_io() {
        assert_eq!(count("training", "crates/training", ("sqlx", false, false)), 1);
        assert_eq!(count("training", "crates/training", ("serde", false, false)), 1);
        assert_eq!(count("training", "crates/training", ("serde_json", false, false)), 0);
    }

    #[test]
    fn adapters_do_not_know_each_other() {
        assert_eq!(count("job-store", "crates/job-store", ("karmada-client", true, false)), 1);
        assert_eq!(count("job-store", "crates/job-store", ("training", true, false)), 0);
    }

    #[test]
    fn only_the_hosts_tests_may_link_the_sandbox() {
        assert_eq!(count("host", "host", ("karmada-sandbox", true, false)), 1);
        assert_eq!(count("host", "host", ("karmada-sandbox", true, true)), 0);
    }

    #[test]
    fn converters_know_the_kit_and_nothing_else() {
        assert_eq!(count("xgboost", "plugins/xgboost", ("plugin-sdk", true, false)), 0);
        assert_eq!(count("xgboost", "plugins/xgboost", ("training", true, false)), 1);
        assert_eq!(count("xgboost", "plugins/xgboost", ("getrandom", false, false)), 1);
        assert_eq!(count("xgboost", "plugins/xgboost", ("other", true, false)), 1);
    }

    #[test]
    fn whole_system_tests_may_use_every_converter() {
        assert_eq!(count("tests", "tests", ("xgboost", true, true)), 0);
        assert_eq!(count("tests", "tests", ("xtask", true, true)), 1);
    }

    #[test]
    fn a_new_package_needs_a_row() {
        let found = check_package(&package("common", "crates/common", &[]));
        assert!(found[0].what.contains("not in the import law"), "{}", found[0]);
    }
}
