//! The training operator of a member: PyTorchJobs and TFJobs, groups of pods that are told of one
//! another by their environment.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::groups::{add_condition, ended, pass_on};
use super::{ROLE, mark, pod_from};
use crate::json::Tree as _;
use crate::{
    clock,
    json::{self as js, condition_is_true, flag, int, is_terminating, list, meta, text},
    objects::{Api, Key, resources::POD},
    sim::World,
};

/// What differs between the kinds.
pub(super) struct Framework {
    kind: &'static str,
    groups: &'static str,
    operator: &'static str,
    container: &'static str,
    port: (&'static str, i64),
    leaders: &'static [&'static str],
    environment: fn(&Job<'_>, &str, i64) -> Vec<(&'static str, String)>,
}

pub(super) const PYTORCH: Framework = Framework {
    kind: "PyTorchJob",
    groups: "pytorchReplicaSpecs",
    operator: "pytorchjob-controller",
    container: "pytorch",
    port: ("pytorchjob-port", 23456),
    leaders: &["Master"],
    environment: pytorch_environment,
};
pub(super) const TENSORFLOW: Framework = Framework {
    kind: "TFJob",
    groups: "tfReplicaSpecs",
    operator: "tfjob-controller",
    container: "tensorflow",
    port: ("tfjob-port", 2222),
    leaders: &["Chief", "Master"],
    environment: tensorflow_environment,
};

/// A job, and how many pods its groups have.
pub(super) struct Job<'a> {
    object: &'a Value,
    framework: &'a Framework,
    key: &'a Key,
}

/// The pods of one group by what became of them.
#[derive(Default)]
struct Tally {
    active: i64,
    succeeded: i64,
    failed: i64,
    first_succeeded: bool,
}

pub(super) fn reconcile(world: &mut World, cluster: &str, key: &Key, framework: &Framework) {
    let now = clock::stamp(world.now);
    let Some(member) = world.members.get_mut(cluster) else { return };
    let Some(object) = member.api.get(key).cloned() else { return };
    if is_terminating(&object) {
        return;
    }
    let job = Job { object: &object, framework, key };
    if ended(&object, &["Succeeded", "Failed"]) {
        job.clean_up(&mut member.api);
        return;
    }
    if flag(&object, "/spec/runPolicy/suspend") {
        job.hold(&mut member.api, &now);
        return;
    }
    let late = int(&object, "/spec/runPolicy/activeDeadlineSeconds").is_some_and(|seconds| {
        let usual = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        world.has_been(cluster, key, meta(&object, "uid"), "active", usual)
    });
    let Some(member) = world.members.get_mut(cluster) else { return };
    let mut statuses = Map::new();
    let mut tallies = Vec::new();
    for (role, group) in job.groups() {
        let tally = job.run_group(&mut member.api, role, group);
        statuses.insert(
            role.clone(),
            json!({ "active": tally.active, "succeeded": tally.succeeded, "failed": tally.failed }),
        );
        tallies.push((role.as_str(), group, tally));
    }
    let verdict = job.verdict(&tallies, late);
    member.api.edit(key, |object| {
        js::set(object, &["status", "replicaStatuses"], statuses);
        if object.at(&["status", "startTime"]).is_null() {
            js::set(object, &["status", "startTime"], now.as_str());
        }
        let say = |object: &mut Value, kind: &str, status: &str, reason: &str, message: &str| {
            let reason = format!("{}{reason}", framework.kind);
            let message = format!("{} {} {message}", framework.kind, key.name);
            add_condition(object, kind, status, &reason, &message, &now);
        };
        say(object, "Created", "True", "Created", "is created.");
        if condition_is_true(object, "/status/conditions", "Suspended") {
            say(object, "Suspended", "False", "Resumed", "is resumed.");
        }
        match verdict {
            Verdict::Waits => {}
            Verdict::Runs => say(object, "Running", "True", "Running", "is running."),
            Verdict::Succeeded => {
                say(object, "Running", "False", "Succeeded", "successfully completed.");
                say(object, "Succeeded", "True", "Succeeded", "successfully completed.");
            }
            Verdict::Failed(ref why) => {
                let why = format!("has failed because {why}.");
                say(object, "Running", "False", "Failed", &why);
                say(object, "Failed", "True", "Failed", &why);
            }
        }
        if matches!(verdict, Verdict::Succeeded | Verdict::Failed(_)) {
            js::set(object, &["status", "completionTime"], now.as_str());
        }
    });
}

