//! The dialect of the second predecessor, which made a deployment of `deploymentName`, `imageName`,
//! `command`, `resources` and `ports`. It is rewritten as the nested form, which one parser reads, and
//! its mistakes are pointed back to where the user wrote them.

#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::Surroundings;
use super::places::Places;
use super::quantities::{self, Sized};
use super::reader::{self, Fields};
use super::rewriting::{FORM_FIELD, Nested, Rewritten};
use super::shell;
use crate::admit::quantity;
use crate::job::Exact;

/// Fields that only this form has, and what the nested form calls them.
const OWN: [(&str, &str); 2] = [("deploymentName", "jobName"), ("imageName", "algorithm.imageUri")];
/// Every field. `namespace` and `algorithm` are ours: the predecessor knew one of each.
const FIELDS: [&str; 7] =
    ["deploymentName", "imageName", "command", "resources", "ports", "namespace", "algorithm"];
/// Fields that name the job in another form.
const NAMES: [&str; 2] = ["jobName", "name"];
/// As many as a pod's container has words.
const MOST_WORDS: usize = 512;
/// More than any program listens on.
const MOST_PORTS: usize = 64;
/// As many as the nested form takes.
const MOST_GPUS: u128 = 64;

/// Whether a form is one of a deployment: it has a field that no other form has, and no field that
/// names the job of another form.
pub(super) fn is_deployment(form: &Value) -> bool {
    let Value::Object(members) = form else { return false };
    let has = |name: &str| members.contains_key(name);
    OWN.iter().any(|(name, _)| has(name)) && !NAMES.into_iter().any(has)
}

/// Says of a nested form which of its fields belong to that of a deployment.
pub(super) fn refuse_in_nested(form: &Fields<'_>) {
    for (name, counterpart) in OWN {
        if form.names().any(|present| present == name) {
            let detail = format!(
                "`{name}` is a field of the form of a deployment, and a form is written in one \
                 dialect. The nested form has for it: {counterpart}."
            );
            form.mistake(name, "mixed-forms", detail);
        }
    }
}

/// Rewrites the form of a deployment. Mistakes point into it.
pub(super) fn rewrite(form: &Fields<'_>, around: &Surroundings<'_>) -> Rewritten {
    form.only(&FIELDS);
    let mut nested = Nested::default();
    nested.moves(form, "deploymentName", "/jobName");
    form.required_text("deploymentName", 253);
    nested.moves(form, "namespace", "/namespace");
    nested.moves(form, "imageName", "/algorithm/imageUri");
    let algorithm = form.required_text("algorithm", 63);
    let exact = read_resources(form, &mut nested);
    if let Some(name) = &algorithm {
        nested.set("/algorithm/algorithmName", name.as_str().into());
    }
    read_program(form, algorithm.as_deref().unwrap_or_default(), around, &mut nested);
    nested.finish(exact, Places::deployment)
}

/// The resources of a container, as Kubernetes writes them.
fn read_resources(form: &Fields<'_>, nested: &mut Nested) -> Exact {
    let mut exact = Exact::default();
    let Some(resources) = form.object("resources") else { return exact };
    resources.only(&["requests", "limits"]);
    let (requests, limits) = (resources.object("requests"), resources.object("limits"));
    let both = [requests.as_ref(), limits.as_ref()];
    for amounts in both.into_iter().flatten() {
        let gpus: Vec<&str> = amounts.names().filter(|name| is_gpu(name)).collect();
        let known: Vec<&str> = ["cpu", "memory"].into_iter().chain(gpus).collect();
        amounts.only(&known);
    }
    let each = "/resources/instanceResources";
    let places = |member| both.map(|amounts| amounts.map(|amounts| (member, amounts)));
    if let Some(Sized { whole, exact: cpu, decided_by }) = quantities::cpu(places("cpu")) {
        nested.set(&format!("{each}/cpuCores"), whole.into());
        nested.place(&format!("{each}/cpuCores"), decided_by);
        exact.cpu = cpu;
    }
    if let Some(Sized { whole, exact: memory, decided_by }) = quantities::memory(places("memory")) {
        nested.set(&format!("{each}/memoryGiB"), whole.into());
        nested.place(&format!("{each}/memoryGiB"), decided_by);
        exact.memory = memory;
    }
    read_gpus(both, nested);
    exact
}

