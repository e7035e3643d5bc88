//! What the host depends on breaks under load.

use super::history::History;
use crate::harness::{PostgresServer, Setup, sample_form, send_with_key, until};

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
