//! The same misdeeds in each function of the contract, seen through the API of a whole host.

use plugin_runtime::testing::Guest;
use serde_json::{Value, json};

use super::guest;
use crate::harness::{App, Setup, plugins_dir, sample_form, until};

/// Misdeeds, and the code that their caller is answered.
const MISDEEDS: [(&str, &str); 9] = [
    ("chatter", "plugin-timeout"),
    ("huge-string", "plugin-fault"),
    ("invalid-utf8", "plugin-fault"),
    ("loop", "plugin-timeout"),
    ("loop-in-post-return", "plugin-timeout"),
    ("memory-bomb", "plugin-fault"),
    ("out-of-bounds", "plugin-fault"),
    ("recursion", "plugin-fault"),
    ("trap", "plugin-fault"),
];

/// A host with these files and one that trains well.
async fn host_with(files: &[(&str, Guest)]) -> App {
    let setup = Setup::sqlite().own_plugins();
    let dir = setup.plugins_dir();
    std::fs::copy(plugins_dir().join("xgboost.wasm"), dir.join("xgboost.wasm")).unwrap();
    for (name, guest) in files {
        guest::put(&dir.join(format!("{name}.wasm")), &guest.build());
    }
    setup.start().await
}

/// What the good plugin makes of its form, without what is new each time.
async fn good_manifests(app: &App) -> Value {
    let answer = app.post("/api/v1/render", &sample_form("good")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut manifests = answer.body["manifests"].clone();
    for manifest in manifests.as_array_mut().expect("manifests") {
        manifest["document"]["metadata"]["labels"]["training-job-id"].take();
        manifest["document"]["metadata"]["annotations"].take();
    }
    manifests
}

/// The code of each refusal of a job; the good plugin is asked after each.
async fn refused(files: &[(&str, Guest)], codes: &[(&str, &str)]) {
    let app = host_with(files).await;
    let before = good_manifests(&app).await;
    for (name, code) in codes {
        let answer = app.post("/api/v1/jobs", &guest::form(name)).await;
        assert_eq!(answer.body["code"], *code, "{name}: {}", answer.body);
        assert!((500..600).contains(&answer.status), "{name}: {}", answer.status);
        assert_eq!(good_manifests(&app).await, before, "after {name}");
    }
    assert_eq!(app.get("/api/v1/jobs").await.body, json!([]), "nothing was accepted");
    let id = app.submit(&sample_form("good")).await;
    app.job_in_phase(&id, "Succeeded").await;
}

#[tokio::test]
async fn misdeeds_in_validate_refuse_the_job_and_no_other() {
    let files = MISDEEDS.map(|(name, _)| (name, Guest::hostile(name).instead_in("validate")));
    refused(&files, &MISDEEDS).await;
}

#[tokio::test]
async fn misdeeds_around_calls_refuse_the_job_and_no_other() {
    let around = [
        ("loop-in-post-return", "plugin-timeout"),
        ("loop-in-realloc", "plugin-timeout"),
        ("realloc-out-of-bounds", "plugin-fault"),
    ];
    refused(&around.map(|(name, _)| (name, Guest::hostile(name))), &around).await;
}

#[tokio::test]
async fn misdeeds_in_describe_reject_the_file_and_no_other() {
    let files = MISDEEDS.map(|(name, _)| (name, Guest::hostile(name).instead_in("describe")));
    let app = host_with(&files).await;
    let before = good_manifests(&app).await;
    let reasons = [
        ("chatter.wasm", "did not finish `describe`"),
        ("huge-string.wasm", "fuel"),
        ("invalid-utf8.wasm", "utf-8"),
        ("loop-in-post-return.wasm", "did not finish `describe`"),
        ("loop.wasm", "did not finish `describe`"),
        ("memory-bomb.wasm", "unreachable"),
        ("out-of-bounds.wasm", "out of bounds"),
        ("recursion.wasm", "stack"),
        ("trap.wasm", "unreachable"),
    ];
    until("each is rejected", async || {
        let list = app.get("/api/v1/plugins").await.body;
        list["rejected"].as_array().is_some_and(|rejected| rejected.len() == reasons.len())
    })
    .await;
    let list = app.get("/api/v1/plugins").await.body;
    for (file, words) in reasons {
        let rejected = list["rejected"].as_array().expect("a list");
        let reason = rejected.iter().find(|rejected| rejected["file"] == file);
        let reason = reason.and_then(|rejected| rejected["reason"].as_str()).unwrap_or_default();
        assert!(reason.contains(words), "{file}: {reason}");
        assert_eq!(good_manifests(&app).await, before, "beside {file}");
    }
    assert_eq!(list["plugins"].as_array().map(Vec::len), Some(1), "{list:#}");
}

#[tokio::test]
async fn misdeeds_in_interpret_leave_the_job_where_it_is_and_others_train() {
    // Each names its workload as its job is called.
    let files = MISDEEDS.map(|(name, _)| {
        let mut workload = guest::workload("1");
        workload["metadata"]["name"] = json!(name);
        (name, Guest::hostile(name).instead_in("interpret").emits("workload", &workload))
    });
    let app = host_with(&files).await;
    let before = good_manifests(&app).await;
    let mut ids = Vec::new();
    for (name, _) in MISDEEDS {
        let mut form = guest::form(name);
        form["jobName"] = json!(name);
        ids.push(app.submit(&form).await);
    }
    for id in &ids {
        app.job_in_phase(id, "Submitted").await;
        until("it was asked", async || {
            app.host.log().contains(&format!("Status of job `{id}` could not be interpreted"))
        })
        .await;
    }
    assert_eq!(good_manifests(&app).await, before);
    let good = app.submit(&sample_form("good")).await;
    app.job_in_phase(&good, "Succeeded").await;
    for id in &ids {
        // Nobody read anything, so nothing is known; whoever asks is answered, and it can go.
        assert_eq!(app.get(&format!("/api/v1/jobs/{id}")).await.body["phase"], "Submitted");
        let explained = app.get(&format!("/api/v1/jobs/{id}/explain")).await;
        assert_eq!(explained.status, 200, "{}", explained.body);
        app.delete(&format!("/api/v1/jobs/{id}")).await;
    }
    for id in &ids {
        app.job_gone(id).await;
    }
}
