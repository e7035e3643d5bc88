//! The files that a training image holds besides its libraries, read from its Dockerfile: so it is
//! seen that the command of the plugin finds its program there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Libraries for machines without GPUs, where they differ from those of the image.
const CPU_REQUIREMENTS: &str = "requirements-cpu.txt";

/// The requirements to install on this machine.
pub(super) fn requirements(images: &Path, name: &str) -> PathBuf {
    let folder = images.join(name);
    let without_gpus = folder.join(CPU_REQUIREMENTS);
    if without_gpus.is_file() { without_gpus } else { folder.join("requirements.txt") }
}

/// Copies what the Dockerfile copies, below `root` instead of `/`.
pub(super) fn unpack(images: &Path, name: &str, root: &Path) -> Result<()> {
    let file = images.join(name).join("Dockerfile");
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let copies = copies(&text);
    ensure!(!copies.is_empty(), "{} copies nothing", file.display());
    for (sources, target) in copies {
        for source in sources {
            let name = Path::new(source).file_name().context("a folder is copied")?;
            let to = root.join(target.trim_start_matches('/'));
            let to = if target.ends_with('/') { to.join(name) } else { to };
            fs::create_dir_all(to.parent().context("the target has no folder")?)?;
            fs::copy(images.join(source), &to).with_context(|| {
                format!("{} copies {source}, which is not there", file.display())
            })?;
        }
    }
    Ok(())
}

/// The `COPY` lines: sources, and where they go.
fn copies(text: &str) -> Vec<(Vec<&str>, &str)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("COPY "));
    lines
        .filter_map(|line| {
            let mut words: Vec<&str> =
                line.split_whitespace().filter(|word| !word.starts_with("--")).collect();
            let target = words.pop()?;
            Some((words, target))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_where_the_dockerfile_puts_them() {
        let text = "FROM a\nCOPY --chown=b:c x/y.txt /app/z.txt\nCOPY p q/r /app/\nRUN COPY s /t\n";
        assert_eq!(copies(text), [(vec!["x/y.txt"], "/app/z.txt"), (vec!["p", "q/r"], "/app/")]);
    }

    #[test]
    fn a_file_that_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("Dockerfile"), "COPY a/train.py /app/\n").unwrap();
        let root = dir.path().join("root");
        let error = unpack(dir.path(), "a", &root).unwrap_err();
        assert!(error.to_string().contains("copies a/train.py"), "{error}");
        fs::write(folder.join("train.py"), "pass").unwrap();
        unpack(dir.path(), "a", &root).unwrap();
        assert!(root.join("app/train.py").is_file());
    }
}
