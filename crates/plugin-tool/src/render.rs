//! `render`: one job in, its manifests out.

use std::path::Path;

use plugin_runtime::Config;
use serde_json::Value;
use training::ports::{Conversion, ConversionInput, ConvertRefusal, FieldError, Plugins};

use crate::job::JobText;
use crate::{Format, Outcome, Wrong, config, load, read_json, start};

pub(crate) async fn run(
    file: &Path,
    job: &Path,
    settings: Option<&Path>,
    output: Format,
) -> Outcome<()> {
    let (job, settings) = match read(job, settings) {
        Ok(read) => read,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let mut runtime = start(config()).await?;
    let mut found = match load(&runtime, file).await {
        Ok(found) => found,
        Err(wrong) => return Ok(Err(wrong)),
    };
    // Settings are kept by name of the plugin, and only the plugin knows its name.
    if let Some(settings) = settings {
        let settings = [(found.info.name.clone(), settings)].into();
        runtime = start(Config { settings, ..config() }).await?;
        found = match load(&runtime, file).await {
            Ok(found) => found,
            Err(wrong) => return Ok(Err(wrong)),
        };
    }
    let outcome = match job.into_input() {
        Ok(input) => convert(&*runtime, &found.info.digest, input).await,
        Err(why) => Err(Wrong(vec![why])),
    };
    Ok(outcome.and_then(|plan| print(&plan, output)))
}

fn read(job: &Path, settings: Option<&Path>) -> Result<(JobText, Option<Value>), Wrong> {
    let mut job = JobText::parse(read_json(job)?).map_err(|why| Wrong(vec![why]))?;
    let settings = settings.map(read_json).transpose()?;
    let settings = settings.or_else(|| job.settings.take());
    Ok((job, settings))
}

/// The path of a submission: schema, `validate`, `convert`.
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

fn print(plan: &Conversion, output: Format) -> Result<(), Wrong> {
    for warning in &plan.warnings {
        eprintln!("warning: {warning}");
    }
    let documents: Vec<&Value> = plan.manifests.iter().map(|manifest| &manifest.document).collect();
    match output {
        Format::Json => println!("{:#}", serde_json::json!(documents)),
        Format::Yaml => {
            for document in documents {
                let text = serde_saphyr::to_string(document)
                    .map_err(|error| Wrong(vec![format!("a manifest is not YAML: {error}")]))?;
                println!("---\n{}", text.trim_end());
            }
        }
    }
    Ok(())
}
