//! Statuses and clusters, from the watch and without it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use training::clock::{Clock, ManualClock, Timestamp};
use training::ports::{ControlError, ControlPlane, WorkloadRef};

use crate::harness::{Harness, client_by, client_of, ray_job, until};

fn workload(job: &str, uid: Option<&str>) -> WorkloadRef {
    WorkloadRef { object: ray_job(job).1, uid: uid.map(str::to_owned) }
}

#[tokio::test]
async fn status_reaches_the_caller_without_a_call() {
    let harness = Harness::start().await;
    let uid = harness.submit("a").await;
    let wanted = [workload("a", Some(&uid))];
    let status = json!({"jobStatus": "RUNNING", "message": "half way"});
    harness.sandbox.patch_status(Some("member1"), "ray.io/v1", "RayJob", "team", "a", status);
    harness.sandbox.settle().await;
    until("the binding shows the status", async || {
        let seen = harness.client.observe(&wanted).await.unwrap();
        let members = seen[0].binding.iter().flat_map(|binding| &binding.members);
        members.filter_map(|member| member.status.as_ref()).any(|s| s["message"] == "half way")
    })
    .await;
    let calls = harness.client.counters().calls;
    let seen = harness.client.observe(&wanted).await.unwrap();
    assert_eq!(harness.client.counters().calls, calls);
    let binding = seen[0].binding.as_ref().unwrap();
    assert_eq!(binding.clusters, ["member1"]);
    assert!(binding.scheduled.as_ref().unwrap().0 && binding.members[0].applied);
    harness.stop().await;
}

#[tokio::test]
async fn binding_of_another_uid_is_nobodys() {
    let harness = Harness::start().await;
    let uid = harness.submit("a").await;
    until("the binding is known", async || {
        let seen = harness.client.observe(&[workload("a", Some(&uid))]).await.unwrap();
        seen[0].binding.is_some()
    })
    .await;
    harness.sandbox.clear_audit();
    let wanted = [workload("a", Some("another")), workload("b", None)];
    for _ in 0..2 {
        let seen = harness.client.observe(&wanted).await.unwrap();
        assert!(seen.iter().all(|seen| seen.binding.is_none()));
        assert!(seen.iter().all(|seen| seen.exists == Some(false)), "{seen:?}");
    }
    let gets = harness.sandbox.request_counts().get("get rayjobs").copied();
    assert_eq!(gets, Some(2), "one look at each within a poll interval");
    harness.stop().await;
}

#[tokio::test]
async fn workload_without_a_binding_exists() {
    let harness = Harness::start().await;
    let uid = harness.sandbox.create(None, ray_job("a").0).unwrap()["metadata"]["uid"].clone();
    let seen = harness.client.observe(&[workload("a", uid.as_str())]).await.unwrap();
    assert_eq!((seen[0].exists, seen[0].binding.is_none()), (Some(true), true));
    harness.stop().await;
}

#[tokio::test]
async fn machine_that_slept_is_told_nothing_older_than_its_waking() {
    let harness = Harness::start().await;
    let uid = harness.submit("a").await;
    let (tasks, stop) = Default::default();
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let kubeconfig = harness.sandbox.kubeconfig();
    let machine = Arc::clone(&clock) as Arc<dyn Clock>;
    let interval = Duration::from_mins(1);
    let client = client_by(machine, &kubeconfig, interval, &tasks, &stop).await;
    until("the watches work", async || client.watch_healthy()).await;
    let wanted = [workload("a", Some(&uid))];
    let told = async || {
        let seen = client.observe(&wanted).await.unwrap();
        let member = seen[0].binding.as_ref().unwrap().members[0].clone();
        member.status.unwrap()["message"].clone()
    };
    let report = |message: &str| {
        let (api, name) = ("work.karmada.io/v1alpha2", "a-rayjob");
        let binding = harness.sandbox.get(None, api, "ResourceBinding", "team", name).unwrap();
        let mut status = binding["status"].clone();
        status["aggregatedStatus"][0]["status"] = json!({"message": message});
        assert!(harness.sandbox.patch_status(None, api, "ResourceBinding", "team", name, status));
    };
    report("before");
    until("the client knows it", async || told().await == "before").await;
    assert_eq!(client.counters().binding_lists, 0);
    // Nothing of the client runs between here and the first question.
    report("meanwhile");
    report("now");
    clock.advance(Duration::from_mins(5));
    assert_eq!(told().await, "now");
    let counters = client.counters();
    assert_eq!(counters.binding_lists, 1);
    // The watch that held the reports of meanwhile is not believed again: another one begins.
    until("the watches work again", async || {
        assert_eq!(told().await, "now");
        client.watch_healthy()
    })
    .await;
    assert_eq!(client.counters(), counters, "what was listed once is fresh for a poll interval");
    report("later");
    until("the new watch tells what comes", async || told().await == "later").await;
    stop.cancel();
    harness.stop().await;
}

#[tokio::test]
async fn callers_share_one_list_while_there_is_no_watch() {
    let harness = Harness::start().await;
    let uid = harness.submit("a").await;
    let (tasks, stop) = Default::default();
    let kubeconfig = harness.sandbox.kubeconfig();
    let interval = Duration::from_mins(1);
    let fresh = client_of(&kubeconfig, interval, &tasks, &stop).await;
    // Its watch task has not run yet.
    let wanted = [workload("a", Some(&uid))];
    let (one, two) = tokio::join!(fresh.observe(&wanted), fresh.observe(&wanted));
    assert!(one.unwrap()[0].binding.is_some() && two.unwrap()[0].binding.is_some());
    assert_eq!(fresh.counters().binding_lists, 1);
    stop.cancel();
    harness.stop().await;
}

