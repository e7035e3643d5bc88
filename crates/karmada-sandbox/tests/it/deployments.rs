//! Deployments on a member: their ReplicaSets and pods, from the first rollout to the last trace.

use super::*;

const APPS: &str = "apps/v1";
const MEMBER: Option<&str> = Some("member1");

fn container(image: &str) -> Value {
    json!({
        "name": "main", "image": image,
        "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
    })
}

fn deployment(name: &str, annotations: Value, spec: Value) -> DynamicObject {
    let mut body = json!({
        "apiVersion": APPS, "kind": "Deployment",
        "metadata": {"name": name, "namespace": NS, "annotations": annotations},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name, "tier": "web"}},
                "spec": {"containers": [container("web:1")]},
            },
        },
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        body["spec"][key] = value.clone();
    }
    object(body)
}

async fn roll_out(client: &Client, object: DynamicObject) {
    let name = object.metadata.name.clone().unwrap();
    let policy = policy(&name, (APPS, "Deployment"), &name, json!({}));
    policies(client).create(&PostParams::default(), &policy).await.unwrap();
    deployments(client).create(&PostParams::default(), &object).await.unwrap();
}

async fn merge(client: &Client, name: &str, spec: Value) {
    let patch = Patch::Merge(json!({ "spec": spec }));
    deployments(client).patch(name, &PatchParams::default(), &patch).await.unwrap();
}

fn image(image: &str) -> Value {
    json!({"template": {"spec": {"containers": [container(image)]}}})
}

/// The pods of a Deployment that nobody has asked to end.
fn pods(sandbox: &Sandbox, name: &str) -> Vec<Value> {
    let mut pods = sandbox.list(MEMBER, "v1", "Pod");
    pods.retain(|pod| {
        pod["metadata"]["labels"]["app"] == name && pod["metadata"]["deletionTimestamp"].is_null()
    });
    pods
}

fn images(sandbox: &Sandbox, name: &str) -> Vec<String> {
    let image = |pod: &Value| pod["spec"]["containers"][0]["image"].as_str().unwrap().to_owned();
    let mut images: Vec<String> = pods(sandbox, name).iter().map(image).collect();
    images.sort();
    images
}

fn on_member(sandbox: &Sandbox, name: &str) -> Value {
    sandbox.get(MEMBER, APPS, "Deployment", NS, name).unwrap()
}

fn counts(object: &Value) -> [i64; 4] {
    ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"]
        .map(|field| object["status"][field].as_i64().unwrap_or_default())
}

