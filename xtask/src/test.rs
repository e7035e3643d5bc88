//! `cargo xtask test`: all set-up, then every test of the workspace.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::postgres::{self, Durability, Postgres};
use crate::setup::Repo;
use crate::{cmd, examples, setup, train};

/// Names a server to use instead of a throw-away one.
pub(crate) const POSTGRES_URL: &str = "TRAINYARD_TEST_POSTGRES_URL";

/// Names the folder with the schemas of real clusters.
const SCHEMAS: &str = "TRAINYARD_SCHEMAS";

/// Names the control plane of the conformance suite; a sandbox without it.
const KUBECONFIG: &str = "TRAINYARD_TEST_KUBECONFIG";

/// What the names of the suite's tests, and of no others, begin with.
const CONFORMANCE: &str = "conformance::";

/// How to run the tests.
pub(crate) struct Options {
    /// On a build machine: run all tests whatever fails, write no snapshot.
    pub(crate) ci: bool,
    /// Run only what shows the host against any control plane; needs no database server.
    pub(crate) conformance: bool,
    /// Run the training programs of all images, instead of the quick ones.
    pub(crate) train: bool,
    /// For the test runner.
    pub(crate) args: Vec<String>,
}

pub(crate) fn run(repo: &Repo, options: &Options) -> Result<()> {
    setup::c_compiler()?;
    setup::wasm_targets(repo)?;
    if !options.conformance {
        setup::optional_programs();
    }
    setup::build_plugins(repo, &repo.plugins_dir())?;
    if options.conformance {
        return run_conformance(repo, options);
    }
    let schemas = schemas()?;
    let packages = chosen_packages(&options.args);
    if packages.is_empty() || packages.contains(&"plugin-tool") {
        examples::build(repo, &repo.examples_dir())?;
    }
    let server = match std::env::var(POSTGRES_URL) {
        Ok(url) if !url.is_empty() => Server::Given(url),
        _ => {
            postgres::install_faketime();
            Server::Own(Postgres::start(Durability::Fast)?)
        }
    };
    let env = Env { repo, url: Some(server.url()), ci: options.ci };

    if packages.is_empty() || packages.contains(&"tests") {
        // The whole-system tests start our programs, which the runner alone would not build.
        setup::build_workspace(repo)?;
    }
    run_tests(&env, &options.args)?;
    if options.args.is_empty() {
        cmd::run(env.cargo().args(["test", "--locked", "--workspace", "--doc", "--quiet"]))
            .context("a documentation example fails; to repeat: cargo test --workspace --doc")?;
    }
    if options.train {
        train::run(repo, train::Choice::Named(&[]))?;
    } else if options.args.is_empty() {
        train::run(repo, train::Choice::Quick)
            .context("a training program fails; to repeat: cargo xtask train <image>")?;
    }
    if !schemas {
        // Tests without them pass, and their output is not shown.
        eprintln!(
            "SKIPPED: what plugins write was not checked against the schemas of real clusters, nor \
             admission with every kind of them: {SCHEMAS} names no folder with those schemas"
        );
    }
    Ok(())
}

/// Whether there are schemas of real clusters. A folder that is named must be there.
fn schemas() -> Result<bool> {
    let Some(folder) = std::env::var_os(SCHEMAS).filter(|folder| !folder.is_empty()) else {
        return Ok(false);
    };
    ensure!(
        Path::new(&folder).is_dir(),
        "{SCHEMAS} names {}, which is no folder",
        folder.display()
    );
    Ok(true)
}

/// Shows the host against a control plane. The programs are built as for all tests, so that nothing
/// is compiled twice.
fn run_conformance(repo: &Repo, options: &Options) -> Result<()> {
    setup::build_workspace(repo)?;
    match std::env::var(KUBECONFIG) {
        Ok(path) if !path.is_empty() => println!("conformance: the control plane of {path}"),
        _ => println!("conformance: a sandbox; {KUBECONFIG} names another control plane"),
    }
    let mut args = options.args.clone();
    args.insert(0, CONFORMANCE.to_owned());
    run_tests(&Env { repo, url: None, ci: options.ci }, &args)
}

fn run_tests(env: &Env<'_>, args: &[String]) -> Result<()> {
    let mut command = env.cargo();
    let selection = chosen_packages(args).is_empty().then_some("--workspace");
    if has_nextest(env.repo) {
        command.args(["nextest", "run", "--locked"]).args(selection);
        if env.ci {
            command.args(["--profile", "ci"]);
        }
        command.args(args);
    } else {
        eprintln!(
            "hint: cargo-nextest is not installed, so tests run with `cargo test`; for clearer and \
             faster runs: cargo install --locked cargo-nextest"
        );
        command.args(["test", "--locked", "--tests"]).args(selection);
        if env.ci {
            command.arg("--no-fail-fast");
        }
        command.args(args);
    }
    cmd::run(&mut command).context("a test fails; to repeat one: cargo xtask test -- <its name>")
}

/// The packages named by `-p`; Cargo ignores them when it is told `--workspace` too.
fn chosen_packages(args: &[String]) -> Vec<&str> {
    let mut packages = Vec::new();
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        match arg {
            "-p" | "--package" => packages.extend(args.next()),
            _ => packages.extend(arg.strip_prefix("--package=").or(arg.strip_prefix("-p"))),
        }
    }
    packages
}

fn has_nextest(repo: &Repo) -> bool {
    cmd::output(cmd::cargo(&repo.root).args(["nextest", "--version"])).is_ok()
}

enum Server {
    Given(String),
    Own(Postgres),
}

impl Server {
    fn url(&self) -> String {
        match self {
            Self::Given(url) => url.clone(),
            Self::Own(server) => server.url(),
        }
    }
}

/// What a test finds in its environment.
struct Env<'a> {
    repo: &'a Repo,
    /// The database server of the tests.
    url: Option<String>,
    ci: bool,
}

impl Env<'_> {
    fn cargo(&self) -> Command {
        let mut command = cmd::cargo(&self.repo.root);
        command
            .envs(self.url.iter().map(|url| (POSTGRES_URL, url)))
            .env("TRAINYARD_PLUGINS_DIR", self.repo.plugins_dir())
            .env("TRAINYARD_EXAMPLES_DIR", self.repo.examples_dir())
            .env("TRAINYARD_BIN_DIR", self.repo.bin_dir());
        // Tests run in the folder of their package.
        let named = std::env::var_os(KUBECONFIG).filter(|path| !path.is_empty());
        if let Some(path) = named.and_then(|path| std::path::absolute(path).ok()) {
            command.env(KUBECONFIG, path);
        }
        if self.ci {
            command.env("INSTA_UPDATE", "no").env("CI", "true");
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::chosen_packages;

    #[test]
    fn packages_are_found_in_every_spelling() {
        let args = ["-p", "a", "name", "--package=b", "-pc", "--package", "d", "--no-capture"];
        let args = args.map(str::to_owned);
        assert_eq!(chosen_packages(&args), ["a", "b", "c", "d"]);
    }
}
