//! `build`: a project's sources in, one component out.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use plugin_build::{BuildError, Built, Options, Project};
use serde_json::json;

use crate::{Outcome, Wrong};

/// Builds the plugin in a folder.
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The project; its files tell the language.
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    /// The component; by default `<name>.wasm` in the project.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Installs what is missing of the tools that the project pins: `.venv` or `node_modules`.
    #[arg(long)]
    setup: bool,
    /// Where `.venv` or `node_modules` live, if not in the project.
    #[arg(long, value_name = "DIR")]
    tools: Option<PathBuf>,
    /// Prints the result as one JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &BuildArgs) -> Outcome<()> {
    match try_run(args) {
        Ok(()) => Ok(Ok(())),
        Err(error) if error.is_of_the_machine() => Err(error).context("cannot build"),
        Err(error) => Ok(Err(Wrong(vec![error.to_string()]))),
    }
}

fn try_run(args: &BuildArgs) -> Result<(), BuildError> {
    let started = Instant::now();
    let project = Project::open(&args.dir)?;
    let mut progress = Progress::new(project.name.clone());
    let options = Options { tools: args.tools.as_deref(), setup: args.setup };
    let built = plugin_build::build(&project, options, &mut |step| progress.say(step));
    progress.end();
    let Built { component, contract } = built?;
    let file =
        args.out.clone().unwrap_or_else(|| project.root.join(format!("{}.wasm", project.name)));
    let written = plugin_build::replace_if_changed(&file, &component)?;
    let digest = plugin_build::digest(&component);
    let seconds = started.elapsed().as_secs_f64();
    if args.json {
        data_line!(
            "{}",
            json!({
                "name": project.name,
                "file": file,
                "written": written,
                "bytes": component.len(),
                "digest": format!("sha256:{digest}"),
                "imports": contract.imports,
                "exports": contract.exports,
                "seconds": (seconds * 10.0).round() / 10.0,
            })
        );
    } else {
        data_line!("file    {}{}", file.display(), if written { "" } else { " (unchanged)" });
        data_line!("size    {} KiB", component.len().div_ceil(1024));
        data_line!("digest  sha256:{digest}");
        data_line!("time    {seconds:.1} s");
    }
    Ok(())
}

/// One line per step; on a terminal each replaces the one before.
struct Progress {
    name: String,
    on_terminal: bool,
}

impl Progress {
    fn new(name: String) -> Self {
        Self { name, on_terminal: std::io::stderr().is_terminal() }
    }

    fn say(&mut self, step: &str) {
        let mut stderr = std::io::stderr().lock();
        // Nobody is left to be told when this fails.
        let _ = if self.on_terminal {
            write!(stderr, "\r\x1b[K{}: {step} …", self.name).and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{}: {step}", self.name)
        };
    }

    fn end(&mut self) {
        if self.on_terminal {
            eprint!("\r\x1b[K");
        }
    }
}
