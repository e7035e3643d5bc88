//! What users do to a job between its submission and its end, and after it.

use std::process::Command;

use serde_json::{Value, json};

use training::Timestamp;
use training::clock::{Clock as _, SystemClock};

use crate::harness::{App, Setup, program, sample_form, until};

async fn wish(app: &App, id: &str, verb: &str) -> Value {
    let answer = app.post(&format!("/api/v1/jobs/{id}/{verb}"), &json!({})).await;
    assert_eq!(answer.status, 200, "{verb}: {}", answer.body);
    answer.body
}

/// Makes every member unready and waits until the host knows.
async fn away(app: &App) {
    for member in ["member1", "member2"] {
        app.sandbox.faults().member_down(member);
    }
    until("both clusters are away", async || {
        let answer = app.get("/api/v1/proxy/clusters").await;
        let list = answer.body["clusters"].as_array().cloned().unwrap_or_default();
        list.len() == 2 && list.iter().all(|cluster| cluster["ready"] == false)
    })
    .await;
}

fn back(app: &App) {
    for member in ["member1", "member2"] {
        app.sandbox.faults().member_up(member);
    }
}

fn pods(app: &App) -> usize {
    ["member1", "member2"].iter().map(|name| app.sandbox.list(Some(name), "v1", "Pod").len()).sum()
}

#[tokio::test]
async fn suspended_job_frees_its_cluster_and_runs_to_success_when_it_is_resumed() {
    let app = Setup::sqlite().speed(2.0).start().await;
    let id = app.submit(&sample_form("paused")).await;
    app.job_in_phase(&id, "Running").await;
    assert_eq!(wish(&app, &id, "suspend").await["suspend"], true);
    let job = app.job_in_phase(&id, "Suspended").await;
    assert_eq!((&job["status"], job.get("startedAt")), (&json!("Pending"), None), "{job:#}");
    until("its pods are gone", async || pods(&app) == 0).await;
    let job = app.job_until(&id, |job| job["reason"] == "Suspended").await;
    // Asking again changes nothing.
    assert_eq!(wish(&app, &id, "suspend").await["version"], job["version"]);
    assert_eq!(wish(&app, &id, "resume").await["suspend"], false);
    let job = app.job_in_phase(&id, "Succeeded").await;
    assert!(job["startedAt"].is_string(), "{job:#}");
    assert_eq!(app.creations("rayjobs", "paused"), 1, "it is the same object");
    let kinds: Vec<Value> = app.events(&id).await.iter().map(|e| e["kind"].clone()).collect();
    assert!(
        kinds.contains(&json!("SuspendRequested")) && kinds.contains(&json!("ResumeRequested"))
    );
    let refused = app.post(&format!("/api/v1/jobs/{id}/suspend"), &json!({})).await;
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("wrong-state")));
}

#[tokio::test]
async fn job_that_is_suspended_while_it_waits_is_not_placed_until_it_is_resumed() {
    let app = Setup::sqlite().start().await;
    away(&app).await;
    let held = app.submit(&sample_form("held")).await;
    app.job_until(&held, |job| job["reason"] == "NoClusterFits").await;
    wish(&app, &held, "suspend").await;
    back(&app);
    let other = app.submit(&sample_form("other")).await;
    app.job_in_phase(&other, "Succeeded").await;
    let job = app.get(&format!("/api/v1/jobs/{held}")).await.body;
    assert_eq!((&job["phase"], &job["reason"]), (&json!("Queued"), &json!("Suspended")), "{job:#}");
    assert_eq!(app.creations("rayjobs", "held"), 0);
    wish(&app, &held, "resume").await;
    app.job_in_phase(&held, "Succeeded").await;
}

#[tokio::test]
async fn suspended_job_is_stopped_and_deleted_like_any_other() {
    let app = Setup::sqlite().speed(2.0).start().await;
    let id = app.submit(&sample_form("paused")).await;
    app.job_in_phase(&id, "Running").await;
    wish(&app, &id, "suspend").await;
    app.job_in_phase(&id, "Suspended").await;
    app.post(&format!("/api/v1/jobs/{id}/cancel"), &json!({})).await;
    app.job_in_phase(&id, "Cancelled").await;
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    app.job_gone(&id).await;
}

#[tokio::test]
async fn job_that_does_not_start_in_time_ends_and_says_why() {
    let app = Setup::sqlite().start().await;
    let patient_for = |name: &str, seconds: u32| {
        let mut form = sample_form(name);
        form["stoppingCondition"] = json!({"maxPendingSeconds": seconds});
        form
    };
    // Applied, and no operator takes it up.
    for member in ["member1", "member2"] {
        app.sandbox.faults().operators_down(member);
    }
    let applied = app.submit(&patient_for("applied", 2)).await;
    let job = app.job_in_phase(&applied, "TimedOut").await;
    assert_eq!((&job["reason"], &job["failure"]), (&json!("PendingTooLong"), &json!("timeout")));
    for member in ["member1", "member2"] {
        app.sandbox.faults().operators_up(member);
    }
    // Never placed.
    away(&app).await;
    let queued = app.submit(&patient_for("queued", 1)).await;
    let job = app.job_in_phase(&queued, "TimedOut").await;
    assert_eq!(job["reason"], "PendingTooLong");
    let message = job["message"].as_str().unwrap();
    assert!(message.contains("did not start within its 1 s") && message.contains("not ready"));
    assert_eq!(app.creations("rayjobs", "queued"), 0);
    back(&app);
    // One that starts in time is left alone.
    let quick = app.submit(&patient_for("quick", 600)).await;
    app.job_in_phase(&quick, "Succeeded").await;
}

