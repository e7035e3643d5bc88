//! Plugins in Rust: Cargo makes a core module, which is wrapped here. Nothing but Cargo and one
//! compilation target is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wit_component::ComponentEncoder;

use crate::toolchain::find_program;
use crate::{BuildError, Project};

/// What plugins in Rust compile to: no WASI, hence no imports but the contract's.
pub const TARGET: &str = "wasm32-unknown-unknown";
/// The deepest JSON that serde_json reads, 128 levels, overflows 64 KiB. Only touched pages cost
/// anything, so an ordinary call does not pay for the room of the worst one.
const STACK_BYTES: u32 = 256 * 1024;
/// A conversion needs about 100 KiB. Memory that is there from the start costs nothing until it
/// is touched, whereas one `memory.grow` costs as much as a tenth of a call.
const INITIAL_MEMORY_BYTES: u32 = 1024 * 1024;

/// One package that Cargo can build.
#[derive(Debug, Clone, Copy)]
pub struct Package<'a> {
    /// Root of its workspace. Its path does not get into the component.
    pub root: &'a Path,
    /// Its name.
    pub name: &'a str,
    /// Cargo's profile: speed first.
    pub profile: &'a str,
    /// Where Cargo builds.
    pub target_dir: &'a Path,
}

pub(crate) fn build(project: &Project, say: &mut dyn FnMut(&str)) -> Result<Vec<u8>, BuildError> {
    require_target(&project.root)?;
    say("compiling with cargo");
    let module = compile(Package {
        root: &project.root,
        name: &project.name,
        profile: "release",
        target_dir: &project.target_dir,
    })?;
    say("wrapping the module");
    wrap(&module)
}

/// Fails with what to type when the compilation target is not installed.
pub fn require_target(root: &Path) -> Result<(), BuildError> {
    let missing = |what: String, remedy: &str| BuildError::Missing { what, remedy: remedy.into() };
    if find_program("cargo").is_none() {
        let what = "Cargo is not in PATH".to_owned();
        return Err(missing(what, "install Rust from https://rustup.rs"));
    }
    let output = Command::new("rustc")
        .args(["--print", "sysroot"])
        .current_dir(root)
        .output()
        .map_err(BuildError::io(Path::new("rustc")))?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
        return Ok(());
    }
    let what = format!("the compilation target {TARGET} is not installed");
    Err(missing(what, &format!("install it: rustup target add {TARGET}")))
}

/// Compiles one package and returns the core module's bytes. Cargo talks to the terminal.
pub fn compile(package: Package<'_>) -> Result<Vec<u8>, BuildError> {
    let Package { root, name, profile, target_dir } = package;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(&cargo)
        .current_dir(root)
        .args(["build", "--quiet", "--profile", profile, "--target", TARGET, "--lib", "-p", name])
        .arg("--target-dir")
        .arg(target_dir)
        .stdin(Stdio::null())
        // Standard output is for data.
        .stdout(Stdio::null())
        // The caller's flags and wrappers are meant for the host, not for a guest: with them the
        // same sources would give other bytes, hence another digest.
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env("CARGO_ENCODED_RUSTFLAGS", flags().join("\u{1f}"))
        .status()
        .map_err(BuildError::io(Path::new(&cargo)))?;
    if !status.success() {
        return Err(BuildError::Compile { tool: "cargo", detail: String::new() });
    }
    let file =
        target_dir.join(TARGET).join(profile).join(format!("{}.wasm", name.replace('-', "_")));
    fs::read(&file).map_err(BuildError::io(&file))
}

fn flags() -> Vec<String> {
    let mut flags = vec![
        "-Clink-arg=-zstack-size=".to_owned() + &STACK_BYTES.to_string(),
        "-Clink-arg=--initial-memory=".to_owned() + &INITIAL_MEMORY_BYTES.to_string(),
    ];
    // Panic messages hold source paths; the bytes must not depend on who built them where. Cargo
    // names the packages of a workspace by relative paths, so only those of registries are left.
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

/// Makes a component of a core module that holds its own types, as `wit-bindgen` writes them.
pub fn wrap(module: &[u8]) -> Result<Vec<u8>, BuildError> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(ComponentEncoder::encode)
        .map_err(|error| BuildError::Contract(format!("it cannot be wrapped: {error:#}")))
}
