//! What every command needs first: the repository's folders, the WebAssembly targets, the plugins.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand};

use crate::{cmd, plugins};

/// Guests in Rust use the first; guests that bring a standard library use the second.
const WASM_TARGETS: [&str; 2] = ["wasm32-unknown-unknown", "wasm32-wasip2"];

/// The checkout this program works on.
pub(crate) struct Repo {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) metadata: Metadata,
}

impl Repo {
    /// Looks at the working directory, not at the place this program was built in: the build
    /// folder may be shared by several checkouts.
    pub(crate) fn find() -> Result<Self> {
        let metadata = MetadataCommand::new()
            .no_deps()
            .other_options(["--locked".to_owned()])
            .exec()
            .context("cannot read the workspace; run this command inside the repository")?;
        Ok(Self {
            root: metadata.workspace_root.clone().into(),
            target: metadata.target_directory.clone().into(),
            metadata,
        })
    }

    /// Where built components go.
    pub(crate) fn plugins_dir(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// Where built examples go: a host that runs our plugins should not load them by chance.
    pub(crate) fn examples_dir(&self) -> PathBuf {
        self.target.join("examples-plugins")
    }

    /// Where `cargo build` puts binaries.
    pub(crate) fn bin_dir(&self) -> PathBuf {
        self.target.join("debug")
    }
}

/// Adds the WebAssembly targets to the toolchain when they are missing.
pub(crate) fn wasm_targets(repo: &Repo) -> Result<()> {
    if cmd::find_program("rustup").is_none() {
        return wasm_targets_without_rustup(&repo.root);
    }
    let installed = cmd::output(
        Command::new("rustup").args(["target", "list", "--installed"]).current_dir(&repo.root),
    )?;
    let missing: Vec<&str> = WASM_TARGETS
        .into_iter()
        .filter(|target| !installed.lines().any(|line| line == *target))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    cmd::run(Command::new("rustup").args(["target", "add"]).args(&missing).current_dir(&repo.root))
        .with_context(|| {
            format!("cannot add a target; try: rustup target add {}", missing.join(" "))
        })
}

fn wasm_targets_without_rustup(root: &Path) -> Result<()> {
    let sysroot =
        cmd::output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(root))?;
    for target in WASM_TARGETS {
        if !Path::new(sysroot.trim()).join("lib/rustlib").join(target).is_dir() {
            bail!(
                "this Rust has no target {target} and no rustup to add it; install Rust from \
                 https://rustup.rs, or the package of your system that brings the target"
            );
        }
    }
    Ok(())
}

/// Builds every plugin into `out`.
pub(crate) fn build_plugins(repo: &Repo, out: &Path) -> Result<Vec<PathBuf>> {
    plugins::build_plugins(&repo.root, &repo.target, out)
        .context("the plugins were not built; to repeat just this: cargo xtask plugins")
}

/// Builds all programs and all tests. Every step that needs more than one package calls this, so
/// that each dependency is compiled once, with one set of features.
pub(crate) fn build_workspace(repo: &Repo) -> Result<()> {
    let mut build = cmd::cargo(&repo.root);
    build.args(["build", "--locked", "--workspace", "--bins", "--tests"]);
    cmd::run(&mut build).context("the workspace does not build")
}

/// Says which tools a C build needs before the compiler fails in the middle of one.
pub(crate) fn c_compiler() -> Result<()> {
    if ["cc", "gcc", "clang"].into_iter().all(|name| cmd::find_program(name).is_none()) {
        bail!(
            "no C compiler found (SQLite and ring need one); on Debian: apt-get install build-essential"
        );
    }
    Ok(())
}

/// Programs that some tests want and skip loudly without: the package of Debian that has each.
const OPTIONAL: [(&str, &str); 2] =
    [("docker-registry", "docker-registry"), ("minisign", "minisign")];

/// Installs what is missing of [`OPTIONAL`] where that asks nobody: as root, with apt. A machine
/// that cannot install them only loses the tests that want them.
pub(crate) fn optional_programs() {
    let missing: Vec<&str> = OPTIONAL
        .into_iter()
        .filter(|(program, _)| cmd::find_program(program).is_none())
        .map(|(_, package)| package)
        .collect();
    if missing.is_empty() {
        return;
    }
    let root = cmd::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if root && cmd::find_program("apt-get").is_some() {
        println!("test: installing {}", missing.join(", "));
        let mut install = Command::new("apt-get");
        install.args(["install", "--yes", "--no-install-recommends"]).args(&missing);
        // Single-user mode to the scripts of the packages: no service is started.
        install.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        // A new machine may have no list of packages, or an old one.
        let listed = cmd::output(Command::new("apt-get").args(["update", "--quiet"]));
        if listed.is_ok() && cmd::output(&mut install).is_ok() {
            return;
        }
    }
    eprintln!("hint: more tests run with: apt-get install {}", missing.join(" "));
}
