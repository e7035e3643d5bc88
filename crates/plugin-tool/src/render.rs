//! `render`: a form in, the bundle that a host would store out. A form takes the server's own path
//! (`training::submit`), so with the id, origin, policy and settings of a server the bytes are the
//! server's, too. A bare job of the contract stops before the host's part.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use plugin_runtime::{Config, Inspection, PluginRuntime};
use serde_json::{Value, json};
use training::JobId;
use training::admit::{Change, Policy};
use training::form::Form;
use training::ports::{Conversion, ConversionInput, ConvertRefusal, FieldError, Plugins};
use training::submit::{self, Converted, SubmitError, Terms};

use crate::job::{self, JobText, RANDOM};
use crate::{Outcome, Wrong, config, load, policy, read_json, start};

/// What can be asked of `render`.
#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    /// The component.
    file: PathBuf,
    #[command(flatten)]
    input: Input,
    /// The job's id [default: made from the job's name, always the same].
    #[arg(long, value_name = "ID", requires = "form")]
    job_id: Option<String>,
    /// Identity of the installation that would own the objects: their label
    /// `trainyard.dev/origin`.
    #[arg(long, value_name = "ORIGIN", requires = "form", default_value = "offline")]
    origin: String,
    /// What the manifests may hold, as `trainyard-host config policy` prints it [default: the
    /// host's defaults].
    #[arg(long, value_name = "FILE", requires = "form")]
    policy: Option<PathBuf>,
    /// Settings over the plugin's defaults, a JSON object.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    output: Format,
    /// Prints one JSON object: the bundle, its sha-256, what the host changed, and warnings.
    #[arg(long, conflicts_with = "output", requires = "form")]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Input {
    /// A form as `POST /api/v1/jobs` takes it; `-` reads stdin.
    #[arg(long, value_name = "FILE")]
    form: Option<PathBuf>,
    /// The job as the plugin contract describes it; `-` reads stdin. Its manifests are shown as the
    /// plugin made them, before a host has checked and stamped them.
    #[arg(long, value_name = "FILE")]
    job: Option<PathBuf>,
}

/// How manifests are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One YAML document each.
    Yaml,
    /// One JSON array.
    Json,
    /// The text that a host stores and hashes, byte for byte. Needs `--form`.
    Bundle,
}

pub(crate) async fn run(args: &RenderArgs) -> Outcome<()> {
    match (&args.input.form, &args.input.job) {
        (Some(form), _) => render_form(args, form).await,
        (None, Some(job)) => render_job(args, job).await,
        (None, None) => Ok(Err(Wrong(vec!["name a form or a job".to_owned()]))),
    }
}

/// What was read before the plugin is loaded, so that a slip costs no compilation.
struct Request {
    form: Value,
    policy: Policy,
    settings: Option<Value>,
    job_id: Option<JobId>,
}

