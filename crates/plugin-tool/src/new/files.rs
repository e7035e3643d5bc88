//! The files of a project: a template's, with the names in place, and for Rust the SDK.
//!
//! The templates are projects named `template-name` that serve `template-algorithm`; each of these
//! words is replaced wherever it stands.

use super::embedded::{LOCK, PINS, SDK, SDK_MANIFEST, TEMPLATES};
use super::{LanguageName, Names};

/// The path that the SDK's bindings take the contract from, in this repository.
const WIT_HERE: &str = "\"../../wit/converter.wit\"";
/// The same in a project.
const WIT_THERE: &str = "\"wit/converter.wit\"";

/// Every file by its path in the project.
pub(super) fn of(
    language: LanguageName,
    names: &Names<'_>,
    with_sdk: bool,
) -> Vec<(String, String)> {
    let folder = match language {
        LanguageName::Rust => "rust/",
        LanguageName::Python => "python/",
        LanguageName::Javascript => "javascript/",
    };
    let mut files: Vec<(String, String)> = TEMPLATES
        .iter()
        .filter_map(|(path, text)| {
            let path = path.strip_prefix("common/").or_else(|| path.strip_prefix(folder))?;
            // A file under its own name would steer Cargo or git in this repository.
            let path = path.strip_suffix(".template").unwrap_or(path);
            Some((path.to_owned(), fill(text, names)))
        })
        .collect();
    if language != LanguageName::Rust {
        files.push(("wit/converter.wit".to_owned(), plugin_build::CONTRACT.to_owned()));
    } else if with_sdk {
        files
            .extend(SDK.iter().map(|(path, text)| {
                (format!("sdk/src/{path}"), text.replace(WIT_HERE, WIT_THERE))
            }));
        files.push(("sdk/Cargo.toml".to_owned(), SDK_MANIFEST.to_owned()));
        files.push(("sdk/wit/converter.wit".to_owned(), plugin_build::CONTRACT.to_owned()));
        files.push(("Cargo.lock".to_owned(), lock()));
    }
    files
}

fn fill(text: &str, names: &Names<'_>) -> String {
    let mut text = text
        .replace("template-name", names.name)
        .replace("template_name", &names.name.replace('-', "_"))
        .replace("template-algorithm", names.algorithm)
        .replace("Template Title", &names.title)
        .replace("{sdk}", &names.sdk.replace('\\', "/"));
    for (name, version) in PINS {
        text = text.replace(&format!("{{{name}}}"), version);
    }
    text
}

/// The versions that were tested here. Cargo adds the project itself at its first build.
fn lock() -> String {
    let mut lock = String::from("version = 4\n");
    for (_, entry) in LOCK {
        lock.push('\n');
        lock.push_str(entry);
    }
    lock
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names<'static> {
        Names {
            name: "gradient-boost",
            algorithm: "gradient.boost",
            title: "Gradient Boost".to_owned(),
            sdk: "sdk".to_owned(),
        }
    }

    fn text<'f>(files: &'f [(String, String)], path: &str) -> &'f str {
        let found = files.iter().find(|(name, _)| name == path);
        found.map_or_else(|| panic!("no {path}"), |(_, text)| text.as_str())
    }

    #[test]
    fn no_word_of_the_template_is_left() {
        for language in [LanguageName::Rust, LanguageName::Python, LanguageName::Javascript] {
            let files = of(language, &names(), true);
            for (path, text) in &files {
                let own = !path.starts_with("sdk/") && !path.starts_with("wit/");
                for word in ["template-", "template_", "Template Title", ".template"] {
                    assert!(!own || !text.contains(word), "{path} holds {word}");
                    assert!(!path.contains(word), "{path}");
                }
            }
            for path in ["README.md", ".gitignore", "cases/minimal/plan.json"] {
                assert!(!text(&files, path).is_empty());
            }
        }
    }

    #[test]
    fn the_sdk_stands_alone() {
        let files = of(LanguageName::Rust, &names(), true);
        let manifest = text(&files, "sdk/Cargo.toml");
        assert!(!manifest.contains("workspace"), "{manifest}");
        assert!(!manifest.contains("insta") && !manifest.contains("proptest"), "{manifest}");
        for (path, text) in &files {
            assert!(!text.contains("../../wit"), "{path} looks for the contract outside");
        }
        assert!(text(&files, "sdk/src/bindings.rs").contains(WIT_THERE));
        assert!(text(&files, "sdk/wit/converter.wit").contains("package trainyard:converter@"));
    }

    /// An author compiles what was tested here, not what is newest on that day.
    #[test]
    fn versions_are_those_of_this_workspace() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let ours = std::fs::read_to_string(format!("{root}/Cargo.lock")).unwrap();
        let files = of(LanguageName::Rust, &names(), true);
        let theirs = text(&files, "Cargo.lock");
        let entries: Vec<&str> = theirs.split("[[package]]\n").skip(1).collect();
        assert!(entries.len() > 20, "{theirs}");
        for entry in entries {
            assert!(ours.contains(entry), "{entry}");
        }
        let manifest = text(&files, "Cargo.toml");
        assert!(!manifest.contains("= \"{"), "{manifest}");
    }

    #[test]
    fn another_sdk_takes_the_place_of_the_copy() {
        let names = Names { sdk: "/opt/sdk".to_owned(), ..names() };
        let files = of(LanguageName::Rust, &names, false);
        assert!(text(&files, "Cargo.toml").contains("path = \"/opt/sdk\""));
        assert!(files.iter().all(|(path, _)| !path.starts_with("sdk/")));
    }
}
