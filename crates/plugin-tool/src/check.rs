//! `check`: everything that a host would find out about a plugin, before a host does.

use std::path::Path;

use plugin_runtime::Inspection;
use serde_json::{Value, json};
use training::JobId;
use training::manifest::Role;
use training::ports::{Conversion, ConversionInput, PluginInfo, Plugins};

use crate::job::{RANDOM, from_form};
use crate::{Outcome, Wrong, config, load, render, start};

pub(crate) async fn run(file: &Path) -> Outcome<()> {
    let runtime = start(config()).await?;
    let found = match load(&runtime, file).await {
        Ok(found) => found,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let Inspection { info, .. } = &found;
    println!("ok    loads: {} {} ({} bytes)", info.name, info.version, found.bytes);
    println!("ok    description, both schemas and their defaults");
    let mut failures = Vec::new();
    if info.examples.is_empty() {
        failures.push("there is no example".to_owned());
    }
    for (index, form) in info.examples.iter().enumerate() {
        let outcome = check_example(&*runtime, info, form).await;
        report(&format!("example {index}"), outcome, &mut failures);
    }
    for kind in info.kinds.iter().filter(|kind| kind.workload) {
        for status in odd_statuses() {
            let mut object = json!({
                "apiVersion": kind.api_version,
                "kind": kind.kind,
                "metadata": {"name": "a", "namespace": "default"},
            });
            let what = format!("interpret {} with status {status}", kind.kind);
            if let (Some(status), Some(members)) = (status.get("status"), object.as_object_mut()) {
                members.insert("status".to_owned(), status.clone());
            }
            let outcome = runtime.interpret(&info.digest, info.algorithm(), &object).await;
            report(&what, outcome.map(drop).map_err(|fault| fault.to_string()), &mut failures);
        }
    }
    Ok(if failures.is_empty() { Ok(()) } else { Err(Wrong(failures)) })
}

fn report(what: &str, outcome: Result<(), String>, failures: &mut Vec<String>) {
    match outcome {
        Ok(()) => println!("ok    {what}"),
        Err(why) => {
            println!("FAIL  {what}");
            failures.push(format!("{what}: {why}"));
        }
    }
}

async fn check_example(
    plugins: &dyn Plugins,
    info: &PluginInfo,
    form: &Value,
) -> Result<(), String> {
    let joined = |Wrong(lines): Wrong| lines.join(" ");
    let once = || async {
        let form = from_form(plugins, info, form.clone())
            .map_err(|errors| joined(render::listed("", &errors)))?;
        let id = JobId::from_name(&form.spec.name, RANDOM);
        let input = ConversionInput { id, spec: form.spec, settings: None };
        render::convert(plugins, &info.digest, input).await.map_err(joined)
    };
    let (first, second) = (once().await?, once().await?);
    if bytes(&first) != bytes(&second) {
        return Err("two conversions gave different manifests".to_owned());
    }
    check_plan(info, form, &first)
}

fn bytes(plan: &Conversion) -> Vec<String> {
    plan.manifests.iter().map(|manifest| manifest.document.to_string()).collect()
}

/// The parts of the contract that do not depend on the host's policy.
fn check_plan(info: &PluginInfo, form: &Value, plan: &Conversion) -> Result<(), String> {
    let name = form.get("jobName").and_then(Value::as_str).unwrap_or_default();
    let workloads = plan.manifests.iter().filter(|manifest| manifest.role == Role::Workload);
    if workloads.count() != 1 {
        return Err("a plan must have exactly one manifest with role `workload`".to_owned());
    }
    for manifest in &plan.manifests {
        let object = manifest.object_ref();
        let workload = manifest.role == Role::Workload;
        let declared = info.kinds.iter().any(|kind| {
            kind.api_version == object.api_version
                && kind.kind == object.kind
                && (kind.workload || !workload)
        });
        if !declared {
            return Err(format!("{object} is of a kind that the description does not list"));
        }
        if workload && object.name != name {
            return Err(format!("the workload is named `{}`, not `{name}`", object.name));
        }
        if !workload && !object.name.starts_with(&format!("{name}-")) {
            return Err(format!("the name of {object} does not start with `{name}-`"));
        }
    }
    Ok(())
}

/// What a cluster might report, sensible or not.
fn odd_statuses() -> Vec<Value> {
    vec![
        json!({}),
        json!({"status": {}}),
        json!({"status": null}),
        json!({"status": []}),
        json!({"status": {"jobStatus": 1, "conditions": "x", "startTime": {}, "failed": -1}}),
    ]
}
