//! The command line, as a process: data on stdout, talk on stderr, exit codes.

use std::process::{Command, Output};

use crate::harness::{App, Setup, program, sample_form};

async fn trainyard(app: &App, args: &[&str]) -> Output {
    let mut command = Command::new(program("trainyard"));
    command.args(["--server", &app.host.url]).args(args);
    tokio::task::spawn_blocking(move || command.output().expect("the command line runs"))
        .await
        .expect("it ends")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[tokio::test]
async fn job_is_submitted_watched_listed_and_deleted() {
    let app = Setup::sqlite().start().await;
    let form = app.dir.path().join("form.json");
    std::fs::write(&form, sample_form("typed").to_string()).unwrap();
    let form = form.display().to_string();
    let output = trainyard(&app, &["submit", "-f", &form, "-o", "json"]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let job: serde_json::Value = serde_json::from_slice(&output.stdout).expect("pure JSON");
    let id = job["id"].as_str().unwrap();
    app.job_in_phase(id, "Succeeded").await;
    let output = trainyard(&app, &["list"]).await;
    assert!(text(&output.stdout).contains("typed"), "{}", text(&output.stdout));
    let output = trainyard(&app, &["get", id]).await;
    assert!(text(&output.stdout).contains("Succeeded"), "{}", text(&output.stdout));
    let output = trainyard(&app, &["delete", id]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    app.job_gone(id).await;
}

#[tokio::test]
async fn refused_form_prints_each_field_and_exits_1() {
    let app = Setup::sqlite().start().await;
    let form = app.dir.path().join("form.json");
    let mut wrong = sample_form("typed");
    wrong["hyperparameters"]["xgboost"]["eta"] = serde_json::json!(7);
    std::fs::write(&form, wrong.to_string()).unwrap();
    let form = form.display().to_string();
    let output = trainyard(&app, &["submit", "-f", &form]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(
        text(&output.stderr).contains("/hyperparameters/xgboost/eta"),
        "{}",
        text(&output.stderr)
    );
}
