//! The host dies, is stopped, or meets a broken plugin.

use crate::harness::{App, Setup, sample_form};

async fn killed_host_forgets_nothing(mut app: App) {
    let id = app.submit(&sample_form("survivor")).await;
    app.kill_and_restart().await;
    app.job_in_phase(&id, "Succeeded").await;
    assert_eq!(app.creations("rayjobs", "survivor"), 1);
    assert_eq!(app.members_with("ray.io/v1", "RayJob", "survivor").len(), 1);
}

#[tokio::test]
async fn job_accepted_before_a_kill_runs_exactly_once_with_sqlite() {
    killed_host_forgets_nothing(Setup::sqlite().start().await).await;
}

#[tokio::test]
async fn job_accepted_before_a_kill_runs_exactly_once_with_postgres() {
    let Some(setup) = Setup::postgres().await else { return };
    killed_host_forgets_nothing(setup.start().await).await;
}

#[tokio::test]
async fn kills_at_every_stage_lose_nothing_and_run_nothing_twice() {
    let mut app = Setup::sqlite().speed(4.0).start().await;
    let mut ids = Vec::new();
    for (round, phase) in ["Queued", "Submitted", "Running"].into_iter().enumerate() {
        let id = app.submit(&sample_form(&format!("hit-{round}"))).await;
        if phase != "Queued" {
            app.job_until(&id, |job| job["phase"] != "Queued").await;
        }
        if phase == "Running" {
            app.job_in_phase(&id, "Running").await;
        }
        app.kill_and_restart().await;
        ids.push(id);
    }
    for (round, id) in ids.iter().enumerate() {
        app.job_in_phase(id, "Succeeded").await;
        assert_eq!(app.creations("rayjobs", &format!("hit-{round}")), 1);
    }
}

#[tokio::test]
async fn deletion_that_a_kill_interrupted_is_finished() {
    let mut app = Setup::sqlite().speed(2.0).start().await;
    let id = app.submit(&sample_form("cut")).await;
    app.job_in_phase(&id, "Running").await;
    app.delete(&format!("/api/v1/jobs/{id}?volumes=delete")).await;
    app.kill_and_restart().await;
    app.job_gone(&id).await;
    assert!(app.members_with("ray.io/v1", "RayJob", "cut").is_empty());
    assert!(app.members_with("v1", "PersistentVolumeClaim", "cut-pvc").is_empty());
}

#[tokio::test]
async fn sigterm_ends_the_host_cleanly() {
    let mut app = Setup::sqlite().start().await;
    app.submit(&sample_form("polite")).await;
    let status = app.host.terminate().await;
    assert!(status.success(), "{status}:\n{}", app.host.log());
    assert!(!app.host.log().contains("panicked"), "{}", app.host.log());
    app.restart().await;
    let list = app.get("/api/v1/jobs").await;
    assert_eq!(list.body.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn host_that_starts_before_its_database_waits_for_it() {
    let Some(setup) = Setup::postgres().await else { return };
    let database = setup.database.clone();
    database.lose().await;
    let restored = async {
        // Long enough for a first try; that it happened is read from the log below.
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        database.restore().await;
    };
    let (app, ()) = tokio::join!(setup.start(), restored);
    assert!(app.host.log().contains("does not answer"), "{}", app.host.log());
    let id = app.submit(&sample_form("early")).await;
    app.job_in_phase(&id, "Succeeded").await;
}
