//! `/api/jobs`, the API of the second predecessor: from its form to the manifests, and by name.

use serde_json::{Value, json};

use crate::harness::{App, Setup, all_plugins_dir, send_to_with_key, until};

/// A host with these plugins, and with settings.
async fn serving(plugins: &[&str], settings: &str) -> App {
    let setup = Setup::sqlite().own_plugins().config(settings);
    for plugin in plugins {
        let file = format!("{plugin}.wasm");
        std::fs::copy(all_plugins_dir().join(&file), setup.plugins_dir().join(&file))
            .expect("the plugin is built");
    }
    let app = setup.start().await;
    until("the plugins serve", async || {
        let list = app.get("/api/v1/algorithms").await.body;
        list.as_array().is_some_and(|list| list.len() == plugins.len())
    })
    .await;
    app
}

/// A form with every field that the predecessor had.
fn form(name: &str) -> Value {
    json!({
        "deploymentName": name,
        "imageName": "registry.example/team/train:1",
        "command": ["python", "train.py", "--name", "a b"],
        "resources": {
            "requests": {"cpu": "500m", "memory": "1Gi"},
            "limits": {"cpu": "1", "memory": "2Gi"},
        },
        "ports": [8080, {"containerPort": 9090, "port": 90, "name": "metrics"}],
    })
}

async fn manifests(app: &App, id: &str) -> Value {
    app.get(&format!("/api/v1/jobs/{id}/manifests")).await.body["manifests"].clone()
}

fn of_kind<'a>(manifests: &'a Value, kind: &str) -> &'a Value {
    let all = manifests.as_array().expect("manifests").iter().map(|one| &one["document"]);
    let mut found = all.filter(|document| document["kind"] == kind);
    found.next().unwrap_or_else(|| panic!("no {kind}: {manifests:#}"))
}

#[tokio::test]
async fn deployment_lives_by_its_name_from_its_form_to_its_end() {
    let app = serving(&["kube-service"], "").await;
    let created = app.post("/api/jobs", &form("web")).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let id = created.body["id"].as_str().expect("an id").to_owned();
    assert_eq!(created.header("location"), format!("/api/jobs/{id}"));
    let body = &created.body;
    assert_eq!(body["deploymentName"], "web", "{body:#}");
    assert_eq!(body["imageName"], "registry.example/team/train:1", "{body:#}");
    assert_eq!((&body["algorithm"], &body["status"]), (&json!("service"), &json!("Pending")));

    let made = manifests(&app, &id).await;
    let deployment = of_kind(&made, "Deployment");
    assert_eq!(deployment["metadata"]["name"], "web");
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "registry.example/team/train:1", "{container:#}");
    assert_eq!(container["command"], json!(["python", "train.py", "--name", "a b"]));
    let (requests, limits) =
        (&container["resources"]["requests"], &container["resources"]["limits"]);
    assert_eq!((&requests["cpu"], &limits["cpu"]), (&json!("500m"), &json!("1")), "{container:#}");
    assert_eq!((&requests["memory"], &limits["memory"]), (&json!("1Gi"), &json!("2Gi")));
    let ports = of_kind(&made, "Service")["spec"]["ports"].as_array().expect("ports").clone();
    let ports: Vec<_> = ports.iter().map(|port| (&port["port"], &port["targetPort"])).collect();
    assert_eq!(ports, [(&json!(8080), &json!(8080)), (&json!(90), &json!(9090))]);
    // Nothing is on the web unless somebody says so.
    assert!(made.as_array().unwrap().iter().all(|one| one["document"]["kind"] != "Ingress"));

    app.job_in_phase(&id, "Running").await;
    let shown = app.get("/api/jobs/web").await;
    assert_eq!((shown.status, &shown.body["id"]), (200, &json!(id)), "{}", shown.body);
    assert_eq!(app.get(&format!("/api/jobs/{id}")).await.body["deploymentName"], "web");
    assert_eq!(app.get("/api/jobs/web?namespace=other").await.status, 404);
    let listed = app.get("/api/jobs").await.body;
    assert_eq!(
        (&listed[0]["deploymentName"], listed.as_array().map(Vec::len)),
        (&json!("web"), Some(1))
    );
    assert_eq!(app.get("/api/jobs?namespace=other").await.body, json!([]));
    until("the logs are read by name", async || {
        let logs = app.get("/api/jobs/web/logs?tail=5").await;
        logs.status == 200 && logs.body.as_str().is_some_and(|text| text.contains("GET /healthz"))
    })
    .await;
    let verified = app.post(&format!("/api/v1/jobs/{id}/verify"), &json!({})).await;
    assert_eq!(verified.body["verdict"], "same", "{}", verified.body);

    let deleted = app.delete("/api/jobs/web").await;
    assert_eq!((deleted.status, &deleted.body["lifecycle"]), (200, &json!("Deleting")));
    app.job_gone(&id).await;
    assert_eq!(app.get("/api/jobs/web").await.status, 404);
    assert_eq!(app.get("/api/jobs/web/logs").await.status, 404);
    assert_eq!(app.get(&format!("/api/jobs/{id}/logs")).await.status, 200, "by id, for ever");
    // What is not there is removed already, as it always was.
    let again = app.delete("/api/jobs/web").await;
    assert_eq!((again.status, &again.body["lifecycle"]), (200, &json!("Deleted")));
    assert_eq!(app.members_with("apps/v1", "Deployment", "web"), [""; 0]);
}