async fn render_form(args: &RenderArgs, form: &Path) -> Outcome<()> {
    let Request { form, policy, settings, job_id } = match read_request(args, form) {
        Ok(request) => request,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let (runtime, found) = match load_with(&args.file, settings).await? {
        Ok(loaded) => loaded,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let Form { spec, places } = match job::from_form(&*runtime, &found.info, form) {
        Ok(form) => form,
        Err(errors) => return Ok(Err(listed("", &errors))),
    };
    let id = job_id.unwrap_or_else(|| JobId::from_name(&spec.name, RANDOM));
    let terms = Terms { policy: &policy, origin: &args.origin };
    let converted = submit::convert(&*runtime, &found.info, id, spec, terms).await;
    Ok(match converted {
        Ok(converted) => print_converted(&converted, args),
        Err(error) => Err(explained(error.pointing_into_form(&places))),
    })
}

fn read_request(args: &RenderArgs, form: &Path) -> Result<Request, Wrong> {
    let policy = policy::read(args.policy.as_deref())?;
    let job_id = args.job_id.as_deref().map(JobId::parse).transpose();
    Ok(Request {
        form: read_json(form)?,
        policy,
        settings: args.settings.as_deref().map(read_json).transpose()?,
        job_id: job_id.map_err(|error| Wrong(vec![format!("--job-id: {}", error.message)]))?,
    })
}

fn explained(error: SubmitError) -> Wrong {
    match error {
        SubmitError::Invalid(errors) => listed("", &errors),
        SubmitError::Rejected { errors, .. } => {
            let mut lines = vec!["the host's rules forbid these manifests:".to_owned()];
            lines.extend(listed("manifest ", &errors).0);
            Wrong(lines)
        }
        SubmitError::Plugin(fault) => Wrong(vec![fault.to_string()]),
        other => Wrong(vec![other.to_string()]),
    }
}

fn print_converted(converted: &Converted, args: &RenderArgs) -> Result<(), Wrong> {
    let Converted { bundle, changes, warnings, .. } = converted;
    if args.json {
        let text = bundle.to_text();
        let bundle_value: Value =
            serde_json::from_str(&text).map_err(|error| Wrong(vec![error.to_string()]))?;
        let changes: Vec<Value> = changes.iter().map(Change::to_value).collect();
        let answer = json!({
            "bundle": bundle_value,
            "bundleSha256": bundle.digest().to_string(),
            "changes": changes,
            "warnings": warnings,
        });
        data_line!("{answer:#}");
        return Ok(());
    }
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    for change in changes {
        eprintln!("note: {}: {} [{}]", change.pointer, change.detail, change.rule);
    }
    if args.output == Format::Bundle {
        // Without a line break at its end: these are the bytes that are hashed.
        data!("{}", bundle.to_text());
        return Ok(());
    }
    let documents: Vec<&Value> =
        bundle.manifests().iter().map(|manifest| &manifest.document).collect();
    print_documents(&documents, args.output)
}

async fn render_job(args: &RenderArgs, job: &Path) -> Outcome<()> {
    if args.output == Format::Bundle {
        let why = "--output bundle needs --form: a bare job has no host that would store it";
        return Ok(Err(Wrong(vec![why.to_owned()])));
    }
    let (job, settings) = match read_job(job, args.settings.as_deref()) {
        Ok(read) => read,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let (runtime, found) = match load_with(&args.file, settings).await? {
        Ok(loaded) => loaded,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let plan = match job.into_input() {
        Ok(input) => convert(&*runtime, &found.info.digest, input).await,
        Err(why) => Err(Wrong(vec![why])),
    };
    Ok(plan.and_then(|plan| {
        plan.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        let documents: Vec<&Value> =
            plan.manifests.iter().map(|manifest| &manifest.document).collect();
        print_documents(&documents, args.output)
    }))
}

fn read_job(job: &Path, settings: Option<&Path>) -> Result<(JobText, Option<Value>), Wrong> {
    let mut job = JobText::parse(read_json(job)?).map_err(|why| Wrong(vec![why]))?;
    let settings = settings.map(read_json).transpose()?;
    let settings = settings.or_else(|| job.settings.take());
    Ok((job, settings))
}

/// Loads a plugin with an operator's settings. They are kept by name of the plugin, and only the
/// plugin knows its name, so with settings it is loaded twice.
async fn load_with(
    file: &Path,
    settings: Option<Value>,
) -> Outcome<(std::sync::Arc<PluginRuntime>, Inspection)> {
    let runtime = start(config()).await?;
    let found = match load(&runtime, file).await {
        Ok(found) => found,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let Some(settings) = settings else { return Ok(Ok((runtime, found))) };
    let settings = [(found.info.name.clone(), settings)].into();
    let runtime = start(Config { settings, ..config() }).await?;
    Ok(load(&runtime, file).await.map(|found| (runtime, found)))
}

/// The guest's part of a submission: schema, `validate`, `convert`.
pub(crate) async fn convert(
    plugins: &dyn Plugins,
    digest: &training::PluginDigest,
    mut input: ConversionInput,
) -> Result<Conversion, Wrong> {
    let fault = |fault: training::ports::PluginFault| Wrong(vec![fault.to_string()]);
    let prepared = plugins.prepare(digest, &input.spec.hyperparameters).map_err(fault)?;
    if !prepared.errors.is_empty() {
        return Err(listed("/hyperparameters", &prepared.errors));
    }
    input.spec.hyperparameters = prepared.hyperparameters;
    let findings = plugins.validate(digest, &input).await.map_err(fault)?;
    if !findings.is_empty() {
        return Err(listed("", &findings));
    }
    match plugins.convert(digest, &input).await.map_err(fault)? {
        Ok(plan) => Ok(plan),
        Err(ConvertRefusal::Invalid(errors)) => Err(listed("", &errors)),
        Err(ConvertRefusal::Unsupported(why)) => Err(Wrong(vec![why])),
    }
}

pub(crate) fn listed(prefix: &str, errors: &[FieldError]) -> Wrong {
    let line = |error: &FieldError| format!("{prefix}{}: {}", error.pointer, error.detail);
    Wrong(errors.iter().map(line).collect())
}

fn print_documents(documents: &[&Value], output: Format) -> Result<(), Wrong> {
    if output == Format::Json {
        data_line!("{:#}", json!(documents));
        return Ok(());
    }
    for document in documents {
        let text = serde_saphyr::to_string(document)
            .map_err(|error| Wrong(vec![format!("a manifest is not YAML: {error}")]))?;
        data_line!("---\n{}", text.trim_end());
    }
    Ok(())
}
