//! `docs/openapi.json` is generated: the host prints it, this file puts it where readers look.

use anyhow::{Context, Result, bail};

use crate::cmd;
use crate::setup::Repo;

pub(crate) fn run(repo: &Repo, check: bool) -> Result<()> {
    let path = repo.root.join("docs/openapi.json");
    let mut host = cmd::cargo(&repo.root);
    host.args(["run", "--quiet", "--locked", "--package", "host", "--bin", "trainyard-host"]);
    host.args(["--", "openapi"]);
    let generated = cmd::output(&mut host).context("the host does not print its API")?;
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
