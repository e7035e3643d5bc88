//! The flat form of the first predecessor, from the request to the manifests.

use serde_json::{Value, json};

use crate::harness::{App, Setup, all_plugins_dir, until};

/// A host with these plugins alone.
async fn serving(algorithms: &[&str]) -> App {
    let setup = Setup::sqlite().own_plugins();
    for algorithm in algorithms {
        let file = format!("{algorithm}.wasm");
        std::fs::copy(all_plugins_dir().join(&file), setup.plugins_dir().join(&file))
            .expect("the plugin is built");
    }
    let app = setup.start().await;
    until("the plugins serve", async || {
        let list = app.get("/api/v1/algorithms").await.body;
        list.as_array().is_some_and(|list| list.len() == algorithms.len())
    })
    .await;
    app
}

/// The example of the first predecessor's documentation.
fn documented(name: &str) -> Value {
    json!({
        "name": name,
        "namespace": "default",
        "jobType": "pytorch",
        "framework": "pytorch",
        "image": "pytorch/pytorch:2.0.0-cuda11.7-cudnn8-runtime",
        "command": "python train.py --epochs 10",
        "replicas": 4,
        "cpuRequest": "2",
        "memoryRequest": "4Gi",
        "gpuRequest": 1,
        "hyperparameters": {"learning_rate": "0.001", "batch_size": "32"},
        "targetClusters": ["member1", "member2"],
    })
}

fn manifest<'a>(manifests: &'a Value, role: &str) -> &'a Value {
    let all = manifests["manifests"].as_array().expect("manifests");
    let found = all.iter().find(|manifest| manifest["role"] == role);
    &found.unwrap_or_else(|| panic!("no {role}: {manifests:#}"))["document"]
}

/// The first container below a value.
fn container(value: &Value) -> Option<&Value> {
    match value {
        Value::Object(members) => {
            let own = members.get("containers").and_then(|list| list.get(0));
            own.or_else(|| members.values().find_map(container))
        }
        Value::Array(items) => items.iter().find_map(container),
        _ => None,
    }
}

fn variable<'a>(container: &'a Value, name: &str) -> &'a Value {
    let env = container["env"].as_array().expect("an environment");
    let found = env.iter().find(|variable| variable["name"] == name);
    &found.unwrap_or_else(|| panic!("no {name}: {container:#}"))["value"]
}

#[tokio::test]
async fn documented_example_is_rendered_as_its_nested_equivalent_and_runs() {
    let app = serving(&["pytorch"]).await;
    let flat = app.post("/api/v1/render", &documented("documented")).await;
    assert_eq!(flat.status, 200, "{}", flat.body);
    let workload = manifest(&flat.body, "workload");
    let trainer = container(workload).unwrap();
    assert_eq!(trainer["image"], "pytorch/pytorch:2.0.0-cuda11.7-cudnn8-runtime");
    let resources = json!({"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"});
    assert_eq!(trainer["resources"], json!({"limits": resources, "requests": resources}));
    assert_eq!(variable(trainer, "HP_LEARNING_RATE"), "0.001");
    assert_eq!(variable(trainer, "HP_BATCH_SIZE"), "32");
    assert!(trainer.to_string().contains("python train.py --epochs 10"), "{trainer:#}");

    let nested = json!({
        "jobName": "documented",
        "algorithm": {
            "algorithmName": "pytorch",
            "imageUri": "pytorch/pytorch:2.0.0-cuda11.7-cudnn8-runtime",
        },
        "entrypoint": "python train.py --epochs 10",
        "resources": {
            "instanceResources": {"cpuCores": 2, "memoryGiB": 4, "gpuCount": 1},
            "instanceCount": 4,
        },
        "hyperparameters": {"pytorch": {"learning_rate": 0.001, "batch_size": 32}},
        "targetClusters": ["member1", "member2"],
    });
    let nested = app.post("/api/v1/render", &nested).await;
    let without_id = |answer: &Value| {
        let text = manifest(answer, "workload")["spec"].to_string();
        let id = manifest(answer, "workload")["metadata"]["labels"]["training-job-id"].clone();
        text.replace(id.as_str().unwrap(), "<id>")
    };
    assert_eq!(without_id(&flat.body), without_id(&nested.body));

    let mut form = documented("documented");
    form["gpuRequest"] = json!(0);
    let id = app.submit(&form).await;
    let job = app.job_in_phase(&id, "Succeeded").await;
    assert_eq!(job["request"], form, "the echo is the form as it was sent");
    assert_eq!((&job["jobName"], &job["algorithm"]), (&json!("documented"), &json!("pytorch")));
}

