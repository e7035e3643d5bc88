//! Where jobs go, what is on record about the choice, and what goes there with them.

use serde_json::{Value, json};

use crate::harness::{App, Setup, sample_form, until};

fn object(kind: &str, name: &str, rest: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "default"},
    });
    for (key, value) in rest.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

/// The settings by which jobs read this secret.
fn reads_secret(name: &str) -> String {
    format!("[plugins.settings.xgboost]\ns3Secret = \"{name}\"\n")
}

fn secret_on(app: &App, member: Option<&str>, name: &str) -> Option<Value> {
    app.sandbox.get(member, "v1", "Secret", "default", name)
}

/// The members that have the secret.
fn with_secret(app: &App, name: &str) -> Vec<&'static str> {
    app.members_with("v1", "Secret", name)
}

#[tokio::test]
async fn choice_is_on_record_with_every_candidate_and_its_score() {
    let allowed = "[placement.namespaces]\ndefault = [\"member2\"]\n";
    let app = Setup::sqlite().config(allowed).start().await;
    let id = app.submit(&sample_form("scored")).await;
    let job = app.job_in_phase(&id, "Succeeded").await;
    assert_eq!(job["clusters"], json!(["member2"]));
    let events = app.events(&id).await;
    let placed = events.iter().find(|event| event["kind"] == "Placed").expect("it was placed");
    let candidates = placed["evidence"]["candidates"].as_array().expect("candidates");
    assert_eq!((candidates.len(), &candidates[0]["cluster"]), (2, &json!("member2")));
    for part in ["score", "headroom", "locality", "reliability", "spread"] {
        let share = candidates[0][part].as_f64().unwrap_or(-1.0);
        assert!((0.0..=1.0).contains(&share), "{part}: {candidates:?}");
    }
    assert_eq!(candidates[1]["refused"], "is not for jobs of namespace default");
}

#[tokio::test]
async fn job_goes_where_its_form_would_like_it_when_clusters_are_equal() {
    let app = Setup::sqlite().start().await;
    let list = app.get("/api/v1/clusters").await.body;
    let zone = |name: &str| {
        let clusters = list["clusters"].as_array().unwrap();
        clusters.iter().find(|cluster| cluster["name"] == name).unwrap()["zone"].clone()
    };
    for member in ["member2", "member1"] {
        let mut form = sample_form(&format!("near-{member}"));
        form["locality"] = json!({"zone": zone(member)});
        let id = app.submit(&form).await;
        let job = app.job_in_phase(&id, "Succeeded").await;
        assert_eq!(job["clusters"], json!([member]), "{list:#}");
    }
    let mut wrong = sample_form("wrong");
    wrong["locality"] = json!({"planet": "mars"});
    let answer = app.post("/api/v1/jobs", &wrong).await;
    assert_eq!((answer.status, answer.pointers()), (400, vec!["/locality/planet"]));
}

