//! What clients see of member clusters, and what they never see.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{App, Setup, program, sample_form, until};

const RESOURCES: &str = "/api/v1/proxy/clusters/member1/resources";

/// Puts a pod on `member1` that belongs to nobody.
fn put_pod(app: &App, name: &str, tier: &str) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "default", "labels": {"tier": tier},
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": "{\"hush\": \"S3CRET\"}",
            },
        },
        "spec": {"containers": [{
            "name": "c", "image": "busybox:1",
            "env": [{"name": "PASSWORD", "value": "S3CRET"}, {"name": "LEVEL", "value": "S3CRET"}],
        }]},
    });
    app.sandbox.create(Some("member1"), pod).expect("the pod");
}

#[tokio::test]
async fn clusters_show_readiness_room_needed_apis_and_our_jobs() {
    let app = Setup::sqlite().start().await;
    for member in ["member1", "member2"] {
        let outcome = "sandbox.trainyard.dev/outcome";
        app.sandbox.faults().annotate(Some(member), "RayJob", "*", outcome, "hang");
    }
    let id = app.submit(&sample_form("counted")).await;
    let job = app.job_in_phase(&id, "Running").await;
    let placed = job["clusters"][0].as_str().unwrap().to_owned();
    let mut last = Value::Null;
    until("the pods of the job show in the figures", async || {
        last = app.get("/api/v1/clusters").await.body;
        let clusters = last["clusters"].as_array().unwrap();
        let own = clusters.iter().find(|cluster| cluster["name"] == placed).unwrap();
        let cpu = own["capacity"].as_array().unwrap().iter().find(|room| room["resource"] == "cpu");
        own["runningJobs"] == 1 && cpu.is_some_and(|cpu| cpu["allocated"] != "0")
    })
    .await;
    let clusters = last["clusters"].as_array().unwrap();
    assert_eq!(clusters.len(), 2);
    for cluster in clusters {
        for field in ["readySince", "kubernetesVersion", "region", "zone", "provider"] {
            assert!(cluster[field].is_string(), "{field}: {cluster:#}");
        }
        assert_eq!((&cluster["nodesReady"], &cluster["nodesTotal"]), (&json!(2), &json!(2)));
        let need = json!([{"apiVersion": "ray.io/v1", "kind": "RayJob", "plugins": ["xgboost"],
            "present": true}]);
        assert_eq!(cluster["neededApis"], need);
        let rooms = cluster["capacity"].as_array().unwrap();
        let gpus = rooms.iter().find(|room| room["resource"] == "nvidia.com/gpu").unwrap();
        let expected = json!({"resource": "nvidia.com/gpu", "gpu": true, "allocatable": "16",
            "allocated": "0", "allocating": "0", "free": "16"});
        assert_eq!(*gpus, expected);
        let memory = rooms.iter().find(|room| room["resource"] == "memory").unwrap();
        assert_eq!(memory["allocatable"], "1024Gi", "{memory}");
    }
    let jobs: Vec<&Value> = clusters.iter().map(|cluster| &cluster["runningJobs"]).collect();
    assert!(jobs.contains(&&json!(0)) && jobs.contains(&&json!(1)), "{jobs:?}");

    let old = app.get("/api/v1/proxy/clusters").await.body;
    let fields: Vec<&String> = old["clusters"][0].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["name", "ready", "region", "zone"], "as it always was");
}

#[tokio::test]
async fn clusters_tell_what_keeps_work_away_also_in_the_table() {
    let app = Setup::sqlite().start().await;
    app.sandbox.faults().remove_crds(Some("member1"), "ray.io");
    app.sandbox.faults().member_down("member2");
    until("the host sees both", async || {
        let list = app.get("/api/v1/clusters").await.body["clusters"].clone();
        list[0]["neededApis"][0]["present"] == false && list[1]["ready"] == false
    })
    .await;
    let mut command = Command::new(program("trainyard"));
    command.args(["--server", &app.host.url, "clusters"]);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    for words in ["SINCE", "FREE GPU", "JOBS", "REMARKS"] {
        assert!(lines[0].contains(words), "{table}");
    }
    assert!(lines[1].contains("lacks ray.io/v1 RayJob"), "{table}");
    assert!(lines[2].contains("ClusterNotReachable") && lines[2].contains(" no "), "{table}");
    for line in &lines[1..] {
        assert!(line.contains("nvidia.com/gpu=16/16") && line.contains("128/128"), "{table}");
    }
}

