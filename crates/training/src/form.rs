//! Parses a job form: the nested dialect of the predecessor with the fields of its web form, or the
//! flat dialect of the predecessor before, or what the other predecessor made a deployment of. All
//! mistakes are answered at once, each with a pointer to its field.
//!
//! `form.rs` is the form from top to bottom; `form/reader.rs` reads typed members and collects
//! mistakes; `form/{algorithm,channels,values}.rs` hold the larger parts and single values.
//! `form/flat.rs` rewrites the flat dialect as the nested one, with `form/quantities.rs` and
//! `form/typing.rs` for what it writes as text; `form/deployment.rs` does the same with the third
//! dialect; `form/rewriting.rs` is what both write to, and `form/places.rs` leads mistakes back.

mod algorithm;
mod channels;
mod deployment;
mod flat;
mod places;
pub(crate) mod quantities;
pub(crate) mod reader;
mod rewriting;
pub(crate) mod shell;
#[cfg(test)]
mod tests;
pub(crate) mod typing;
mod values;

use serde_json::{Map, Value};

use crate::job::{Attempt, Exact, JobSpec, Resources, Spread};
use crate::ports::{FieldError, PluginInfo};
use crate::{ClusterName, JobName, Namespace};
pub use places::Places;
use reader::{Fields, Mistakes};

/// The priority of a job whose form names none, in the middle of 1 … 1000.
const DEFAULT_PRIORITY: i32 = 500;
/// The namespace of a job whose form names none.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";
/// 30 days: longer waits and runs are a sign of a forgotten job.
const MAX_SECONDS: u32 = 30 * 24 * 3600;

/// What a form is checked against besides itself.
pub struct Surroundings<'a> {
    /// What serves the algorithm that the form names; `None` if nothing does.
    pub serving: Option<Serving<'a>>,
    /// Clusters that were seen; empty if none ever was, and nothing is checked then.
    pub clusters: &'a [ClusterName],
}

/// A plugin, as far as a form depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Serving<'a> {
    /// Every name of its algorithm, canonical first.
    pub algorithms: &'a [String],
    /// JSON Schema of its hyperparameters.
    pub schema: &'a str,
}

impl<'a> From<&'a PluginInfo> for Serving<'a> {
    fn from(plugin: &'a PluginInfo) -> Self {
        Self { algorithms: &plugin.algorithms, schema: &plugin.schema }
    }
}

impl Surroundings<'_> {
    fn serving(&self, algorithm: &str) -> Option<Serving<'_>> {
        self.serving.filter(|serving| serving.algorithms.iter().any(|name| name == algorithm))
    }

    /// Every name of an algorithm; empty if nothing serves it.
    fn names_of(&self, algorithm: &str) -> &[String] {
        self.serving(algorithm).map_or(&[], |serving| serving.algorithms)
    }

    fn schema_of(&self, algorithm: &str) -> Option<typing::Schema> {
        self.serving(algorithm).map(|serving| typing::Schema::parse(serving.schema))
    }
}

/// A form with mistakes, and what is known of it nevertheless.
#[derive(Debug, thiserror::Error)]
#[error("the form has {} mistakes", errors.len())]
pub struct Mistaken {
    /// Every mistake, in the order of reading.
    pub errors: Vec<FieldError>,
    /// Where further mistakes would stand.
    pub places: Places,
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
    /// Where its parts stand.
    pub places: Places,
}

/// Reads a form. Callers want [`read_form`](crate::submit::read_form), which also checks what its
/// plugin's schema says.
///
/// # Errors
/// Every mistake.
pub fn parse(form: Value, around: &Surroundings<'_>) -> Result<Form, Mistaken> {
    let sent = Mistakes::default();
    let (nested, exact, places) = match rewritten(&form, around, &sent) {
        Some(other) => (Some(other.nested), other.exact, Some(other.places)),
        None => (None, Exact::default(), None),
    };
    let mistakes = Mistakes::default();
    let read = read_nested(nested.as_ref().unwrap_or(&form), around, &mistakes);
    let member = read.found.as_ref().map_or_else(String::new, |found| found.member.clone());
    let was_rewritten = places.is_some();
    let places = places.unwrap_or_else(|| Places::nested(member));
    for error in mistakes.into_errors() {
        let pointer = if was_rewritten { places.of(&error.pointer) } else { error.pointer };
        sent.add(pointer, &error.code, error.detail);
    }
    let errors = sent.into_errors();
    match read.spec {
        Some(spec) if errors.is_empty() => {
            Ok(Form { spec: JobSpec { request: echo(form), exact, ..spec }, places })
        }
        _ => Err(Mistaken { errors, places, hyperparameters: read.found.map(Box::new) }),
    }
}

