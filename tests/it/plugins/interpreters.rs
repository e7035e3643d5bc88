//! How Karmada is to read a kind: shipped by a plugin, shown as a difference, installed by a person.

use serde_json::{Value, json};

use crate::harness::Setup;

const API: &str = "config.karmada.io/v1alpha1";
const KIND: &str = "ResourceInterpreterCustomization";
const PATH: &str = "/api/v1/plugins/xgboost/interpreters";

#[tokio::test]
async fn interpreter_is_shown_and_installed_only_when_somebody_says_so() {
    let app = Setup::sqlite().start().await;
    let there = || app.sandbox.get(None, API, KIND, "", "trainyard-rayjob");
    let one = async || {
        let answer = app.get(PATH).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let list = answer.body["interpreters"].as_array().expect("a list").clone();
        assert_eq!(list.len(), 1, "{list:#?}");
        list[0].clone()
    };
    let shown = one().await;
    assert_eq!((&shown["state"], &shown["kind"]), (&json!("absent"), &json!("RayJob")));
    let diff = shown["diff"].as_str().expect("a diff");
    assert!(diff.lines().any(|line| line.starts_with('+') && line.contains("Retain(")), "{diff}");
    assert_eq!(there(), None, "looking installs nothing");

    let install = async || {
        let path = format!("{PATH}/trainyard-rayjob/install");
        app.send_as("ada", "POST", &path, None).await
    };
    let installed = install().await;
    assert_eq!((installed.status, &installed.body["state"]), (200, &json!("same")));
    assert_eq!(installed.body["diff"], json!(""));
    let spec = |object: &Value| object["spec"].clone();
    assert_eq!(there().as_ref().map(spec), Some(spec(&shown["document"])));

    assert_eq!(install().await.body["state"], "same", "asking again changes nothing");
    let events = app.get("/api/v1/plugins/xgboost/events").await.body;
    let installs: Vec<&Value> = events["items"]
        .as_array()
        .expect("events")
        .iter()
        .filter(|event| event["kind"] == "InterpreterInstalled")
        .collect();
    assert_eq!(installs.len(), 1, "{events:#}");
    assert!(installs.iter().all(|event| event["actor"] == "ada"), "{events:#}");
}

#[tokio::test]
async fn interpreter_of_somebody_else_is_shown_as_a_difference_and_replaced_as_a_whole() {
    let app = Setup::sqlite().start().await;
    let scripts = json!({
        "retention": {"luaScript": "function Retain(d, o) return o end"},
        "healthInterpretation": {"luaScript": "function InterpretHealth(o) return true end"},
    });
    let theirs = json!({
        "apiVersion": API, "kind": KIND, "metadata": {"name": "trainyard-rayjob"},
        "spec": {
            "target": {"apiVersion": "ray.io/v1", "kind": "RayJob"},
            "customizations": scripts,
        },
    });
    app.sandbox.create(None, theirs).expect("it is made");
    let shown = app.get(PATH).await.body["interpreters"][0].clone();
    assert_eq!(shown["state"], "differs", "{shown:#}");
    let diff = shown["diff"].as_str().expect("a diff");
    let goes = |what: &str| diff.lines().any(|line| line.starts_with('-') && line.contains(what));
    assert!(goes("Retain(d, o)") && goes("InterpretHealth"), "{diff}");
    let path = format!("{PATH}/trainyard-rayjob/install");
    let installed = app.send_as("ada", "POST", &path, None).await;
    assert_eq!(installed.body["state"], "same", "{}", installed.body);
    let there = app.sandbox.get(None, API, KIND, "", "trainyard-rayjob").expect("it is there");
    assert_eq!(there["spec"], shown["document"]["spec"]);
    let events = app.get("/api/v1/plugins/xgboost/events").await.body;
    assert!(events.to_string().contains("Retain(d, o)"), "what was there is on record: {events:#}");
}

#[tokio::test]
async fn interpreters_that_nobody_ships_are_not_found() {
    let app = Setup::sqlite().start().await;
    assert_eq!(app.get("/api/v1/plugins/nobody/interpreters").await.status, 404);
    let path = format!("{PATH}/other/install");
    let unknown = app.send_as("ada", "POST", &path, None).await;
    assert_eq!((unknown.status, &unknown.body["code"]), (404, &json!("plugin-not-found")));
}
