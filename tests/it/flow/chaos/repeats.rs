//! One request, sent many times.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{App, Setup, sample_form, send_to_with_key, send_with_key};

/// Twenty clients send the same request to these hosts at the same time.
async fn one_job_of_twenty_requests(app: &App, hosts: &[&str]) {
    let mut clients = JoinSet::new();
    for number in 0..20 {
        let host = hosts[number % hosts.len()].to_owned();
        clients.spawn(async move {
            // An answer of 503 says "again"; the plugin's queue is shorter than twenty.
            loop {
                let answer = send_with_key(&host, &sample_form("wanted"), "one").await;
                let answer = answer.expect("the host answers");
                if answer.status != 503 {
                    return answer;
                }
            }
        });
    }
    let answers = clients.join_all().await;
    let id = answers[0].body["id"].clone();
    let first = answers.iter().filter(|answer| answer.header("idempotent-replayed").is_empty());
    assert_eq!(first.count(), 1, "one made it");
    for answer in &answers {
        assert_eq!((answer.status, &answer.body["id"]), (201, &id), "{}", answer.body);
    }
    let list = app.get("/api/v1/jobs").await.body;
    assert_eq!(list.as_array().unwrap().len(), 1, "{list:#}");
    let other = send_with_key(hosts[0], &sample_form("other"), "one").await.unwrap();
    assert_eq!((other.status, &other.body["code"]), (422, &json!("key-reused")));

    let id = id.as_str().unwrap();
    app.job_in_phase(id, "Succeeded").await;
    app.delete(&format!("/api/v1/jobs/{id}?volumes=delete")).await;
    app.job_gone(id).await;
    // A late duplicate: the run is over, and it stays the only one.
    for host in hosts {
        let late = send_with_key(host, &sample_form("wanted"), "one").await.unwrap();
        assert_eq!((late.status, &late.body["code"]), (410, &json!("job-deleted")));
        assert!(late.body["detail"].as_str().unwrap().contains(id), "{}", late.body);
        let other = send_with_key(host, &sample_form("other"), "one").await.unwrap();
        assert_eq!(other.status, 422, "{}", other.body);
    }
    let next = app.submit(&sample_form("next")).await;
    app.job_in_phase(&next, "Succeeded").await;
    assert_eq!(app.creations("rayjobs", "wanted"), 1);
    let list: Value = app.get("/api/v1/jobs").await.body;
    assert_eq!(list.as_array().unwrap().len(), 1, "only `next`: {list:#}");
}

#[tokio::test]
async fn twenty_requests_with_one_key_are_one_job_with_sqlite() {
    let app = Setup::sqlite().start().await;
    one_job_of_twenty_requests(&app, &[&app.host.url]).await;
}

#[tokio::test]
async fn twenty_requests_with_one_key_to_two_hosts_are_one_job_with_postgres() {
    let Some(setup) = Setup::postgres().await else { return };
    let app = setup.start().await;
    let other = app.another_host().await;
    one_job_of_twenty_requests(&app, &[&app.host.url, &other.url]).await;
}

#[tokio::test]
async fn late_duplicate_of_a_retry_or_a_clone_runs_nothing_again() {
    let app = Setup::sqlite().start().await;
    let first = app.submit(&sample_form("origin")).await;
    app.job_in_phase(&first, "Succeeded").await;
    for (verb, body) in [("retry", json!({})), ("clone", json!({"jobName": "copy"}))] {
        let path = format!("/api/v1/jobs/{first}/{verb}");
        let ask = async || send_to_with_key(&app.host.url, &path, &body, verb).await.unwrap();
        let made = ask().await;
        assert_eq!(made.status, 201, "{}", made.body);
        let again = ask().await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (201, "true"));
        assert_eq!(again.body["id"], made.body["id"]);
        let id = made.body["id"].as_str().unwrap();
        app.job_in_phase(id, "Succeeded").await;
        app.delete(&format!("/api/v1/jobs/{id}")).await;
        app.job_gone(id).await;
        let late = ask().await;
        assert_eq!((late.status, &late.body["code"]), (410, &json!("job-deleted")), "{verb}");
    }
    let list: Value = app.get("/api/v1/jobs").await.body;
    assert_eq!(list.as_array().unwrap().len(), 1, "{list:#}");
}
