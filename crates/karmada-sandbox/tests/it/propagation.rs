//! From a template and a policy to a member and back.

use super::*;

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
async fn suspended_dispatching_still_brings_the_status_of_what_is_there() {
    let (sandbox, client) = stepped().await;
    let suspended = |on: bool| json!({"suspension": {"dispatching": on}});
    let foreign = json!({"apiVersion": RAY, "kind": "RayJob",
        "metadata": {"name": "own", "namespace": NS}, "spec": {"entrypoint": "mine"},
        "status": {"jobStatus": "RUNNING"}});
    sandbox.create(Some("member1"), foreign).unwrap();
    submit(&client, rayjob("own", json!({}), json!({})), suspended(true)).await;
    submit(&client, rayjob("new", json!({}), json!({})), suspended(true)).await;
    submit(&client, rayjob("j", json!({}), json!({})), json!({})).await;
    sandbox.settle().await;
    let dispatch = async |on: bool| {
        let change = Patch::Merge(json!({"spec": suspended(!on)}));
        policies(&client).patch("j", &PatchParams::default(), &change).await.unwrap();
        sandbox.settle().await;
    };
    let item = |name: &str| binding(&sandbox, name)["status"]["aggregatedStatus"][0].clone();
    let report = async |message: &str| {
        let status = json!({"jobStatus": "RUNNING", "message": message});
        assert!(sandbox.patch_status(Some("member1"), RAY, "RayJob", NS, "j", status));
        sandbox.settle().await;
    };
    dispatch(false).await;
    report("while suspended").await;
    assert_eq!(item("j")["status"]["message"], "while suspended");
    assert_eq!(item("j")["applied"], true);
    let template = Patch::Merge(json!({"spec": {"entrypoint": "changed"}}));
    rayjobs(&client).patch("j", &PatchParams::default(), &template).await.unwrap();
    sandbox.settle().await;
    let on_member = |name: &str| sandbox.get(Some("member1"), RAY, "RayJob", NS, name);
    assert_eq!(on_member("j").unwrap()["spec"]["entrypoint"], "python train.py");
    // What is gone leaves its last status, and is not made again.
    assert!(sandbox.delete_member_object("member1", RAY, "RayJob", NS, "j"));
    sandbox.step(seconds(20.0)).await;
    assert_eq!(on_member("j"), None);
    assert_eq!(item("j")["status"]["message"], "while suspended");
    dispatch(true).await;
    assert_eq!(on_member("j").unwrap()["spec"]["entrypoint"], "changed");
    // What never came there has no status, whoever has the name.
    assert_eq!(on_member("new"), None);
    assert_eq!(on_member("own").unwrap()["spec"]["entrypoint"], "mine");
    for name in ["new", "own"] {
        assert_eq!((&item(name)["status"], &item(name)["applied"]), (&Value::Null, &Value::Null));
    }
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
async fn webhook_defaults_and_refuses() {
    let (_sandbox, client) = stepped().await;
    let api = policies(&client);
    let params = PatchParams::apply("svc").force();
    let spread =
        json!({"placement": {"spreadConstraints": [{"maxGroups": 1}], "replicaScheduling": {}}});
    let good = policy("good", (RAY, "RayJob"), "x", spread);
    let made = api.patch("good", &params, &Patch::Apply(&good)).await.unwrap();
    let placement = &made.data["spec"]["placement"];
    assert_eq!(
        placement["spreadConstraints"][0],
        json!({"maxGroups": 1, "spreadByField": "cluster", "minGroups": 1})
    );
    assert_eq!(placement["replicaScheduling"]["replicaSchedulingType"], "Divided");
    assert_eq!(made.data["spec"]["resourceSelectors"][0]["namespace"], NS);
    let id =
        made.metadata.labels.as_ref().unwrap()["propagationpolicy.karmada.io/permanent-id"].clone();
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
