//! `check`: the conformance kit. Everything that a host would find out about a plugin, before a
//! host does.

mod cluster;
mod demand;
mod generate;
mod golden;
mod judge;
mod limits;
mod lint;
mod properties;
mod report;
mod statuses;
mod values;

use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};
use training::admit::Policy;

use self::cluster::ClusterSchemas;
use self::judge::Judge;
use self::report::{Report, Section};
use crate::candidate::{Candidate, Setup};
use crate::{Outcome, Wrong};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The component.
    file: PathBuf,
    /// Folder of golden cases: `NAME/form.json` with `plan.json` or `findings.json` beside it.
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// Writes the outcome of each case as its new truth.
    #[arg(long, requires = "cases")]
    update: bool,
    /// Folder with CustomResourceDefinitions and OpenAPI documents of the clusters.
    #[arg(long, value_name = "DIR", env = "TRAINYARD_SCHEMAS")]
    schemas: Option<PathBuf>,
    /// Number that the generated jobs follow from; by default one of the plugin's own.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Random jobs, besides those that are tried one edge at a time.
    #[arg(long, value_name = "N", default_value_t = 300)]
    jobs: usize,
    /// Checks the plugin with its own examples only; no jobs are generated.
    #[arg(long)]
    examples_only: bool,
    /// Prints the report as one JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Args) -> Outcome<()> {
    let scratch = tempfile::tempdir().context("no temporary folder can be made")?;
    let cache = scratch.path().join("compiled");
    let setup = Setup::plain(Some(cache.clone()));
    let first = match Candidate::load(&args.file, &setup).await? {
        Ok(candidate) => candidate,
        Err(Wrong(why)) => return Ok(not_loaded(args, &why)),
    };
    let second = match Candidate::load(&args.file, &setup).await? {
        Ok(candidate) => candidate,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let info = first.info();
    let wanted: Vec<(String, String)> =
        info.kinds.iter().map(|kind| (kind.api_version.clone(), kind.kind.clone())).collect();
    let schemas = args.schemas.as_ref().map(|dir| ClusterSchemas::read(dir, &wanted)).transpose();
    let schemas = match schemas {
        Ok(schemas) => schemas,
        Err(wrong) => return Ok(Err(wrong)),
    };

    // From the plugin itself, so that the same file always gets the same verdict.
    let seed = args.seed.unwrap_or_else(|| {
        let hex = info.digest.to_string();
        hex.get(..8).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(1)
    });
    let mut loads = Section::new("loads");
    loads.pass(format!("{} {} ({} bytes)", info.name, info.version, first.found.bytes));
    let mut sections = vec![loads];
    sections.extend(lint::run(info));

    let judge = Judge {
        first: &first,
        second: &second,
        policy: Policy::default(),
        schemas: schemas.as_ref(),
    };
    let mut tried = properties::Tried::default();
    sections.push(properties::examples(&judge, &mut tried).await);
    if let Some(dir) = &args.cases {
        sections.push(golden::run(&first, dir, args.update).await);
    }
    if args.examples_only {
        let mut section = Section::new("generated jobs");
        section.skip("generated jobs", "only the examples were asked for");
        sections.push(section);
    } else {
        sections.push(properties::generated(&judge, seed, args.jobs, &mut tried).await);
    }
    let statuses = if args.examples_only { 0 } else { args.jobs };
    sections.push(statuses::run(&first, seed, statuses).await);
    if let Some((form, planned)) = &tried.costliest {
        match limits::run(&args.file, &cache, &first, form, planned).await? {
            Ok(section) => sections.push(section),
            Err(wrong) => return Ok(Err(wrong)),
        }
    }
    sections.push(clusters(schemas.as_ref(), &tried));

    let report = Report { plugin: identity(&first), seed, sections };
    if args.json {
        data_line!("{:#}", report.to_json());
    } else {
        report.print();
    }
    if report.passed() { Ok(Ok(())) } else { Ok(Err(Wrong(told(args, report.failures().len())))) }
}

/// The report has said everything; stderr names the outcome and the way on.
fn told(args: &Args, failures: usize) -> Vec<String> {
    let mut lines = vec![format!(
        "{} fails {failures} {}",
        args.file.display(),
        if failures == 1 { "check" } else { "checks" }
    )];
    if args.cases.is_some() && !args.update {
        lines.push(
            "hint: `--update` accepts the outcome of the cases as their new truth".to_owned(),
        );
    }
    lines
}

fn identity(candidate: &Candidate) -> Value {
    let info = candidate.info();
    json!({"name": info.name, "version": info.version, "digest": info.digest.to_string()})
}

/// A file that is no plugin has a report, too.
fn not_loaded(args: &Args, why: &[String]) -> Result<(), Wrong> {
    let mut loads = Section::new("loads");
    loads.fail("it loads as the host would load it", why.join(" "));
    let report =
        Report { plugin: Value::Null, seed: args.seed.unwrap_or(0), sections: vec![loads] };
    if args.json {
        data_line!("{:#}", report.to_json());
    } else {
        report.print();
    }
    Err(Wrong(told(args, 1)))
}

/// What the clusters would say to the objects of every job that was converted.
fn clusters(schemas: Option<&ClusterSchemas>, tried: &properties::Tried) -> Section {
    let mut section = Section::new("schemas of clusters");
    let Some(schemas) = schemas else {
        let why = "no folder of schemas was given; see --schemas and TRAINYARD_SCHEMAS";
        section.skip("manifests", why);
        return section;
    };
    let (checked, missing) = schemas.coverage();
    match &tried.cluster {
        Some((form, why)) => {
            section.fail_with("a cluster takes every manifest whole", why.clone(), form.clone());
        }
        None => {
            for kind in checked {
                section.pass(format!("{kind} ({} jobs)", tried.converted));
            }
        }
    }
    for kind in missing {
        section.skip(kind, "the folder has no schema of this kind");
    }
    section
}
