//! Builds every package under `plugins/` that is a component, and wraps it. Called by the
//! commands that need plugins (build, test, bench, image); knows no plugin by name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use cargo_metadata::{CrateType, MetadataCommand, Package};
use plugin_build::{replace_if_changed, rust};

const PROFILE: &str = "plugin";

/// Builds the plugins of the workspace at `root` into `out_dir` and returns the files, sorted by
/// name. Cargo works in a directory of its own below `target_dir`, so that a running `cargo` that
/// called us holds no lock that we wait for. A file whose bytes would not change is not touched:
/// a host that watches the directory has nothing to reload.
pub(crate) fn build_plugins(
    root: &Path,
    target_dir: &Path,
    out_dir: &Path,
) -> Result<Vec<PathBuf>> {
    ensure_target(root)?;
    let target_dir = target_dir.join("plugins-build");
    fs::create_dir_all(out_dir).with_context(|| format!("cannot create {}", out_dir.display()))?;
    let mut names = component_packages(root)?;
    names.sort();
    ensure!(!names.is_empty(), "no package under plugins/ has the crate type `cdylib`");
    let mut files = Vec::with_capacity(names.len());
    for name in names {
        println!("plugin {name}: compiling");
        let package =
            rust::Package { root, name: &name, profile: PROFILE, target_dir: &target_dir };
        let component = rust::compile(package).and_then(|module| rust::wrap(&module));
        let component = component.with_context(|| format!("the plugin `{name}`"))?;
        plugin_build::check(&component).with_context(|| format!("the plugin `{name}`"))?;
        let file = out_dir.join(format!("{name}.wasm"));
        let verdict = if replace_if_changed(&file, &component)? { "written" } else { "unchanged" };
        println!("plugin {name}: {} KiB, {verdict}: {}", component.len() / 1024, file.display());
        files.push(file);
    }
    Ok(files)
}

/// Installs the compilation target where rustup manages the toolchain.
fn ensure_target(root: &Path) -> Result<()> {
    let Err(missing) = rust::require_target(root) else { return Ok(()) };
    println!("plugins: adding the compilation target {}", rust::TARGET);
    let mut rustup = Command::new("rustup");
    match rustup.args(["target", "add", rust::TARGET]).current_dir(root).status() {
        Ok(status) if status.success() => Ok(rust::require_target(root)?),
        _ => Err(missing.into()),
    }
}

fn component_packages(root: &Path) -> Result<Vec<String>> {
    let metadata = MetadataCommand::new().current_dir(root).no_deps().exec()?;
    let plugins = metadata.workspace_root.join("plugins");
    let is_component = |package: &Package| {
        package.manifest_path.starts_with(&plugins)
            && package.targets.iter().any(|t| t.crate_types.contains(&CrateType::CDyLib))
    };
    let packages = metadata.packages.iter().filter(|&package| is_component(package));
    Ok(packages.map(|package| package.name.to_string()).collect())
}
