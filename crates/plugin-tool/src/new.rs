//! `new`: a complete small project that builds and passes `check` as it is.

mod embedded;
mod files;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::{Outcome, Wrong};

/// Makes the project of a new plugin.
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// Name of the plugin: lower-case letters, digits and hyphens.
    name: String,
    /// What it will be written in.
    #[arg(long, value_enum)]
    language: LanguageName,
    /// Where the project's folder is made.
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// The name that users write in their forms [default: the plugin's name].
    #[arg(long, value_name = "NAME")]
    algorithm: Option<String>,
    /// Rust only: an SDK to depend on, instead of a copy in the project.
    #[arg(long, value_name = "PATH")]
    sdk: Option<PathBuf>,
}

/// The languages that have a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LanguageName {
    /// Small and fast: 0.3 MB, tens of microseconds a call.
    Rust,
    /// CPython inside: 18 MB, milliseconds a call.
    Python,
    /// QuickJS inside: 1.7 MB, hundreds of microseconds a call.
    Javascript,
}

/// What a template is filled with.
struct Names<'a> {
    name: &'a str,
    algorithm: &'a str,
    title: String,
    sdk: String,
}

pub(crate) fn run(args: &NewArgs) -> Outcome<()> {
    let algorithm = args.algorithm.as_deref().unwrap_or(&args.name);
    if let Err(why) = check(args, algorithm) {
        return Ok(Err(Wrong(vec![why])));
    }
    let folder = args.dir.join(&args.name);
    let sdk = match &args.sdk {
        None => "sdk".to_owned(),
        Some(path) => {
            let found = path.canonicalize().ok().filter(|path| path.join("Cargo.toml").is_file());
            let Some(found) = found else {
                let why = format!("{} is not the folder of an SDK", path.display());
                return Ok(Err(Wrong(vec![why])));
            };
            found.to_string_lossy().into_owned()
        }
    };
    let names = Names { name: &args.name, algorithm, title: title(&args.name), sdk };
    std::fs::create_dir_all(&args.dir)
        .with_context(|| format!("cannot make {}", args.dir.display()))?;
    // Two calls at the same time must not fill one folder.
    if let Err(error) = std::fs::create_dir(&folder) {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            let why = format!(
                "{} is there already; choose another name, or another place with --dir",
                folder.display()
            );
            return Ok(Err(Wrong(vec![why])));
        }
        return Err(error).with_context(|| format!("cannot make {}", folder.display()));
    }
    for (path, text) in files::of(args.language, &names, args.sdk.is_none()) {
        write(&folder.join(path), &text)?;
    }
    data_line!("{}", folder.display());
    eprintln!("{}", next_steps(args.language, &folder));
    Ok(Ok(()))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().context("a file of the template has no folder")?;
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, text))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn check(args: &NewArgs, algorithm: &str) -> Result<(), String> {
    // 40 is the contract's bound. A letter first: the name is also that of a package.
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let name = &args.name;
    let well_formed = name.len() <= 40
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.ends_with(plain)
        && name.chars().all(|c| plain(c) || c == '-')
        && !name.contains("--");
    if !well_formed {
        return Err(format!(
            "`{name}` is not a name for a plugin: it has 1 to 40 lower-case letters, digits and \
             single hyphens, starts with a letter and ends with a letter or digit"
        ));
    }
    if RESERVED.contains(&name.as_str()) {
        return Err(format!(
            "`{name}` is a word of the template's language or one of its packages; choose another \
             name, for instance `{name}-plugin`"
        ));
    }
    let well_formed = algorithm.len() <= 63
        && algorithm.starts_with(plain)
        && algorithm.ends_with(plain)
        && algorithm.chars().all(|c| plain(c) || "-_.".contains(c));
    if !well_formed {
        return Err(format!(
            "`{algorithm}` is not a name for an algorithm: it has 1 to 63 lower-case letters, \
             digits, `-`, `_` or `.`, and starts and ends with a letter or digit"
        ));
    }
    if args.sdk.is_some() && args.language != LanguageName::Rust {
        return Err("--sdk is for plugins in Rust; the others carry a small library".to_owned());
    }
    Ok(())
}

/// Names that Cargo refuses for a package, or that would hide a package the template uses.
const RESERVED: [&str; 24] = [
    "as",
    "async",
    "await",
    "break",
    "const",
    "continue",
    "crate",
    "else",
    "enum",
    "extern",
    "fn",
    "for",
    "if",
    "impl",
    "in",
    "let",
    "plugin-sdk",
    "schemars",
    "sdk",
    "serde",
    "test",
    "core",
    "std",
    "alloc",
];

/// `gradient-boost` becomes `Gradient Boost`.
fn title(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
    };
    name.split('-').map(capital).collect::<Vec<String>>().join(" ")
}

fn next_steps(language: LanguageName, folder: &Path) -> String {
    let (test, setup) = match language {
        LanguageName::Rust => ("cargo test", ""),
        LanguageName::Python => ("python3 -m unittest discover tests", " --setup"),
        LanguageName::Javascript => ("node --test", " --setup"),
    };
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    format!(
        "\nNext:\n  cd {}\n  {test}\n  trainyard-plugin build{setup}\n  trainyard-plugin check \
         {name}.wasm",
        folder.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(name: &str, algorithm: Option<&str>) -> NewArgs {
        NewArgs {
            name: name.to_owned(),
            language: LanguageName::Rust,
            dir: PathBuf::new(),
            algorithm: algorithm.map(str::to_owned),
            sdk: None,
        }
    }

    #[test]
    fn names_are_those_of_the_contract() {
        for good in ["a", "gradient-boost", "a1", &"a".repeat(40)] {
            assert_eq!(check(&args(good, None), good), Ok(()), "{good}");
        }
        for bad in
            ["", "A", "1a", "-a", "a-", "a--b", "a_b", "a/b", "..", "a b", "é", &"a".repeat(41)]
        {
            assert!(check(&args(bad, None), "x").is_err(), "{bad}");
        }
        assert!(check(&args("serde", None), "serde").unwrap_err().contains("serde-plugin"));
    }

    #[test]
    fn algorithms_may_have_dots_and_underscores() {
        for good in ["a", "a_b", "a.b-1", "1a"] {
            assert_eq!(check(&args("a", Some(good)), good), Ok(()), "{good}");
        }
        for bad in ["", "A", "_a", "a.", "a/b", "a~b", &"a".repeat(64)] {
            assert!(check(&args("a", Some(bad)), bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_title_is_made_of_the_names_words() {
        assert_eq!(title("gradient-boost"), "Gradient Boost");
    }
}
