//! The sandbox as its users meet it: an unmodified `kube` client on one side, the test handle on
//! the other. Stepped tests never sleep.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and every file here needs the same few helpers"
)]

mod api_server;
mod deployments;
mod interpreters;
mod kubeflow;
mod outages;
mod propagation;
mod workloads;

use std::time::Duration;

use futures_util::{AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Pod},
};
use karmada_sandbox::{ClusterConfig, Config, Sandbox};
use kube::{
    Api, Client,
    api::{
        ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, LogParams, Patch,
        PatchParams, PostParams, Preconditions, WatchEvent, WatchParams,
    },
    discovery::Discovery,
    runtime::watcher,
};
use serde_json::{Value, json};

const NS: &str = "team";
const RAY: &str = "ray.io/v1";
const BINDING: &str = "work.karmada.io/v1alpha2";
const WORK: &str = "work.karmada.io/v1alpha1";
const CLUSTER: &str = "cluster.karmada.io/v1alpha1";

fn client_at(url: &str) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = kube::Config::new(url.parse().unwrap());
    NS.clone_into(&mut config.default_namespace);
    Client::try_from(config).unwrap()
}

fn member_client(sandbox: &Sandbox, cluster: &str) -> Client {
    client_at(&format!("{}/apis/{CLUSTER}/clusters/{cluster}/proxy", sandbox.url()))
}

async fn stepped() -> (Sandbox, Client) {
    let sandbox = Sandbox::start(Config::stepped()).await.unwrap();
    let client = client_at(&sandbox.url());
    create_namespace(&client).await;
    sandbox.settle().await;
    (sandbox, client)
}

async fn create_namespace(client: &Client) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": NS}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
}

fn dynamic(client: &Client, api_version: &str, kind: &str) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let plural = match kind {
        "PropagationPolicy" => "propagationpolicies".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    };
    let gvk = GroupVersionKind::gvk(group, version, kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, &plural);
    if kind == "Cluster" {
        return Api::all_with(client.clone(), &resource);
    }
    Api::namespaced_with(client.clone(), NS, &resource)
}

fn rayjobs(client: &Client) -> Api<DynamicObject> {
    dynamic(client, RAY, "RayJob")
}

fn policies(client: &Client) -> Api<DynamicObject> {
    dynamic(client, "policy.karmada.io/v1alpha1", "PropagationPolicy")
}

fn deployments(client: &Client) -> Api<DynamicObject> {
    dynamic(client, "apps/v1", "Deployment")
}

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

fn rayjob(name: &str, annotations: Value, spec: Value) -> DynamicObject {
    let container = |name: &str| json!({"name": name, "image": "ray", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}});
    let mut body = json!({
        "apiVersion": RAY, "kind": "RayJob",
        "metadata": {"name": name, "namespace": NS, "annotations": annotations},
        "spec": {
            "entrypoint": "python train.py", "shutdownAfterJobFinishes": true,
            "rayClusterSpec": {
                "headGroupSpec": {"rayStartParams": {}, "template": {"spec": {"containers": [container("ray-head")]}}},
                "workerGroupSpecs": [{"groupName": "workers", "replicas": 2, "rayStartParams": {},
                    "template": {"spec": {"containers": [container("ray-worker")]}}}],
            },
        },
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        body["spec"][key] = value.clone();
    }
    object(body)
}

fn policy(name: &str, kind: (&str, &str), target: &str, spec: Value) -> DynamicObject {
    let mut body = json!({
        "apiVersion": "policy.karmada.io/v1alpha1", "kind": "PropagationPolicy",
        "metadata": {"name": name, "namespace": NS},
        "spec": {
            "resourceSelectors": [{"apiVersion": kind.0, "kind": kind.1, "name": target}],
            "placement": {"clusterAffinity": {"clusterNames": ["member1"]}},
        },
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        body["spec"][key] = value.clone();
    }
    object(body)
}

async fn submit(client: &Client, job: DynamicObject, spec: Value) {
    let name = job.metadata.name.clone().unwrap();
    let policy = policy(&name, (RAY, "RayJob"), &name, spec);
    policies(client).create(&PostParams::default(), &policy).await.unwrap();
    rayjobs(client).create(&PostParams::default(), &job).await.unwrap();
}

fn words(sandbox: &Sandbox, cluster: Option<&str>, name: &str) -> (String, String) {
    let job = sandbox.get(cluster, RAY, "RayJob", NS, name).unwrap_or_default();
    let word = |field: &str| job["status"][field].as_str().unwrap_or_default().to_owned();
    (word("jobDeploymentStatus"), word("jobStatus"))
}

fn binding(sandbox: &Sandbox, name: &str) -> Value {
    sandbox.get(None, BINDING, "ResourceBinding", NS, &format!("{name}-rayjob")).unwrap_or_default()
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let all = object["status"]["conditions"].as_array().unwrap();
    all.iter().find(|one| one["type"] == kind).unwrap()
}

fn status_of(error: kube::Error) -> kube::core::Status {
    match error {
        kube::Error::Api(status) => *status,
        other => panic!("not an API error: {other}"),
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
