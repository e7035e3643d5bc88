//! Why a job ended as it did, and what an end waits for; and how the answer is asked for.

use std::process::Command;

use serde_json::json;

use super::*;
use crate::harness::program;

#[tokio::test]
async fn explain_program_that_failed() {
    let app = steered("fail").await;
    let id = app.submit(&sample_form("buggy")).await;
    app.job_in_phase(&id, "Failed").await;
    let words = ["The job failed at", "ended with exit code 1", "read the log of pod buggy-"];
    told_wrong(&app, &id, &words, "pods").await;
}

#[tokio::test]
async fn explain_program_that_ran_out_of_memory() {
    let app = steered("oom").await;
    let id = app.submit(&sample_form("hungry")).await;
    app.job_in_phase(&id, "Failed").await;
    // Its cluster is taken down at once, and the worker with it; what the operator heard stays.
    let words = ["The job failed at", "OutOfMemoryError", "ask for more memory (`memoryGiB`)"];
    told_wrong(&app, &id, &words, "object").await;
}

#[tokio::test]
async fn explain_pod_that_was_evicted() {
    let app = steered("evict").await;
    let id = app.submit(&sample_form("evicted")).await;
    let words = ["was evicted from its node", "low on resource: memory"];
    told_wrong(&app, &id, &words, "pods").await;
}

#[tokio::test]
async fn explain_deadline() {
    let app = steered("hang").await;
    let mut form = sample_form("endless");
    form["stoppingCondition"] = json!({"maxRuntimeSeconds": 60});
    let id = app.submit(&form).await;
    app.job_in_phase(&id, "TimedOut").await;
    told(&app, &id, &["longer than its 60 s", "`maxRuntimeSeconds`"], "queue", "ok").await;
}

#[tokio::test]
async fn explain_cancelled_and_deleted_jobs() {
    let app = steered("hang").await;
    let id = app.submit(&sample_form("unwanted")).await;
    app.job_in_phase(&id, "Running").await;
    app.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).await;
    app.job_in_phase(&id, "Cancelled").await;
    let words = ["was cancelled at", "somebody asked for it", "submit it again"];
    told(&app, &id, &words, "template", "ok").await;
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    app.job_gone(&id).await;
    told(&app, &id, &["was deleted", "nothing of it is left"], "queue", "ok").await;
}

#[tokio::test]
async fn explain_lost_workload() {
    let mut setup = Setup::sqlite().speed(1.0);
    setup.env.push(("TRAINYARD__RECONCILE__LOST_AFTER_MISSING_SECONDS", "1".to_owned()));
    let app = setup.start().await;
    let id = app.submit(&sample_form("stolen")).await;
    app.job_in_phase(&id, "Running").await;
    let url = format!("{}/apis/ray.io/v1/namespaces/default/rayjobs/stolen", app.sandbox.url());
    assert!(reqwest::Client::new().delete(url).send().await.unwrap().status().is_success());
    app.job_in_phase(&id, "Lost").await;
    let words =
        ["The job was lost", "vanished from the control plane", "never run again by itself"];
    told_wrong(&app, &id, &words, "template").await;
}

#[tokio::test]
async fn explain_deletion_that_hangs_on_a_member() {
    let app = steered("hang").await;
    let id = app.submit(&sample_form("stuck")).await;
    let job = app.job_in_phase(&id, "Running").await;
    let cluster = job["clusters"][0].as_str().unwrap().to_owned();
    app.sandbox.faults().member_down(&cluster);
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    let why = format!("cluster {cluster} is not ready since");
    let words = ["The job is being deleted", "till there", &why, "holds it up"];
    told_wrong(&app, &id, &words, "cluster").await;
    app.sandbox.faults().member_up(&cluster);
    app.job_gone(&id).await;
}

#[tokio::test]
async fn explain_is_text_for_people_json_for_machines_and_a_command() {
    let app = steered("image-pull").await;
    let id = app.submit(&sample_form("spoken")).await;
    told_wrong(&app, &id, &["cannot be pulled"], "pods").await;
    let url = format!("{}/api/v1/jobs/{id}/explain", app.host.url);
    let ask = async |accept: &str| {
        let answer =
            reqwest::Client::new().get(&url).header("accept", accept).send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (kind, answer.text().await.unwrap())
    };
    let (kind, text) = ask("text/plain").await;
    assert_eq!(kind, "text/plain; charset=utf-8");
    let mut lines = text.lines();
    assert!(lines.next().unwrap().contains("cannot be pulled"), "{text}");
    assert!(text.contains("\n  wrong    pods "), "{text}");
    for accept in ["application/json", "*/*", "text/plain, application/json"] {
        assert_eq!(ask(accept).await.0, "application/json", "{accept}");
    }
    let run = async |arguments: &[&str]| {
        let mut command = Command::new(program("trainyard"));
        command.args(["--server", &app.host.url, "explain", &id]).args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await.unwrap().expect("the command runs");
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = run(&[]).await;
    assert!(shown.lines().next().unwrap().contains("cannot be pulled"), "{shown}");
    let json: Value = serde_json::from_str(&run(&["--json"]).await).expect("pure JSON");
    assert_eq!(json["phase"], "Submitted");
    assert_eq!(app.get("/api/v1/jobs/nobody-00000000/explain").await.status, 404);
}
