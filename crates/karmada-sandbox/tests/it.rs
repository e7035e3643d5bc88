//! The sandbox as its users meet it: an unmodified `kube` client on one side, the test handle on
//! the other. Stepped tests never sleep.

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
    config.default_namespace = NS.to_owned();
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

#[tokio::test]
async fn discovery_lists_every_group() {
    let (_sandbox, client) = stepped().await;
    let plain = Discovery::new(client.clone()).run().await.unwrap();
    let aggregated = Discovery::new(client.clone()).run_aggregated().await.unwrap();
    for discovery in [plain, aggregated] {
        for group in ["ray.io", "work.karmada.io", "policy.karmada.io", "batch", "apps"] {
            assert!(discovery.has_group(group), "{group}");
        }
        let gvk = GroupVersionKind::gvk("ray.io", "v1", "RayJob");
        assert_eq!(discovery.resolve_gvk(&gvk).unwrap().0.plural, "rayjobs");
    }
    assert_eq!(client.apiserver_version().await.unwrap().major, "1");
}

#[tokio::test]
async fn create_twice_is_already_exists_and_stale_update_is_conflict() {
    let (_sandbox, client) = stepped().await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NS);
    let map: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "a"}, "data": {"k": "1"}})).unwrap();
    let first = maps.create(&PostParams::default(), &map).await.unwrap();
    let error = status_of(maps.create(&PostParams::default(), &map).await.unwrap_err());
    assert_eq!((error.code, error.reason.as_str()), (409, "AlreadyExists"));

    let merge = json!({"data": {"k": "2"}});
    maps.patch("a", &PatchParams::default(), &Patch::Merge(merge)).await.unwrap();
    let error = status_of(maps.replace("a", &PostParams::default(), &first).await.unwrap_err());
    assert_eq!((error.code, error.reason.as_str()), (409, "Conflict"));

    let elsewhere: Api<ConfigMap> = Api::namespaced(client.clone(), "nowhere");
    let error = status_of(elsewhere.create(&PostParams::default(), &map).await.unwrap_err());
    assert_eq!((error.code, error.message.as_str()), (404, "namespaces \"nowhere\" not found"));
    let error = status_of(maps.get("b").await.unwrap_err());
    assert_eq!((error.code, error.message.as_str()), (404, "configmaps \"b\" not found"));
    let unknown = dynamic(&client, "nothing.example/v1", "Thing");
    let error = status_of(unknown.get("x").await.unwrap_err());
    assert_eq!(error.code, 404);
    assert!(error.message.contains("404 page not found"), "{error:?}");
}

#[tokio::test]
async fn dry_run_and_generated_names() {
    let (sandbox, client) = stepped().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, NS);
    let map: ConfigMap =
        serde_json::from_value(json!({"metadata": {"generateName": "gen-"}})).unwrap();
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    maps.create(&dry, &map).await.unwrap();
    assert!(sandbox.list(None, "v1", "ConfigMap").is_empty());
    let name = maps.create(&PostParams::default(), &map).await.unwrap().metadata.name.unwrap();
    assert!(name.starts_with("gen-") && name.len() == 9, "{name}");
}

#[tokio::test]
async fn apply_owns_fields_per_manager() {
    let (_sandbox, client) = stepped().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, NS);
    let body = |data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data});
    let apply = async |manager: &str, force: bool, data: Value| {
        let mut params = PatchParams::apply(manager);
        params.force = force;
        maps.patch("a", &params, &Patch::Apply(body(data))).await
    };
    let first = apply("one", false, json!({"x": "1", "y": "1"})).await.unwrap();
    let again = apply("one", false, json!({"x": "1", "y": "1"})).await.unwrap();
    assert_eq!(first.metadata.resource_version, again.metadata.resource_version);

    let error = status_of(apply("two", false, json!({"x": "2"})).await.unwrap_err());
    assert_eq!((error.code, error.reason.as_str()), (409, "Conflict"));
    let cause = &error.details.unwrap().causes[0];
    assert_eq!((cause.reason.as_str(), cause.field.as_str()), ("FieldManagerConflict", ".data.x"));

    apply("two", true, json!({"x": "2", "z": "2"})).await.unwrap();
    // `one` no longer owns x; giving up y removes it.
    let left = apply("one", true, json!({})).await.unwrap().data.unwrap();
    assert_eq!(left.into_iter().collect::<Vec<_>>(), [("x".into(), "2".into()), ("z".into(), "2".into())]);
}

