//! Verification of stored jobs: an honest one, and one whose row was changed behind the host.

use serde_json::Value;
use sqlx::Connection as _;

use super::guest;
use crate::harness::{App, Setup, sample_form};

async fn verified(app: &App, id: &str) -> Value {
    let path = format!("/api/v1/jobs/{id}/verify");
    let answer = app.post(&path, &serde_json::json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// Item and verdict, in order.
fn verdicts(answer: &Value) -> Vec<(&str, &str)> {
    let items = answer["items"].as_array().expect("items").iter();
    items.map(|item| (item["name"].as_str().unwrap(), item["verdict"].as_str().unwrap())).collect()
}

async fn execute(app: &App, sql: &'static str) {
    let url = app.database.url(app.dir.path());
    let mut raw = sqlx::SqliteConnection::connect(&url).await.expect("the database opens");
    sqlx::query(sql).execute(&mut raw).await.expect("the statement runs");
}

#[tokio::test]
async fn stored_job_is_proven_also_after_it_is_deleted() {
    let app = Setup::sqlite().start().await;
    let mut form = sample_form("proven");
    // A number that takes every digit, and characters that JSON may write in two ways.
    form["customHyperparameters"] = serde_json::json!({"ratio": 0.1, "word": "é\u{1f332}\n\"", "big": 9_007_199_254_740_993_u64});
    let id = app.submit(&form).await;
    let answer = verified(&app, &id).await;
    assert_eq!(answer["verdict"], "same", "{answer:#}");
    let names: Vec<&str> = verdicts(&answer).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["schema", "input", "plan", "bundle", "stored"]);
    assert_eq!(answer["pluginName"], "xgboost");
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    app.job_gone(&id).await;
    assert_eq!(verified(&app, &id).await["verdict"], "same");
}

#[tokio::test]
async fn row_that_was_changed_behind_the_host_is_found_out() {
    let app = Setup::sqlite().start().await;
    let id = app.submit(&sample_form("changed")).await;
    execute(&app, "UPDATE jobs SET request = replace(request, '\"eta\":0.3', '\"eta\":0.2')").await;
    let answer = verified(&app, &id).await;
    let expected = [
        ("schema", "same"),
        ("input", "different"),
        ("plan", "different"),
        ("bundle", "different"),
        ("stored", "same"),
    ];
    assert_eq!(verdicts(&answer), expected, "{answer:#}");

    let id = app.submit(&sample_form("swapped")).await;
    execute(&app, "UPDATE bundles SET body = replace(body, 'swapped', 'swopped')").await;
    let answer = verified(&app, &id).await;
    assert_eq!(verdicts(&answer).last(), Some(&("stored", "different")), "{answer:#}");
    assert_eq!(answer["verdict"], "different");
}

#[tokio::test]
async fn job_of_an_older_host_is_proven_as_far_as_its_row_goes() {
    let app = Setup::sqlite().start().await;
    let id = app.submit(&sample_form("older")).await;
    let forget = "UPDATE jobs SET settings = NULL, input_digest = NULL, plan_digest = NULL";
    execute(&app, forget).await;
    let answer = verified(&app, &id).await;
    let expected = [
        ("schema", "same"),
        ("input", "unknown"),
        ("plan", "unknown"),
        ("bundle", "same"),
        ("stored", "same"),
    ];
    assert_eq!(verdicts(&answer), expected, "{answer:#}");
}

#[tokio::test]
async fn job_says_for_ever_what_made_it() {
    let setup = Setup::sqlite().own_plugins();
    let dir = setup.plugins_dir();
    guest::install(&dir, "1.0.0");
    let mut app = setup.start().await;
    let id = app.submit(&guest::form("trees")).await;
    let path = format!("/api/v1/jobs/{id}");
    let made_by = app.get(&path).await.body;
    let loaded = app.get("/api/v1/plugins/trees").await.body["versions"][0].clone();
    let plugin = &made_by["plugin"];
    assert_eq!(plugin["name"], "trees");
    for member in ["version", "sha256", "schemaSha256"] {
        assert!(plugin[member].as_str().is_some_and(|text| !text.is_empty()), "{plugin}");
        assert_eq!(plugin[member], loaded[member], "{member}");
    }
    let bytes = std::fs::read(guest::file(&dir, "1.0.0")).unwrap();
    assert_eq!(plugin["sha256"], training::Sha256Digest::of(&bytes).to_string());
    let manifests = app.get(&format!("{path}/manifests")).await.body;
    let bundle = serde_json::json!({"manifests": manifests["manifests"]}).to_string();
    let bundle = training::Sha256Digest::of(&bundle).to_string();
    assert_eq!(
        (&made_by["bundleSha256"], &manifests["bundleSha256"]),
        (&bundle.clone().into(), &bundle.into())
    );

    // Another version has taken over, and the file is gone.
    guest::install(&dir, "2.0.0");
    std::fs::remove_file(guest::file(&dir, "1.0.0")).unwrap();
    app.kill_and_restart().await;
    let later = app.get(&path).await.body;
    assert_eq!((&later["plugin"], &later["bundleSha256"]), (plugin, &made_by["bundleSha256"]));
    assert_eq!(verified(&app, &id).await["verdict"], "same");
}
