//! `cargo xtask bench`: the figures of the design, measured on this machine.

use anyhow::{Context, Result, bail};

use crate::postgres::{Durability, Postgres};
use crate::setup::Repo;
use crate::test::POSTGRES_URL;
use crate::{cmd, setup};

const PACKAGE: &str = "tests";
const BENCH: &str = "figures";

/// The benchmark prints its table and writes one JSON line per figure to `TRAINYARD_BENCH_JSON`.
pub(crate) fn run(repo: &Repo, args: &[String]) -> Result<()> {
    if !has_bench(repo) {
        bail!("package `{PACKAGE}` has no benchmark `{BENCH}`: nothing to measure");
    }
    setup::c_compiler()?;
    setup::wasm_targets(repo)?;
    setup::build_plugins(repo, &repo.plugins_dir())?;
    let json = repo.target.join("bench.jsonl");
    if let Err(error) = std::fs::remove_file(&json)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error).with_context(|| format!("cannot remove {}", json.display()));
    }
    // The whole process is measured, too: the release build of the host, beside the benchmark.
    // Both commands name the same packages, or their dependencies would be built twice.
    let packages = ["--package", "host", "--package", PACKAGE];
    let mut build = cmd::cargo(&repo.root);
    cmd::run(build.args(["build", "--locked", "--release", "--bins"]).args(packages))?;
    let server = Postgres::start(Durability::Durable)?;
    let mut command = cmd::cargo(&repo.root);
    command
        .args(["bench", "--locked"])
        .args(packages)
        .args(["--bench", BENCH, "--"])
        .args(args)
        .env(POSTGRES_URL, server.url())
        .env("TRAINYARD_PLUGINS_DIR", repo.plugins_dir())
        .env("TRAINYARD_BENCH_JSON", &json);
    cmd::run(&mut command)?;
    if json.is_file() {
        eprintln!("\nThe same as JSON lines: {}", json.display());
    }
    Ok(())
}

fn has_bench(repo: &Repo) -> bool {
    repo.metadata.packages.iter().filter(|package| *package.name == PACKAGE).any(|package| {
        package.targets.iter().any(|target| target.is_bench() && target.name == BENCH)
    })
}