#[tokio::test]
async fn clusters_show_resources_in_pages_by_label_by_name_and_by_kind() {
    let app = Setup::sqlite().start().await;
    for number in 0..5 {
        put_pod(&app, &format!("pod-{number}"), if number < 2 { "a" } else { "b" });
    }
    let page = app.get(RESOURCES).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let (cluster, namespace, kind) =
        (&page.body["cluster"], &page.body["namespace"], &page.body["type"]);
    assert_eq!((cluster, namespace, kind), (&json!("member1"), &json!("default"), &json!("pods")));
    assert_eq!(page.body["count"], 5);
    assert_eq!(page.body["resources"][0]["kind"], "Pod");

    let some = app.get(&format!("{RESOURCES}?kind=Pod&labelSelector=tier%3Db")).await.body;
    assert_eq!(some["count"], 3, "{some:#}");
    let one = app.get(&format!("{RESOURCES}?type=pods&name=pod-3")).await.body;
    assert_eq!(
        (&one["count"], &one["resources"][0]["metadata"]["name"]),
        (&json!(1), &json!("pod-3"))
    );

    let mut names = Vec::new();
    let mut next = String::new();
    loop {
        let page = app.get(&format!("{RESOURCES}?limit=2{next}")).await.body;
        let items = page["resources"].as_array().unwrap();
        assert!(items.len() <= 2, "{page:#}");
        names.extend(items.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()));
        let Some(token) = page["continue"].as_str() else { break };
        next =
            format!("&continue={}", token.bytes().map(|b| format!("%{b:02X}")).collect::<String>());
    }
    assert_eq!(names, ["pod-0", "pod-1", "pod-2", "pod-3", "pod-4"]);

    let nodes = app.get(&format!("{RESOURCES}?kind=Node")).await.body;
    assert_eq!((&nodes["count"], &nodes["namespace"]), (&json!(2), &json!("")), "{nodes:#}");
    let empty = app.get(&format!("{RESOURCES}?kind=RayJob&namespace=default")).await.body;
    assert_eq!((&empty["count"], &empty["kind"]), (&json!(0), &json!("RayJob")));
}

#[tokio::test]
async fn clusters_never_show_a_secret() {
    let mut setup = Setup::sqlite();
    let allowed = "Pod,ConfigMap";
    setup.env.push(("TRAINYARD__KARMADA__READABLE_KINDS", allowed.to_owned()));
    let app = setup.start().await;
    put_pod(&app, "talker", "a");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "data": {"k": "UzNDUkVU"},
        "metadata": {"name": "hush", "namespace": "default"}});
    app.sandbox.create(Some("member1"), secret).expect("the secret");
    for asked in ["Secret", "secrets", "SECRETS", "secret", "pods/../secrets", "Node", "*"] {
        let asked: String = asked.bytes().map(|b| format!("%{b:02X}")).collect();
        for parameter in ["kind", "type"] {
            let answer = app.get(&format!("{RESOURCES}?{parameter}={asked}")).await;
            assert_eq!(answer.status, 403, "{asked}: {}", answer.body);
            assert_eq!(answer.body["code"], "kind-not-readable");
            assert!(!answer.body.to_string().contains("UzNDUkVU"));
        }
    }
    let pod = app.get(&format!("{RESOURCES}?name=talker")).await.body;
    assert_eq!(pod["count"], 1, "{pod:#}");
    let text = pod.to_string();
    assert!(!text.contains("S3CRET") && text.contains("(hidden)"), "{pod:#}");
    assert!(text.contains("PASSWORD") && !text.contains("managedFields"), "{pod:#}");
    assert_eq!(app.get(&format!("{RESOURCES}?kind=ConfigMap")).await.status, 200, "it is allowed");
}

#[tokio::test]
async fn clusters_tell_bad_questions_from_members_that_are_away() {
    let app = Setup::sqlite().start().await;
    let code = async |path: &str| {
        let answer = app.get(path).await;
        (answer.status, answer.body["code"].as_str().unwrap_or_default().to_owned())
    };
    let is = |status: u16, code: &str| (status, code.to_owned());
    let elsewhere = "/api/v1/proxy/clusters/nowhere/resources";
    assert_eq!(code(elsewhere).await, is(404, "cluster-not-found"));
    assert_eq!(code("/api/v1/proxy/clusters/..%2Fx/resources").await, is(404, "cluster-not-found"));
    for wrong in [
        "limit=0",
        "limit=501",
        "namespace=..%2Fx",
        "name=a%2Cb",
        "labelSelector=no%20such)",
        "continue=made-up",
    ] {
        let asked = format!("{RESOURCES}?{wrong}");
        assert_eq!(code(&asked).await, is(400, "invalid-parameter"), "{wrong}");
    }
    app.sandbox.faults().remove_crds(Some("member1"), "ray.io");
    let kind = format!("{RESOURCES}?kind=RayJob");
    assert_eq!(code(&kind).await, is(404, "kind-not-found"));
    app.sandbox.faults().fail_next("GET *proxy*", 403, 1);
    assert_eq!(code(RESOURCES).await, is(503, "cluster-unavailable"));
    app.sandbox.faults().member_down("member1");
    let answer = app.get(RESOURCES).await;
    assert_eq!((answer.status, &answer.body["code"]), (503, &json!("cluster-unavailable")));
    assert_eq!(answer.body["detail"], "Cluster `member1` does not answer.");
    assert_eq!(code("/api/v1/proxy/clusters/member2/resources").await.0, 200);
}
