//! Parses a job form: the nested dialect of the predecessor and the fields of its web form. All
//! mistakes are answered at once, each with a pointer to its field.
//!
//! `form.rs` is the form from top to bottom; `form/reader.rs` reads typed members and collects
//! mistakes; `form/{algorithm,channels,values}.rs` hold the larger parts and single values.

mod algorithm;
mod channels;
mod reader;
#[cfg(test)]
mod tests;
mod values;

use serde_json::{Map, Value};

use crate::job::{Attempt, JobSpec, Resources, Spread};
use crate::ports::FieldError;
use crate::{ClusterName, JobName, Namespace};
use reader::{Fields, Mistakes};

/// The priority of a job whose form names none, in the middle of 1 … 1000.
const DEFAULT_PRIORITY: i32 = 500;
/// The namespace of a job whose form names none.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";
/// 30 days: longer waits and runs are a sign of a forgotten job.
const MAX_SECONDS: u32 = 30 * 24 * 3600;

/// What a form is checked against besides itself.
pub struct Surroundings<'a> {
    /// Every name of the algorithm that has this name, canonical first; empty if unknown.
    pub aliases: &'a dyn Fn(&str) -> Vec<String>,
    /// Clusters that were seen; empty if none ever was, and nothing is checked then.
    pub clusters: &'a [ClusterName],
}

/// A form with mistakes, and what is known of it nevertheless.
#[derive(Debug, thiserror::Error)]
#[error("the form has {} mistakes", errors.len())]
pub struct Mistaken {
    /// Every mistake, in the order of reading.
    pub errors: Vec<FieldError>,
    /// The algorithm and its hyperparameters if they could be read, so that the caller can check
    /// these, too, before it answers.
    pub hyperparameters: Option<Box<Hyperparameters>>,
}

/// The part of a form that its plugin's schema will see.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyperparameters {
    /// As the user wrote it.
    pub algorithm: String,
    /// The member of `hyperparameters` that holds them: the algorithm under any of its names.
    pub member: String,
    /// The object.
    pub values: Value,
}

/// A form without mistakes.
#[derive(Debug)]
pub struct Form {
    /// What it asks for.
    pub spec: JobSpec,
    /// See [`Hyperparameters::member`].
    pub member: String,
}

/// Reads a form. Callers want [`read_form`](crate::submit::read_form), which also checks what its
/// plugin's schema says.
///
/// # Errors
/// Every mistake.
pub fn parse(form: Value, around: &Surroundings<'_>) -> Result<Form, Mistaken> {
    let mistakes = Mistakes::default();
    mistakes.check_texts(&form);
    let mut hyperparameters = None;
    let read = Fields::open(&form, "", &mistakes)
        .and_then(|fields| read_form(&fields, around, &mut hyperparameters));
    let errors = mistakes.into_errors();
    match read {
        Some(spec) if errors.is_empty() => {
            let member = hyperparameters.map_or_else(String::new, |found| found.member);
            Ok(Form { spec: JobSpec { request: echo(form), ..spec }, member })
        }
        _ => Err(Mistaken { errors, hyperparameters: hyperparameters.map(Box::new) }),
    }
}

