//! A sandbox with a client, and the objects of a job.

use std::sync::Arc;
use std::time::Duration;

use karmada_client::{Config, KarmadaClient, connect};
use karmada_sandbox::Sandbox;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use training::clock::{Clock, SystemClock};
use training::manifest::ObjectRef;
use training::ports::{ControlPlane, Remaining, Removal, Write, WriteOrder};
use training::{ClusterName, JobId};

pub(crate) const ORIGIN: &str = "0d5a-origin";
pub(crate) const TIMEOUT: Duration = Duration::from_millis(700);

pub(crate) struct Harness {
    pub(crate) sandbox: Sandbox,
    pub(crate) client: Arc<KarmadaClient>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// A client of whatever the kubeconfig names.
pub(crate) async fn client_of(
    kubeconfig: &str,
    poll_interval: Duration,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Arc<KarmadaClient> {
    client_by(Arc::new(SystemClock), kubeconfig, poll_interval, tasks, stop).await
}

/// The same on a machine with this clock.
pub(crate) async fn client_by(
    clock: Arc<dyn Clock>,
    kubeconfig: &str,
    poll_interval: Duration,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Arc<KarmadaClient> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kubeconfig");
    std::fs::write(&path, kubeconfig).unwrap();
    let config = Config {
        kubeconfig: path,
        context: None,
        call_timeout: TIMEOUT,
        poll_interval,
        field_manager: "trainyard".to_owned(),
        origin: ORIGIN.to_owned(),
        gpu_resources: vec!["nvidia.com/gpu".to_owned()],
    };
    connect(config, clock, tasks, stop.clone()).await.unwrap()
}

impl Harness {
    pub(crate) async fn start() -> Self {
        Self::start_polling(Duration::from_mins(1)).await
    }

    pub(crate) async fn start_polling(poll_interval: Duration) -> Self {
        let sandbox = Sandbox::start(karmada_sandbox::Config::stepped()).await.unwrap();
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let client = client_of(&sandbox.kubeconfig(), poll_interval, &tasks, &stop).await;
        let harness = Self { sandbox, client, tasks, stop };
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}});
        harness.sandbox.create(None, namespace).unwrap();
        harness.sandbox.settle().await;
        until("the watches work", async || harness.client.watch_healthy()).await;
        harness
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(Duration::from_secs(5), self.tasks.wait()).await.unwrap();
        self.sandbox.stop().await;
    }

    /// Writes policy and workload of a job, lets Karmada act, and returns the workload's uid.
    pub(crate) async fn submit(&self, job: &str) -> String {
        let orders = [policy(job, &ray_job(job).1, false), order(ray_job(job).0, Write::Create)];
        let uids = self.client.write(&id(job), &orders).await.unwrap();
        self.sandbox.step(Duration::from_secs(5)).await;
        uids[1].clone()
    }

    /// A client that has not asked for anything yet, as after a start of the host.
    pub(crate) async fn fresh_client(&self) -> Arc<KarmadaClient> {
        let poll_interval = Duration::from_millis(1);
        client_of(&self.sandbox.kubeconfig(), poll_interval, &self.tasks, &self.stop).await
    }

    pub(crate) async fn remove(&self, job: &str, object: &ObjectRef) -> Vec<Remaining> {
        self.client.remove(&removal(job, object)).await.unwrap()
    }

    /// Repeats the removal until nothing is left.
    pub(crate) async fn remove_wholly(&self, job: &str, object: &ObjectRef) {
        for _ in 0..20 {
            if self.remove(job, object).await.is_empty() {
                return;
            }
            self.sandbox.step(Duration::from_secs(5)).await;
        }
        panic!("{object} is still there: {:?}", self.remove(job, object).await);
    }

    pub(crate) fn get(&self, cluster: Option<&str>, object: &ObjectRef) -> Option<Value> {
        let ObjectRef { api_version, kind, namespace, name } = object;
        self.sandbox.get(cluster, api_version, kind, namespace, name)
    }
}

/// The order to remove an object of a job, which ran on the first member.
pub(crate) fn removal(job: &str, object: &ObjectRef) -> Removal {
    let clusters = vec![ClusterName::parse("member1").unwrap()];
    Removal { object: object.clone(), job_id: id(job), shared: false, clusters }
}

/// Waits for a state, at most ten seconds.
pub(crate) async fn until(what: &str, state: impl AsyncFn() -> bool) {
    for _ in 0..500 {
        if state().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never came true: {what}");
}

pub(crate) fn id(job: &str) -> JobId {
    JobId::parse(format!("{job}-00000001")).unwrap()
}

pub(crate) fn order(document: Value, write: Write) -> WriteOrder {
    WriteOrder { document, write }
}

pub(crate) fn labels(job: &str) -> Value {
    json!({"app": job, "training-job-id": id(job).as_str(), "trainyard.dev/origin": ORIGIN})
}

fn at(api_version: &str, kind: &str, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: "team".to_owned(),
        name: name.to_owned(),
    }
}

pub(crate) fn ray_job(job: &str) -> (Value, ObjectRef) {
    let template = json!({"spec": {"containers": [{"name": "c", "image": "i"}]}});
    let document = json!({
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": job, "namespace": "team", "labels": labels(job)},
        "spec": {
            "entrypoint": "python train.py",
            "rayClusterSpec": {
                "headGroupSpec": {"rayStartParams": {}, "template": template},
                "workerGroupSpecs": [{"groupName": "w", "replicas": 1, "rayStartParams": {},
                    "template": template}],
            },
        },
    });
    (document, at("ray.io/v1", "RayJob", job))
}

pub(crate) fn volume(job: &str) -> (Value, ObjectRef) {
    let document = json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": job, "namespace": "team", "labels": labels(job)},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    (document, at("v1", "PersistentVolumeClaim", job))
}

pub(crate) fn policy_ref(job: &str) -> ObjectRef {
    at("policy.karmada.io/v1alpha1", "PropagationPolicy", &format!("{job}-propagation"))
}

pub(crate) fn policy(job: &str, object: &ObjectRef, preserve: bool) -> WriteOrder {
    let name = policy_ref(job).name;
    let mut document = json!({
        "apiVersion": "policy.karmada.io/v1alpha1",
        "kind": "PropagationPolicy",
        "metadata": {"name": name, "namespace": "team", "labels": labels(job)},
        "spec": {
            "resourceSelectors": [{"apiVersion": object.api_version, "kind": object.kind,
                "namespace": "team", "name": object.name}],
            "conflictResolution": "Abort",
            "placement": {
                "clusterAffinity": {"clusterNames": ["member1"]},
                "replicaScheduling": {"replicaSchedulingType": "Duplicated"},
            },
        },
    });
    if preserve {
        document["spec"]["preserveResourcesOnDeletion"] = json!(true);
    }
    order(document, Write::Apply)
}
