//! `replay`: makes the manifests of stored jobs again with another version of their plugin, and
//! shows what would be different. Nothing is written anywhere.

mod compare;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use training::JobId;
use training::admit::Policy;

use self::compare::{Kind, Replayed};
use crate::candidate::{Candidate, Ending, Setup, admitted, listed};
use crate::jobs::{Filter, Jobs};
use crate::record::{self, Record};
use crate::{Outcome, Wrong, policy, progress, read_json};

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The component to try.
    file: PathBuf,
    /// Where the jobs are: `sqlite://PATH`, `postgres://…` (only read), or a file of `export`.
    #[arg(long, value_name = "SOURCE", env = "TRAINYARD_DATABASE_URL", hide_env_values = true)]
    against: String,
    /// Only the newest jobs.
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// Only jobs of this namespace.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Settings for every job, instead of those that were in force when it was converted.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// The rules of the host, as `trainyard-host config policy` prints them; by default the
    /// default ones.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Fails if any job would get other manifests.
    #[arg(long)]
    require_identical: bool,
    /// Prints everything as one JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: &Args) -> Outcome<()> {
    let candidate = match Candidate::load(&args.file, &Setup::plain(None)).await? {
        Ok(candidate) => candidate,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let trial = match Trial::new(&candidate, args.settings.as_deref(), args.policy.as_deref()) {
        Ok(trial) => trial,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let filter = Filter {
        namespace: args.namespace.clone(),
        algorithms: candidate.info().algorithms.clone(),
        last: args.last,
    };
    let mut jobs = match Jobs::open(&args.against, filter).await? {
        Ok(jobs) => jobs,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let bar = progress::bar(args.last.unwrap_or(0), "replaying jobs");
    let mut replayed: Vec<Replayed> = Vec::new();
    loop {
        let page = match jobs.page().await? {
            Ok(page) => page,
            Err(wrong) => return Ok(Err(wrong)),
        };
        if page.is_empty() {
            break;
        }
        for record in page {
            replayed.push(trial.replay(&record).await);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    report(args, &candidate, &replayed);
    Ok(verdict(args, &replayed))
}

/// What every job is tried with.
struct Trial<'a> {
    candidate: &'a Candidate,
    /// The settings of all jobs, if the caller gave some.
    given: Option<Value>,
    policy: Policy,
}

impl<'a> Trial<'a> {
    fn new(
        candidate: &'a Candidate,
        settings: Option<&Path>,
        rules: Option<&Path>,
    ) -> Result<Self, Wrong> {
        let policy = policy::read(rules)?;
        let given = settings.map(read_json).transpose()?;
        let trial = Self { candidate, given: None, policy };
        let given = given.map(|given| candidate.settings_with(&given)).transpose();
        let given = given.map_err(|why| Wrong(vec![format!("the settings do not fit: {why}")]))?;
        Ok(Self { given, ..trial })
    }

    async fn replay(&self, record: &Record) -> Replayed {
        let replayed = |kind| Replayed {
            id: record.id.clone(),
            job: format!("{}/{}", record.namespace, record.name),
            assumed_settings: self.given.is_none() && record.settings.is_none(),
            kind,
        };
        let settings = match (&self.given, &record.settings) {
            (Some(given), _) => Some(given.clone()),
            (None, Some(stored)) => match self.candidate.settings_with(stored) {
                Ok(settings) => Some(settings),
                Err(why) => {
                    let why = format!("the settings it was converted with do not fit: {why}");
                    return replayed(Kind::Invalid(why));
                }
            },
            (None, None) => None,
        };
        let Ok(id) = JobId::parse(record.id.clone()) else {
            return replayed(Kind::Fails(format!("`{}` is not the id of a job", record.id)));
        };
        let planned = match self.candidate.convert_as(&record.request, Some(id), settings).await {
            Ending::Planned(planned) => planned,
            Ending::Invalid(_, errors) => return replayed(Kind::Invalid(listed(&errors))),
            Ending::Unsupported(why) => return replayed(Kind::Invalid(why)),
            Ending::Fault(fault) => return replayed(Kind::Fails(fault.to_string())),
        };
        match admitted(&planned, self.candidate.info(), record.origin(), &self.policy) {
            Ok(bundle) => replayed(compare::bundles(&record.bundle, &record::manifests(&bundle))),
            Err(errors) => {
                let why = format!("the host refuses its manifests: {}", listed(&errors));
                replayed(Kind::Fails(why))
            }
        }
    }
}

fn report(args: &Args, candidate: &Candidate, replayed: &[Replayed]) {
    let info = candidate.info();
    let count = |word: &str| replayed.iter().filter(|each| each.kind.word() == word).count();
    let assumed = replayed.iter().filter(|each| each.assumed_settings).count();
    if args.json {
        let jobs: Vec<Value> = replayed.iter().map(Replayed::to_json).collect();
        let whole = json!({
            "plugin": {
                "name": info.name,
                "version": info.version,
                "digest": info.digest.to_string(),
            },
            "counts": {
                "identical": count("identical"),
                "changed": count("changed"),
                "invalid": count("invalid"),
                "fails": count("fails"),
            },
            "assumedSettings": assumed,
            "jobs": jobs,
        });
        data_line!("{whole:#}");
    } else {
        for each in replayed {
            each.print();
        }
        data_line!(
            "{} jobs: {} identical, {} changed, {} now invalid, {} fail",
            replayed.len(),
            count("identical"),
            count("changed"),
            count("invalid"),
            count("fails")
        );
    }
    if assumed > 0 {
        eprintln!(
            "note: {assumed} jobs carry no settings; they were replayed with the defaults of the \
             plugin"
        );
        eprintln!("hint: give the settings of your host with --settings");
    }
}

fn verdict(args: &Args, replayed: &[Replayed]) -> Result<(), Wrong> {
    let broken = replayed.iter().filter(|each| each.kind.broken()).count();
    let changed = replayed.iter().filter(|each| matches!(each.kind, Kind::Changed(_))).count();
    if broken > 0 {
        return Err(Wrong(vec![format!(
            "{broken} of {} jobs that were accepted once would not be again",
            replayed.len()
        )]));
    }
    if args.require_identical && changed > 0 {
        return Err(Wrong(vec![format!(
            "{changed} of {} jobs would get other manifests",
            replayed.len()
        )]));
    }
    Ok(())
}