#[tokio::test]
async fn apply_with_a_uid_does_not_resurrect() {
    let (_sandbox, client) = stepped().await;
    let jobs = rayjobs(&client);
    let mut job = rayjob("j", json!({}), json!({}));
    let created = jobs.create(&PostParams::default(), &job).await.unwrap();
    jobs.delete("j", &DeleteParams::default()).await.unwrap();
    job.metadata.uid = created.metadata.uid;
    let params = PatchParams::apply("svc").force();
    let error = status_of(jobs.patch("j", &params, &Patch::Apply(&job)).await.unwrap_err());
    assert_eq!(error.code, 409);
}

#[tokio::test]
async fn pages_are_one_snapshot() {
    let (sandbox, client) = stepped().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, NS);
    for number in 0..5 {
        let map = serde_json::from_value(json!({"metadata": {"name": format!("m{number}"), "labels": {"n": number.to_string()}}})).unwrap();
        maps.create(&PostParams::default(), &map).await.unwrap();
    }
    let first = maps.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(3));
    let token = first.metadata.continue_.clone().unwrap();
    maps.delete("m3", &DeleteParams::default()).await.unwrap();
    let rest = maps.list(&ListParams::default().limit(10).continue_token(&token)).await.unwrap();
    assert_eq!(rest.items.len(), 3, "m3 was there when the list began");
    assert_eq!(rest.metadata.resource_version, first.metadata.resource_version);
    let some = maps.list(&ListParams::default().labels("n in (0,1),n!=1")).await.unwrap();
    assert_eq!(some.items.len(), 1);
    sandbox.faults().expire_watches();
    let error = maps.list(&ListParams::default().limit(10).continue_token(&token)).await;
    assert_eq!(status_of(error.unwrap_err()).code, 410);
    let error = maps.list(&ListParams::default().fields("spec.x=1")).await;
    assert_eq!(status_of(error.unwrap_err()).code, 400);
}