#[tokio::test]
async fn job_that_is_resumed_late_is_given_its_time_to_start_again() {
    let app = Setup::sqlite().speed(2.0).start().await;
    let mut form = sample_form("late");
    form["stoppingCondition"] = json!({"maxPendingSeconds": 3});
    let id = app.submit(&form).await;
    app.job_in_phase(&id, "Running").await;
    wish(&app, &id, "suspend").await;
    let job = app.job_in_phase(&id, "Suspended").await;
    // Longer ago than it may wait by now.
    let created: Timestamp = job["createdAt"].as_str().unwrap().parse().unwrap();
    until("it was accepted long ago", async || {
        SystemClock.now().duration_since(created).as_secs() > 3
    })
    .await;
    wish(&app, &id, "resume").await;
    app.job_in_phase(&id, "Succeeded").await;
}

#[tokio::test]
async fn run_that_karmada_made_again_is_told_of() {
    let app = Setup::sqlite().speed(0.5).start().await;
    let id = app.submit(&sample_form("again")).await;
    let first = app.job_in_phase(&id, "Running").await;
    assert_eq!(first.get("restarts"), None, "{first:#}");
    let cluster = first["clusters"][0].as_str().unwrap();
    // A run begins in whole seconds.
    let started: Timestamp = first["startedAt"].as_str().unwrap().parse().unwrap();
    until("a second has passed", async || SystemClock.now().duration_since(started).as_secs() > 1)
        .await;
    app.sandbox.delete_member_object(cluster, "ray.io/v1", "RayJob", "default", "again");
    let job = app.job_until(&id, |job| job["restarts"] == 1).await;
    assert_eq!(job["startedAt"], first["startedAt"]);
    let explained = app.get(&format!("/api/v1/jobs/{id}/explain")).await.body;
    assert!(explained.to_string().contains("began the run anew once"), "{explained:#}");
    let job = app.job_in_phase(&id, "Succeeded").await;
    assert_eq!(job["restarts"], 1);
    let events = app.events(&id).await;
    assert!(events.iter().any(|event| event["kind"] == "Restarted"), "{events:#?}");
}

