//! `docs/openapi.json` is generated: the host prints it, this file puts it where readers look.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::setup::Repo;
use crate::{cmd, setup};

pub(crate) fn run(repo: &Repo, check: bool) -> Result<()> {
    let path = repo.root.join("docs/openapi.json");
    if check {
        setup::build_workspace(repo)?;
    } else {
        let mut build = cmd::cargo(&repo.root);
        cmd::run(build.args(["build", "--locked", "--package", "host", "--bins"]))?;
    }
    let mut host = Command::new(repo.bin_dir().join("trainyard-host"));
    let generated = cmd::output(host.arg("openapi")).context("the host does not print its API")?;
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    if written.trim_end() == generated.trim_end() {
        return Ok(());
    }
    if check {
        bail!("docs/openapi.json is not what the code says; write it with: cargo xtask openapi");
    }
    std::fs::write(&path, format!("{}\n", generated.trim_end()))
        .with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}
