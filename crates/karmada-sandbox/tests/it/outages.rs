//! Members that go down, CRDs that are missing, faults a test asks for.

use super::*;

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
                if let Ok(watcher::Event::Apply(map) | watcher::Event::InitApply(map)) =
                    events.next().await.unwrap()
                {
                    seen.push(map.metadata.name.unwrap());
                }
            }
        }
        assert!(sandbox.request_counts()["watch configmaps"] >= 2);
    }
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