#[tokio::test]
async fn another_attempt_is_a_new_job_and_the_tree_shows_it() {
    let app = Setup::sqlite().start().await;
    let first = app.submit(&sample_form("iris")).await;
    let path = format!("/api/v1/jobs/{first}/retry");
    let early = app.post(&path, &json!({})).await;
    assert_eq!((early.status, &early.body["code"]), (409, &json!("wrong-state")), "it is not over");
    app.job_in_phase(&first, "Succeeded").await;
    let second = app.post(&path, &json!({})).await;
    assert_eq!(second.status, 201, "{}", second.body);
    assert_eq!((&second.body["jobName"], &second.body["attempt"]), (&json!("iris-2"), &json!(2)));
    assert_eq!(second.body["firstAttempt"], first.as_str());
    let second = second.body["id"].as_str().unwrap().to_owned();
    app.job_in_phase(&second, "Succeeded").await;
    assert_eq!(app.creations("rayjobs", "iris-2"), 1);
    // The plugin was told which attempt it is, and a repetition of the conversion is, too.
    let verified = app.post(&format!("/api/v1/jobs/{second}/verify"), &json!({})).await;
    assert_eq!(verified.body["verdict"], "same", "{}", verified.body);
    // The third attempt of the work, asked for by way of the second, which is gone by then.
    app.delete(&format!("/api/v1/jobs/{second}")).await;
    app.job_gone(&second).await;
    let form = json!({"jobName": "iris-final"});
    let third = app.post(&format!("/api/v1/jobs/{second}/retry"), &form).await;
    assert_eq!((third.status, &third.body["jobName"]), (201, &json!("iris-final")));
    let list = app.get(&format!("/api/v1/jobs/{first}/attempts")).await.body;
    let attempts: Vec<(&Value, &Value)> = list["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| (&job["attempt"], &job["lifecycle"]))
        .collect();
    let expected = [(1, "Active"), (2, "Deleted"), (3, "Active")];
    assert_eq!(
        attempts,
        expected.map(|(n, l)| (json!(n), json!(l))).each_ref().map(|(n, l)| (n, l))
    );
}

#[tokio::test]
async fn copy_takes_the_form_with_changes_and_is_checked_like_any_other() {
    let app = Setup::sqlite().start().await;
    let id = app.submit(&sample_form("iris")).await;
    let path = format!("/api/v1/jobs/{id}/clone");
    let nameless = app.post(&path, &json!({"priority": 9})).await;
    assert_eq!((nameless.status, nameless.pointers()), (400, vec!["/jobName"]));
    let same = app.post(&path, &json!({"jobName": "iris"})).await;
    assert_eq!((same.status, &same.body["code"]), (409, &json!("name-taken")));
    let wrong = json!({"jobName": "b", "hyperparameters": {"xgboost": {"eta": 7}}});
    assert_eq!(app.post(&path, &wrong).await.pointers(), ["/hyperparameters/xgboost/eta"]);
    let form = json!({
        "jobName": "copy",
        "hyperparameters": {"xgboost": {"eta": 0.25}},
        "outputDataConfig": null,
    });
    let copy = app.post(&path, &form).await;
    assert_eq!(copy.status, 201, "{}", copy.body);
    let request = &copy.body["request"];
    assert_eq!(request["hyperparameters"]["xgboost"]["eta"], 0.25);
    assert_eq!(request.get("outputDataConfig"), None);
    assert_eq!(request["resources"], sample_form("iris")["resources"]);
    assert_eq!((&copy.body["attempt"], copy.body.get("firstAttempt")), (&json!(1), None));
}

#[tokio::test]
async fn job_that_is_over_goes_after_its_time_and_its_record_stays() {
    let mut setup = Setup::sqlite();
    setup.env = vec![("TRAINYARD__RECONCILE__KEEP_FINISHED_SECONDS", "2".to_owned())];
    let app = setup.start().await;
    let id = app.submit(&sample_form("brief")).await;
    app.job_gone(&id).await;
    assert!(app.sandbox.get(None, "ray.io/v1", "RayJob", "default", "brief").is_none());
    assert_eq!(app.members_with("v1", "PersistentVolumeClaim", "brief-pvc").len(), 1);
    let events = app.events(&id).await;
    let expired = events.iter().find(|event| event["kind"] == "Expired").expect("it expired");
    assert_eq!((&expired["actor"], &expired["to"]), (&json!("reap"), &json!("Succeeded")));
}

#[tokio::test]
async fn cluster_that_never_comes_back_is_given_up_on_by_whoever_says_so() {
    let app = Setup::sqlite().speed(2.0).start().await;
    let id = app.submit(&sample_form("remote")).await;
    app.job_in_phase(&id, "Running").await;
    let cluster = app.members_with("ray.io/v1", "RayJob", "remote")[0];
    let path = format!("/api/v1/jobs/{id}/abandon");
    let body = json!({"clusters": [cluster]});
    let early = app.post(&path, &body).await;
    assert_eq!((early.status, &early.body["code"]), (409, &json!("wrong-state")));
    app.sandbox.faults().member_down(cluster);
    app.delete(&format!("/api/v1/jobs/{id}")).await;
    app.job_until(&id, |job| job["message"].as_str().is_some_and(|text| text.contains(cluster)))
        .await;
    let answer = app.send_as("ada", "POST", &path, Some(&body)).await;
    assert_eq!(answer.body["abandonedClusters"], json!([cluster]), "{}", answer.body);
    app.job_gone(&id).await;
    let events = app.events(&id).await;
    let given_up = events.iter().find(|event| event["kind"] == "Abandoned").expect("on record");
    assert_eq!(given_up["evidence"], json!({"clusters": [cluster], "by": "ada"}));
}

#[tokio::test]
async fn command_line_has_a_verb_for_each() {
    let app = Setup::sqlite().speed(2.0).start().await;
    let id = app.submit(&sample_form("typed")).await;
    app.job_in_phase(&id, "Running").await;
    let typed = async |args: &[&str]| {
        let mut command = Command::new(program("trainyard"));
        command.args(["--server", &app.host.url]).args(args).env_remove("TRAINYARD_ACTOR");
        let output = tokio::task::spawn_blocking(move || command.output().expect("it runs")).await;
        let output = output.expect("it ends");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text + &String::from_utf8_lossy(&output.stderr))
    };
    let works = async |args: &[&str]| {
        let (code, text) = typed(args).await;
        assert_eq!(code, Some(0), "{args:?}: {text}");
        text
    };
    works(&["suspend", &id]).await;
    app.job_in_phase(&id, "Suspended").await;
    works(&["resume", &id]).await;
    works(&["cancel", &id]).await;
    app.job_in_phase(&id, "Cancelled").await;
    let retried = works(&["retry", &id]).await;
    assert!(retried.starts_with("typed-2-"), "{retried}");
    let attempts = works(&["attempts", &id]).await;
    assert!(attempts.contains("Cancelled") && attempts.contains("typed-2-"), "{attempts}");
    let copy = works(&["clone", &id, "other", "--set", r#"{"priority": 7}"#]).await;
    assert!(copy.starts_with("other-"), "{copy}");
    let (code, text) = typed(&["clone", &id, "another", "--set", "7"]).await;
    assert_eq!((code, text.contains("--set is not a JSON object")), (Some(1), true), "{text}");
    let (code, text) = typed(&["abandon", copy.lines().next().unwrap(), "member1"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("wrong-state"), "{text}");
}
