//! Input that is broken on purpose, and dependencies that are away.

use serde_json::{Value, json};

use crate::harness::{Setup, sample_form, until};

#[tokio::test]
async fn malformed_bodies_are_400_in_one_format() {
    let app = Setup::sqlite().start().await;
    for body in ["", "{", "[]", "null", "\"x\"", "{\"jobName\":}", "{\"a\":1} x", "{\"a\":01}"] {
        let answer = app.post_text("/api/v1/jobs", body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert!(answer.header("content-type").starts_with("application/problem+json"), "{body}");
        assert!(answer.body["code"].is_string(), "{body}: {}", answer.body);
    }
}

#[tokio::test]
async fn deep_and_huge_bodies_are_refused() {
    let app = Setup::sqlite().start().await;
    let deep = format!("{{\"jobName\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(app.post_text("/api/v1/jobs", &deep).await.status, 400);
    let huge = json!({"jobName": "a".repeat(2 << 20)}).to_string();
    assert_eq!(app.post_text("/api/v1/jobs", &huge).await.status, 413);
}

#[tokio::test]
async fn hostile_strings_never_reach_a_manifest_as_anything_but_text() {
    let app = Setup::sqlite().start().await;
    let hostile = "x\"\n  pip: [evil]\n  working_dir: \"$(id)\" # '; DROP TABLE jobs; --";
    for pointer in ["/jobName", "/namespace", "/pvcName"] {
        let mut form = sample_form("hostile");
        form[&pointer[1..]] = json!(hostile);
        let answer = app.post("/api/v1/jobs", &form).await;
        assert_eq!((answer.status, answer.pointers()), (400, vec![pointer]), "{}", answer.body);
    }
    let mut form = sample_form("hostile");
    form["customHyperparameters"] = json!({"note": hostile});
    let answer = app.post("/api/v1/render", &form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let manifests = answer.body["manifests"].as_array().unwrap();
    let workload = manifests.iter().find(|manifest| manifest["role"] == "workload").unwrap();
    let yaml = workload["document"]["spec"]["runtimeEnvYAML"].as_str().unwrap();
    let parsed: Value = serde_saphyr::from_str(yaml).unwrap();
    assert_eq!(parsed["env_vars"]["NOTE"], hostile);
    assert_eq!(parsed.as_object().unwrap().len(), 1, "only env_vars: {yaml}");

    for key in ["PATH", "LD_PRELOAD", "S3_SECRET_KEY", "NUM_WORKER", "a b", "x\ny", ""] {
        let mut form = sample_form("hostile");
        form["customHyperparameters"] = json!({key: "v"});
        let answer = app.post("/api/v1/jobs", &form).await;
        assert_eq!(answer.status, 400, "{key:?}: {}", answer.body);
        assert!(
            answer.pointers().iter().all(|at| at.starts_with("/customHyperparameters")),
            "{key:?}: {}",
            answer.body
        );
    }
}

#[tokio::test]
async fn unknown_cluster_is_named() {
    let app = Setup::sqlite().start().await;
    until("the clusters are known", async || {
        app.get("/api/v1/clusters").await.body.to_string().contains("member1")
    })
    .await;
    let mut form = sample_form("astray");
    form["targetClusters"] = json!(["member1", "nowhere"]);
    let answer = app.post("/api/v1/jobs", &form).await;
    assert_eq!((answer.status, answer.pointers()), (400, vec!["/targetClusters/1"]));
    assert!(answer.body.to_string().contains("nowhere"), "{}", answer.body);
}

#[tokio::test]
async fn unknown_jobs_routes_and_methods_are_told_apart() {
    let app = Setup::sqlite().start().await;
    for path in ["/api/v1/jobs/none-00000000", "/api/v1/jobs/..%2F..%2Fx", "/api/v1/nothing", "/x"]
    {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.header("content-type").starts_with("application/problem+json"), "{path}");
    }
    let answer = app.delete("/api/v1/jobs").await;
    assert_eq!(answer.status, 405);
    assert!(answer.header("allow").contains("POST"), "{:?}", answer.headers);
    assert_eq!(app.delete("/api/v1/jobs/none-00000000").await.status, 404);
    assert_eq!(app.get("/api/v1/jobs/none-00000000/status").await.status, 404);
}

#[tokio::test]
async fn body_that_is_not_json_is_415() {
    let app = Setup::sqlite().start().await;
    let answer = reqwest::Client::new()
        .post(format!("{}/api/v1/jobs", app.host.url))
        .header("content-type", "text/plain")
        .body(sample_form("plain").to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 415);
}

#[tokio::test]
async fn lost_database_is_503_and_never_404() {
    let Some(setup) = Setup::postgres().await else { return };
    let app = setup.start().await;
    let id = app.submit(&sample_form("lost")).await;
    assert_eq!(app.get("/health").await.body, json!({"status": "healthy"}));
    app.database.lose().await;
    for path in [format!("/api/v1/jobs/{id}"), format!("/api/v1/jobs/{id}/status")] {
        let answer = app.get(&path).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.body);
        assert!(!answer.header("retry-after").is_empty(), "{path}");
        let text = answer.body.to_string();
        assert!(!text.contains("postgres") && !text.contains("it_"), "no internals: {text}");
    }
    assert_eq!(app.get("/api/v1/jobs").await.status, 503);
    assert_eq!(app.post("/api/v1/jobs", &sample_form("lost2")).await.status, 503);
    assert_eq!(app.get("/health").await.status, 503);
    assert_eq!(app.get("/readyz").await.status, 503);
    assert_eq!(app.get("/livez").await.status, 200);
}
