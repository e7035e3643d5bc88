//! Which language a folder is written in, and what its plugin is called.

use std::path::{Path, PathBuf};

use cargo_metadata::CrateType;

use crate::BuildError;
use crate::toolchain::read_text;

/// What a plugin is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// `Cargo.toml`, with a library of the type `cdylib`.
    Rust,
    /// `requirements.txt` and `src/component.py`.
    Python,
    /// `package.json` and `src/component.js`.
    JavaScript,
}

/// The folder of one plugin.
#[derive(Debug, Clone)]
pub struct Project {
    /// Absolute.
    pub root: PathBuf,
    /// By the files in it.
    pub language: Language,
    /// Of the package, or of the folder where the language has none: the name of the file.
    pub name: String,
    /// Rust only: where Cargo builds.
    pub(crate) target_dir: PathBuf,
}

const MARKS: [(Language, &str, &str); 3] = [
    (Language::Rust, "Cargo.toml", "src/lib.rs"),
    (Language::Python, "requirements.txt", "src/component.py"),
    (Language::JavaScript, "package.json", "src/component.js"),
];

impl Project {
    /// Looks at the files of `dir`.
    pub fn open(dir: &Path) -> Result<Self, BuildError> {
        let root = dir.canonicalize().map_err(BuildError::io(dir))?;
        let found: Vec<Language> = MARKS
            .iter()
            .filter(|(_, manifest, source)| {
                root.join(manifest).is_file() && root.join(source).is_file()
            })
            .map(|(language, ..)| *language)
            .collect();
        let [language] = found.as_slice() else {
            let marks: Vec<String> =
                MARKS.iter().map(|(_, a, b)| format!("`{a}` with `{b}`")).collect();
            let what = if found.is_empty() { "no plugin" } else { "plugins in several languages" };
            return Err(BuildError::Project(format!(
                "{} holds {what}; one of these pairs of files is expected: {}. A new plugin is \
                 made by `trainyard-plugin new NAME --language rust|python|javascript`.",
                root.display(),
                marks.join(", ")
            )));
        };
        let mut project = Self {
            language: *language,
            name: root.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            target_dir: root.join("target"),
            root,
        };
        match language {
            Language::Rust => project.read_cargo()?,
            Language::JavaScript => project.read_package_json()?,
            Language::Python => project.read_plugin_py()?,
        }
        Ok(project)
    }

    fn read_cargo(&mut self) -> Result<(), BuildError> {
        let metadata = cargo_metadata::MetadataCommand::new()
            .current_dir(&self.root)
            .no_deps()
            .exec()
            .map_err(|error| BuildError::Project(format!("cannot read Cargo.toml: {error}")))?;
        let manifest = self.root.join("Cargo.toml");
        let package = metadata.packages.iter().find(|package| package.manifest_path == manifest);
        let library = package.filter(|package| {
            package.targets.iter().any(|target| target.crate_types.contains(&CrateType::CDyLib))
        });
        let Some(package) = library else {
            return Err(BuildError::Project(format!(
                "{} describes no library that becomes a component; it needs \
                 `[lib] crate-type = [\"cdylib\", \"rlib\"]`",
                manifest.display()
            )));
        };
        self.name = package.name.to_string();
        self.target_dir = metadata.target_directory.into();
        Ok(())
    }

    /// Python has no manifest that names the plugin, but the module of every plugin does.
    fn read_plugin_py(&mut self) -> Result<(), BuildError> {
        let module = self.root.join("src/plugin.py");
        if !module.is_file() {
            return Ok(());
        }
        let text = read_text(&module)?;
        let named = text.lines().find_map(|line| {
            line.strip_prefix("NAME = \"").and_then(|rest| rest.strip_suffix('"'))
        });
        if let Some(name) = named {
            name.clone_into(&mut self.name);
        }
        Ok(())
    }

    fn read_package_json(&mut self) -> Result<(), BuildError> {
        let path = self.root.join("package.json");
        let text = read_text(&path)?;
        let manifest: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
            BuildError::Project(format!("{} is not JSON: {error}", path.display()))
        })?;
        if let Some(name) = manifest.get("name").and_then(serde_json::Value::as_str) {
            // `@team/name` is a name of npm, not of a file.
            name.rsplit('/').next().unwrap_or(name).clone_into(&mut self.name);
        }
        Ok(())
    }

    /// Where Cargo builds, for projects in Rust.
    pub fn target_dir(&self) -> &Path {
        &self.target_dir
    }

    /// The project's own copy of the contract, or a copy of ours in `scratch`.
    pub(crate) fn wit(&self, scratch: &Path) -> Result<PathBuf, BuildError> {
        let own = self.root.join("wit");
        if own.is_dir() {
            return Ok(own);
        }
        let wit = scratch.join("wit");
        std::fs::create_dir_all(&wit).map_err(BuildError::io(&wit))?;
        let file = wit.join("converter.wit");
        std::fs::write(&file, crate::CONTRACT).map_err(BuildError::io(&file))?;
        Ok(wit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn a_pair_of_files_tells_the_language() {
        let dir = folder(&[
            ("requirements.txt", ""),
            ("src/component.py", ""),
            ("src/plugin.py", "# It is.\nNAME = \"iris\"\n"),
        ]);
        let project = Project::open(dir.path()).unwrap();
        assert_eq!((project.language, project.name.as_str()), (Language::Python, "iris"));
        let dir = folder(&[("package.json", r#"{"name":"@team/x"}"#), ("src/component.js", "")]);
        let project = Project::open(dir.path()).unwrap();
        assert_eq!((project.language, project.name.as_str()), (Language::JavaScript, "x"));
    }

    #[test]
    fn a_library_in_rust_must_be_able_to_become_a_component() {
        let manifest = "[package]\nname = \"x\"\nedition = \"2024\"\n[workspace]\n";
        let dir = folder(&[("Cargo.toml", manifest), ("src/lib.rs", "")]);
        let error = Project::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("crate-type"), "{error}");
    }

    #[test]
    fn a_folder_without_a_plugin_or_with_two_is_refused() {
        let none = folder(&[("requirements.txt", "")]);
        let error = Project::open(none.path()).unwrap_err().to_string();
        assert!(error.contains("holds no plugin"), "{error}");
        let two = folder(&[
            ("requirements.txt", ""),
            ("src/component.py", ""),
            ("package.json", "{}"),
            ("src/component.js", ""),
        ]);
        let error = Project::open(two.path()).unwrap_err().to_string();
        assert!(error.contains("several languages"), "{error}");
    }
}