#[tokio::test]
async fn broken_watch_is_given_up_and_taken_up_again() {
    let interval = Duration::from_millis(600);
    let harness = Harness::start_polling(interval).await;
    let uid = harness.submit("a").await;
    let wanted = [workload("a", Some(&uid))];
    let faults = harness.sandbox.faults();
    faults.fail_share("GET */resourcebindings*", 503, 100);
    faults.drop_watches();
    until("the watch is given up", async || !harness.client.watch_healthy()).await;
    let (one, two) = tokio::join!(harness.client.observe(&wanted), harness.client.observe(&wanted));
    for error in [one.unwrap_err(), two.unwrap_err()] {
        assert!(matches!(error, ControlError::Unavailable { .. }), "{error}");
    }
    assert_eq!(harness.client.counters().binding_lists, 1);
    faults.clear();
    until("statuses are read again", async || {
        let seen = harness.client.observe(&wanted).await;
        seen.is_ok_and(|seen| seen[0].binding.is_some())
    })
    .await;
    until("the watch works again", async || harness.client.watch_healthy()).await;
    harness.stop().await;
}

#[tokio::test]
async fn quiet_watch_that_is_renewed_counts_as_healthy() {
    let interval = Duration::from_millis(100);
    let harness = Harness::start_polling(interval).await;
    let faults = harness.sandbox.faults();
    faults.fail_next("GET */resourcebindings*", 503, 1);
    faults.drop_watches();
    until("the watch is given up", async || !harness.client.watch_healthy()).await;
    // No object changes: the accepted watch alone is the sign.
    until("the watch works again", async || harness.client.watch_healthy()).await;
    assert_eq!(harness.client.counters().binding_lists, 0);
    harness.stop().await;
}

#[tokio::test]
async fn expired_watch_starts_over_and_misses_nothing() {
    let harness = Harness::start().await;
    let first = harness.submit("a").await;
    harness.sandbox.faults().expire_watches();
    let second = harness.submit("b").await;
    let wanted = [workload("a", Some(&first)), workload("b", Some(&second))];
    until("both bindings are known", async || {
        let seen = harness.client.observe(&wanted).await.unwrap();
        seen.iter().all(|seen| seen.binding.is_some())
    })
    .await;
    harness.stop().await;
}

#[tokio::test]
async fn change_is_answered_once_and_a_new_list_answers_only_what_differs() {
    let harness = Harness::start().await;
    let uids = [harness.submit("a").await, harness.submit("b").await];
    let wanted = [workload("a", Some(&uids[0])), workload("b", Some(&uids[1]))];
    let answered = std::cell::RefCell::new(std::collections::BTreeSet::new());
    let take = async || {
        let changed = harness.client.changed().await.unwrap();
        answered.borrow_mut().extend(changed.into_iter().map(|object| object.name));
    };
    until("both are applied and were answered", async || {
        take().await;
        let seen = harness.client.observe(&wanted).await.unwrap();
        let mut members = seen.iter().map(|seen| seen.binding.iter().flat_map(|b| &b.members));
        members.all(|mut members| members.any(|member| member.applied))
            && answered.borrow().len() == 2
    })
    .await;
    harness.sandbox.settle().await;
    let lists = || harness.sandbox.request_counts().get("list resourcebindings").copied();
    let before = lists();
    harness.sandbox.faults().expire_watches();
    until("the bindings are listed again", async || lists() > before).await;
    until("all of that was answered", async || harness.client.watch_healthy()).await;
    take().await;
    answered.borrow_mut().clear();
    harness.sandbox.faults().expire_watches();
    let status = json!({"jobStatus": "RUNNING", "message": "half way"});
    harness.sandbox.patch_status(Some("member1"), "ray.io/v1", "RayJob", "team", "a", status);
    harness.sandbox.settle().await;
    until("the change is answered", async || {
        take().await;
        !answered.borrow().is_empty()
    })
    .await;
    assert_eq!(answered.borrow().iter().collect::<Vec<_>>(), ["a"]);
    assert_eq!(harness.client.changed().await.unwrap(), []);
    harness.stop().await;
}

#[tokio::test]
async fn clusters_are_known_and_an_outage_rings() {
    let harness = Harness::start().await;
    let clusters = harness.client.clusters().await.unwrap();
    let names: Vec<&str> = clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    assert_eq!(names, ["member1", "member2"]);
    assert!(clusters.iter().all(|cluster| cluster.ready && cluster.ready_since.is_some()));
    assert!(clusters[0].apis.contains(&"ray.io/v1/RayJob".to_owned()));
    assert_eq!(clusters[0].free.unwrap().gpus, 16);
    assert_eq!(harness.client.known_clusters().len(), 2);

    let hint = harness.client.hint();
    harness.sandbox.faults().member_down("member2");
    harness.sandbox.step(Duration::from_mins(2)).await;
    tokio::time::timeout(Duration::from_secs(5), hint.notified()).await.unwrap();
    until("the outage is seen", async || {
        let clusters = harness.client.clusters().await.unwrap();
        !clusters[1].ready && clusters[1].taints.iter().any(|taint| taint.contains("not-ready"))
    })
    .await;
    harness.stop().await;
}