/// In which words a form is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Nested,
    Flat,
    Deployment,
}

impl Dialect {
    fn of(form: &Value) -> Self {
        if deployment::is_deployment(form) {
            Self::Deployment
        } else if flat::is_flat(form) {
            Self::Flat
        } else {
            Self::Nested
        }
    }
}

/// Rewrites a form of another dialect as a nested one. `None` is one that needs no rewriting.
fn rewritten(
    form: &Value,
    around: &Surroundings<'_>,
    mistakes: &Mistakes,
) -> Option<rewriting::Rewritten> {
    let (free, rewrite): (_, fn(&Fields<'_>, &Surroundings<'_>) -> _) = match Dialect::of(form) {
        Dialect::Nested => return None,
        Dialect::Flat => ("hyperparameters", flat::rewrite),
        // No field of it is free.
        Dialect::Deployment => ("", deployment::rewrite),
    };
    mistakes.check_texts(form, free);
    Some(rewrite(&Fields::open(form, "", mistakes)?, around))
}

/// What was read of a form.
#[derive(Default)]
struct Read {
    spec: Option<JobSpec>,
    found: Option<Hyperparameters>,
}

fn read_nested(form: &Value, around: &Surroundings<'_>, mistakes: &Mistakes) -> Read {
    mistakes.check_texts(form, "customHyperparameters");
    let mut read = Read::default();
    if let Some(fields) = Fields::open(form, "", mistakes) {
        read.spec = read_form(&fields, around, &mut read.found);
    }
    read
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
    let schema = algorithm.name.as_deref().and_then(|name| around.schema_of(name));
    let channels = channels::read(form, schema.as_ref());
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
    flat::refuse_in_nested(form);
    deployment::refuse_in_nested(form);
    let known: Vec<&str> = flat::NESTED.into_iter().chain(flat::SHARED).collect();
    form.only(&known);

    Some(JobSpec {
        name: name?,
        namespace: namespace?,
        priority,
        algorithm: algorithm.name?,
        resources,
        exact: Exact::default(),
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

/// The algorithm that a form names, under whatever name, if it can be read at all.
pub(crate) fn algorithm_of(form: &Value) -> Option<&str> {
    if Dialect::of(form) == Dialect::Flat {
        return flat::algorithm(form).map(|(_, name)| name);
    }
    let algorithm = form.get("algorithm")?;
    algorithm.as_str().or_else(|| algorithm.get("algorithmName")?.as_str())
}

/// Where a form names its algorithm.
pub(crate) fn algorithm_pointer(form: &Value) -> &'static str {
    match Dialect::of(form) {
        Dialect::Nested | Dialect::Deployment => "/algorithm",
        Dialect::Flat => match flat::algorithm(form) {
            Some(("framework", _)) => "/framework",
            _ => "/jobType",
        },
    }
}

/// Names the algorithm of a deployment that names none: the other predecessor knew no choice.
pub fn give_algorithm(form: &mut Value, algorithm: &str) {
    let is_named = form.get("algorithm").is_some_and(|name| !name.is_null() && name != "");
    if Dialect::of(form) == Dialect::Deployment
        && !is_named
        && let Some(members) = form.as_object_mut()
    {
        members.insert("algorithm".to_owned(), Value::from(algorithm));
    }
}

/// The name of the job that a form asks for, if it can be read at all.
pub(crate) fn name_of(form: &Value) -> Option<&str> {
    form.get(name_member(form))?.as_str()
}

/// Gives the job that a form asks for another name.
pub fn rename(form: &mut Value, name: String) {
    let member = name_member(form);
    if let Some(members) = form.as_object_mut() {
        members.insert(member.to_owned(), Value::from(name));
    }
}

/// The member that holds the name of the job.
pub fn name_member(form: &Value) -> &'static str {
    match Dialect::of(form) {
        Dialect::Nested => "jobName",
        Dialect::Flat => "name",
        Dialect::Deployment => "deploymentName",
    }
}

/// The form for answers: as it was sent, with the algorithm of a nested one always an object.
fn echo(mut form: Value) -> Value {
    if Dialect::of(&form) == Dialect::Nested
        && let Some(algorithm) = form.get_mut("algorithm")
        && algorithm.is_string()
    {
        *algorithm = serde_json::json!({ "algorithmName": algorithm.take() });
    }
    form
}
