//! The ordinary way.

use serde_json::{Value, json};

use crate::harness::{App, Setup, sample_form};

/// At this speed every phase lasts for longer than a busy host takes to look.
const SEEN: f64 = 4.0;

/// Follows the sample job from submission to success.
async fn sample_job_succeeds(app: &App) {
    let id = app.submit(&sample_form("iris")).await;
    let job = app.job_in_phase(&id, "Succeeded").await;
    assert_eq!(job["status"], "Succeeded");
    for field in ["submittedAt", "startedAt", "finishedAt"] {
        assert!(job[field].is_string(), "{field}: {job:#}");
    }
    let ran_on = app.members_with("ray.io/v1", "RayJob", "iris");
    assert_eq!(ran_on.len(), 1, "exactly one cluster");
    assert_eq!(job["clusters"], json!(ran_on));
    assert_eq!(app.creations("rayjobs", "iris"), 1);

    // The claim that was made is the one that is mounted, and it is on the same cluster.
    assert_eq!(app.members_with("v1", "PersistentVolumeClaim", "iris-pvc"), ran_on);

    let events = app.events(&id).await;
    let phases: Vec<&str> = events.iter().filter_map(|event| event["to"].as_str()).collect();
    let order = ["Queued", "Submitted", "Running", "Succeeded"];
    let mut last = 0;
    for phase in &phases {
        let position = order.iter().position(|known| known == phase);
        let position = position.unwrap_or_else(|| panic!("{phase} in {phases:?}"));
        assert!(position >= last, "a phase went back: {phases:?}");
        last = position;
    }
    for phase in order {
        assert!(phases.contains(&phase), "{phase} is missing in {phases:?}");
    }
    let numbers: Vec<i64> = events.iter().filter_map(|event| event["seq"].as_i64()).collect();
    let expected: Vec<i64> = (1..).take(events.len()).collect();
    assert_eq!(numbers, expected, "history has no gaps");
}

#[tokio::test]
async fn sample_job_runs_to_success_on_exactly_one_cluster_with_sqlite() {
    sample_job_succeeds(&Setup::sqlite().speed(SEEN).start().await).await;
}

#[tokio::test]
async fn sample_job_runs_to_success_on_exactly_one_cluster_with_postgres() {
    let Some(setup) = Setup::postgres().await else { return };
    sample_job_succeeds(&setup.speed(SEEN).start().await).await;
}

#[tokio::test]
async fn ten_jobs_spread_and_all_succeed_once() {
    let app = Setup::sqlite().start().await;
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(app.submit(&sample_form(&format!("many-{number}"))).await);
    }
    for id in &ids {
        app.job_in_phase(id, "Succeeded").await;
    }
    let mut used = std::collections::BTreeSet::new();
    for number in 0..10 {
        let name = format!("many-{number}");
        assert_eq!(app.creations("rayjobs", &name), 1, "{name}");
        let members = app.members_with("ray.io/v1", "RayJob", &name);
        assert_eq!(members.len(), 1, "{name}");
        used.extend(members);
    }
    assert_eq!(used.len(), 2, "equal clusters share the work");
}

#[tokio::test]
async fn targets_are_candidates_and_placement_all_is_explicit() {
    let app = Setup::sqlite().start().await;
    let mut one = sample_form("one");
    one["targetClusters"] = json!(["member1", "member2"]);
    let one = app.submit(&one).await;
    let mut pinned = sample_form("pinned");
    pinned["targetClusters"] = json!(["member2"]);
    let pinned = app.submit(&pinned).await;
    let mut all = sample_form("both");
    all["placement"] = json!("all");
    let all = app.submit(&all).await;
    for id in [&one, &pinned, &all] {
        app.job_in_phase(id, "Succeeded").await;
    }
    assert_eq!(app.members_with("ray.io/v1", "RayJob", "one").len(), 1);
    assert_eq!(app.members_with("ray.io/v1", "RayJob", "pinned"), ["member2"]);
    assert_eq!(app.members_with("ray.io/v1", "RayJob", "both"), ["member1", "member2"]);
}

