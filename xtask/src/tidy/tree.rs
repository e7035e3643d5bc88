//! Every text file of the repository, read once.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

/// Folders that hold no source, whoever made them.
const SKIPPED: [&str; 4] = [".git", "target", "node_modules", "dist"];

/// Larger files are data; reading them would only cost time.
const MAX_BYTES: u64 = 2 * 1024 * 1024;

pub(super) struct File {
    /// From the root, with `/` between folders.
    pub(super) path: String,
    pub(super) text: String,
}

pub(super) struct Tree {
    files: BTreeMap<String, File>,
    /// Every path there is, folders and binary files too.
    paths: Vec<String>,
}

impl Tree {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self { files: BTreeMap::new(), paths: Vec::new() };
        tree.read_dir(root, "")?;
        Ok(tree)
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self { files: BTreeMap::new(), paths: Vec::new() };
        for (path, text) in files {
            let folders = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
            tree.paths.extend(folders);
            tree.paths.push((*path).to_owned());
            tree.add(path, (*text).to_owned());
        }
        tree
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.values()
    }

    /// The text files below a folder, with their paths from that folder.
    pub(super) fn below<'a>(&'a self, dir: &'a str) -> impl Iterator<Item = (&'a str, &'a File)> {
        self.files
            .values()
            .filter_map(move |file| Some((file.path.strip_prefix(dir)?.strip_prefix('/')?, file)))
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(|file| file.text.as_str())
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.paths.iter().any(|known| known == path)
    }

    fn read_dir(&mut self, dir: &Path, prefix: &str) -> Result<()> {
        let entries = std::fs::read_dir(dir).with_context(|| dir.display().to_string())?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type()?;
            if kind.is_dir() {
                // A build folder under another name carries this mark.
                let is_cache = entry.path().join("CACHEDIR.TAG").exists();
                if !SKIPPED.contains(&name.as_str()) && !is_cache {
                    self.read_dir(&entry.path(), &format!("{path}/"))?;
                    self.paths.push(path);
                }
                continue;
            }
            // Someone may remove or rename a file while we look.
            if kind.is_file()
                && entry.metadata().is_ok_and(|metadata| metadata.len() <= MAX_BYTES)
                && let Ok(text) = std::fs::read_to_string(entry.path())
            {
                self.add(&path, text);
            }
            self.paths.push(path);
        }
        Ok(())
    }

    fn add(&mut self, path: &str, text: String) {
        self.files.insert(path.to_owned(), File { path: path.to_owned(), text });
    }
}
