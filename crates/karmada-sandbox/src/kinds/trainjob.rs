//! The Kubeflow Trainer of a member: a TrainJob becomes a JobSet of the runtime that it names. The
//! runtimes are those that the Trainer installs; each has one group of pods, `node`.

use std::time::Duration;

use serde_json::{Value, json};

use super::groups::{add_condition, ended, pass_on};
use super::owner_reference;
use crate::json::Tree as _;
use crate::{
    clock,
    json::{self as js, condition_is_true, flag, int, is_terminating, list, meta, text},
    objects::{Key, resources::JOB_SET},
    sim::World,
};

/// Runtimes, and what starts the processes of their pods.
const RUNTIMES: [(&str, Launcher); 3] = [
    ("torch-distributed", Launcher::Torchrun),
    ("jax-distributed", Launcher::Jax),
    ("mlx-distributed", Launcher::None),
];
const INDEX: &str = "metadata.annotations['batch.kubernetes.io/job-completion-index']";

#[derive(Clone, Copy)]
enum Launcher {
    Torchrun,
    Jax,
    None,
}

pub(super) fn reconcile(world: &mut World, cluster: &str, key: &Key) {
    let now = clock::stamp(world.now);
    let Some(member) = world.members.get_mut(cluster) else { return };
    let Some(job) = member.api.get(key).cloned() else { return };
    if is_terminating(&job) || ended(&job, &["Complete", "Failed"]) {
        return;
    }
    let set = Key::new(&JOB_SET, &key.namespace, &key.name);
    let name = text(&job, "/spec/runtimeRef/name");
    let Some((_, launcher)) = RUNTIMES.iter().find(|(runtime, _)| *runtime == name) else {
        let message = format!("The runtime {name} does not exist.");
        member.api.edit(key, |job| {
            let reason = "TrainingRuntimeNotSupported";
            add_condition(job, "Failed", "True", reason, &message, &now);
        });
        return;
    };
    let suspended = flag(&job, "/spec/suspend");
    let late = int(&job, "/spec/activeDeadlineSeconds").is_some_and(|seconds| {
        let usual = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        world.has_been(cluster, key, meta(&job, "uid"), "active", usual)
    });
    let Some(member) = world.members.get_mut(cluster) else { return };
    if late {
        member.api.discard(&set);
        member.api.edit(key, |job| {
            let message = "TrainJob exceeded its active deadline";
            add_condition(job, "Failed", "True", "DeadlineExceeded", message, &now);
        });
        return;
    }
    member.api.ensure(&JOB_SET, &key.namespace, set_of(&job, key, *launcher));
    let found = member.api.get(&set).cloned().unwrap_or_default();
    if flag(&found, "/spec/suspend") != suspended {
        member.api.edit(&set, |set| js::set(set, &["spec", "suspend"], suspended));
    }
    member.api.edit(key, |job| {
        let jobs = list(&found, "/status/replicatedJobsStatus").to_vec();
        if !jobs.is_empty() {
            js::set(job, &["status", "jobsStatus"], jobs);
        }
        if suspended {
            let message = "TrainJob is suspended";
            add_condition(job, "Suspended", "True", "Suspended", message, &now);
        } else if condition_is_true(job, "/status/conditions", "Suspended") {
            add_condition(job, "Suspended", "False", "Resumed", "TrainJob is resumed", &now);
        }
        for (theirs, ours) in [("Completed", "Complete"), ("Failed", "Failed")] {
            let conditions = list(&found, "/status/conditions");
            let over = conditions
                .iter()
                .find(|one| text(one, "/type") == theirs && text(one, "/status") == "True");
            if let Some(one) = over {
                let (reason, message) = (text(one, "/reason"), text(one, "/message"));
                add_condition(job, ours, "True", reason, message, &now);
            }
        }
    });
}

/// The JobSet that a runtime makes of a TrainJob.
fn set_of(job: &Value, key: &Key, launcher: Launcher) -> Value {
    let trainer = job.at(&["spec", "trainer"]);
    let nodes = int(trainer, "/numNodes").unwrap_or(1);
    let mut container = json!({ "name": "node", "resources": trainer.at(&["resourcesPerNode"]) });
    for field in ["image", "command", "args"] {
        if !trainer.at(&[field]).is_null() {
            js::set(&mut container, &[field], trainer.at(&[field]).clone());
        }
    }
    let mut env = list(trainer, "/env").to_vec();
    env.extend(environment(job, key, launcher, nodes));
    js::set(&mut container, &["env"], env);
    let mut template = json!({ "metadata": {}, "spec": {} });
    for patch in list(job, "/spec/runtimePatches") {
        for part in list(patch, "/trainingRuntimeSpec/template/spec/replicatedJobs") {
            let theirs = part.at(&["template", "spec", "template"]);
            if text(part, "/name") == "node" && theirs.is_object() {
                crate::objects::patch::merge(&mut template, theirs);
            }
        }
    }
    // Of the containers of a patch, the one that trains is known by its name.
    if let Some(patch) =
        list(&template, "/spec/containers").iter().find(|one| text(one, "/name") == "node").cloned()
    {
        crate::objects::patch::merge(&mut container, &patch);
    }
    js::set(&mut template, &["spec", "containers"], json!([container]));
    js::set(&mut template, &["spec", "restartPolicy"], "Never");
    let mut set = json!({
        "metadata": { "name": key.name, "ownerReferences": owner_reference(job) },
        "spec": {
            "suspend": flag(job, "/spec/suspend"),
            "replicatedJobs": [{
                "name": "node", "replicas": 1,
                "template": { "spec": {
                    "completionMode": "Indexed", "parallelism": nodes, "completions": nodes,
                    "backoffLimit": 0, "template": template,
                } },
            }],
        },
    });
    pass_on(job, &mut set);
    set
}

fn environment(job: &Value, key: &Key, launcher: Launcher, nodes: i64) -> Vec<Value> {
    let host = format!("{0}-node-0-0.{0}", key.name);
    let value = |name: &str, value: String| json!({ "name": name, "value": value });
    let index =
        |name: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": INDEX } } });
    match launcher {
        Launcher::Torchrun => {
            let processes = int(job, "/spec/trainer/numProcPerNode").unwrap_or(1);
            vec![
                value("PET_NNODES", nodes.to_string()),
                value("PET_NPROC_PER_NODE", processes.to_string()),
                index("PET_NODE_RANK"),
                value("PET_MASTER_ADDR", host),
                value("PET_MASTER_PORT", "29500".to_owned()),
            ]
        }
        Launcher::Jax => vec![
            value("JAX_NUM_PROCESSES", nodes.to_string()),
            index("JAX_PROCESS_ID"),
            value("JAX_COORDINATOR_ADDRESS", format!("{host}:29500")),
        ],
        Launcher::None => Vec::new(),
    }
}
