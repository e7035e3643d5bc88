//! The flat dialect of the first predecessor: `name`, `jobType`, `image`, `command`, `replicas`. It
//! is rewritten as the nested form, which one parser reads, and its mistakes are pointed back to
//! where the user wrote them.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

use super::Surroundings;
use super::places::Places;
use super::quantities::{self, Sized};
use super::reader::{self, Fields};
use super::rewriting::{FORM_FIELD, Nested, Rewritten};
use super::values;
use crate::job::Exact;

/// Fields that only the flat form has, and what the nested form calls them.
const OWN: [(&str, &str); 14] = [
    ("name", "jobName"),
    ("jobType", "algorithm.algorithmName"),
    ("framework", "algorithm.algorithmName"),
    ("image", "algorithm.imageUri"),
    ("command", "entrypoint"),
    ("replicas", "resources.instanceCount"),
    ("workersPerNode", "a hyperparameter of the algorithm"),
    ("cpuRequest", "resources.instanceResources.cpuCores"),
    ("cpuLimit", "resources.instanceResources.cpuCores"),
    ("memoryRequest", "resources.instanceResources.memoryGiB"),
    ("memoryLimit", "resources.instanceResources.memoryGiB"),
    ("gpuRequest", "resources.instanceResources.gpuCount"),
    ("storageClass", "nothing: the plugin's settings name one"),
    ("storageSize", "resources.volumeSizeGB"),
];
/// Fields that both forms have.
pub(super) const SHARED: [&str; 4] =
    ["namespace", "hyperparameters", "targetClusters", "inputDataConfig"];
/// Fields that only the nested form has.
pub(super) const NESTED: [&str; 13] = [
    "jobName",
    "priority",
    "algorithm",
    "resources",
    "stoppingCondition",
    "outputDataConfig",
    "customHyperparameters",
    "placement",
    "locality",
    "entrypoint",
    "headImage",
    "workerImage",
    "pvcName",
];
/// More processes share a node only by mistake.
const MOST_WORKERS_PER_NODE: u32 = 1024;

/// Whether a form is a flat one: it has fields of the flat form, more than of the nested one, and no
/// `jobName`.
pub(super) fn is_flat(form: &Value) -> bool {
    let Value::Object(members) = form else { return false };
    let count = |names: &mut dyn Iterator<Item = &'static str>| {
        names.filter(|name| members.contains_key(*name)).count()
    };
    let own = count(&mut OWN.iter().map(|(name, _)| *name));
    !members.contains_key("jobName") && own > count(&mut NESTED.into_iter())
}

/// The algorithm that a flat form names: its framework, or else its type.
pub(super) fn algorithm(form: &Value) -> Option<(&'static str, &str)> {
    let text = |member| Some((member, form.get(member)?.as_str()?));
    let named = ["framework", "jobType"].into_iter().filter_map(text);
    named.into_iter().find(|(_, name)| !name.is_empty())
}

/// Says of a nested form which of its fields belong to the flat one.
pub(super) fn refuse_in_nested(form: &Fields<'_>) {
    for (name, counterpart) in OWN {
        if form.names().any(|present| present == name) {
            let detail = format!(
                "`{name}` is a field of the flat form, and a form is written in one of the two. \
                 The nested form has for it: {counterpart}."
            );
            form.mistake(name, "mixed-forms", detail);
        }
    }
}

/// Rewrites a flat form. Mistakes point into it.
pub(super) fn rewrite(form: &Fields<'_>, around: &Surroundings<'_>) -> Rewritten {
    for name in NESTED {
        if form.names().any(|present| present == name) {
            let detail = format!(
                "`{name}` is a field of the nested form, and a form is written in one of the two. \
                 This one has fields of the flat form: {}.",
                OWN.map(|(name, _)| format!("`{name}`")).join(", ")
            );
            form.mistake(name, "mixed-forms", detail);
        }
    }
    let known: Vec<&str> = OWN.iter().map(|(name, _)| *name).chain(SHARED).collect();
    form.only(&known);

    let mut nested = Nested::default();
    nested.moves(form, "name", "/jobName");
    form.required_text("name", 253);
    nested.moves(form, "namespace", "/namespace");
    nested.moves(form, "targetClusters", "/targetClusters");
    nested.moves(form, "inputDataConfig", "/inputDataConfig");
    nested.moves(form, "image", "/algorithm/imageUri");
    nested.moves(form, "command", "/entrypoint");
    nested.moves(form, "replicas", "/resources/instanceCount");
    nested.moves(form, "gpuRequest", "/resources/instanceResources/gpuCount");
    let algorithm = read_algorithm(form);
    nested.place("/algorithm", format!("/{}", algorithm.map_or("jobType", |(member, _)| member)));
    let exact = read_sizes(form, &mut nested);
    if let Some((_, name)) = algorithm {
        nested.set("/algorithm/algorithmName", name.into());
        read_hyperparameters(form, name, around, &mut nested);
    }
    nested.finish(exact, Places::flat)
}

