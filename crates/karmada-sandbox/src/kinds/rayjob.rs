//! KubeRay's RayJob controller of a member.
//!
//! ```text
//! "" -> Initializing -> Running/PENDING -> Running/RUNNING -> Complete/SUCCEEDED
//!          |                 |                  |-> Failed/FAILED (-> Retrying -> "")
//!          |-> Suspending -> Suspended          `-> Failed/DeadlineExceeded
//! ```

use std::time::Duration;

use serde_json::{Value, json};

use super::{DURATION, OUTCOME, ROLE, duration, mark, outcome, owner_reference, pod};
use crate::json::Tree as _;
use crate::{
    clock,
    json::{self as js, annotation, flag, has_finalizer, int, is_terminating, list, meta, text},
    objects::{
        Key,
        resources::{JOB, POD, RAY_CLUSTER},
    },
    sim::World,
};

const FINALIZER: &str = "ray.io/rayjob-finalizer";
/// KubeRay refuses longer names: it derives longer ones from them.
const LONGEST_NAME: usize = 47;
/// From the submission of the driver to its first line.
const SUBMISSION: Duration = Duration::from_millis(700);
/// From a failed attempt to the next.
const RETRY: Duration = Duration::from_millis(500);

struct Job<'a> {
    cluster: &'a str,
    key: &'a Key,
    object: &'a Value,
    uid: String,
}

pub(super) fn reconcile(world: &mut World, cluster: &str, key: &Key) {
    let Some(member) = world.members.get_mut(cluster) else { return };
    let Some(object) = member.api.get(key).cloned() else { return };
    if is_terminating(&object) {
        member.api.edit(key, |job| js::remove_finalizer(job, FINALIZER));
        return;
    }
    if !has_finalizer(&object, FINALIZER) {
        member.api.edit(key, |job| js::add_finalizer(job, FINALIZER));
        return;
    }
    let job = Job { cluster, key, object: &object, uid: meta(&object, "uid").to_owned() };
    let suspend = flag(&object, "/spec/suspend");
    let phase = text(&object, "/status/jobDeploymentStatus");
    if matches!(phase, "Initializing" | "Running") {
        if suspend {
            job.set(world, json!({ "jobDeploymentStatus": "Suspending" }));
            return;
        }
        if let Some(reason) = job.overdue(world, phase) {
            let message = format!("The RayJob has passed its deadline: {reason}");
            job.end(world, "Failed", "", Some((reason, &message)));
            return;
        }
    }
    match phase {
        "" => job.begin(world, suspend),
        "Initializing" => job.initialize(world),
        "Running" => job.run(world),
        "Retrying" => {
            job.tear_down(world);
            if world.has_been(cluster, key, &job.uid, "retrying", RETRY) {
                job.begin(world, suspend);
            }
        }
        "Suspending" => {
            job.tear_down(world);
            job.set(
                world,
                json!({
                    "jobDeploymentStatus": "Suspended", "jobStatus": "", "jobId": "",
                    "rayClusterName": "", "dashboardURL": "", "rayClusterStatus": {}, "reason": "",
                    "message": "", "startTime": null, "endTime": null,
                }),
            );
        }
        "Suspended" if !suspend => job.set(world, json!({ "jobDeploymentStatus": "" })),
        "Complete" | "Failed" => job.clean_up(world),
        _ => {}
    }
}