enum Verdict {
    Waits,
    Runs,
    Succeeded,
    Failed(String),
}

impl Job<'_> {
    fn groups(&self) -> impl Iterator<Item = (&String, &Value)> {
        let groups = self.object.at(&["spec", self.framework.groups]);
        groups.as_object().into_iter().flatten()
    }

    fn count(&self, role: &str) -> i64 {
        self.groups()
            .find(|(name, _)| *name == role)
            .map_or(0, |(_, group)| int(group, "/replicas").unwrap_or(1))
    }

    fn total(&self) -> i64 {
        self.groups().map(|(role, _)| self.count(role)).sum()
    }

    /// Whether the end of this group is the end of the job.
    fn leads(&self, role: &str) -> bool {
        let has_leader = self.groups().any(|(name, _)| self.is_leader(name));
        if has_leader { self.is_leader(role) } else { role == "Worker" }
    }

    fn is_leader(&self, role: &str) -> bool {
        self.framework.leaders.contains(&role)
    }

    fn run_group(&self, api: &mut Api, role: &str, group: &Value) -> Tally {
        let mut tally = Tally::default();
        for at in 0..self.count(role) {
            let name = self.pod_name(role, at);
            api.ensure(&POD, &self.key.namespace, self.pod(role, group, at));
            let pod = api.find(&POD, &self.key.namespace, &name);
            match pod.map_or("", |pod| text(pod, "/status/phase")) {
                "Running" => tally.active += 1,
                "Failed" => tally.failed += 1,
                "Succeeded" => {
                    tally.succeeded += 1;
                    tally.first_succeeded |= at == 0;
                }
                _ => {}
            }
        }
        tally
    }

    fn verdict(&self, tallies: &[(&str, &Value, Tally)], late: bool) -> Verdict {
        if late {
            return Verdict::Failed("it was active longer than specified deadline".to_owned());
        }
        if let Some((role, _, tally)) = tallies.iter().find(|(_, _, tally)| tally.failed > 0) {
            return Verdict::Failed(format!("{} {role} replica(s) failed", tally.failed));
        }
        let all_workers = text(self.object, "/spec/successPolicy") == "AllWorkers";
        for (role, _, tally) in tallies.iter().filter(|(role, _, _)| self.leads(role)) {
            // A TFJob without a chief is over with its first worker, unless told otherwise.
            let early = self.framework.kind == "TFJob" && !all_workers && tally.first_succeeded;
            if tally.succeeded == self.count(role) || early {
                return Verdict::Succeeded;
            }
            if tally.active > 0 {
                return Verdict::Runs;
            }
        }
        Verdict::Waits
    }

    fn pod_name(&self, role: &str, at: i64) -> String {
        format!("{}-{}-{at}", self.key.name, role.to_lowercase())
    }

    fn pod(&self, role: &str, group: &Value, at: i64) -> Value {
        let (lower, index) = (role.to_lowercase(), at.to_string());
        let mut labels = vec![
            ("training.kubeflow.org/job-name", self.key.name.as_str()),
            ("training.kubeflow.org/replica-type", lower.as_str()),
            ("training.kubeflow.org/replica-index", index.as_str()),
            ("training.kubeflow.org/operator-name", self.framework.operator),
        ];
        if self.leads(role) && at == 0 {
            labels.push(("training.kubeflow.org/job-role", "master"));
        }
        let name = self.pod_name(role, at);
        let mut pod = pod_from(self.object, group.at(&["template"]), &name, &labels);
        pass_on(self.object, &mut pod);
        if role == "PS" {
            mark(&mut pod, ROLE, "service");
        }
        let mut containers = list(&pod, "/spec/containers").to_vec();
        let own = containers
            .iter_mut()
            .find(|container| text(container, "/name") == self.framework.container);
        if let Some(container) = own {
            let mut env = list(container, "/env").to_vec();
            let added = (self.framework.environment)(self, role, at);
            env.extend(
                added.into_iter().map(|(name, value)| json!({ "name": name, "value": value })),
            );
            js::set(container, &["env"], env);
        }
        js::set(&mut pod, &["spec", "containers"], containers);
        // The restart policy of the group is that of its pods.
        js::set(&mut pod, &["spec", "restartPolicy"], text(group, "/restartPolicy"));
        pod
    }

    /// The port by which the group's pods are reached.
    fn port(&self, role: &str) -> i64 {
        let group = self.groups().find(|(name, _)| *name == role).map(|(_, group)| group);
        let containers = group.map_or(&[][..], |group| list(group, "/template/spec/containers"));
        let ports = containers
            .iter()
            .filter(|container| text(container, "/name") == self.framework.container)
            .flat_map(|container| list(container, "/ports"));
        let mut named = ports.filter(|port| text(port, "/name") == self.framework.port.0);
        let found = named.next().and_then(|port| int(port, "/containerPort"));
        found.unwrap_or(self.framework.port.1)
    }

    /// Ends every pod; the job starts anew when it goes on.
    fn hold(&self, api: &mut Api, now: &str) {
        for pod in api.owned_of(meta(self.object, "uid"), &POD) {
            api.discard(&Key::of(&POD, &pod));
        }
        let Framework { kind, .. } = self.framework;
        let message = format!("{kind} {} is suspended.", self.key.name);
        api.edit(self.key, |object| {
            js::set(object, &["status", "replicaStatuses"], json!({}));
            js::remove(object, &["status", "startTime"]);
            if condition_is_true(object, "/status/conditions", "Running") {
                let reason = format!("{kind}Suspended");
                add_condition(object, "Running", "False", &reason, &message, now);
            }
            add_condition(object, "Suspended", "True", &format!("{kind}Suspended"), &message, now);
        });
    }

    /// What `cleanPodPolicy` says about the pods of a job that is over.
    fn clean_up(&self, api: &mut Api) {
        let policy = text(self.object, "/spec/runPolicy/cleanPodPolicy");
        for pod in api.owned_of(meta(self.object, "uid"), &POD) {
            let runs = matches!(text(&pod, "/status/phase"), "Pending" | "Running");
            if policy == "All" || policy == "Running" && runs {
                api.discard(&Key::of(&POD, &pod));
            }
        }
    }
}