/// The algorithm with the field that names it.
fn read_algorithm<'f>(form: &Fields<'f>) -> Option<(&'static str, &'f str)> {
    for member in ["framework", "jobType"] {
        // Both must be texts, whichever counts.
        form.text(member, 63);
    }
    let named = ["framework", "jobType"].into_iter();
    let text = |member| Some((member, form.value(member)?.as_str()?));
    let found = named.filter_map(text).find(|(_, name)| !name.is_empty());
    if found.is_none() && form.value("framework").is_none_or(Value::is_string) {
        let detail = "`jobType` or `framework` must name the algorithm.";
        form.mistake("jobType", "required", detail);
    }
    found
}

fn read_sizes(form: &Fields<'_>, nested: &mut Nested) -> Exact {
    let mut exact = Exact::default();
    let each = "/resources/instanceResources";
    let cpu = [("cpuRequest", form), ("cpuLimit", form)];
    if let Some(Sized { whole, exact: cpu, decided_by }) = quantities::cpu(cpu.map(Some)) {
        nested.set(&format!("{each}/cpuCores"), whole.into());
        nested.place(&format!("{each}/cpuCores"), decided_by);
        exact.cpu = cpu;
    }
    let memory = [("memoryRequest", form), ("memoryLimit", form)];
    if let Some(Sized { whole, exact: memory, decided_by }) = quantities::memory(memory.map(Some)) {
        nested.set(&format!("{each}/memoryGiB"), whole.into());
        nested.place(&format!("{each}/memoryGiB"), decided_by);
        exact.memory = memory;
    }
    let volume = quantities::volume(form);
    if let Some((whole, bytes)) = volume {
        nested.set("/resources/volumeSizeGB", whole.into());
        exact.volume_bytes = bytes;
    }
    let class = form.text("storageClass", 253);
    exact.storage_class =
        class.and_then(|name| form.parsed("storageClass", values::dns_subdomain(name)));
    let no_volume = volume.is_none_or(|(whole, _)| whole == 0);
    if exact.storage_class.is_some() && no_volume && form.value("storageSize").is_none() {
        let detail = "A storage class is that of a new volume: `storageSize` says how large it is.";
        form.mistake("storageClass", "conflict", detail);
    }
    exact
}

/// The parameters that the plugin knows get their types; the others are the program's own.
fn read_hyperparameters(
    form: &Fields<'_>,
    algorithm: &str,
    around: &Surroundings<'_>,
    nested: &mut Nested,
) {
    let schema = around.schema_of(algorithm);
    let (mut own, mut custom) = (Map::new(), Map::new());
    let names = around.names_of(algorithm);
    for (name, value) in form.map("hyperparameters").into_iter().flatten() {
        let property = schema.as_ref().and_then(|schema| Some((schema, schema.property(name)?)));
        if let Some((schema, property)) = property {
            own.insert(name.clone(), schema.typed(value, property));
        } else if value.is_object() && names.contains(name) {
            let detail = "In the flat form, hyperparameters stand directly in `hyperparameters`.";
            form.mistake(&reader::join("hyperparameters", name), "mixed-forms", detail);
        } else {
            custom.insert(name.clone(), value.clone());
        }
    }
    if let Some(workers) = form.size("workersPerNode", 0, MOST_WORKERS_PER_NODE)
        && workers > 0
    {
        let parameter = schema.as_ref().and_then(|all| all.marked(FORM_FIELD, "workersPerNode"));
        match parameter {
            Some(name) => {
                let workers = Value::from(workers);
                if own.get(name).is_some_and(|other| *other != workers) {
                    let detail = format!("The hyperparameter `{name}` says something else.");
                    form.mistake("workersPerNode", "conflict", detail);
                }
                let place = reader::join("/hyperparameters/*", name);
                nested.place(&place, "/workersPerNode".to_owned());
                own.insert(name.to_owned(), workers);
            }
            None if workers > 1 && schema.is_some() => {
                let detail = format!("`{algorithm}` has one worker per node.");
                form.mistake("workersPerNode", "unsupported", detail);
            }
            None => {}
        }
    }
    nested.set(&reader::join("/hyperparameters", algorithm), Value::Object(own));
    if !custom.is_empty() {
        nested.set("/customHyperparameters", Value::Object(custom));
    }
}