#[tokio::test]
async fn finalizers_hold_and_preconditions_refuse() {
    let (_sandbox, client) = stepped().await;
    let jobs = rayjobs(&client);
    let mut job = rayjob("j", json!({}), json!({}));
    job.metadata.finalizers = Some(vec!["example.com/hold".to_owned()]);
    jobs.create(&PostParams::default(), &job).await.unwrap();
    let wrong = DeleteParams {
        preconditions: Some(Preconditions { uid: Some("other".into()), resource_version: None }),
        ..DeleteParams::default()
    };
    assert_eq!(status_of(jobs.delete("j", &wrong).await.unwrap_err()).code, 409);
    let held = jobs.delete("j", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert!(held.metadata.deletion_timestamp.is_some());
    assert_eq!(held.metadata.generation, Some(2));
    let more = json!({"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}});
    let error = jobs.patch("j", &PatchParams::default(), &Patch::Merge(more)).await.unwrap_err();
    assert_eq!(status_of(error).code, 422);
    let none = json!({"metadata": {"finalizers": null}});
    jobs.patch("j", &PatchParams::default(), &Patch::Merge(none)).await.unwrap();
    assert_eq!(status_of(jobs.get("j").await.unwrap_err()).code, 404);
}

#[tokio::test]
async fn status_and_spec_are_written_apart() {
    let (_sandbox, client) = stepped().await;
    let jobs = rayjobs(&client);
    jobs.create(&PostParams::default(), &rayjob("j", json!({}), json!({}))).await.unwrap();
    let both = json!({"spec": {"entrypoint": "b"}, "status": {"jobStatus": "RUNNING"}});
    let main =
        jobs.patch("j", &PatchParams::default(), &Patch::Merge(both.clone())).await.unwrap();
    assert_eq!((main.data["status"].clone(), main.metadata.generation), (Value::Null, Some(2)));
    let other = json!({"spec": {"entrypoint": "c"}, "status": {"jobStatus": "RUNNING"}});
    let sub = jobs.patch_status("j", &PatchParams::default(), &Patch::Merge(other)).await.unwrap();
    assert_eq!(sub.data["spec"]["entrypoint"], "b");
    assert_eq!((sub.data["status"]["jobStatus"].clone(), sub.metadata.generation), (json!("RUNNING"), Some(2)));
}

#[tokio::test]
async fn watch_maps_selectors_and_expires() {
    let (sandbox, client) = stepped().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, NS);
    let start = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let params = WatchParams::default().labels("on=yes").timeout(20);
    let mut events = maps.watch(&params, &start).await.unwrap().boxed();
    let map = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    for label in [json!("yes"), json!("no")] {
        let patch = json!({"metadata": {"labels": {"on": label}}});
        maps.patch("a", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }
    let first = events.try_next().await.unwrap().unwrap();
    assert!(matches!(first, WatchEvent::Added(_)), "{first:?}");
    let second = events.try_next().await.unwrap().unwrap();
    assert!(matches!(second, WatchEvent::Deleted(_)), "{second:?}");

    sandbox.faults().expire_watches();
    assert!(events.try_next().await.unwrap().is_none(), "the stream ends");
    let mut events = maps.watch(&params, &start).await.unwrap().boxed();
    let WatchEvent::Error(error) = events.try_next().await.unwrap().unwrap() else { panic!() };
    assert_eq!((error.code, error.reason.as_str()), (410, "Expired"));
}

#[tokio::test]
async fn watcher_survives_dropped_and_expired_watches() {
    for streaming in [false, true] {
        let (sandbox, client) = stepped().await;
        let maps: Api<ConfigMap> = Api::namespaced(client, NS);
        let mut config = watcher::Config::default();
        if streaming {
            config = config.streaming_lists();
        }
        let mut events = watcher(maps.clone(), config).boxed();
        let create = async |name: &str| {
            let map = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
            maps.create(&PostParams::default(), &map).await.unwrap();
        };
        let mut seen = Vec::new();
        for (name, break_it) in [("a", 0), ("b", 1), ("c", 2)] {
            match break_it {
                1 => sandbox.faults().drop_watches(),
                2 => sandbox.faults().expire_watches(),
                _ => {}
            }
            create(name).await;
            while !seen.contains(&name.to_owned()) {
                match events.next().await.unwrap() {
                    Ok(watcher::Event::Apply(map) | watcher::Event::InitApply(map)) => {
                        seen.push(map.metadata.name.unwrap());
                    }
                    _ => {}
                }
            }
        }
        assert!(sandbox.request_counts()["watch configmaps"] >= 2);
    }
}

#[tokio::test]
async fn rayjob_walks_step_by_step() {
    let (sandbox, client) = stepped().await;
    submit(&client, rayjob("j", json!({}), json!({})), json!({})).await;
    sandbox.settle().await;
    let template = sandbox.get(None, RAY, "RayJob", NS, "j").unwrap();
    assert_eq!(template["metadata"]["annotations"]["propagationpolicy.karmada.io/name"], "j");
    assert_eq!(template["metadata"]["generation"], 1);
    let found = binding(&sandbox, "j");
    assert_eq!(found["spec"]["clusters"], json!([{"name": "member1"}]));
    assert_eq!(found["metadata"]["ownerReferences"][0]["uid"], template["metadata"]["uid"]);
    assert_eq!(condition(&found, "FullyApplied")["status"], "True");
    let member = sandbox.get(Some("member1"), RAY, "RayJob", NS, "j").unwrap();
    assert_eq!(member["metadata"]["labels"]["karmada.io/managed"], "true");
    assert_eq!(words(&sandbox, None, "j"), ("Initializing".into(), String::new()));
    sandbox.step(seconds(0.6)).await;
    assert_eq!(words(&sandbox, None, "j"), ("Running".into(), "PENDING".into()));
    sandbox.step(seconds(1.0)).await;
    assert_eq!(words(&sandbox, None, "j"), ("Running".into(), "RUNNING".into()));
    assert_eq!(sandbox.list(Some("member1"), "v1", "Pod").len(), 4);
    sandbox.step(seconds(4.0)).await;
    assert_eq!(words(&sandbox, None, "j"), ("Complete".into(), "SUCCEEDED".into()));
    let aggregated = &binding(&sandbox, "j")["status"]["aggregatedStatus"][0];
    assert_eq!(aggregated["status"]["jobStatus"], "SUCCEEDED");
    assert_eq!(aggregated["health"], "Healthy");
    sandbox.step(seconds(1.0)).await;
    assert!(sandbox.list(Some("member1"), RAY, "RayCluster").is_empty(), "shut down");
    assert_eq!(sandbox.list(Some("member1"), "v1", "Pod").len(), 1, "the submitter stays");
}

#[tokio::test]
async fn outcomes_are_steered_by_annotation() {
    let (sandbox, client) = stepped().await;
    let cases = [
        ("fail", json!({}), ("Failed", "FAILED")),
        ("fail-once", json!({"backoffLimit": 1}), ("Complete", "SUCCEEDED")),
        ("oom", json!({}), ("Failed", "FAILED")),
        ("hang", json!({}), ("Running", "RUNNING")),
        ("image-pull", json!({}), ("Initializing", "")),
        ("unschedulable", json!({}), ("Initializing", "")),
        ("hang", json!({"activeDeadlineSeconds": 5}), ("Failed", "RUNNING")),
        ("succeed", json!({"suspend": true}), ("Suspended", "")),
    ];
    for (at, (outcome, spec, _)) in cases.iter().enumerate() {
        let annotations = json!({"sandbox.trainyard.dev/outcome": outcome});
        submit(&client, rayjob(&format!("j{at}"), annotations, spec.clone()), json!({})).await;
    }
    let long = "a".repeat(48);
    submit(&client, rayjob(&long, json!({}), json!({})), json!({})).await;
    sandbox.step(seconds(60.0)).await;
    for (at, (outcome, _, expected)) in cases.iter().enumerate() {
        let (phase, status) = words(&sandbox, None, &format!("j{at}"));
        assert_eq!((phase.as_str(), status.as_str()), *expected, "{outcome}");
    }
    assert_eq!(words(&sandbox, None, &long).0, "ValidationFailed");
    let pods = sandbox.list(Some("member1"), "v1", "Pod");
    let reasons: Vec<&str> = pods
        .iter()
        .filter_map(|pod| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"].as_str()
        })
        .collect();
    assert!(reasons.contains(&"ImagePullBackOff"), "{reasons:?}");
    let resumed = json!({"spec": {"suspend": false}});
    rayjobs(&client).patch("j7", &PatchParams::default(), &Patch::Merge(resumed)).await.unwrap();
    sandbox.step(seconds(10.0)).await;
    assert_eq!(words(&sandbox, None, "j7").1, "SUCCEEDED");
}

#[tokio::test]
async fn delete_reaches_the_member_and_frees_its_room() {
    let (sandbox, client) = stepped().await;
    let hang = json!({"sandbox.trainyard.dev/outcome": "hang"});
    submit(&client, rayjob("j", hang, json!({})), json!({})).await;
    sandbox.step(seconds(20.0)).await;
    let summary = |field: &str| {
        let cluster = sandbox.get(None, CLUSTER, "Cluster", "", "member1").unwrap();
        cluster["status"]["resourceSummary"]["allocated"][field].clone()
    };
    assert_eq!(summary("cpu"), "3500m");
    rayjobs(&client).delete("j", &DeleteParams::default()).await.unwrap();
    sandbox.step(seconds(20.0)).await;
    assert_eq!(binding(&sandbox, "j"), Value::Null);
    assert!(sandbox.get(Some("member1"), RAY, "RayJob", NS, "j").is_none());
    assert!(sandbox.list(Some("member1"), "v1", "Pod").is_empty());
    assert_eq!(summary("cpu"), Value::Null);
    let left = sandbox.list(None, WORK, "Work");
    assert_eq!(left.len(), 2, "only the namespace's");
}

#[tokio::test]
async fn divided_without_weights_lands_everywhere() {
    let (sandbox, client) = stepped().await;
    let placement = |scheduling: Value| {
        json!({"placement": {
            "spreadConstraints": [{"spreadByField": "cluster", "maxGroups": 1}],
            "replicaScheduling": scheduling,
        }})
    };
    let duplicated = json!({"replicaSchedulingType": "Duplicated"});
    submit(&client, rayjob("one", json!({}), json!({})), placement(duplicated)).await;
    submit(&client, rayjob("trap", json!({}), json!({})), placement(json!({}))).await;
    let none = json!({"placement": {"clusterAffinity": {"clusterNames": ["nowhere"]}}});
    submit(&client, rayjob("none", json!({}), json!({})), none).await;
    sandbox.settle().await;
    assert_eq!(binding(&sandbox, "one")["spec"]["clusters"], json!([{"name": "member1"}]));
    assert_eq!(
        binding(&sandbox, "trap")["spec"]["clusters"],
        json!([{"name": "member1"}, {"name": "member2"}])
    );
    let scheduled = condition(&binding(&sandbox, "none"), "Scheduled").clone();
    assert_eq!(scheduled["reason"], "NoClusterFit");
    assert_eq!(
        scheduled["message"],
        "0/2 clusters are available: 2 cluster(s) did not match the placement cluster affinity constraint."
    );
}

#[tokio::test]
async fn outage_freezes_the_binding_and_holds_the_work() {
    let (sandbox, client) = stepped().await;
    let hang = json!({"sandbox.trainyard.dev/outcome": "hang"});
    submit(&client, rayjob("j", hang, json!({})), json!({})).await;
    sandbox.step(seconds(5.0)).await;
    let before = binding(&sandbox, "j");
    sandbox.faults().member_down("member1");
    let pods: Api<Pod> = Api::namespaced(member_client(&sandbox, "member1"), NS);
    let error = status_of(pods.list(&ListParams::default()).await.unwrap_err());
    assert_eq!(error.code, 500);
    assert!(error.message.ends_with("connect: connection refused"), "{}", error.message);
    let ready = || {
        let cluster = sandbox.get(None, CLUSTER, "Cluster", "", "member1").unwrap();
        condition(&cluster, "Ready")["status"].clone()
    };
    sandbox.step(seconds(39.0)).await;
    assert_eq!(ready(), "True");
    sandbox.step(seconds(2.0)).await;
    assert_eq!(ready(), "False");
    assert_eq!(binding(&sandbox, "j")["status"], before["status"]);

    rayjobs(&client).delete("j", &DeleteParams::default()).await.unwrap();
    submit(&client, rayjob("late", json!({}), json!({})), json!({})).await;
    sandbox.settle().await;
    assert_eq!(binding(&sandbox, "j"), Value::Null);
    let works = sandbox.list(None, WORK, "Work");
    let held = works.iter().find(|work| work["metadata"]["deletionTimestamp"].is_string());
    assert!(held.is_some(), "the Work outlives its binding");
    assert!(sandbox.get(Some("member1"), RAY, "RayJob", NS, "j").is_some(), "still running");
    assert_eq!(
        condition(&binding(&sandbox, "late"), "Scheduled")["message"],
        "0/2 clusters are available: 1 cluster(s) did not match the placement cluster affinity \
         constraint, 1 cluster(s) had untolerated taint {cluster.karmada.io/not-ready:NoSchedule}."
    );
    sandbox.faults().member_up("member1");
    sandbox.step(seconds(31.0)).await;
    assert_eq!(ready(), "True");
    assert!(sandbox.get(Some("member1"), RAY, "RayJob", NS, "j").is_none());
    assert_eq!(binding(&sandbox, "late")["spec"]["clusters"], json!([{"name": "member1"}]));
}

#[tokio::test]
async fn preserved_resources_lose_only_karmadas_marks() {
    let (sandbox, client) = stepped().await;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), NS);
    for (name, preserve) in [("kept", true), ("late", false), ("gone", false)] {
        let spec = json!({"preserveResourcesOnDeletion": preserve});
        let policy = policy(name, ("v1", "PersistentVolumeClaim"), name, spec);
        policies(&client).create(&PostParams::default(), &policy).await.unwrap();
        let claim = serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
        }))
        .unwrap();
        claims.create(&PostParams::default(), &claim).await.unwrap();
    }
    sandbox.step(seconds(1.0)).await;
    assert_eq!(claims.get("kept").await.unwrap().status.unwrap().phase.unwrap(), "Bound");
    let change = json!({"spec": {"preserveResourcesOnDeletion": true}});
    policies(&client).patch("late", &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    sandbox.settle().await;
    for name in ["kept", "late", "gone"] {
        claims.delete(name, &DeleteParams::default()).await.unwrap();
    }
    sandbox.step(seconds(1.0)).await;
    for name in ["kept", "late"] {
        let claim = sandbox.get(Some("member1"), "v1", "PersistentVolumeClaim", NS, name).unwrap();
        assert_eq!(claim["metadata"]["labels"], Value::Null);
        assert_eq!(
            claim["metadata"]["annotations"],
            json!({"work.karmada.io/conflict-resolution": "abort"})
        );
    }
    assert!(sandbox.get(Some("member1"), "v1", "PersistentVolumeClaim", NS, "gone").is_none());
    assert_eq!(sandbox.list(None, BINDING, "ResourceBinding").len(), 0);
}

