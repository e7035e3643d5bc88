//! The host is killed at named steps. A fault holds the request of the step; so the moment is known
//! from outside, and the host's own code has no part in it. What happens inside the database stands in
//! [`super::statements`].

use super::history::History;
use super::replicas::postgres;
use crate::harness::{App, Setup, sample_form, until};

/// How far the request of the step came when the host dies.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// It is on its way, and is never carried out.
    Sent,
    /// It is carried out and answered; nobody hears the answer.
    Answered,
}

const MOMENTS: [Moment; 2] = [Moment::Sent, Moment::Answered];

/// Kills the host at the first request that matches, after `act`, and starts it again.
async fn killed_at(app: &mut App, request: &str, moment: Moment, act: impl AsyncFnOnce(&App)) {
    app.sandbox.faults().hang(request);
    act(app).await;
    let hanging = |app: &App| app.sandbox.faults().hanging();
    until(request, async || hanging(app) > 0).await;
    match moment {
        Moment::Sent => {
            app.host.kill();
            until("the request is forgotten", async || hanging(app) == 0).await;
            app.sandbox.faults().clear();
        }
        Moment::Answered => {
            app.host.pause();
            assert!(hanging(app) > 0, "the host gave up too early");
            app.sandbox.faults().clear();
            until("the request is answered", async || hanging(app) == 0).await;
            app.host.kill();
        }
    }
    app.restart().await;
}

/// Places at which something of a job may be.
const PLACES: [Option<&str>; 3] = [None, Some("member1"), Some("member2")];

fn assert_nothing_left(app: &App, name: &str) {
    let gone = |place, api: &str, kind: &str, name: &str| {
        let object = app.sandbox.get(place, api, kind, "default", name);
        assert_eq!(object, None, "{kind} {name} at {place:?}");
    };
    for place in PLACES {
        gone(place, "ray.io/v1", "RayJob", name);
        gone(place, "v1", "PersistentVolumeClaim", &format!("{name}-pvc"));
    }
    let shared = "trainyard-secret-trainyard-s3".to_owned();
    let own = ["propagation", "storage"].map(|suffix| format!("{name}-{suffix}"));
    for policy in own.into_iter().chain([shared]) {
        gone(None, "policy.karmada.io/v1alpha1", "PropagationPolicy", &policy);
    }
}

async fn is_killed_at_any_write(mut app: App) {
    let history = History::of([app.host.url.as_str()]);
    // The first policy is that of the secret, the second that of the volume, if the first is there.
    let writes = [
        ("shared", "POST */propagationpolicies"),
        ("volume", "POST */persistentvolumeclaims"),
        ("workload", "POST */rayjobs"),
        ("needed", "PATCH */propagationpolicies/trainyard-*"),
        ("sealed", "PATCH */propagationpolicies/*-propagation"),
    ];
    for (step, request) in writes {
        for moment in MOMENTS {
            let name = format!("{step}-{moment:?}").to_lowercase();
            killed_at(&mut app, request, moment, async |_| {
                history.submit(&name, 0).await;
            })
            .await;
            history.use_hosts([app.host.url.as_str()]);
        }
    }
    history.check(&app).await;
}

#[tokio::test]
async fn kill_at_any_write_of_a_job_is_made_good_with_sqlite() {
    is_killed_at_any_write(Setup::sqlite().start().await).await;
}

#[tokio::test]
async fn kill_at_any_write_of_a_job_is_made_good_with_postgres() {
    let Some(setup) = postgres().await else { return };
    is_killed_at_any_write(setup.start().await).await;
}

#[tokio::test]
async fn kill_at_any_step_of_a_deletion_is_made_good_with_sqlite() {
    is_killed_at_any_step_of_a_deletion(Setup::sqlite().start().await).await;
}

#[tokio::test]
async fn kill_at_any_step_of_a_deletion_is_made_good_with_postgres() {
    let Some(setup) = postgres().await else { return };
    is_killed_at_any_step_of_a_deletion(setup.start().await).await;
}

async fn is_killed_at_any_step_of_a_deletion(mut app: App) {
    let steps = [
        ("workload", "DELETE */rayjobs/*"),
        ("proof", "GET */proxy/*/rayjobs/*"),
        ("release", "PATCH */propagationpolicies/*-storage"),
        ("volume", "DELETE */persistentvolumeclaims/*"),
        ("volume-proof", "GET */proxy/*/persistentvolumeclaims/*"),
        ("policy", "DELETE */propagationpolicies/*-propagation"),
        ("narrow", "PATCH */propagationpolicies/trainyard-*"),
        ("shared", "DELETE */propagationpolicies/trainyard-*"),
    ];
    for (step, request) in steps {
        for moment in MOMENTS {
            let name = format!("{step}-{moment:?}").to_lowercase();
            let id = app.submit(&sample_form(&name)).await;
            app.job_until(&id, |job| job["phase"] != "Queued").await;
            killed_at(&mut app, request, moment, async |app| {
                let path = format!("/api/v1/jobs/{id}?volumes=delete");
                assert_eq!(app.delete(&path).await.status, 200);
            })
            .await;
            app.job_gone(&id).await;
            assert_nothing_left(&app, &name);
            assert_eq!(app.creations("rayjobs", &name), 1, "{name}");
        }
    }
}

#[tokio::test]
async fn kills_under_load_lose_no_promised_job_with_sqlite() {
    lose_no_promised_job(Setup::sqlite().start().await).await;
}

#[tokio::test]
async fn kills_under_load_lose_no_promised_job_with_postgres() {
    let Some(setup) = postgres().await else { return };
    lose_no_promised_job(setup.start().await).await;
}

async fn lose_no_promised_job(mut app: App) {
    let history = History::of([app.host.url.as_str()]);
    let killing = async {
        for round in 1..=3 {
            history.reaches(6 * round).await;
            app.kill_and_restart().await;
            history.use_hosts([app.host.url.as_str()]);
        }
    };
    tokio::join!(history.load("hit", 24, 6), killing);
    history.check(&app).await;
}