#[tokio::test]
async fn operator_decides_what_a_deployment_is_and_the_form_may_decide_otherwise() {
    let settings = "[http]\ndeployment_algorithm = \"job\"\n";
    let app = serving(&["kube-job", "kube-service"], settings).await;
    let mut program = form("program");
    program.as_object_mut().unwrap().remove("ports");
    let created = app.post("/api/jobs", &program).await;
    assert_eq!((created.status, &created.body["algorithm"]), (201, &json!("job")));
    let id = created.body["id"].as_str().expect("an id").to_owned();
    // It has an end, which the predecessor's deployments had not.
    app.job_in_phase(&id, "Succeeded").await;
    until("the logs are read by name", async || {
        let logs = app.get("/api/jobs/program/logs").await;
        logs.body.as_str().is_some_and(|text| text.contains("Training finished."))
    })
    .await;
    let made = manifests(&app, &id).await;
    let container = &of_kind(&made, "Job")["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["command"], json!(["python", "train.py", "--name", "a b"]));

    let with_ports = app.post("/api/jobs", &form("door")).await;
    assert_eq!((with_ports.status, with_ports.pointers()), (400, vec!["/ports"]));
    let mut chosen = form("chosen");
    chosen["algorithm"] = json!("deployment");
    let created = app.post("/api/jobs", &chosen).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(created.body["algorithm"], "service");
    assert_eq!(created.body["algorithmAlias"], "deployment");
    chosen["deploymentName"] = json!("nothing");
    chosen["algorithm"] = json!("no-such");
    let refused = app.post("/api/jobs", &chosen).await;
    assert_eq!((refused.status, refused.pointers()), (400, vec!["/algorithm"]), "{}", refused.body);
}

#[tokio::test]
async fn mistakes_point_into_the_form_of_the_deployment_and_nothing_is_stored() {
    let app = serving(&["kube-service"], "").await;
    let mut wrong = form("Not A Name");
    wrong["ports"] = json!([0, {"containerPort": 80}, {"containerPort": 80}]);
    wrong["resources"]["limits"]["memory"] = json!("lots");
    let answer = app.post("/api/jobs", &wrong).await;
    let mut pointers = answer.pointers();
    pointers.sort_unstable();
    let expected = ["/deploymentName", "/ports/0", "/resources/limits/memory"];
    assert_eq!((answer.status, pointers), (400, expected.to_vec()), "{}", answer.body);
    let mut twice = form("twice");
    twice["ports"] = json!([80, {"containerPort": 80, "name": "b", "port": 81}]);
    let answer = app.post("/api/jobs", &twice).await;
    assert_eq!(answer.pointers(), ["/ports/1/containerPort"], "{}", answer.body);
    let mut nameless = form("");
    nameless.as_object_mut().unwrap().remove("deploymentName");
    let answer = app.post("/api/jobs", &nameless).await;
    assert_eq!(answer.pointers(), ["/deploymentName"], "{}", answer.body);
    assert_eq!(app.get("/api/jobs").await.body, json!([]));
}

#[tokio::test]
async fn what_the_new_api_has_the_old_one_has_too() {
    let app = serving(&["kube-service"], "").await;
    let first = send_to_with_key(&app.host.url, "/api/jobs", &form("once"), "k").await.unwrap();
    let again = send_to_with_key(&app.host.url, "/api/jobs", &form("once"), "k").await.unwrap();
    assert_eq!((again.status, &again.body["id"]), (201, &first.body["id"]), "{}", again.body);
    assert_eq!(again.header("idempotent-replayed"), "true");
    let taken = app.post("/api/jobs", &form("once")).await;
    assert_eq!((taken.status, &taken.body["code"]), (409, &json!("name-taken")));
    // A clone is another deployment of the same form.
    let id = first.body["id"].as_str().unwrap();
    let copy =
        app.post(&format!("/api/v1/jobs/{id}/clone"), &json!({"deploymentName": "twin"})).await;
    assert_eq!(copy.status, 201, "{}", copy.body);
    assert_eq!(app.get("/api/jobs/twin").await.body["imageName"], form("")["imageName"]);
    // Every dialect is taken on every path.
    let mut named = form("named");
    named["algorithm"] = json!("service");
    assert_eq!(app.post("/api/v1/jobs", &named).await.status, 201);
    assert_eq!(app.post("/api/v1/render", &named).await.status, 200);
    let nested = json!({
        "jobName": "nested",
        "algorithm": {"algorithmName": "service", "imageUri": "registry.example/team/train:1"},
    });
    assert_eq!(app.post("/api/jobs", &nested).await.status, 201);
    let nested = app.get("/api/jobs/nested").await.body;
    assert_eq!((&nested["deploymentName"], nested.get("imageName")), (&json!("nested"), None));
    let slash = app.get("/api/jobs/").await;
    assert_eq!(slash.status, 200, "a slash at the end leads to the path without");
}