#[tokio::test]
async fn deployment_has_a_replica_set_and_pods_that_serve() {
    let (sandbox, client) = stepped().await;
    roll_out(&client, deployment("web", json!({}), json!({}))).await;
    sandbox.settle().await;
    let starting = on_member(&sandbox, "web");
    assert_eq!(counts(&starting), [2, 2, 0, 0]);
    assert_eq!(starting["status"]["unavailableReplicas"], 2);
    assert_eq!(condition(&starting, "Available")["reason"], "MinimumReplicasUnavailable");
    assert_eq!(condition(&starting, "Progressing")["reason"], "ReplicaSetUpdated");
    sandbox.step(seconds(5.0)).await;
    let found = on_member(&sandbox, "web");
    assert_eq!(counts(&found), [2, 2, 2, 2]);
    assert_eq!(condition(&found, "Available")["status"], "True");
    assert_eq!(condition(&found, "Progressing")["reason"], "NewReplicaSetAvailable");
    assert_eq!(found["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");

    let sets = sandbox.list(MEMBER, APPS, "ReplicaSet");
    let [set] = sets.as_slice() else { panic!("{sets:#?}") };
    let hash = set["metadata"]["labels"]["pod-template-hash"].as_str().unwrap();
    assert_eq!(set["metadata"]["name"], format!("web-{hash}"));
    assert_eq!(set["metadata"]["ownerReferences"][0]["uid"], found["metadata"]["uid"]);
    assert_eq!(set["spec"]["selector"]["matchLabels"]["pod-template-hash"], hash);
    for pod in pods(&sandbox, "web") {
        assert_eq!(pod["metadata"]["labels"]["pod-template-hash"], hash, "{pod:#}");
        assert_eq!(pod["metadata"]["labels"]["tier"], "web", "{pod:#}");
        let owner = &pod["metadata"]["ownerReferences"][0];
        assert_eq!(
            (&owner["kind"], &owner["uid"]),
            (&json!("ReplicaSet"), &set["metadata"]["uid"])
        );
        assert_eq!(condition(&pod, "Ready")["status"], "True");
        assert!(pod["spec"]["nodeName"].is_string(), "{pod:#}");
    }
    // Karmada brings the status back to the template.
    let template = sandbox.get(None, APPS, "Deployment", NS, "web").unwrap();
    assert_eq!(counts(&template), [2, 2, 2, 2]);
    // It serves on and on, and says so.
    sandbox.step(seconds(600.0)).await;
    assert_eq!(counts(&on_member(&sandbox, "web")), [2, 2, 2, 2]);
    let name = pods(&sandbox, "web")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let pods: Api<Pod> = Api::namespaced(member_client(&sandbox, "member1"), NS);
    let text = pods.logs(&name, &LogParams::default()).await.unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], format!("Starting {name}"));
    assert!(lines.len() > 1000 && lines.last().unwrap().starts_with("GET "), "{:?}", lines.last());
}