#[tokio::test]
async fn secret_of_the_control_plane_reaches_the_cluster_and_leaves_it_with_the_last_job_there() {
    let app = Setup::sqlite().config(&reads_secret("team-s3")).start().await;
    let data = json!({"data": {"access-key": "YQ==", "secret-key": "Yg=="}});
    app.sandbox.create(None, object("Secret", "team-s3", &data)).expect("the team's secret");
    // Applied, and never over.
    for member in ["member1", "member2"] {
        app.sandbox.faults().operators_down(member);
    }
    let run = async |name: &str, member: &str| {
        let mut form = sample_form(name);
        form["targetClusters"] = json!([member]);
        let id = app.submit(&form).await;
        app.job_in_phase(&id, "Submitted").await;
        until("it is there", async || secret_on(&app, Some(member), "team-s3").is_some()).await;
        let there = secret_on(&app, Some(member), "team-s3").expect("it is there");
        assert_eq!(there["data"], data["data"]);
        id
    };
    let delete = async |id: &str| {
        app.delete(&format!("/api/v1/jobs/{id}")).await;
        app.job_gone(id).await;
        app.sandbox.settle().await;
    };
    let (first, second) = (run("first", "member1").await, run("second", "member1").await);
    let elsewhere = run("elsewhere", "member2").await;
    delete(&first).await;
    assert_eq!(with_secret(&app, "team-s3"), ["member1", "member2"], "another job needs it");
    delete(&second).await;
    assert_eq!(with_secret(&app, "team-s3"), ["member2"]);
    let again = run("again", "member1").await;
    let answer = app.post(&format!("/api/v1/jobs/{elsewhere}/cancel"), &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    app.job_in_phase(&elsewhere, "Cancelled").await;
    app.sandbox.settle().await;
    assert_eq!(with_secret(&app, "team-s3"), ["member1"], "a record needs no secret");
    delete(&again).await;
    assert_eq!(with_secret(&app, "team-s3"), Vec::<&str>::new());
    let kept = secret_on(&app, None, "team-s3").expect("it is the team's");
    assert_eq!(kept["data"], data["data"]);
    let api = "policy.karmada.io/v1alpha1";
    let name = "trainyard-secret-team-s3";
    let policy = || app.sandbox.get(None, api, "PropagationPolicy", "default", name);
    assert_eq!(policy(), None, "nobody needs it");
    let once_more = run("once-more", "member2").await;
    delete(&once_more).await;
    assert_eq!(with_secret(&app, "team-s3"), Vec::<&str>::new());
}

#[tokio::test]
async fn secret_from_the_settings_is_provided_and_shown_nowhere() {
    let given = r#"[placement.secrets.given-s3]
        access-key = "ada"
        secret-key = "hushhush"
    "#;
    let config = reads_secret("given-s3") + given;
    let app = Setup::sqlite().config(&config).start().await;
    let id = app.submit(&sample_form("provided")).await;
    let job = app.job_in_phase(&id, "Succeeded").await;
    let member = job["clusters"][0].as_str().unwrap();
    let there = secret_on(&app, Some(member), "given-s3").expect("it is there");
    assert_eq!(there["data"]["access-key"], "YWRh");
    let mut shown = vec![app.host.log(), job.to_string()];
    for what in ["manifests", "events"] {
        shown.push(app.get(&format!("/api/v1/jobs/{id}/{what}")).await.body.to_string());
    }
    for text in shown {
        assert!(!text.contains("hushhush") && !text.contains("aHVzaGh1c2g="), "{text}");
    }
}

#[tokio::test]
async fn secret_that_somebody_else_keeps_is_left_alone() {
    let given = "[placement.secrets.trainyard-s3]\naccess-key = \"ours\"\n";
    let app = Setup::sqlite().config(given).start().await;
    let theirs = json!({"data": {"access-key": "dGhlaXJz"}});
    app.sandbox.create(None, object("Secret", "trainyard-s3", &theirs)).expect("their secret");
    let before = secret_on(&app, Some("member1"), "trainyard-s3");
    let id = app.submit(&sample_form("respectful")).await;
    app.job_in_phase(&id, "Succeeded").await;
    let here = secret_on(&app, None, "trainyard-s3").expect("it is still there");
    assert_eq!(here["data"], theirs["data"]);
    assert_eq!(
        secret_on(&app, Some("member1"), "trainyard-s3").map(|s| s["data"].clone()),
        before.as_ref().map(|s| s["data"].clone())
    );
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    app.job_gone(&id).await;
    app.sandbox.settle().await;
    assert_eq!(secret_on(&app, Some("member1"), "trainyard-s3"), before, "it was there before");
    assert!(secret_on(&app, None, "trainyard-s3").is_some());
}

#[tokio::test]
async fn secret_that_nobody_has_keeps_the_pods_waiting_until_it_is_there() {
    let app = Setup::sqlite().config(&reads_secret("late-s3")).start().await;
    let id = app.submit(&sample_form("patient")).await;
    let job = app.job_until(&id, |job| job["phase"] != "Queued").await;
    let member = job["clusters"][0].as_str().unwrap().to_owned();
    until("a pod waits for it", async || {
        let pods = app.sandbox.list(Some(&member), "v1", "Pod");
        pods.iter().any(|pod| pod.to_string().contains("late-s3\\\" not found"))
    })
    .await;
    let data = json!({"data": {"access-key": "YQ==", "secret-key": "Yg=="}});
    app.sandbox.create(None, object("Secret", "late-s3", &data)).expect("the secret");
    app.job_in_phase(&id, "Succeeded").await;
}