impl Job<'_> {
    /// Merges into the status.
    fn set(&self, world: &mut World, status: Value) {
        let Some(member) = world.members.get_mut(self.cluster) else { return };
        member.api.edit(self.key, |job| {
            let mut merged = job.at(&["status"]).clone();
            crate::objects::patch::merge(&mut merged, &status);
            js::set(
                &mut merged,
                &["observedGeneration"],
                job.at(&["metadata", "generation"]).clone(),
            );
            js::set(job, &["status"], merged);
        });
    }

    fn ray_cluster(&self) -> Key {
        Key::new(&RAY_CLUSTER, &self.key.namespace, text(self.object, "/status/rayClusterName"))
    }

    fn attempt(&self) -> i64 {
        int(self.object, "/status/failed").unwrap_or_default()
    }

    fn overdue(&self, world: &mut World, phase: &str) -> Option<&'static str> {
        let limits = [
            ("/spec/activeDeadlineSeconds", "DeadlineExceeded", true),
            (
                "/spec/preRunningDeadlineSeconds",
                "PreRunningDeadlineExceeded",
                phase == "Initializing",
            ),
        ];
        for (field, reason, applies) in limits {
            let Some(seconds) = int(self.object, field).filter(|_| applies) else { continue };
            let usual = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
            // Measured from the first start, so not a stage: its own entry in the memory.
            let memory = format!("{}/{reason}", self.uid);
            if world.has_been(self.cluster, self.key, &memory, "active", usual) {
                return Some(reason);
            }
        }
        None
    }

    fn begin(&self, world: &mut World, suspend: bool) {
        let name = self.key.name.as_str();
        if name.len() > LONGEST_NAME {
            let message = format!("RayJob name should be no more than {LONGEST_NAME} characters");
            self.refuse(world, &message);
            return;
        }
        if !self.object.at(&["spec", "rayClusterSpec"]).is_object() {
            self.refuse(world, "one of RayClusterSpec or ClusterSelector must be set");
            return;
        }
        if suspend {
            self.set(world, json!({ "jobDeploymentStatus": "Suspended", "jobStatus": "" }));
            return;
        }
        let now = clock::stamp(world.now);
        let Some(member) = world.members.get_mut(self.cluster) else { return };
        let cluster_name = format!("{name}-{}", member.api.ids.suffix());
        let fixed = text(self.object, "/spec/jobId").to_owned();
        let id =
            if fixed.is_empty() { format!("{name}-{}", member.api.ids.suffix()) } else { fixed };
        let mut ray = json!({
            "metadata": {
                "name": cluster_name, "ownerReferences": owner_reference(self.object),
                "labels": self.object.at(&["metadata", "labels"]),
                "annotations": self.object.at(&["metadata", "annotations"]),
            },
            "spec": self.object.at(&["spec", "rayClusterSpec"]),
        });
        for (key, value) in
            [("ray.io/originated-from-cr-name", name), ("ray.io/originated-from-crd", "RayJob")]
        {
            js::set(&mut ray, &["metadata", "labels", key], value);
        }
        js::remove(&mut ray, &["metadata", "annotations", DURATION]);
        mark(&mut ray, OUTCOME, outcome(self.object, self.attempt()));
        member.api.ensure(&RAY_CLUSTER, &self.key.namespace, ray);
        let started = self.object.at(&["status", "startTime"]).as_str().unwrap_or(&now).to_owned();
        self.set(
            world,
            json!({
                "jobDeploymentStatus": "Initializing", "jobStatus": "", "jobId": id,
                "rayClusterName": cluster_name, "startTime": started, "endTime": null,
                "reason": null, "message": null, "dashboardURL": null,
            }),
        );
    }

    fn refuse(&self, world: &mut World, message: &str) {
        self.set(
            world,
            json!({
                "jobDeploymentStatus": "ValidationFailed", "reason": "ValidationFailed",
                "message": message,
            }),
        );
    }

    fn copy_cluster_status(&self, world: &mut World) -> Option<Value> {
        let ray = world.members.get(self.cluster)?.api.get(&self.ray_cluster()).cloned()?;
        let status = ray.get("status")?.clone();
        self.set(world, json!({ "rayClusterStatus": status }));
        Some(status)
    }

    fn initialize(&self, world: &mut World) {
        let Some(status) = self.copy_cluster_status(world) else { return };
        if text(&status, "/state") != "ready" {
            return;
        }
        let name = self.key.name.as_str();
        let head = self.object.at(&["spec", "rayClusterSpec", "headGroupSpec", "template", "spec"]);
        let mut template = self.object.at(&["spec", "submitterPodTemplate"]).clone();
        if !template.at(&["spec"]).is_object() {
            let entrypoint = text(self.object, "/spec/entrypoint");
            template = json!({ "spec": {
                "restartPolicy": "Never",
                "containers": [{
                    "name": "ray-job-submitter", "image": head.at(&["containers", "0", "image"]),
                    "command": ["/bin/bash", "-ce"],
                    "args": [format!("ray job submit -- {entrypoint}")],
                    "resources": { "requests": { "cpu": "500m", "memory": "200Mi" } },
                }],
            } });
        }
        for (key, value) in [
            ("ray.io/originated-from-cr-name", name),
            ("ray.io/originated-from-crd", "RayJob"),
            ("app.kubernetes.io/created-by", "kuberay-operator"),
        ] {
            js::set(&mut template, &["metadata", "labels", key], value);
        }
        let mode = text(self.object, "/spec/submissionMode");
        if mode.is_empty() || mode == "K8sJobMode" {
            let mut submitter = json!({
                "metadata": {
                    "name": name, "ownerReferences": owner_reference(self.object),
                    "labels": template.at(&["metadata", "labels"]),
                },
                "spec": { "backoffLimit": 2, "template": template },
            });
            mark(&mut submitter, ROLE, "submitter");
            if let Some(member) = world.members.get_mut(self.cluster) {
                member.api.ensure(&JOB, &self.key.namespace, submitter);
            }
        }
        let service = text(&status, "/head/serviceName");
        self.set(
            world,
            json!({
                "jobDeploymentStatus": "Running", "jobStatus": "PENDING",
                "dashboardURL": format!("{service}.{}.svc.cluster.local:8265", self.key.namespace),
            }),
        );
    }

    fn run(&self, world: &mut World) {
        self.copy_cluster_status(world);
        if text(self.object, "/status/jobStatus") != "RUNNING" {
            if world.has_been(self.cluster, self.key, &self.uid, "submitted", SUBMISSION) {
                let now = clock::stamp(world.now);
                self.set(
                    world,
                    json!({
                        "jobStatus": "RUNNING", "rayJobInfo": { "startTime": now },
                    }),
                );
            }
            return;
        }
        let outcome = outcome(self.object, self.attempt());
        let stage = format!("computing {}", self.attempt());
        let computed =
            world.has_been(self.cluster, self.key, &self.uid, &stage, duration(self.object));
        if outcome == "hang" || !computed {
            return;
        }
        match outcome {
            "fail" => {
                let message = "Job entrypoint command failed with exit code 1, last available logs (truncated to 20,000 chars):\nRuntimeError: training failed";
                self.end(world, "Failed", "FAILED", Some(("AppFailed", message)));
            }
            "oom" => {
                self.kill_a_worker(world);
                let message = "Job entrypoint command failed with exit code 1, last available logs (truncated to 20,000 chars):\nray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.";
                self.end(world, "Failed", "FAILED", Some(("AppFailed", message)));
            }
            _ => self.end(world, "Complete", "SUCCEEDED", None),
        }
    }

    fn kill_a_worker(&self, world: &mut World) {
        let Some(member) = world.members.get_mut(self.cluster) else { return };
        let Some(ray) = member.api.get(&self.ray_cluster()).cloned() else { return };
        let pods = member.api.owned_of(meta(&ray, "uid"), &POD);
        let worker = pods.iter().find(|pod| js::label(pod, "ray.io/node-type") == Some("worker"));
        if let Some(victim) = worker.or(pods.first()) {
            pod::finish(&mut member.api, &Key::of(&POD, victim), 137);
        }
    }

    /// Ends an attempt, and the job unless a retry is left.
    fn end(&self, world: &mut World, phase: &str, status: &str, why: Option<(&str, &str)>) {
        let now = clock::stamp(world.now);
        let failed = phase == "Failed";
        let mut counts = self.attempt();
        if failed {
            counts += 1;
        }
        let deadline = why.is_some_and(|(reason, _)| reason.ends_with("DeadlineExceeded"));
        let limit = int(self.object, "/spec/backoffLimit").unwrap_or_default();
        let retry = failed && !deadline && counts <= limit;
        self.finish_submitter(world, i64::from(failed));
        let status =
            if status.is_empty() { text(self.object, "/status/jobStatus") } else { status };
        let (reason, message) = why.unzip();
        let message = message.or((!failed).then_some("Job finished successfully."));
        self.set(
            world,
            json!({
                "jobDeploymentStatus": if retry { "Retrying" } else { phase },
                "jobStatus": if retry { "" } else { status },
                "reason": reason, "message": message, "failed": counts,
                "succeeded": i64::from(!failed),
                "endTime": if retry { Value::Null } else { json!(now) },
                "rayJobInfo": if retry { Value::Null } else { json!({ "endTime": now }) },
            }),
        );
        if deadline {
            // KubeRay removes the cluster of a job that ran out of time at once.
            self.tear_down(world);
        }
    }

    fn finish_submitter(&self, world: &mut World, exit: i64) {
        let Some(member) = world.members.get_mut(self.cluster) else { return };
        let key = Key::new(&JOB, &self.key.namespace, &self.key.name);
        let Some(submitter) = member.api.get(&key).cloned() else { return };
        member.api.edit(&key, |job| js::set(job, &["spec", "backoffLimit"], 0));
        for found in member.api.owned_of(meta(&submitter, "uid"), &POD) {
            pod::finish(&mut member.api, &Key::of(&POD, &found), exit);
        }
    }

    fn tear_down(&self, world: &mut World) {
        let ray = self.ray_cluster();
        let Some(member) = world.members.get_mut(self.cluster) else { return };
        if member.api.get(&ray).is_some() {
            member.api.discard(&ray);
        }
        member.api.discard(&Key::new(&JOB, &self.key.namespace, &self.key.name));
    }

    /// After the end: the cluster goes if the user asked for it, the RayJob stays.
    fn clean_up(&self, world: &mut World) {
        if !flag(self.object, "/spec/shutdownAfterJobFinishes") {
            return;
        }
        let ttl = int(self.object, "/spec/ttlSecondsAfterFinished").unwrap_or_default();
        let usual = Duration::from_secs(u64::try_from(ttl).unwrap_or_default());
        if !world.has_been(self.cluster, self.key, &self.uid, "finished", usual) {
            return;
        }
        let ray = self.ray_cluster();
        if let Some(member) = world.members.get_mut(self.cluster)
            && member.api.get(&ray).is_some_and(|found| !is_terminating(found))
        {
            member.api.discard(&ray);
        }
    }
}

/// Names the pods a log reader may want; the driver's output is in the submitter and the head.
pub(super) fn is_driver(pod: &Value) -> bool {
    annotation(pod, ROLE) == Some("submitter") || list(pod, "/metadata/ownerReferences").is_empty()
}
