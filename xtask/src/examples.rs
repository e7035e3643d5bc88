//! Builds the plugins in other languages below `plugins/examples/`. Their compilers come from the
//! package registries, into the target directory; where they cannot be had, the example is left out
//! with a loud line, because a contributor may work without network.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use plugin_build::{BuildError, Options, Project, replace_if_changed};
use sha2::{Digest, Sha256};

use crate::setup::Repo;

/// Set to `1`, this variable makes an example that cannot be built an error.
const REQUIRED: &str = "TRAINYARD_REQUIRE_EXAMPLES";

/// Builds every example into `out` and returns the files. What has not changed is not built again:
/// a component in Python takes twenty seconds.
pub(crate) fn build(repo: &Repo, out: &Path) -> Result<Vec<PathBuf>> {
    let folder = repo.root.join("plugins/examples");
    let mut projects: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    projects.sort();
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let mut files = Vec::new();
    for dir in projects {
        files.extend(build_one(repo, &dir, out)?);
    }
    Ok(files)
}

fn build_one(repo: &Repo, dir: &Path, out: &Path) -> Result<Option<PathBuf>> {
    let project = Project::open(dir)?;
    let name = project.name.clone();
    let file = out.join(format!("{name}.wasm"));
    // Beside the component, so that both are thrown away together.
    let mark = out.join(format!(".{name}.sources"));
    let sources = digest(dir)?;
    if file.is_file() && fs::read_to_string(&mark).is_ok_and(|built| built == sources) {
        println!("example {name}: unchanged: {}", file.display());
        return Ok(Some(file));
    }
    let language = dir.file_name().unwrap_or_default();
    let tools = repo.target.join("example-tools").join(language);
    let options = Options { tools: Some(&tools), setup: true };
    let mut say = |step: &str| println!("example {name}: {step}");
    let component = match plugin_build::build(&project, options, &mut say) {
        Ok(built) => built.component,
        Err(missing @ BuildError::Missing { .. }) => {
            // A component of other sources must not pass for this one.
            fs::remove_file(&file).ok();
            if std::env::var_os(REQUIRED).is_some_and(|value| value == "1") {
                bail!("example {name}: {missing}");
            }
            eprintln!("SKIPPED: example {name}: {missing}; {REQUIRED}=1 makes this an error");
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| format!("example {name}")),
    };
    replace_if_changed(&file, &component)?;
    fs::write(&mark, sources).with_context(|| format!("cannot write {}", mark.display()))?;
    println!("example {name}: {} KiB: {}", component.len() / 1024, file.display());
    Ok(Some(file))
}

/// Of everything that a component is made of.
fn digest(dir: &Path) -> Result<String> {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default();
            let made = ["__pycache__", "node_modules", ".venv"].iter().any(|made| name == *made);
            if path.is_dir() && !made {
                folders.push(path);
            } else if path.is_file() && path.extension().is_none_or(|ending| ending != "wasm") {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut hash = Sha256::new();
    hash.update(plugin_build::CONTRACT);
    for path in files {
        hash.update(path.strip_prefix(dir)?.to_string_lossy().as_bytes());
        hash.update([0]);
        hash.update(fs::read(&path)?);
        hash.update([0]);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn only_sources_count() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("src/a.py", "1");
        let before = digest(dir.path()).unwrap();
        write("src/__pycache__/a.pyc", "2");
        write("a.wasm", "3");
        assert_eq!(digest(dir.path()).unwrap(), before);
        write("src/a.py", "4");
        assert_ne!(digest(dir.path()).unwrap(), before);
    }
}
