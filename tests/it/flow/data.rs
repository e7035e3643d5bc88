//! Data of a job that is in no object store: in a volume that is there already, and on the web.

use serde_json::{Value, json};

use crate::harness::{App, Setup, all_plugins_dir, until};

/// A host with these plugins.
async fn serving(plugins: &[&str]) -> App {
    let setup = Setup::sqlite().own_plugins();
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

fn form(name: &str, algorithm: &str) -> Value {
    json!({
        "jobName": name,
        "algorithm": { "algorithmName": algorithm },
        "resources": { "instanceResources": { "cpuCores": 1, "memoryGiB": 1 } },
        "inputDataConfig": [
            {
                "channelName": "train", "sourceType": "pvc", "pvcName": "shared",
                "path": "iris/train", "labelName": "target",
            },
            {
                "channelName": "validation", "sourceType": "http",
                "url": "https://data.example/iris/validation.csv",
            },
        ],
    })
}

/// Somebody's claim on the cluster that would not be chosen otherwise.
fn put_claim(app: &App) {
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "shared", "namespace": "default"},
        "spec": {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    app.sandbox.create(Some("member2"), claim).expect("the claim");
}

#[tokio::test]
async fn job_goes_where_the_volume_with_its_data_is_and_may_only_read_it() {
    let app = serving(&["sklearn", "xgboost"]).await;
    put_claim(&app);
    for algorithm in ["sklearn", "xgboost"] {
        let id = app.submit(&form(&format!("from-{algorithm}"), algorithm)).await;
        let job = app.job_in_phase(&id, "Succeeded").await;
        assert_eq!(job["clusters"], json!(["member2"]), "{algorithm}: {job:#}");
        let pods = app.sandbox.list(Some("member2"), "v1", "Pod");
        let named = |pod: &&Value| {
            pod["metadata"]["name"].as_str().is_some_and(|name| name.contains(algorithm))
                && pod["spec"]["volumes"].is_array()
        };
        let made = app.get(&format!("/api/v1/jobs/{id}/manifests")).await.body;
        let text = made.to_string();
        let mount = json!({"mountPath": "/data/shared", "name": "data-0", "readOnly": true});
        let claim = json!({"claimName": "shared", "readOnly": true});
        for part in [mount, claim] {
            assert!(text.contains(&part.to_string()), "{algorithm}: no {part} in {made:#}");
        }
        assert!(text.contains("/data/shared/iris/train"), "{algorithm}: {made:#}");
        assert!(text.contains("https://data.example/iris/validation.csv"), "{algorithm}: {made:#}");
        // Nothing is read from a store, so nobody has to log in to one.
        assert!(!text.contains("secretKeyRef"), "{algorithm}: {made:#}");
        if algorithm == "sklearn" {
            let pod = pods.iter().find(named).expect("the pod of the job");
            let volumes = pod["spec"]["volumes"].to_string();
            assert!(volumes.contains("\"claimName\":\"shared\""), "{volumes}");
        }
        let claims = app.sandbox.list(Some("member2"), "v1", "PersistentVolumeClaim");
        assert!(claims.iter().any(|claim| claim["metadata"]["name"] == "shared"), "{claims:#?}");
    }
}

#[tokio::test]
async fn volume_with_data_outlives_the_job_that_is_deleted_with_its_volumes() {
    let app = serving(&["sklearn"]).await;
    put_claim(&app);
    let mut form = form("gone", "sklearn");
    form["resources"]["volumeSizeGB"] = json!(1);
    let id = app.submit(&form).await;
    app.job_in_phase(&id, "Succeeded").await;
    let names = |app: &App| -> Vec<String> {
        let claims = app.sandbox.list(Some("member2"), "v1", "PersistentVolumeClaim");
        let names = claims.iter().filter_map(|claim| claim["metadata"]["name"].as_str());
        names.map(str::to_owned).collect()
    };
    assert_eq!(names(&app), ["gone-results", "shared"]);
    app.delete(&format!("/api/v1/jobs/{id}?volumes=delete")).await;
    app.job_gone(&id).await;
    assert_eq!(names(&app), ["shared"]);
}

#[tokio::test]
async fn job_waits_for_the_claim_of_its_data_and_says_so() {
    let app = serving(&["sklearn"]).await;
    let id = app.submit(&form("waits", "sklearn")).await;
    until("the claim is missed", async || {
        let told = app.get(&format!("/api/v1/jobs/{id}/explain")).await.body;
        told["explanation"].as_str().is_some_and(|told| {
            told.contains("does not have the claim shared") && told.contains("create the claim")
        })
    })
    .await;
    put_claim(&app);
    let job = app.job_in_phase(&id, "Succeeded").await;
    assert_eq!(job["clusters"], json!(["member2"]));
}

#[tokio::test]
async fn sources_of_data_are_checked_when_a_form_is_submitted() {
    let app = serving(&["sklearn"]).await;
    for (channel, pointer) in [
        (json!({"sourceType": "pvc"}), "/inputDataConfig/0/pvcName"),
        (json!({"pvcName": "shared", "path": "../up"}), "/inputDataConfig/0/path"),
        (json!({"sourceType": "http"}), "/inputDataConfig/0/url"),
        (json!({"url": "https://me:secret@data.example/a.csv"}), "/inputDataConfig/0/url"),
        (json!({"url": "https://data.example/a.csv", "bucket": "b"}), "/inputDataConfig/0/bucket"),
    ] {
        let mut form = form("wrong", "sklearn");
        form["inputDataConfig"] = json!([channel]);
        let answer = app.post("/api/v1/jobs", &form).await;
        assert_eq!((answer.status, answer.pointers()), (400, vec![pointer]), "{}", answer.body);
    }
    let flat = json!({
        "name": "flat", "jobType": "sklearn",
        "inputDataConfig": [{"url": "https://data.example/iris.csv", "labelName": "target"}],
    });
    let id = app.submit(&flat).await;
    app.job_in_phase(&id, "Succeeded").await;
}
