//! What else the schema of a plugin shows up in: the OpenAPI document and the list of algorithms;
//! and the command line of decisions.

use std::process::Command;

use serde_json::{Value, json};

use super::guest;
use crate::harness::{App, Setup, program, sample_form, until};

async fn openapi(app: &App) -> Value {
    let answer = app.get("/api/v1/openapi.json").await;
    assert_eq!(answer.status, 200);
    answer.body
}

/// Whether a form is one by the document's own schema.
fn accepts(document: &Value, form: &Value) -> bool {
    let mut schema = document.clone();
    schema["$ref"] = json!("#/components/schemas/JobForm");
    jsonschema::validator_for(&schema).expect("the document holds schemas").is_valid(form)
}

#[tokio::test]
async fn openapi_describes_the_forms_of_the_plugins_that_serve_now() {
    let setup = Setup::sqlite().own_plugins();
    guest::install(&setup.plugins_dir(), "1.0.0");
    let app = setup.start().await;
    let document = openapi(&app).await;
    let form = |rate: f64| {
        let hyperparameters = json!({"trees": {"rate": rate}});
        json!({"jobName": "a", "algorithm": "forest", "hyperparameters": hyperparameters})
    };
    assert!(accepts(&document, &form(0.5)));
    let example = json!({"jobName": "a", "algorithm": {"algorithmName": "trees"},
        "hyperparameters": {"trees": {"rate": 1.5}}});
    assert!(!accepts(&document, &example), "the plugin's schema is in force");
    assert!(!accepts(&document, &sample_form("a")), "nobody serves xgboost here");

    let xgboost = crate::harness::plugins_dir().join("xgboost.wasm");
    std::fs::copy(xgboost, app.plugins_dir().join("xgboost.wasm")).expect("it is dropped in");
    until("xgboost serves", async || app.get("/api/v1/algorithms/xgboost").await.status == 200)
        .await;
    let document = openapi(&app).await;
    assert!(accepts(&document, &sample_form("a")), "the sample is a form by the document");
    let algorithm = app.get("/api/v1/algorithms/xgboost").await.body;
    for example in algorithm["examples"].as_array().expect("examples") {
        assert!(accepts(&document, example), "{example}");
    }
    let list = app.get("/api/v1/algorithms?schema=true").await.body;
    assert_eq!(list[0]["schema"]["$defs"]["share"]["maximum"], 1);
    assert_eq!(list[1]["schema"], app.get("/api/v1/algorithms/xgboost/schema").await.body);
    assert_eq!(list[1]["examples"], algorithm["examples"]);
    let short = app.get("/api/v1/algorithms").await.body;
    assert_eq!((short[0].get("schema"), short[0].get("examples")), (None, None));
}

/// Runs the command line as `ada`: its exit code, and everything it wrote.
pub(super) async fn trainyard(app: &App, args: &[&str]) -> (i32, String) {
    let mut command = Command::new(program("trainyard"));
    command.args(["--server", &app.host.url]).args(args).env("TRAINYARD_ACTOR", "ada");
    let output = tokio::task::spawn_blocking(move || command.output().expect("it runs"));
    let output = output.await.expect("it ends");
    let mut text = String::from_utf8(output.stdout).expect("UTF-8");
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    (output.status.code().expect("a code"), text)
}

#[tokio::test]
async fn operator_pins_tries_and_rolls_back_at_the_command_line() {
    let setup = Setup::sqlite().own_plugins();
    guest::install(&setup.plugins_dir(), "1.0.0");
    guest::install(&setup.plugins_dir(), "1.1.0");
    let app = setup.start().await;
    for (args, expected) in [
        (&["plugins", "list"][..], "1.1.0"),
        (&["plugins", "pin", "trees", "1.0.0"], "by ada"),
        (&["plugins", "canary", "trees", "1.1.0", "--percent", "5", "-n", "team-a"], "5 % team-a"),
        (&["plugins", "promote", "trees"], "previous"),
        (&["plugins", "rollback", "trees"], "pinned"),
        (&["plugins", "canary", "trees", "--stop"], "decided"),
        (&["plugins", "unpin", "trees"], "the highest version serves"),
        (&["plugins", "show", "trees"], "Standby"),
        (&["plugins", "events", "trees"], "RolledBack"),
    ] {
        let (code, text) = trainyard(&app, args).await;
        assert_eq!(code, 0, "{args:?}: {text}");
        assert!(text.contains(expected), "{args:?}: {text}");
    }
    let (code, text) = trainyard(&app, &["plugins", "pin", "trees", "9.9.9"]).await;
    assert_eq!(code, 1);
    assert!(text.contains("error[plugin-version-not-found]"), "{text}");
    let (code, text) = trainyard(&app, &["schema", "trees", "--json"]).await;
    assert_eq!(code, 0, "{text}");
    let schema: Value = serde_json::from_str(&text).expect("pure JSON");
    assert_eq!(schema, app.get("/api/v1/algorithms/trees/schema").await.body);
    let (_, text) = trainyard(&app, &["plugins", "show", "trees", "--json"]).await;
    let plugin: Value = serde_json::from_str(&text).expect("pure JSON");
    assert_eq!(plugin["route"]["version"], 5);

    let form = json!({"jobName": guest::JOB, "algorithm": {"algorithmName": "trees"}});
    let id = app.submit(&form).await;
    let (code, text) = trainyard(&app, &["verify", &id]).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("bundle"), "{text}");
}