/// `None` only if a mistake was recorded.
fn read_form(
    form: &Fields<'_>,
    around: &Surroundings<'_>,
    found: &mut Option<Hyperparameters>,
) -> Option<JobSpec> {
    let name = form.required_text("jobName", 253);
    let name = name.and_then(|text| form.parsed("jobName", JobName::parse(text)));
    let namespace = form.text("namespace", 253).unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    let namespace = form.parsed("namespace", Namespace::parse(namespace));
    // Older clients send 0 for "not set".
    let priority = form.integer("priority", 0, 1000).filter(|set| *set > 0);
    let priority = priority.and_then(|set| i32::try_from(set).ok()).unwrap_or(DEFAULT_PRIORITY);

    let algorithm = algorithm::read_algorithm(form);
    *found = algorithm::read_hyperparameters(form, algorithm.name.as_deref(), around);
    let custom_hyperparameters = form.map("customHyperparameters").cloned().unwrap_or_default();
    check_custom_keys(form, &custom_hyperparameters);

    let resources = read_resources(form);
    let stopping = form.object("stoppingCondition");
    let limit = |member| {
        let seconds = stopping.as_ref()?.size(member, 0, MAX_SECONDS);
        seconds.filter(|seconds| *seconds > 0)
    };
    let max_runtime_seconds = limit("maxRuntimeSeconds");
    let max_pending_seconds = limit("maxPendingSeconds");
    if let Some(stopping) = &stopping {
        stopping.only(&["maxRuntimeSeconds", "maxPendingSeconds"]);
    }
    let channels = channels::read(form);
    let output_uri = form.object("outputDataConfig").and_then(|output| {
        output.only(&["artifactUri"]);
        let uri = output.text("artifactUri", 1024)?;
        output.parsed("artifactUri", values::storage_uri(&uri).map(|()| uri.clone()))
    });
    let target_clusters = read_clusters(form, around.clusters);
    let spread = match form.choice("placement", &["one", "all"]) {
        Some("all") => Spread::All,
        _ => Spread::One,
    };
    if let Some(locality) = form.object("locality") {
        // Read again when the job is placed: a wish, not a condition.
        for member in ["region", "zone", "provider"] {
            locality.text(member, 63);
        }
        locality.only(&["region", "zone", "provider"]);
    }
    let image = |member: &str| {
        let image = form.text(member, 512)?;
        form.parsed(member, values::image(image))
    };
    let head_image = image("headImage");
    let worker_image = image("workerImage");
    let pvc_name =
        form.text("pvcName", 253).and_then(|name| form.parsed("pvcName", values::dns_label(name)));
    let entrypoint = form.text("entrypoint", 4096);
    form.only(&[
        "jobName",
        "namespace",
        "priority",
        "algorithm",
        "resources",
        "stoppingCondition",
        "inputDataConfig",
        "outputDataConfig",
        "hyperparameters",
        "customHyperparameters",
        "targetClusters",
        "placement",
        "locality",
        "entrypoint",
        "headImage",
        "workerImage",
        "pvcName",
    ]);

    Some(JobSpec {
        name: name?,
        namespace: namespace?,
        priority,
        algorithm: algorithm.name?,
        resources,
        max_runtime_seconds,
        max_pending_seconds,
        attempt: Attempt::FIRST,
        channels,
        output_uri,
        hyperparameters: found.as_ref().map(|found| found.values.clone())?,
        custom_hyperparameters,
        target_clusters,
        spread,
        entrypoint,
        head_image,
        worker_image,
        image_uri: algorithm.image_uri,
        pvc_name,
        request: Value::Null,
    })
}

fn read_resources(form: &Fields<'_>) -> Resources {
    let resources = form.object("resources");
    let each = resources.as_ref().and_then(|resources| resources.object("instanceResources"));
    let size = |fields: &Option<Fields<'_>>, member, least, most, default| {
        let found = fields.as_ref().and_then(|fields| fields.size(member, least, most));
        found.unwrap_or(default)
    };
    let read = Resources {
        cpu_cores: size(&each, "cpuCores", 1, 1024, 4),
        memory_gib: size(&each, "memoryGiB", 0, 65_536, 16),
        gpu_count: size(&each, "gpuCount", 0, 64, 0),
        // Older clients send 0 and have always got one worker.
        instance_count: size(&resources, "instanceCount", 0, 1000, 1).max(1),
        volume_size_gb: size(&resources, "volumeSizeGB", 0, 65_536, 0),
    };
    if let Some(each) = each {
        each.only(&["cpuCores", "memoryGiB", "gpuCount"]);
    }
    if let Some(resources) = resources {
        // The predecessor's web form sends it, and it never meant anything: the number of
        // instances says whether training is distributed.
        resources.boolean("distributedTraining");
        resources.only(&[
            "instanceResources",
            "instanceCount",
            "volumeSizeGB",
            "distributedTraining",
        ]);
    }
    read
}

fn read_clusters(form: &Fields<'_>, known: &[ClusterName]) -> Vec<ClusterName> {
    let mut clusters = Vec::new();
    for (at, text) in form.texts("targetClusters", 1000, 63) {
        let Some(name) = form.parsed(&at, ClusterName::parse(text)) else { continue };
        if !known.is_empty() && !known.contains(&name) {
            let names: Vec<&str> = known.iter().map(ClusterName::as_str).collect();
            form.mistake(
                &at,
                "unknown-cluster",
                format!("There is no cluster `{name}`. Known are: {}.", names.join(", ")),
            );
        } else if !clusters.contains(&name) {
            clusters.push(name);
        }
    }
    clusters
}

/// Keys become names of environment variables in most plugins, which have rules of their own;
/// here only what no plugin could use is refused.
fn check_custom_keys(form: &Fields<'_>, custom: &Map<String, Value>) {
    for key in custom.keys() {
        if key.trim().is_empty() || key.len() > 253 {
            form.mistake(
                &reader::join("customHyperparameters", key),
                "invalid-name",
                "The name of a custom hyperparameter has 1 to 253 characters, not only spaces.",
            );
        }
    }
}

/// A pointer to a member of what `parent` points to.
pub fn pointer(parent: &str, member: &str) -> String {
    reader::join(parent, member)
}

/// The form for answers: as it was sent, with the algorithm always an object.
fn echo(mut form: Value) -> Value {
    if let Some(algorithm) = form.get_mut("algorithm")
        && algorithm.is_string()
    {
        *algorithm = serde_json::json!({ "algorithmName": algorithm.take() });
    }
    form
}
