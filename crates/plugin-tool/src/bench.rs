//! `bench`: what a call of this plugin costs on this machine, each in a fresh sandbox.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use training::ports::ConversionInput;

use crate::candidate::{Candidate, Ending, Setup, listed};
use crate::{Outcome, Wrong, progress, read_json};

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The component.
    file: PathBuf,
    /// The form to convert; by default the plugin's last and largest example.
    #[arg(long, value_name = "FILE")]
    form: Option<PathBuf>,
    /// Length of each of the four measurements.
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    seconds: f64,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// Calls before a measurement: the first ones load code into the processor.
const WARM_UP: usize = 50;

#[derive(Debug, Clone, Copy)]
enum Call {
    Validate,
    Convert,
}

impl Call {
    fn word(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Convert => "convert",
        }
    }
}

/// One line of the result.
#[derive(Debug)]
struct Figures {
    call: Call,
    threads: usize,
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

pub(crate) async fn run(args: &Args) -> Outcome<()> {
    if !(0.01..=600.0).contains(&args.seconds) {
        return Ok(Err(Wrong(vec!["--seconds must be 0.01 to 600".to_owned()])));
    }
    let candidate = match Candidate::load(&args.file, &Setup::plain(None)).await? {
        Ok(candidate) => Arc::new(candidate),
        Err(wrong) => return Ok(Err(wrong)),
    };
    let form = match form(&candidate, args.form.as_deref()) {
        Ok(form) => form,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let planned = match candidate.convert(&form).await {
        Ending::Planned(planned) => planned,
        Ending::Invalid(_, errors) => {
            return Ok(Err(Wrong(vec![format!("the form is refused: {}", listed(&errors))])));
        }
        Ending::Unsupported(why) => return Ok(Err(Wrong(vec![why]))),
        Ending::Fault(fault) => return Ok(Err(Wrong(vec![fault.to_string()]))),
    };
    let time = Duration::from_secs_f64(args.seconds);
    let bar = progress::bar(4, "measuring");
    let mut lines = Vec::new();
    for threads in [1, 2] {
        for call in [Call::Validate, Call::Convert] {
            lines.push(measure(&candidate, &planned.input, call, threads, time).await?);
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let sizes = planned.bytes();
    if args.json {
        let calls: Vec<Value> = lines.iter().map(figures_to_json).collect();
        let info = candidate.info();
        let whole = json!({
            "plugin": {"name": info.name, "version": info.version, "digest": info.digest.to_string()},
            "calls": calls,
            "manifests": sizes.len(),
            "outputBytes": planned.size(),
        });
        data_line!("{whole:#}");
    } else {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["call", "threads", "per second", "p50", "p99"]);
        for line in &lines {
            table.add_row([
                line.call.word().to_owned(),
                line.threads.to_string(),
                format!("{:.0}", line.per_second),
                format!("{:.1} us", micros(line.p50)),
                format!("{:.1} us", micros(line.p99)),
            ]);
        }
        data_line!("{table}");
        data_line!("{} manifests, {} bytes", sizes.len(), planned.size());
    }
    Ok(Ok(()))
}

fn form(candidate: &Candidate, path: Option<&Path>) -> Result<Value, Wrong> {
    match path {
        Some(path) => read_json(path),
        None => candidate.info().examples.last().cloned().ok_or_else(|| {
            Wrong(vec![
                "the plugin has no example".to_owned(),
                "hint: name a form with --form".to_owned(),
            ])
        }),
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn figures_to_json(figures: &Figures) -> Value {
    json!({
        "call": figures.call.word(),
        "threads": figures.threads,
        "perSecond": figures.per_second,
        "p50Us": micros(figures.p50),
        "p99Us": micros(figures.p99),
    })
}

/// Calls for so long from so many tasks, each of which keeps one thread of the executor busy.
async fn measure(
    candidate: &Arc<Candidate>,
    input: &ConversionInput,
    call: Call,
    threads: usize,
    time: Duration,
) -> anyhow::Result<Figures> {
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..threads {
        let (candidate, input) = (Arc::clone(candidate), input.clone());
        workers.spawn(async move { repeat(&candidate, &input, call, time).await });
    }
    let mut samples = Vec::new();
    while let Some(worker) = workers.join_next().await {
        samples.extend(worker.context("a task died")??);
    }
    samples.sort_unstable();
    let at = |percent: usize| {
        let index = samples.len() * percent / 100;
        samples.get(index).or(samples.last()).copied().unwrap_or_default()
    };
    Ok(Figures {
        call,
        threads,
        per_second: samples.len() as f64 / time.as_secs_f64(),
        p50: at(50),
        p99: at(99),
    })
}

async fn repeat(
    candidate: &Candidate,
    input: &ConversionInput,
    call: Call,
    time: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let once = || async {
        match call {
            Call::Validate => candidate.validate(input).await,
            Call::Convert => candidate.convert_input(input).await,
        }
    };
    for _ in 0..WARM_UP {
        once().await?;
    }
    let mut samples = Vec::new();
    let started = Instant::now();
    while started.elapsed() < time || samples.is_empty() {
        let before = Instant::now();
        once().await?;
        samples.push(before.elapsed());
    }
    Ok(samples)
}
