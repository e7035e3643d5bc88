//! The supply chain: licences, bans, sources and known vulnerabilities, through `cargo deny`.
//!
//! Known vulnerabilities need the RustSec database, which is a git repository on the network. A
//! machine without network names a snapshot of it in `TRAINYARD_ADVISORY_DB`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::cmd;
use crate::setup::Repo;

/// A folder or a `.tar.gz` with the content of the RustSec database.
const SNAPSHOT: &str = "TRAINYARD_ADVISORY_DB";

/// What `cargo deny` fetches from when the configuration names nothing else.
const UPSTREAM: &str = "https://github.com/RustSec/advisory-db";

pub(crate) fn run(repo: &Repo) -> Result<()> {
    install(repo)?;
    cmd::run(deny(repo).args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]))?;
    match std::env::var_os(SNAPSHOT).filter(|value| !value.is_empty()) {
        Some(path) => advisories_from_snapshot(repo, Path::new(&path)),
        None => advisories_from_network(repo),
    }
}

fn install(repo: &Repo) -> Result<()> {
    if cmd::output(cmd::cargo(&repo.root).args(["deny", "--version"])).is_ok() {
        return Ok(());
    }
    eprintln!("cargo-deny is not installed: building it, this takes some minutes.");
    cmd::run(cmd::cargo(&repo.root).args(["install", "--locked", "cargo-deny@^0.20"])).context(
        "cargo-deny is missing and could not be installed; cargo install --locked cargo-deny",
    )
}

fn deny(repo: &Repo) -> Command {
    let mut command = cmd::cargo(&repo.root);
    command.arg("deny");
    command
}

/// `cargo deny` accepts only a database it clones with git from a URL with a host. So the snapshot
/// becomes a git repository, and git is told, for this one command, to fetch the well-known URL
/// from there. Nothing of the user's git configuration is read for the commit or changed.
fn advisories_from_snapshot(repo: &Repo, snapshot: &Path) -> Result<()> {
    let context = || format!("{SNAPSHOT}={} cannot be used", snapshot.display());
    let dir = TempDir::new().context("no temporary folder")?;
    let source = dir.path().join("source");
    unpack(&repo.root.join(snapshot), &source).with_context(context)?;
    if !source.join("crates").is_dir() {
        bail!("{}: it has no folder `crates`", context());
    }
    make_git_repository(&source).with_context(context)?;
    eprintln!("Advisories: from {}, newest of {}", snapshot.display(), newest(&source)?);

    let config = dir.path().join("deny.toml");
    write_config(repo, &config, &dir.path().join("dbs"))?;
    cmd::run(
        deny(repo)
            .arg("--config")
            .arg(config)
            .args(["check", "advisories"])
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", format!("url.file://{}.insteadOf", source.display()))
            .env("GIT_CONFIG_VALUE_0", UPSTREAM),
    )
    .context("a dependency has a known problem; update it, or ignore it in deny.toml with a reason")
}

fn unpack(snapshot: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir(to)?;
    if snapshot.is_dir() {
        let content = snapshot.join("crates");
        return cmd::output(Command::new("cp").arg("-R").arg(content).arg(to)).map(drop);
    }
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(snapshot).arg("-C").arg(to).arg("--no-same-owner");
    cmd::output(&mut tar)?;
    // The archive may hold the database itself or one folder with it.
    let folders: Vec<PathBuf> =
        std::fs::read_dir(to)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    if let [inner] = folders.as_slice()
        && inner.join("crates").is_dir()
    {
        std::fs::rename(inner.join("crates"), to.join("crates"))?;
    }
    Ok(())
}

fn make_git_repository(dir: &Path) -> Result<()> {
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(dir).args(["-c", "gc.auto=0", "-c", "commit.gpgsign=false"]);
        command.args(["-c", "user.name=xtask", "-c", "user.email=xtask@localhost"]);
        command.args(["-c", "init.defaultBranch=main"]).args(args);
        command.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").env_remove("GIT_INDEX_FILE");
        cmd::output(&mut command).map(drop)
    };
    if dir.join(".git").exists() {
        std::fs::remove_dir_all(dir.join(".git"))?;
    }
    git(&["init", "--quiet"])?;
    git(&["symbolic-ref", "HEAD", "refs/heads/main"])?;
    git(&["add", "--force", "crates"])?;
    git(&["commit", "--quiet", "--no-verify", "--message", "snapshot"])
}

/// Our own rules, with a database folder that lives only as long as this check.
fn write_config(repo: &Repo, to: &Path, dbs: &Path) -> Result<()> {
    const SECTION: &str = "[advisories]\n";
    let rules = std::fs::read_to_string(repo.root.join("deny.toml")).context("deny.toml")?;
    let section = rules.find(SECTION).context("deny.toml has no line `[advisories]`")?;
    let (before, after) = rules.split_at(section + SECTION.len());
    std::fs::write(to, format!("{before}db-path = \"{}\"\n{after}", dbs.display()))?;
    Ok(())
}

/// The date of the newest advisory, so that a reader sees how old the snapshot is.
fn newest(source: &Path) -> Result<String> {
    let mut newest = String::new();
    for package in std::fs::read_dir(source.join("crates"))? {
        for file in std::fs::read_dir(package?.path())? {
            let text = std::fs::read_to_string(file?.path()).unwrap_or_default();
            let date = text.lines().find_map(|line| line.strip_prefix("date = \""));
            if let Some(date) = date.and_then(|date| date.split('"').next())
                && *date > *newest
            {
                date.clone_into(&mut newest);
            }
        }
    }
    Ok(newest)
}

/// With network the check is worth its time; without, it must not fail the build, nor pass unseen.
fn advisories_from_network(repo: &Repo) -> Result<()> {
    if let Err(error) = cmd::run(deny(repo).arg("fetch").arg("db")) {
        eprintln!(
            "\n!!! ADVISORIES WERE NOT CHECKED: the RustSec database cannot be fetched ({error}).\n\
             !!! Without network, name a snapshot of {UPSTREAM} in {SNAPSHOT}.\n"
        );
        return cmd::fail_if_interrupted();
    }
    cmd::run(deny(repo).args(["check", "--disable-fetch", "advisories"])).context(
        "a dependency has a known problem; update it, or ignore it in deny.toml with a reason",
    )
}
