//! Submission: what is accepted, what it becomes, and what is refused with which pointers.

use serde_json::{Value, json};

use crate::harness::{Setup, sample_form};

/// The environment of a rendered RayJob.
fn env_vars(manifests: &Value) -> Value {
    let workload = workload(manifests);
    let yaml = workload["spec"]["runtimeEnvYAML"].as_str().expect("a runtime environment");
    let parsed: Value = serde_saphyr::from_str(yaml).expect("it is YAML");
    parsed["env_vars"].clone()
}

fn workload(rendered: &Value) -> Value {
    let manifests = rendered["manifests"].as_array().expect("manifests");
    let found = manifests.iter().find(|manifest| manifest["role"] == "workload");
    found.expect("a workload")["document"].clone()
}

#[tokio::test]
async fn accepted_job_has_every_promised_field_and_a_location() {
    let app = Setup::sqlite().start().await;
    let answer = app.post("/api/v1/jobs", &sample_form("promised")).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    for field in [
        "id",
        "jobName",
        "namespace",
        "algorithm",
        "priority",
        "request",
        "status",
        "message",
        "createdAt",
        "updatedAt",
    ] {
        assert!(answer.body.get(field).is_some_and(|value| !value.is_null()), "{field}");
    }
    let id = answer.body["id"].as_str().unwrap();
    let (name, suffix) = id.rsplit_once('-').unwrap();
    assert_eq!(name, "promised");
    assert!(suffix.len() == 8 && suffix.chars().all(|c| c.is_ascii_hexdigit()), "{id}");
    assert_eq!(answer.header("location"), format!("/api/v1/jobs/{id}"));
    assert_eq!(answer.body["algorithm"], "xgboost");
    assert_eq!(answer.body["status"], "Pending");
    assert_eq!(answer.body["request"]["jobName"], "promised");
    let again = app.get(&format!("/api/v1/jobs/{id}")).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.body["createdAt"], answer.body["createdAt"]);
}

#[tokio::test]
async fn priority_is_kept() {
    let app = Setup::sqlite().start().await;
    let mut form = sample_form("important");
    form["priority"] = json!(700);
    let id = app.submit(&form).await;
    assert_eq!(app.get(&format!("/api/v1/jobs/{id}")).await.body["priority"], 700);
}

#[tokio::test]
async fn minimal_form_gets_the_schemas_defaults_and_no_zeros() {
    let app = Setup::sqlite().start().await;
    let form = json!({
        "jobName": "minimal",
        "algorithm": {"algorithmName": "xgboost"},
        "hyperparameters": {"xgboost": {"num_round": 50, "eta": 0.1}},
    });
    let answer = app.post("/api/v1/render", &form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let env = env_vars(&answer.body);
    for (name, value) in [
        ("NUM_BOOST_ROUND", "50"),
        ("ETA", "0.1"),
        ("BOOSTER", "gbtree"),
        ("SUBSAMPLE", "1"),
        ("LAMBDA", "1"),
        ("MAX_BIN", "256"),
        ("BASE_SCORE", "0.5"),
        ("EVAL_METRIC", "rmse"),
    ] {
        assert_eq!(env[name], value, "{name}");
    }
}

#[tokio::test]
async fn absent_hyperparameters_get_all_defaults() {
    let app = Setup::sqlite().start().await;
    let form = json!({"jobName": "bare", "algorithm": {"algorithmName": "xgboost"}});
    let answer = app.post("/api/v1/render", &form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(env_vars(&answer.body)["NUM_BOOST_ROUND"], "300");
}

#[tokio::test]
async fn zero_that_was_sent_is_kept() {
    let app = Setup::sqlite().start().await;
    let mut form = sample_form("zeros");
    form["hyperparameters"]["xgboost"] =
        json!({"verbosity": 0, "eta": 0, "min_child_weight": 0, "lambda": 0, "base_score": 0});
    let answer = app.post("/api/v1/render", &form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let env = env_vars(&answer.body);
    for name in ["VERBOSITY", "ETA", "MIN_CHILD_WEIGHT", "LAMBDA", "BASE_SCORE"] {
        assert_eq!(env[name], "0", "{name}");
    }
}

#[tokio::test]
async fn custom_hyperparameters_keep_their_order_and_their_json_form() {
    let app = Setup::sqlite().start().await;
    let mut form = sample_form("custom");
    form["customHyperparameters"] = json!({
        "zeta": 1_000_000, "alpha_rate": 0.001, "flag": true, "nothing": null,
        "list": [1, "x"], "big": 9_007_199_254_740_993_u64, "my-key": "a \"quoted\"\nline",
    });
    let first = app.post("/api/v1/render", &form).await;
    assert_eq!(first.status, 200, "{}", first.body);
    let env = env_vars(&first.body);
    for (name, value) in [
        ("ZETA", "1000000"),
        ("ALPHA_RATE", "0.001"),
        ("FLAG", "true"),
        ("NOTHING", ""),
        ("LIST", "1,x"),
        ("BIG", "9007199254740993"),
        ("MY_KEY", "a \"quoted\"\nline"),
    ] {
        assert_eq!(env[name], value, "{name}");
    }
    let yaml = |answer: &Value| workload(answer)["spec"]["runtimeEnvYAML"].clone();
    let second = app.post("/api/v1/render", &form).await;
    assert_eq!(yaml(&first.body), yaml(&second.body));
}

#[tokio::test]
async fn every_mistake_is_answered_at_once_with_its_pointer() {
    let app = Setup::sqlite().start().await;
    let form = json!({
        "jobName": "Not A Name",
        "jobname": "typo",
        "namespace": "kube-system",
        "priority": "high",
        "algorithm": {"algorithmName": "xgboost"},
        "resources": {"instanceResources": {"cpuCores": 0.5}, "instanceCount": -1},
        "inputDataConfig": [{"channelName": "train", "bucket": 7}],
        "hyperparameters": {"xgboost": {"eta": 7, "max_depht": 3, "num_round": 0}},
    });
    let answer = app.post("/api/v1/jobs", &form).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.header("content-type").starts_with("application/problem+json"));
    let pointers = answer.pointers();
    for pointer in [
        "/jobName",
        "/jobname",
        "/namespace",
        "/priority",
        "/resources/instanceResources/cpuCores",
        "/resources/instanceCount",
        "/inputDataConfig/0/bucket",
        "/hyperparameters/xgboost/eta",
        "/hyperparameters/xgboost/max_depht",
        "/hyperparameters/xgboost/num_round",
    ] {
        assert!(pointers.contains(&pointer), "{pointer} is not among {pointers:?}");
    }
    assert!(answer.body["error"].is_string(), "the predecessor's member is there, too");
}

#[tokio::test]
async fn rejected_form_leaves_no_row_and_no_object() {
    let app = Setup::sqlite().start().await;
    let mut unknown = sample_form("ghost");
    unknown["algorithm"]["algorithmName"] = json!("lightgbm9");
    let answer = app.post("/api/v1/jobs", &unknown).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.body.to_string().contains("xgboost"), "it names what there is");
    let mut broken = sample_form("ghost");
    broken["hyperparameters"]["xgboost"]["objective"] = json!("multi:softmax");
    let answer = app.post("/api/v1/jobs", &broken).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.pointers(), ["/hyperparameters/xgboost/num_class"]);
    assert_eq!(app.get("/api/v1/jobs").await.body, json!([]));
    assert_eq!(app.sandbox.list(None, "ray.io/v1", "RayJob").len(), 0);
    assert_eq!(app.sandbox.list(None, "v1", "PersistentVolumeClaim").len(), 0);
}

