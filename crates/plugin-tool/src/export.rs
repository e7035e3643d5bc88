//! `export`: stored jobs as a file, to be replayed where the database is not.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;

use crate::jobs::{Filter, Jobs};
use crate::progress;
use crate::{Outcome, Wrong};

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The database of a host: `sqlite://PATH` or `postgres://…`. It is only read.
    #[arg(long, value_name = "URL", env = "TRAINYARD_DATABASE_URL", hide_env_values = true)]
    from: String,
    /// The file to write, readable by its owner alone: forms may be confidential.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Only the newest jobs.
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// Only jobs of this namespace.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Only jobs of this algorithm.
    #[arg(long, value_name = "NAME")]
    algorithm: Option<String>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Args) -> Outcome<()> {
    let filter = Filter {
        namespace: args.namespace.clone(),
        algorithms: args.algorithm.iter().cloned().collect(),
        last: args.last,
    };
    let mut jobs = match Jobs::open(&args.from, filter).await? {
        Ok(jobs) => jobs,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let folder = args.out.parent().filter(|folder| !folder.as_os_str().is_empty());
    // Made with mode 600, and in place only when it is whole.
    let file = tempfile::NamedTempFile::new_in(folder.unwrap_or_else(|| ".".as_ref()));
    let mut file = match file {
        Ok(file) => file,
        Err(error) => {
            return Ok(Err(Wrong(vec![format!("{}: {error}", args.out.display())])));
        }
    };
    let mut count = 0_usize;
    let busy = progress::spinner("exporting jobs");
    loop {
        let page = match jobs.page().await? {
            Ok(page) => page,
            Err(wrong) => return Ok(Err(wrong)),
        };
        if page.is_empty() {
            break;
        }
        for record in page {
            let line = serde_json::to_string(&record).context("a job cannot be written")?;
            writeln!(file, "{line}").with_context(|| args.out.display().to_string())?;
            count += 1;
        }
    }
    drop(busy);
    file.as_file().sync_all().with_context(|| args.out.display().to_string())?;
    file.persist(&args.out).with_context(|| args.out.display().to_string())?;
    if args.json {
        data_line!("{:#}", json!({"file": args.out, "jobs": count}));
    } else {
        eprintln!("exported {count} jobs to {}", args.out.display());
    }
    Ok(Ok(()))
}