#[tokio::test]
async fn failing_program_fails_the_job_with_its_reason() {
    let app = Setup::sqlite().speed(1.0).start().await;
    let id = app.submit(&sample_form("doomed")).await;
    let job = app.job_in_phase(&id, "Running").await;
    let cluster = job["clusters"][0].as_str().unwrap().to_owned();
    let status = json!({
        "jobStatus": "FAILED",
        "jobDeploymentStatus": "Failed",
        "reason": "AppFailed",
        "message": "Traceback: division by zero",
        "startTime": "2026-01-01T00:00:00Z",
        "endTime": "2026-01-01T00:01:00Z",
    });
    let write = |status| {
        app.sandbox.patch_status(Some(&cluster), "ray.io/v1", "RayJob", "default", "doomed", status)
    };
    assert!(write(status), "the job is on its cluster");
    let job = app.job_until(&id, |job| job["phase"] == "Failed").await;
    assert_eq!(job["status"], "Failed");
    assert_eq!(job["reason"], "AppFailed");
    assert!(job["message"].as_str().unwrap().contains("division by zero"), "{job:#}");
    // Terminal is absorbing, whatever the cluster says later.
    let revived = json!({"jobStatus": "RUNNING", "jobDeploymentStatus": "Running"});
    assert!(write(revived), "the job is on its cluster");
    let other = app.submit(&sample_form("other")).await;
    app.job_in_phase(&other, "Succeeded").await;
    assert_eq!(app.get(&format!("/api/v1/jobs/{id}")).await.body["phase"], "Failed");
}

#[tokio::test]
async fn workload_that_a_stranger_holds_is_a_name_conflict_and_stays_his() {
    let app = Setup::sqlite().start().await;
    let foreign = json!({
        "apiVersion": "ray.io/v1", "kind": "RayJob",
        "metadata": {"name": "taken", "namespace": "default"},
        "spec": {"entrypoint": "his"},
    });
    app.sandbox.create(None, foreign).expect("the stranger's object");
    let id = app.submit(&sample_form("taken")).await;
    let job = app.job_in_phase(&id, "Failed").await;
    assert_eq!(job["reason"], "NameConflict");
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    app.job_gone(&id).await;
    let his = app.sandbox.get(None, "ray.io/v1", "RayJob", "default", "taken").expect("still his");
    assert_eq!(his["spec"]["entrypoint"], "his");
    // Nor was it propagated by a policy of ours, not even for a moment.
    assert!(app.members_with("ray.io/v1", "RayJob", "taken").is_empty());
    let audit = app.sandbox.audit();
    assert!(!audit.iter().any(|entry| entry.path.ends_with("/propagationpolicies")), "{audit:#?}");
}

/// Checks a document against the schema of a CRD file, if the schemas are present.
fn schema_errors(file: &str, document: &Value) -> Option<Vec<String>> {
    let Some(schemas) = std::env::var_os("TRAINYARD_SCHEMAS") else {
        eprintln!("SKIPPED: TRAINYARD_SCHEMAS is not set; manifests are not checked against CRDs");
        return None;
    };
    let path = std::path::Path::new(&schemas).join("crd").join(file);
    let text = std::fs::read_to_string(&path).expect("the CRD file");
    let crd: Value = serde_saphyr::from_str(&text).expect("the CRD is YAML");
    let version = document["apiVersion"].as_str()?.rsplit('/').next()?.to_owned();
    let versions = crd["spec"]["versions"].as_array()?;
    let found = versions.iter().find(|candidate| candidate["name"] == version.as_str())?;
    let mut schema = found["schema"]["openAPIV3Schema"].clone();
    close(&mut schema);
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    Some(
        validator
            .iter_errors(document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect(),
    )
}

/// Kubernetes prunes unknown fields silently; for us they are mistakes. Also understands the two
/// extensions that matter: free-form objects and integers-or-strings.
fn close(schema: &mut Value) {
    let Value::Object(members) = schema else {
        if let Value::Array(items) = schema {
            items.iter_mut().for_each(close);
        }
        return;
    };
    if members.get("x-kubernetes-int-or-string") == Some(&json!(true)) {
        members.remove("type");
    }
    let open = members.contains_key("additionalProperties")
        || members.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
    if members.contains_key("properties") && !open {
        members.insert("additionalProperties".to_owned(), json!(false));
    }
    members.remove("format");
    members.values_mut().for_each(close);
}

#[tokio::test]
async fn what_is_applied_is_valid_by_the_real_schemas() {
    let app = Setup::sqlite().start().await;
    let id = app.submit(&sample_form("valid")).await;
    app.job_in_phase(&id, "Succeeded").await;
    let rendered = app.post("/api/v1/render", &sample_form("valid")).await;
    let manifests = rendered.body["manifests"].as_array().unwrap();
    let workload = manifests.iter().find(|manifest| manifest["role"] == "workload").unwrap();
    let mut document = workload["document"].clone();
    // CRD schemas describe metadata as any object.
    document.as_object_mut().unwrap().remove("metadata");
    if let Some(errors) = schema_errors("ray.io_rayjobs.yaml", &document) {
        assert!(errors.is_empty(), "{errors:#?}");
    }
    for policy in rendered.body["policies"].as_array().unwrap() {
        let mut policy = policy.clone();
        policy.as_object_mut().unwrap().remove("metadata");
        if let Some(errors) = schema_errors("policy.karmada.io_propagationpolicies.yaml", &policy) {
            assert!(errors.is_empty(), "{errors:#?}");
        }
    }
}