/// Whether a resource is a kind of GPU: `nvidia.com/gpu`, `amd.com/gpu`. Which kind the pods ask for
/// is the operator's choice.
fn is_gpu(name: &str) -> bool {
    name.split_once('/').is_some_and(|(vendor, resource)| !vendor.is_empty() && resource == "gpu")
}

/// GPUs come whole, and their request is their limit.
fn read_gpus(both: [Option<&Fields<'_>>; 2], nested: &mut Nested) {
    let mut found: Option<(&str, u128)> = None;
    for amounts in both.into_iter().flatten() {
        for name in amounts.names().filter(|name| is_gpu(name)) {
            let Some(value) = amounts.value(name) else { continue };
            let place = reader::escape(name);
            let thousandths = quantity::read(value);
            let count = thousandths.filter(|all| all.is_multiple_of(1000)).map(|all| all / 1000);
            match (count, found) {
                (None, _) => amounts.mistake(&place, "invalid-value", "GPUs are counted: `1`."),
                (Some(count), _) if count > MOST_GPUS => {
                    let detail = format!("It must be at most {MOST_GPUS}.");
                    amounts.mistake(&place, "out-of-range", detail);
                }
                (Some(count), Some(before)) if before != (name, count) => {
                    let detail = "Every instance has GPUs of one kind, and their request is their \
                                  limit.";
                    amounts.mistake(&place, "conflict", detail);
                }
                (Some(_), Some(_)) => {}
                (Some(count), None) => {
                    found = Some((name, count));
                    let at = "/resources/instanceResources/gpuCount";
                    nested.set(at, u64::try_from(count).unwrap_or_default().into());
                    nested.place(at, amounts.pointer(name));
                }
            }
        }
    }
}

/// The command and the ports: parameters of the algorithm, if it has some for them.
fn read_program(
    form: &Fields<'_>,
    algorithm: &str,
    around: &Surroundings<'_>,
    nested: &mut Nested,
) {
    let schema = around.schema_of(algorithm);
    let parameter = |field: &str| {
        let name = schema.as_ref()?.marked(FORM_FIELD, field)?;
        Some((reader::join(&reader::join("/hyperparameters", algorithm), name), name))
    };
    if form.value("command").is_some_and(Value::is_string) {
        // One line for a shell.
        nested.moves(form, "command", "/entrypoint");
    } else {
        let words = form.texts("command", MOST_WORDS, 4096);
        let words: Vec<String> = words.into_iter().map(|(_, word)| word).collect();
        match parameter("command").filter(|_| !words.is_empty()) {
            Some((at, name)) => {
                nested.set(&at, words.into());
                nested.place(&reader::join("/hyperparameters/*", name), "/command".to_owned());
            }
            None if words.is_empty() => {}
            None => nested.set("/entrypoint", shell::line(&words).into()),
        }
    }

    let ports = form.list("ports", MOST_PORTS);
    match parameter("ports").filter(|_| !ports.is_empty()) {
        Some((at, name)) => {
            let place = reader::join("/hyperparameters/*", name);
            nested.place(&place, "/ports".to_owned());
            let mut mapped = Vec::new();
            for (index, (below, port)) in ports.into_iter().enumerate() {
                if port.is_number() {
                    // What is wrong with a number has no place inside of it.
                    nested.place(&format!("{place}/{index}"), format!("/{below}"));
                    mapped.push(json!({ "containerPort": port }));
                } else {
                    mapped.push(port.clone());
                }
            }
            nested.set(&at, Value::Array(mapped));
        }
        None if ports.is_empty() || schema.is_none() => {}
        None => {
            let detail = format!("Nothing of `{algorithm}` listens on a port.");
            form.mistake("ports", "unsupported", detail);
        }
    }
}
