//! What the host depends on breaks under load.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::history::History;
use crate::harness::{App, PostgresServer, Setup, sample_form, send_with_key, until};

#[tokio::test]
async fn restarted_database_costs_no_promised_job() {
    let Some(server) = PostgresServer::start().await else { return };
    let mut setup = Setup::sqlite();
    setup.database = server.database();
    let app = setup.start().await;
    let history = History::of([app.host.url.as_str()]);
    let breaking = async {
        history.reaches(4).await;
        for round in 1..=8 {
            server.cut_connections().await;
            history.reaches((4 + round).min(12)).await;
        }
        server.crash();
        server.launch();
        history.reaches(18).await;
        server.crash();
        // The truth of this moment: nobody can know, so ask again.
        let unknown = send_with_key(&app.host.url, &sample_form("asked-while-down"), "down").await;
        let unknown = unknown.expect("the host answers");
        assert_eq!((unknown.status, &unknown.body["code"]), (503, &"store-unavailable".into()));
        assert!(!unknown.header("retry-after").is_empty());
        assert_eq!(app.get("/livez").await.status, 200);
        assert_eq!(app.get("/readyz").await.status, 503);
        server.launch();
    };
    tokio::join!(history.load("pg", 24, 4), breaking);
    history.check(&app).await;
}

#[tokio::test]
async fn control_plane_that_hangs_fails_or_throttles_holds_up_no_submission() {
    let mut setup = Setup::sqlite();
    setup.env.push(("TRAINYARD__KARMADA__CALL_TIMEOUT_SECONDS", "2".to_owned()));
    let app = setup.start().await;
    let history = History::of([app.host.url.as_str()]);
    for (number, fault) in ["hang", "500", "429"].into_iter().enumerate() {
        let faults = app.sandbox.faults();
        match fault.parse() {
            Ok(status) => faults.fail_share("*", status, 100),
            Err(_) => faults.hang("*"),
        }
        faults.drop_watches();
        history.load(&format!("k{fault}"), 5, 2).await;
        // All this is answered while the control plane is as broken as before.
        if fault == "hang" {
            until("calls hang", async || faults.hanging() > 0).await;
        }
        let list = app.get("/api/v1/jobs").await;
        assert_eq!(list.body.as_array().unwrap().len(), 5 * (number + 1));
        assert_eq!(app.get("/readyz").await.status, 200, "jobs are taken without Karmada");
        let id = history.submit(&format!("k{fault}-waits"), 0).await;
        app.job_until(&id, |job| {
            job["phase"] == "Queued" && job["reason"] == "ControlPlaneUnavailable"
        })
        .await;
        app.delete(&format!("/api/v1/jobs/{id}")).await;
        faults.clear();
        app.job_gone(&id).await;
        history.forget(&format!("k{fault}-waits"));
    }
    history.check(&app).await;
}

#[tokio::test]
async fn call_that_hangs_holds_up_its_own_job_only() {
    let mut setup = Setup::sqlite();
    setup.env = vec![
        ("TRAINYARD__RECONCILE__LEASE_SECONDS", "120".to_owned()),
        ("TRAINYARD__KARMADA__CALL_TIMEOUT_SECONDS", "60".to_owned()),
    ];
    let app = setup.start().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "slow"}});
    app.sandbox.create(None, namespace).expect("the namespace");
    app.sandbox.faults().hang("POST */namespaces/slow/*");
    let mut form = sample_form("slow");
    form["namespace"] = json!("slow");
    let slow = app.submit(&form).await;
    until("its call hangs", async || app.sandbox.faults().hanging() == 1).await;
    let other = app.submit(&sample_form("other")).await;
    app.job_in_phase(&other, "Succeeded").await;
    app.delete(&format!("/api/v1/jobs/{other}")).await;
    app.job_gone(&other).await;
    assert_eq!(app.sandbox.faults().hanging(), 1, "the very call");
    assert_eq!(app.get(&format!("/api/v1/jobs/{slow}")).await.body["phase"], "Queued");
    app.sandbox.faults().clear();
    app.job_until(&slow, |job| job["phase"] != "Queued").await;
}

/// Sends a request and hangs up without waiting for the answer.
async fn hang_up(app: &App, path: &str, after: u32) {
    let address = app.host.url.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.expect("the host listens");
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: 2\r\n\r\n{{}}"
    );
    stream.write_all(head.as_bytes()).await.expect("it is sent");
    // Each time at another moment of what the host does meanwhile.
    tokio::time::sleep(Duration::from_micros(u64::from(after) * 100)).await;
}

#[tokio::test]
async fn clients_that_hang_up_cost_no_promised_job() {
    let Some(setup) = Setup::postgres().await else { return };
    let app = setup.start().await;
    let history = History::of([app.host.url.as_str()]);
    let toy = history.submit("toy", 0).await;
    let rude = async {
        for round in 0..100 {
            let verb = if round % 2 == 0 { "suspend" } else { "resume" };
            hang_up(&app, &format!("/api/v1/jobs/{toy}/{verb}"), round % 50).await;
        }
    };
    tokio::join!(history.load("calm", 16, 2), rude);
    app.delete(&format!("/api/v1/jobs/{toy}")).await;
    app.job_gone(&toy).await;
    history.forget("toy");
    history.check(&app).await;
}