#[tokio::test]
async fn exact_amounts_reach_the_manifests_and_every_change_is_told() {
    let app = serving(&["pytorch"]).await;
    let mut form = documented("exact");
    form["gpuRequest"] = json!(0);
    form["cpuRequest"] = json!("500m");
    form["cpuLimit"] = json!("1500m");
    form["memoryRequest"] = json!("1.5Gi");
    form["storageSize"] = json!("10G");
    form["storageClass"] = json!("fast");
    form["workersPerNode"] = json!(2);
    let answer = app.post("/api/v1/render", &form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let trainer = container(manifest(&answer.body, "workload")).unwrap();
    assert_eq!(
        trainer["resources"],
        json!({
            "limits": {"cpu": "1500m", "memory": "1536Mi"},
            "requests": {"cpu": "500m", "memory": "1536Mi"},
        })
    );
    assert_eq!(variable(trainer, "PET_NPROC_PER_NODE"), "2");
    let claim = &manifest(&answer.body, "storage")["spec"];
    assert_eq!(claim["storageClassName"], "fast");
    assert_eq!(claim["resources"]["requests"]["storage"], "9765625Ki");
    let rules: Vec<&str> = answer.body["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|change| change["rule"].as_str())
        .filter(|rule| ["exact-amount", "storage-class"].contains(rule))
        .collect();
    assert!(rules.contains(&"storage-class") && rules.contains(&"exact-amount"), "{rules:?}");

    // Without the exact amounts on record, a repetition of the conversion would differ.
    let id = app.submit(&form).await;
    let verified = app.post(&format!("/api/v1/jobs/{id}/verify"), &json!({})).await;
    assert_eq!(verified.body["verdict"], "same", "{}", verified.body);
}

#[tokio::test]
async fn mistakes_have_pointers_into_the_flat_form() {
    let app = serving(&["pytorch"]).await;
    let mut form = documented("Wrong Name");
    form["hyperparameters"] = json!({"batch_size": "many", "learning_rate": "-1", "mine": "x"});
    form["cpuRequest"] = json!("lots");
    form["targetClusters"] = json!(["member9"]);
    for path in ["/api/v1/jobs", "/api/v1/render"] {
        let answer = app.post(path, &form).await;
        assert_eq!(answer.status, 400, "{}", answer.body);
        let mut pointers = answer.pointers();
        pointers.sort_unstable();
        assert_eq!(
            pointers,
            [
                "/cpuRequest",
                "/hyperparameters/batch_size",
                "/hyperparameters/learning_rate",
                "/name",
                "/targetClusters/0",
            ],
            "{}",
            answer.body
        );
    }
    // What only the plugin's own rules and the schema after the form find.
    let mut form = documented("a");
    form["hyperparameters"] = json!({"batch_size": "0"});
    let answer = app.post("/api/v1/jobs", &form).await;
    assert_eq!(answer.pointers(), ["/hyperparameters/batch_size"], "{}", answer.body);
    for (member, pointer) in [("framework", "/framework"), ("jobType", "/jobType")] {
        let mut form = documented("a");
        form["framework"] = json!("");
        form[member] = json!("jungle");
        let answer = app.post("/api/v1/jobs", &form).await;
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("unknown-algorithm")));
        assert_eq!(answer.pointers(), [pointer], "{}", answer.body);
    }
}

#[tokio::test]
async fn jobs_of_flat_forms_are_cloned_and_retried_in_their_own_words() {
    let app = serving(&["pytorch"]).await;
    let mut form = documented("first");
    form["gpuRequest"] = json!(0);
    let first = app.submit(&form).await;
    app.job_in_phase(&first, "Succeeded").await;
    let again = app.post(&format!("/api/v1/jobs/{first}/retry"), &json!({})).await;
    assert_eq!((again.status, &again.body["jobName"]), (201, &json!("first-2")), "{}", again.body);
    assert_eq!(again.body["request"]["name"], "first-2");
    let path = format!("/api/v1/jobs/{first}/clone");
    let nameless = app.post(&path, &json!({"replicas": 2})).await;
    assert_eq!((nameless.status, nameless.pointers()), (400, vec!["/name"]));
    for member in ["name", "jobName"] {
        let changes = json!({member: format!("copy-{}", member.to_lowercase()), "replicas": 2});
        let copy = app.post(&path, &changes).await;
        assert_eq!(copy.status, 201, "{}", copy.body);
        assert_eq!(copy.body["request"]["replicas"], 2);
        assert_eq!(copy.body["request"]["name"], copy.body["jobName"]);
        assert!(copy.body["request"].get("jobName").is_none());
    }
}