#[tokio::test]
async fn name_that_a_rayjob_cannot_have_is_refused_before_anything_exists() {
    let app = Setup::sqlite().start().await;
    let answer = app.post("/api/v1/jobs", &sample_form(&"a".repeat(48))).await;
    assert_eq!((answer.status, answer.pointers()), (400, vec!["/jobName"]), "{}", answer.body);
    let mut mistaken = sample_form(&"a".repeat(48));
    mistaken["priority"] = json!(-1);
    let answer = app.post("/api/v1/jobs", &mistaken).await;
    assert_eq!((answer.status, answer.pointers()), (400, vec!["/priority", "/jobName"]));
    let answer = app.post("/api/v1/render", &sample_form(&"a".repeat(47))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test]
async fn name_is_unique_while_its_job_is_not_proven_gone() {
    let app = Setup::sqlite().start().await;
    let first = app.submit(&sample_form("unique")).await;
    let answer = app.post("/api/v1/jobs", &sample_form("unique")).await;
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert!(answer.body.to_string().contains(&first), "it names the holder: {}", answer.body);
    app.delete(&format!("/api/v1/jobs/{first}")).await;
    app.job_gone(&first).await;
    let second = app.submit(&sample_form("unique")).await;
    assert_ne!(first, second);
    app.job_in_phase(&second, "Succeeded").await;
}

#[tokio::test]
async fn idempotency_key_makes_one_job_of_two_requests() {
    let app = Setup::sqlite().start().await;
    let send = async |form: &Value| {
        reqwest::Client::new()
            .post(format!("{}/api/v1/jobs", app.host.url))
            .header("content-type", "application/json")
            .header("idempotency-key", "k1")
            .body(form.to_string())
            .send()
            .await
            .unwrap()
    };
    let form = sample_form("once");
    let first = send(&form).await;
    assert_eq!(first.status(), 201);
    let first: Value = serde_json::from_str(&first.text().await.unwrap()).unwrap();
    let second = send(&form).await;
    assert!(second.status().is_success(), "{}", second.status());
    let second: Value = serde_json::from_str(&second.text().await.unwrap()).unwrap();
    assert_eq!(first["id"], second["id"]);
    assert_eq!(send(&sample_form("other")).await.status(), 422);
    assert_eq!(app.get("/api/v1/jobs").await.body.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn rendered_bundle_is_the_reviewed_one() {
    let app = Setup::sqlite().start().await;
    let mut form = sample_form("train-20251111052644-oj2y");
    form["targetClusters"] = json!(["member1", "member2"]);
    let mut answer = app.post("/api/v1/render", &form).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    // The id is random and stands in labels; the origin is the installation's.
    let text = answer.body.to_string();
    let job_id = workload(&answer.body)["metadata"]["labels"]["training-job-id"].clone();
    let origin = workload(&answer.body)["metadata"]["labels"]["trainyard.dev/origin"].clone();
    let bundle =
        workload(&answer.body)["metadata"]["annotations"]["trainyard.dev/bundle-sha256"].clone();
    let plugin = answer.body.pointer("/plugin/sha256").cloned().unwrap_or_default();
    let mut text = text;
    for (value, name) in
        [(&job_id, "[job id]"), (&origin, "[origin]"), (&bundle, "[bundle]"), (&plugin, "[plugin]")]
    {
        if let Some(value) = value.as_str() {
            text = text.replace(value, name);
        }
    }
    answer.body = serde_json::from_str(&text).unwrap();
    let shown = json!({
        "manifests": answer.body["manifests"],
        "policies": answer.body["policies"],
    });
    insta::assert_json_snapshot!("sample_bundle", shown);
}