fn pytorch_environment(job: &Job<'_>, role: &str, at: i64) -> Vec<(&'static str, String)> {
    let processes = text(job.object, "/spec/nprocPerNode");
    let processes = if processes.is_empty() { "1" } else { processes };
    let each: i64 = processes.parse().unwrap_or(1);
    let rank = (if role == "Worker" { at + 1 } else { at }).to_string();
    let (port, host) = (job.port("Master").to_string(), job.pod_name("Master", 0));
    vec![
        ("PYTHONUNBUFFERED", "1".to_owned()),
        ("MASTER_PORT", port.clone()),
        ("PET_MASTER_PORT", port),
        ("MASTER_ADDR", host.clone()),
        ("PET_MASTER_ADDR", host),
        ("WORLD_SIZE", (job.total() * each).to_string()),
        ("RANK", rank.clone()),
        ("PET_NPROC_PER_NODE", processes.to_owned()),
        ("PET_NODE_RANK", rank),
        ("PET_NNODES", job.total().to_string()),
    ]
}

fn tensorflow_environment(job: &Job<'_>, role: &str, at: i64) -> Vec<(&'static str, String)> {
    if job.total() < 2 {
        return Vec::new();
    }
    let mut cluster = Map::new();
    for (role, _) in job.groups() {
        let addresses: Vec<String> = (0..job.count(role))
            .map(|at| {
                let host = job.pod_name(role, at);
                format!("{host}.{}.svc:{}", job.key.namespace, job.port(role))
            })
            .collect();
        cluster.insert(role.to_lowercase(), json!(addresses));
    }
    let task = json!({ "type": role.to_lowercase(), "index": at });
    let config = json!({ "cluster": cluster, "task": task, "environment": "cloud" });
    vec![("TF_CONFIG", config.to_string())]
}