#[tokio::test]
async fn policy_deleted_first_leaves_the_job_alone() {
    let (sandbox, client) = stepped().await;
    let hang = json!({"sandbox.trainyard.dev/outcome": "hang"});
    submit(&client, rayjob("j", hang, json!({})), json!({})).await;
    sandbox.step(seconds(3.0)).await;
    policies(&client).delete("j", &DeleteParams::default()).await.unwrap();
    sandbox.settle().await;
    assert!(policies(&client).get_opt("j").await.unwrap().is_none());
    let template = sandbox.get(None, RAY, "RayJob", NS, "j").unwrap();
    assert_eq!(template["metadata"]["labels"], Value::Null);
    assert_eq!(binding(&sandbox, "j")["spec"]["clusters"], json!([{"name": "member1"}]));
    let edit = json!({"spec": {"entrypoint": "other"}});
    rayjobs(&client).patch("j", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    sandbox.settle().await;
    let member = sandbox.get(Some("member1"), RAY, "RayJob", NS, "j").unwrap();
    assert_eq!(member["spec"]["entrypoint"], "python train.py");
    rayjobs(&client).delete("j", &DeleteParams::default()).await.unwrap();
    sandbox.step(seconds(2.0)).await;
    assert!(sandbox.get(Some("member1"), RAY, "RayJob", NS, "j").is_none());
}

#[tokio::test]
async fn member_objects_are_recreated_and_reverted_and_foreign_ones_left() {
    let (sandbox, client) = stepped().await;
    let foreign = json!({"apiVersion": RAY, "kind": "RayJob", "metadata": {"name": "own", "namespace": NS}, "spec": {"entrypoint": "mine"}});
    sandbox.create(Some("member1"), foreign).unwrap();
    submit(&client, rayjob("own", json!({}), json!({})), json!({})).await;
    submit(&client, rayjob("j", json!({}), json!({})), json!({})).await;
    sandbox.settle().await;
    let item = &binding(&sandbox, "own")["status"]["aggregatedStatus"][0];
    assert_eq!(item["applied"], Value::Null);
    let message = item["appliedMessage"].as_str().unwrap();
    assert!(message.contains("already exists in the cluster member1"), "{message}");

    let uid = |sandbox: &Sandbox| {
        let found = sandbox.get(Some("member1"), RAY, "RayJob", NS, "j").unwrap();
        found["metadata"]["uid"].as_str().unwrap().to_owned()
    };
    let first = uid(&sandbox);
    assert!(sandbox.delete_member_object("member1", RAY, "RayJob", NS, "j"));
    sandbox.settle().await;
    assert_ne!(uid(&sandbox), first, "a second run");
    let inside = rayjobs(&member_client(&sandbox, "member1"));
    let suspend = json!({"spec": {"entrypoint": "changed"}});
    inside.patch("j", &PatchParams::default(), &Patch::Merge(suspend)).await.unwrap();
    sandbox.settle().await;
    let found = sandbox.get(Some("member1"), RAY, "RayJob", NS, "j").unwrap();
    assert_eq!(found["spec"]["entrypoint"], "python train.py");
}

#[tokio::test]
async fn dependencies_follow_and_go_with_their_workload() {
    let (sandbox, client) = stepped().await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s3", "namespace": NS}, "stringData": {"key": "value"}});
    sandbox.create(None, secret).unwrap();
    let mut job = rayjob("j", json!({}), json!({}));
    job.data["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["envFrom"] =
        json!([{"secretRef": {"name": "s3"}}]);
    submit(&client, job, json!({"propagateDeps": true})).await;
    sandbox.settle().await;
    let copy = sandbox.get(Some("member1"), "v1", "Secret", NS, "s3").unwrap();
    assert_eq!(copy["data"]["key"], "dmFsdWU=");
    rayjobs(&client).delete("j", &DeleteParams::default()).await.unwrap();
    sandbox.settle().await;
    assert!(sandbox.get(Some("member1"), "v1", "Secret", NS, "s3").is_none());
    assert!(sandbox.get(None, "v1", "Secret", NS, "s3").is_some());
}

#[tokio::test]
async fn late_crds_are_not_noticed_without_a_poke() {
    let (sandbox, client) = stepped().await;
    sandbox.faults().remove_crds(Some("member1"), "ray.io");
    sandbox.step(seconds(11.0)).await;
    submit(&client, rayjob("j", json!({}), json!({})), json!({})).await;
    sandbox.settle().await;
    let text = condition(&binding(&sandbox, "j"), "Scheduled")["message"].clone();
    assert!(text.as_str().unwrap().contains("did not have the API resource"), "{text}");
    sandbox.faults().install_crds(Some("member1"), "ray.io");
    sandbox.step(seconds(60.0)).await;
    assert_eq!(binding(&sandbox, "j")["spec"]["clusters"], Value::Null);
    let label = json!({"metadata": {"labels": {"poke": "1"}}});
    let clusters = dynamic(&client, CLUSTER, "Cluster");
    clusters.patch("member1", &PatchParams::default(), &Patch::Merge(label)).await.unwrap();
    sandbox.settle().await;
    assert_eq!(binding(&sandbox, "j")["spec"]["clusters"], json!([{"name": "member1"}]));
    sandbox.faults().remove_crds(None, "ray.io");
    let error = status_of(rayjobs(&client).get("j").await.unwrap_err());
    assert_eq!(error.code, 404);
}

#[tokio::test]
async fn webhook_defaults_and_refuses() {
    let (_sandbox, client) = stepped().await;
    let api = policies(&client);
    let params = PatchParams::apply("svc").force();
    let spread = json!({"placement": {"spreadConstraints": [{"maxGroups": 1}], "replicaScheduling": {}}});
    let good = policy("good", (RAY, "RayJob"), "x", spread);
    let made = api.patch("good", &params, &Patch::Apply(&good)).await.unwrap();
    let placement = &made.data["spec"]["placement"];
    assert_eq!(placement["spreadConstraints"][0], json!({"maxGroups": 1, "spreadByField": "cluster", "minGroups": 1}));
    assert_eq!(placement["replicaScheduling"]["replicaSchedulingType"], "Divided");
    assert_eq!(made.data["spec"]["resourceSelectors"][0]["namespace"], NS);
    let id = made.metadata.labels.as_ref().unwrap()["propagationpolicy.karmada.io/permanent-id"].clone();
    assert!(made.metadata.finalizers.is_some());
    let again = api.patch("good", &params, &Patch::Apply(&good)).await.unwrap();
    assert_eq!(again.metadata.resource_version, made.metadata.resource_version);
    assert_eq!(again.metadata.labels.unwrap()["propagationpolicy.karmada.io/permanent-id"], id);

    let mut bare = good.clone();
    bare.metadata.resource_version = made.metadata.resource_version;
    let error = status_of(api.replace("good", &PostParams::default(), &bare).await.unwrap_err());
    assert_eq!(error.code, 403, "without the permanent id");
    let long = policy(&"p".repeat(64), (RAY, "RayJob"), "x", json!({}));
    let error = status_of(api.create(&PostParams::default(), &long).await.unwrap_err());
    assert_eq!(error.code, 403);
    let empty = policy("empty", (RAY, "RayJob"), "x", json!({"resourceSelectors": []}));
    let error = status_of(api.create(&PostParams::default(), &empty).await.unwrap_err());
    assert_eq!((error.code, error.reason.as_str()), (422, "Invalid"));
    let unknown = policy("typo", (RAY, "RayJob"), "x", json!({"placment": {}}));
    let error = status_of(api.patch("typo", &params, &Patch::Apply(&unknown)).await.unwrap_err());
    assert_eq!(error.code, 500);
    assert!(error.message.contains(".spec.placment: field not declared in schema"));
}

#[tokio::test]
async fn members_are_api_servers_behind_the_proxy() {
    let (sandbox, client) = stepped().await;
    submit(&client, rayjob("j", json!({}), json!({})), json!({})).await;
    sandbox.step(seconds(3.0)).await;
    let member = member_client(&sandbox, "member1");
    let discovery = Discovery::new(member.clone()).run().await.unwrap();
    assert!(discovery.has_group("ray.io") && !discovery.has_group("work.karmada.io"));
    let pods: Api<Pod> = Api::namespaced(member, NS);
    let submitters = pods.list(&ListParams::default().labels("job-name=j")).await.unwrap();
    let name = submitters.items[0].metadata.name.clone().unwrap();
    let tail = LogParams { tail_lines: Some(2), timestamps: true, ..LogParams::default() };
    let text = pods.logs(&name, &tail).await.unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(text.starts_with("2026-01-01T00:00:0"), "{text}");
    let follow = LogParams { follow: true, ..LogParams::default() };
    let mut lines = pods.log_stream(&name, &follow).await.unwrap().lines();
    sandbox.step(seconds(10.0)).await;
    let mut all = Vec::new();
    while let Some(line) = lines.try_next().await.unwrap() {
        all.push(line);
    }
    assert_eq!(all.last().unwrap(), "Training finished.");
    let nowhere: Api<Pod> = Api::namespaced(member_client(&sandbox, "nowhere"), NS);
    let error = status_of(nowhere.list(&ListParams::default()).await.unwrap_err());
    assert_eq!((error.code, error.reason.as_str()), (404, "NotFound"));
}

#[tokio::test]
async fn jobs_complete_and_failed_ones_lose_their_status() {
    let (sandbox, client) = stepped().await;
    let jobs: Api<Job> = Api::namespaced(client.clone(), NS);
    for (name, outcome) in [("good", "succeed"), ("bad", "fail")] {
        let policy = policy(name, ("batch/v1", "Job"), name, json!({}));
        policies(&client).create(&PostParams::default(), &policy).await.unwrap();
        let job = serde_json::from_value(json!({
            "metadata": {"name": name, "annotations": {"sandbox.trainyard.dev/outcome": outcome}},
            "spec": {
                "parallelism": 2, "completions": 2, "backoffLimit": 0, "ttlSecondsAfterFinished": 60,
                "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}]}},
            },
        }))
        .unwrap();
        jobs.create(&PostParams::default(), &job).await.unwrap();
    }
    sandbox.step(seconds(10.0)).await;
    let good = jobs.get("good").await.unwrap().status.unwrap();
    assert_eq!(good.succeeded, Some(2));
    let kinds: Vec<_> = good.conditions.unwrap().into_iter().map(|one| one.type_).collect();
    assert_eq!(kinds, ["SuccessCriteriaMet", "Complete"]);
    let bad = sandbox.get(Some("member1"), "batch/v1", "Job", NS, "bad").unwrap();
    assert_eq!(condition(&bad, "Failed")["reason"], "BackoffLimitExceeded");
    assert_eq!(bad["spec"]["ttlSecondsAfterFinished"], Value::Null);
    assert!(jobs.get("bad").await.unwrap().status.is_none_or(|status| status.failed.is_none()));
    sandbox.step(seconds(70.0)).await;
    assert!(jobs.get_opt("good").await.unwrap().is_none(), "time to live");
    assert!(sandbox.get(Some("member1"), "batch/v1", "Job", NS, "good").is_none());
}

#[tokio::test]
async fn faults_hit_the_requests_they_name() {
    let (sandbox, client) = stepped().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, NS);
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    sandbox.clear_audit();
    sandbox.faults().fail_next("POST */configmaps", 500, 1);
    let error = status_of(maps.create(&PostParams::default(), &map).await.unwrap_err());
    assert_eq!(error.code, 500);
    sandbox.faults().fail_after_next("POST */configmaps", 500, 1);
    let error = status_of(maps.create(&PostParams::default(), &map).await.unwrap_err());
    assert_eq!(error.code, 500);
    assert!(maps.get_opt("a").await.unwrap().is_some(), "the answer was lost, the object not");
    sandbox.faults().hang("GET */configmaps*");
    assert!(tokio::time::timeout(Duration::from_millis(100), maps.get("a")).await.is_err());
    sandbox.faults().clear();
    maps.get("a").await.unwrap();
    let audit = sandbox.audit();
    let seen: Vec<_> = audit.iter().map(|entry| (entry.status, entry.uid.is_empty())).collect();
    assert_eq!(seen, [(500, true), (201, false)]);
    assert_eq!(sandbox.request_counts()["create configmaps"], 2);
}

#[tokio::test]
async fn namespaces_empty_themselves_everywhere() {
    let (sandbox, client) = stepped().await;
    submit(&client, rayjob("j", json!({}), json!({})), json!({})).await;
    sandbox.step(seconds(3.0)).await;
    let namespaces: Api<Namespace> = Api::all(client);
    namespaces.delete(NS, &DeleteParams::default()).await.unwrap();
    sandbox.step(seconds(5.0)).await;
    assert!(namespaces.get_opt(NS).await.unwrap().is_none());
    assert!(sandbox.get(Some("member1"), "v1", "Namespace", "", NS).is_none());
    assert!(sandbox.list(Some("member1"), "v1", "Pod").is_empty());
}

#[tokio::test]
async fn automatic_time_runs_a_job_to_its_end() {
    let mut config = Config::auto();
    config.time = karmada_sandbox::TimeMode::Auto { speed: 20.0 };
    let sandbox = Sandbox::start(config).await.unwrap();
    let client = client_at(&sandbox.url());
    create_namespace(&client).await;
    submit(&client, rayjob("j", json!({}), json!({})), json!({})).await;
    let jobs = rayjobs(&client);
    let mut events =
        watcher(jobs, watcher::Config::default().fields("metadata.name=j")).boxed();
    let finished = async {
        while let Some(event) = events.next().await {
            if let Ok(watcher::Event::Apply(job) | watcher::Event::InitApply(job)) = event
                && job.data["status"]["jobStatus"] == "SUCCEEDED"
            {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), finished).await.unwrap();
    sandbox.stop().await;
}

#[tokio::test]
async fn thousands_of_jobs_do_not_slow_each_other_down() {
    let mut config = Config::stepped();
    config.clusters = vec![ClusterConfig::roomy("member1"), ClusterConfig::roomy("member2")];
    let sandbox = Sandbox::start(config).await.unwrap();
    create_namespace(&client_at(&sandbox.url())).await;
    sandbox.settle().await;
    let batch = async |from: usize, count: usize| {
        let begin = std::time::Instant::now();
        for at in from..from + count {
            let name = format!("j{at}");
            let job = rayjob(&name, json!({"sandbox.trainyard.dev/outcome": "hang"}), json!({}));
            let policy = policy(&name, (RAY, "RayJob"), &name, json!({}));
            sandbox.create(None, serde_json::to_value(policy).unwrap()).unwrap();
            sandbox.create(None, serde_json::to_value(job).unwrap()).unwrap();
        }
        sandbox.step(seconds(5.0)).await;
        begin.elapsed()
    };
    let first = batch(0, 40).await;
    batch(40, 160).await;
    let last = batch(200, 40).await;
    assert_eq!(words(&sandbox, None, "j239").1, "RUNNING");
    // Four times is noise on a busy machine; five times the objects at quadratic cost is more.
    assert!(last < first * 4 + Duration::from_millis(500), "{first:?} then {last:?}");
}
