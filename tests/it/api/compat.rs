//! What clients of the predecessor rely on.

use serde_json::json;

use crate::harness::{Setup, sample_form, until};

#[tokio::test]
async fn list_is_a_bare_array_newest_first_filtered_by_namespace() {
    let app = Setup::sqlite().start().await;
    assert_eq!(app.get("/api/v1/jobs").await.body, json!([]));
    for name in ["one", "two", "three"] {
        app.submit(&sample_form(name)).await;
    }
    let list = app.get("/api/v1/jobs").await;
    assert_eq!(list.status, 200);
    let names: Vec<&str> =
        list.body.as_array().unwrap().iter().map(|job| job["jobName"].as_str().unwrap()).collect();
    assert_eq!(names, ["three", "two", "one"]);
    assert_eq!(app.get("/api/v1/jobs?namespace=elsewhere").await.body, json!([]));
    let all = app.get("/api/v1/jobs?namespace=default").await;
    assert_eq!(all.body.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn limited_list_links_to_the_rest_and_misses_none() {
    let app = Setup::sqlite().start().await;
    for number in 0..5 {
        app.submit(&sample_form(&format!("page-{number}"))).await;
    }
    let mut path = "/api/v1/jobs?limit=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = app.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let jobs = page.body.as_array().expect("still a bare array");
        assert!(jobs.len() <= 2);
        seen.extend(jobs.iter().map(|job| job["jobName"].as_str().unwrap().to_owned()));
        let link = page.header("link").to_owned();
        let Some(next) = link.strip_prefix('<').and_then(|link| link.split_once('>')) else {
            break;
        };
        assert!(next.1.contains("rel=\"next\""), "{link}");
        path = next.0.to_owned();
    }
    assert_eq!(seen, ["page-4", "page-3", "page-2", "page-1", "page-0"]);
}

#[tokio::test]
async fn status_has_one_shape_and_no_zero_times() {
    let app = Setup::sqlite().start().await;
    let id = app.submit(&sample_form("shape")).await;
    let path = format!("/api/v1/jobs/{id}/status");
    let early = app.get(&path).await;
    assert_eq!(early.status, 200, "{}", early.body);
    for field in ["status", "phase", "reason", "message"] {
        assert!(early.body[field].is_string(), "{field}: {}", early.body);
    }
    assert!(!early.body.to_string().contains("0001-01-01"), "{}", early.body);
    app.job_in_phase(&id, "Succeeded").await;
    let late = app.get(&path).await;
    assert_eq!(
        (&late.body["status"], &late.body["phase"]),
        (&json!("Succeeded"), &json!("Succeeded"))
    );
    for field in ["startTime", "completionTime"] {
        assert!(late.body[field].is_string(), "{field}: {}", late.body);
    }
    let clusters = late.body["clusterDistribution"].as_object().expect("where it ran");
    assert_eq!(clusters.len(), 1, "{}", late.body);
}

#[tokio::test]
async fn clusters_are_listed_with_their_readiness_and_place() {
    let app = Setup::sqlite().start().await;
    until("both clusters are known", async || {
        app.get("/api/v1/proxy/clusters").await.body["clusters"]
            .as_array()
            .is_some_and(|list| list.len() == 2)
    })
    .await;
    let answer = app.get("/api/v1/proxy/clusters").await;
    let cluster = &answer.body["clusters"][0];
    assert_eq!((&cluster["name"], &cluster["ready"]), (&json!("member1"), &json!(true)));
    assert!(cluster["region"].is_string(), "from the Cluster's spec: {}", answer.body);
    let rich = app.get("/api/v1/clusters").await;
    assert_eq!(rich.status, 200, "{}", rich.body);
}

#[tokio::test]
async fn algorithms_carry_the_schema_their_plugin_wrote() {
    let app = Setup::sqlite().start().await;
    let list = app.get("/api/v1/algorithms").await;
    assert_eq!(list.status, 200, "{}", list.body);
    assert!(list.body.to_string().contains("xgboost"));
    let schema = app.get("/api/v1/algorithms/xgboost/schema").await;
    assert_eq!(schema.status, 200);
    assert_eq!(schema.body["properties"]["num_round"]["default"], 300);
    assert_eq!(schema.body["properties"].as_object().unwrap().len(), 42);
    assert_eq!(app.get("/api/v1/algorithms/none").await.status, 404);
}