#[tokio::test]
async fn pod_that_goes_is_replaced_and_the_number_follows_the_template() {
    let (sandbox, client) = stepped().await;
    roll_out(&client, deployment("web", json!({}), json!({}))).await;
    sandbox.step(seconds(5.0)).await;
    let first = pods(&sandbox, "web")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(sandbox.delete_member_object("member1", "v1", "Pod", NS, &first));
    sandbox.step(seconds(5.0)).await;
    let names: Vec<Value> =
        pods(&sandbox, "web").iter().map(|pod| pod["metadata"]["name"].clone()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(!names.contains(&json!(first)), "{names:?}");

    for wanted in [4, 1, 0, 2] {
        merge(&client, "web", json!({"replicas": wanted})).await;
        sandbox.step(seconds(5.0)).await;
        assert_eq!(i64::try_from(pods(&sandbox, "web").len()).unwrap(), wanted);
        assert_eq!(counts(&on_member(&sandbox, "web")), [wanted; 4]);
    }
    assert_eq!(sandbox.list(MEMBER, APPS, "ReplicaSet").len(), 1, "no new template");
}

#[tokio::test]
async fn new_template_is_rolled_out_and_never_too_few_serve() {
    let (sandbox, client) = stepped().await;
    roll_out(&client, deployment("web", json!({}), json!({"replicas": 4}))).await;
    sandbox.step(seconds(5.0)).await;
    merge(&client, "web", image("web:2")).await;
    sandbox.settle().await;
    // A quarter more, a quarter fewer.
    assert_eq!(images(&sandbox, "web"), ["web:1", "web:1", "web:1", "web:2", "web:2"]);
    for _ in 0..40 {
        sandbox.step(seconds(0.1)).await;
        let [replicas, _, ready, _] = counts(&on_member(&sandbox, "web"));
        assert!(replicas <= 5 && ready >= 3, "{replicas} pods, {ready} of them ready");
    }
    assert_eq!(images(&sandbox, "web"), ["web:2"; 4]);
    let found = on_member(&sandbox, "web");
    assert_eq!(found["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
    let sets = sandbox.list(MEMBER, APPS, "ReplicaSet");
    assert_eq!(sets.len(), 2, "the earlier one is kept to go back to");
    // Going back takes it again, under the next number.
    merge(&client, "web", image("web:1")).await;
    sandbox.step(seconds(10.0)).await;
    assert_eq!(images(&sandbox, "web"), ["web:1"; 4]);
    assert_eq!(sandbox.list(MEMBER, APPS, "ReplicaSet").len(), 2);
    let found = on_member(&sandbox, "web");
    assert_eq!(found["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "3");
}

#[tokio::test]
async fn recreated_pods_wait_for_the_last_of_the_old_ones() {
    let (sandbox, client) = stepped().await;
    let spec = json!({"strategy": {"type": "Recreate"}, "revisionHistoryLimit": 0});
    roll_out(&client, deployment("web", json!({}), spec)).await;
    sandbox.step(seconds(5.0)).await;
    merge(&client, "web", image("web:2")).await;
    sandbox.settle().await;
    assert!(pods(&sandbox, "web").is_empty(), "all are on their way out");
    let on_their_way = sandbox.list(MEMBER, "v1", "Pod");
    assert_eq!(on_their_way.len(), 2, "{on_their_way:#?}");
    sandbox.step(seconds(5.0)).await;
    assert_eq!(images(&sandbox, "web"), ["web:2"; 2]);
    assert_eq!(sandbox.list(MEMBER, APPS, "ReplicaSet").len(), 1, "no history is kept");
}

#[tokio::test]
async fn faults_of_pods_show_in_the_status() {
    let (sandbox, client) = stepped().await;
    let outcomes = [
        ("image-pull", Some("ImagePullBackOff")),
        ("crash-loop", Some("CrashLoopBackOff")),
        ("fail", Some("CrashLoopBackOff")),
        ("oom", Some("CrashLoopBackOff")),
        ("unschedulable", None),
        ("hang", None),
    ];
    for (outcome, _) in outcomes {
        let annotations = json!({"sandbox.trainyard.dev/outcome": outcome});
        let spec = json!({"replicas": 1, "progressDeadlineSeconds": 30});
        roll_out(&client, deployment(outcome, annotations, spec)).await;
    }
    sandbox.step(seconds(20.0)).await;
    for (outcome, reason) in outcomes {
        let found = on_member(&sandbox, outcome);
        assert_eq!(counts(&found), [1, 1, 0, 0], "{outcome}");
        assert_eq!(condition(&found, "Progressing")["reason"], "ReplicaSetUpdated", "{outcome}");
        let pod = &pods(&sandbox, outcome)[0];
        let state = &pod["status"]["containerStatuses"][0]["state"];
        assert_eq!(state["waiting"]["reason"].as_str(), reason, "{outcome}: {pod:#}");
    }
    let killed = &pods(&sandbox, "oom")[0]["status"]["containerStatuses"][0]["lastState"];
    assert_eq!(killed["terminated"]["reason"], "OOMKilled");
    let deaf = &pods(&sandbox, "hang")[0];
    assert_eq!(
        (&deaf["status"]["phase"], &condition(deaf, "Ready")["status"]),
        (&json!("Running"), &json!("False"))
    );
    sandbox.step(seconds(20.0)).await;
    for (outcome, _) in outcomes {
        let found = on_member(&sandbox, outcome);
        let progressing = condition(&found, "Progressing");
        assert_eq!(progressing["reason"], "ProgressDeadlineExceeded", "{outcome}");
        assert_eq!(progressing["status"], "False", "{outcome}");
    }
}

#[tokio::test]
async fn evicted_pod_is_replaced_and_a_quota_is_told() {
    let (sandbox, client) = stepped().await;
    let annotations = json!({"sandbox.trainyard.dev/outcome": "evict"});
    roll_out(&client, deployment("web", annotations, json!({"replicas": 1}))).await;
    sandbox.step(seconds(10.0)).await;
    let phases: Vec<Value> =
        pods(&sandbox, "web").iter().map(|pod| pod["status"]["phase"].clone()).collect();
    assert_eq!(phases.len(), 2, "{phases:?}");
    assert!(phases.contains(&json!("Failed")) && phases.contains(&json!("Running")), "{phases:?}");
    assert_eq!(counts(&on_member(&sandbox, "web")), [1; 4]);

    sandbox.faults().refuse(MEMBER, "pods", "exceeded quota: team");
    roll_out(&client, deployment("starved", json!({}), json!({}))).await;
    sandbox.step(seconds(5.0)).await;
    let found = on_member(&sandbox, "starved");
    let failure = condition(&found, "ReplicaFailure");
    assert_eq!(failure["reason"], "FailedCreate");
    assert!(failure["message"].as_str().unwrap().contains("exceeded quota: team"), "{failure}");
    sandbox.faults().clear();
    sandbox.step(seconds(10.0)).await;
    let found = on_member(&sandbox, "starved");
    assert_eq!(counts(&found), [2; 4]);
    let conditions = found["status"]["conditions"].to_string();
    assert!(!conditions.contains("ReplicaFailure"), "{conditions}");
}

#[tokio::test]
async fn pods_count_as_available_after_their_time() {
    let (sandbox, client) = stepped().await;
    let spec = json!({"minReadySeconds": 20, "replicas": 1});
    roll_out(&client, deployment("web", json!({}), spec)).await;
    sandbox.step(seconds(10.0)).await;
    assert_eq!(counts(&on_member(&sandbox, "web")), [1, 1, 1, 0]);
    sandbox.step(seconds(20.0)).await;
    assert_eq!(counts(&on_member(&sandbox, "web")), [1; 4]);
}

#[tokio::test]
async fn paused_deployment_follows_the_number_and_not_the_template() {
    let (sandbox, client) = stepped().await;
    roll_out(&client, deployment("web", json!({}), json!({}))).await;
    sandbox.step(seconds(5.0)).await;
    merge(&client, "web", json!({"paused": true})).await;
    merge(&client, "web", image("web:2")).await;
    merge(&client, "web", json!({"replicas": 3})).await;
    sandbox.step(seconds(5.0)).await;
    assert_eq!(images(&sandbox, "web"), ["web:1"; 3]);
    merge(&client, "web", json!({"paused": false})).await;
    sandbox.step(seconds(10.0)).await;
    assert_eq!(images(&sandbox, "web"), ["web:2"; 3]);
}

#[tokio::test]
async fn deleted_deployment_leaves_nothing_and_frees_its_room() {
    let (sandbox, client) = stepped().await;
    roll_out(&client, deployment("web", json!({}), json!({}))).await;
    sandbox.step(seconds(15.0)).await;
    let used = |sandbox: &Sandbox| {
        let cluster = sandbox.get(None, CLUSTER, "Cluster", "", "member1").unwrap();
        cluster["status"]["resourceSummary"]["allocated"]["cpu"].clone()
    };
    assert_eq!(used(&sandbox), "2");
    deployments(&client).delete("web", &DeleteParams::default()).await.unwrap();
    sandbox.step(seconds(20.0)).await;
    for (api, kind) in [(APPS, "Deployment"), (APPS, "ReplicaSet"), ("v1", "Pod")] {
        let left = sandbox.list(MEMBER, api, kind);
        assert!(left.is_empty(), "{left:#?}");
    }
    assert_eq!(used(&sandbox), Value::Null, "none is taken");
}

#[tokio::test]
async fn deployment_that_does_not_choose_its_pods_is_refused() {
    let (_sandbox, client) = stepped().await;
    for (selector, why) in [
        (json!({"matchLabels": {"app": "other"}}), "`selector` does not match template `labels`"),
        (json!({}), "spec.selector: Required value"),
    ] {
        let wrong = deployment("web", json!({}), json!({"selector": selector}));
        let error = deployments(&client).create(&PostParams::default(), &wrong).await.unwrap_err();
        let status = status_of(error);
        assert_eq!(status.code, 422);
        assert!(status.message.contains(why), "{}", status.message);
    }
}
