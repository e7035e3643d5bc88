//! Builds every package under `plugins/` that is a component, and wraps it. Called by the
//! commands that need plugins (build, test, bench, image); knows no plugin by name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use cargo_metadata::{CrateType, MetadataCommand, Package};
use wit_component::{ComponentEncoder, DecodedWasm};

const TARGET: &str = "wasm32-unknown-unknown";
const PROFILE: &str = "plugin";
/// The deepest JSON that serde_json reads, 128 levels, overflows 64 KiB. Only touched pages cost
/// anything, so an ordinary call does not pay for the room of the worst one.
const STACK_BYTES: u32 = 256 * 1024;
/// A conversion needs about 100 KiB. Memory that is there from the start costs nothing until it
/// is touched, whereas one `memory.grow` costs as much as a tenth of a call.
const INITIAL_MEMORY_BYTES: u32 = 1024 * 1024;
/// What a plugin of ours may import. `types` holds no functions.
const ALLOWED_IMPORTS: [&str; 2] = ["trainyard:converter/log@", "trainyard:converter/types@"];

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
        let module = compile(root, &target_dir, &name)?;
        let component =
            wrap(&module).with_context(|| format!("cannot wrap the plugin `{name}`"))?;
        check_imports(&component).with_context(|| format!("the plugin `{name}` is not pure"))?;
        let file = out_dir.join(format!("{name}.wasm"));
        let verdict = if replace_if_changed(&file, &component)? { "written" } else { "unchanged" };
        println!("plugin {name}: {} KiB, {verdict}: {}", component.len() / 1024, file.display());
        files.push(file);
    }
    Ok(files)
}

/// Installs the compilation target where rustup manages the toolchain.
fn ensure_target(root: &Path) -> Result<()> {
    let remedy = format!("install it with `rustup target add {TARGET}`");
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).current_dir(root).output()?;
    let sysroot = PathBuf::from(String::from_utf8(sysroot.stdout)?.trim());
    let installed = || sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir();
    if installed() {
        return Ok(());
    }
    println!("plugins: adding the compilation target {TARGET}");
    let status = Command::new("rustup").args(["target", "add", TARGET]).current_dir(root).status();
    match status {
        Ok(status) if status.success() && installed() => Ok(()),
        _ => bail!("the compilation target {TARGET} is missing: {remedy}"),
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

/// Compiles one package and returns the core module's bytes.
fn compile(root: &Path, target_dir: &Path, name: &str) -> Result<Vec<u8>> {
    println!("plugin {name}: compiling");
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root)
        .args(["build", "--quiet", "--profile", PROFILE, "--target", TARGET, "--lib", "-p", name])
        .arg("--target-dir")
        .arg(target_dir)
        // The caller's flags and wrappers are meant for the host, not for a guest: with them the
        // same sources would give other bytes, hence another digest.
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(root).join("\u{1f}"))
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "cargo could not build the plugin `{name}`");
    let file =
        target_dir.join(TARGET).join(PROFILE).join(format!("{}.wasm", name.replace('-', "_")));
    fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
}

fn rust_flags(root: &Path) -> Vec<String> {
    let mut flags = vec![
        "-Clink-arg=-zstack-size=".to_owned() + &STACK_BYTES.to_string(),
        "-Clink-arg=--initial-memory=".to_owned() + &INITIAL_MEMORY_BYTES.to_string(),
        // Panic messages hold source paths; the bytes must not depend on who built them where.
        format!("--remap-path-prefix={}=trainyard", root.display()),
    ];
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    // Below it stands one folder for each registry, named after its host.
    let registries = cargo_home.map(|home| home.join("registry/src")).map(fs::read_dir);
    for registry in registries.into_iter().flatten().flatten().flatten() {
        flags.push(format!("--remap-path-prefix={}=registry", registry.path().display()));
    }
    flags
}

fn wrap(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default().validate(true).module(module)?.encode()
}

/// A shipped plugin that could read a clock or a file would be a hole in the sandbox; a test of
/// the host would find it late, the build finds it now.
fn check_imports(component: &[u8]) -> Result<()> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        bail!("it is a WIT package, not a component");
    };
    let world = resolve.worlds.get(world).context("it has no world")?;
    let forbidden: Vec<String> = world
        .imports
        .keys()
        .map(|key| resolve.name_world_key(key))
        .filter(|name| !ALLOWED_IMPORTS.iter().any(|allowed| name.starts_with(allowed)))
        .collect();
    ensure!(forbidden.is_empty(), "it imports {}", forbidden.join(", "));
    Ok(())
}

/// Writes by temporary file and rename, because a reader may open the file at any moment.
fn replace_if_changed(file: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(file).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    // The leading dot keeps watchers of the directory from loading the unfinished file.
    let name = file.file_name().context("a plugin's file has no name")?.to_string_lossy();
    let temporary = file.with_file_name(format!(".{name}.{}", std::process::id()));
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, file))
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(true)
}
