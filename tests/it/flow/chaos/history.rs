//! A client that repeats what has no clear answer, and remembers what was promised.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Answer, App, sample_form, send_with_key, until};

/// What was asked of some hosts, and what they promised.
pub(super) struct History {
    hosts: Mutex<Vec<String>>,
    /// Id of the job by its name, which is also its key.
    promised: Mutex<BTreeMap<String, String>>,
}

impl History {
    /// A client of these hosts.
    pub(super) fn of<'a>(hosts: impl IntoIterator<Item = &'a str>) -> Self {
        let history = Self { hosts: Mutex::default(), promised: Mutex::default() };
        history.use_hosts(hosts);
        history
    }

    /// From now on these hosts are asked.
    pub(super) fn use_hosts<'a>(&self, hosts: impl IntoIterator<Item = &'a str>) {
        let mut known = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        *known = hosts.into_iter().map(str::to_owned).collect();
    }

    fn host(&self, turn: usize) -> String {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts[turn % hosts.len()].clone()
    }

    fn promised(&self) -> BTreeMap<String, String> {
        self.promised.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The id of a promised job.
    pub(super) fn id(&self, name: &str) -> String {
        self.promised().remove(name).expect("it was promised")
    }

    /// The job was deleted; the promise is kept.
    pub(super) fn forget(&self, name: &str) {
        self.promised.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Waits until so many jobs are promised.
    pub(super) async fn reaches(&self, count: usize) {
        until(&format!("{count} jobs are accepted"), async || self.promised().len() >= count).await;
    }

    /// Submits one job until a host promises it. Whatever a broken system may answer is repeated;
    /// anything else is a wrong answer.
    pub(super) async fn submit(&self, name: &str, first: usize) -> String {
        let form = sample_form(name);
        let mut turn = first;
        let mut id = None;
        until(&format!("{name} is accepted"), async || {
            let answer = send_with_key(&self.host(turn), &form, name).await;
            turn += 1;
            id = answer.as_ref().and_then(|answer| promise(name, answer));
            id.is_some()
        })
        .await;
        let id = id.expect("it was waited for");
        let mut promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        promised.insert(name.to_owned(), id.clone());
        id
    }

    /// Submits `count` jobs, `lanes` at a time, each first to another host.
    pub(super) async fn load(&self, prefix: &str, count: usize, lanes: usize) {
        let lanes = (0..lanes).map(async |lane| {
            for number in (lane..count).step_by(lanes) {
                self.submit(&format!("{prefix}-{number}"), number).await;
            }
        });
        join_all(lanes).await;
    }

    /// Nothing that was promised is lost, nothing ran twice, nothing else exists.
    pub(super) async fn check(&self, app: &App) {
        let promised = self.promised();
        for (name, id) in &promised {
            let job = app.job_in_phase(id, "Succeeded").await;
            assert_eq!(job["jobName"], json!(name));
            ran_once(app, name, id).await;
            let again = send_with_key(&app.host.url, &sample_form(name), name).await;
            let again = again.expect("the host answers");
            assert_eq!((again.status, &again.body["id"]), (201, &json!(id)), "{}", again.body);
            assert_eq!(again.header("idempotent-replayed"), "true");
        }
        let list = app.get("/api/v1/jobs").await.body;
        let listed: BTreeSet<&str> =
            list.as_array().unwrap().iter().filter_map(|job| job["jobName"].as_str()).collect();
        assert_eq!(listed, promised.keys().map(String::as_str).collect());
        assert_eq!(list.as_array().unwrap().len(), promised.len());
    }
}

/// The id that an answer promises; `None` if it has to be asked again.
fn promise(name: &str, answer: &Answer) -> Option<String> {
    match answer.status {
        201 => Some(answer.body["id"].as_str().expect("an id").to_owned()),
        503 | 504 => {
            assert!(!answer.header("retry-after").is_empty(), "{}", answer.body);
            None
        }
        status => panic!("{name}: {status} {}", answer.body),
    }
}

/// The workload and the volume of a job were made exactly once, on one cluster, and its history has
/// neither gaps nor steps back.
pub(super) async fn ran_once(app: &App, name: &str, id: &str) {
    assert_eq!(app.creations("rayjobs", name), 1, "{name}");
    assert_eq!(app.creations("persistentvolumeclaims", &format!("{name}-pvc")), 1, "{name}");
    assert_eq!(app.members_with("ray.io/v1", "RayJob", name).len(), 1, "{name}");
    let events = app.events(id).await;
    let numbers: Vec<i64> = events.iter().filter_map(|event| event["seq"].as_i64()).collect();
    assert_eq!(numbers, (1..).take(events.len()).collect::<Vec<i64>>(), "{events:#?}");
    let order = ["Queued", "Submitted", "Running", "Succeeded"];
    let place = |event: &Value| order.iter().position(|phase| event["to"] == *phase);
    let places: Vec<usize> = events.iter().filter_map(place).collect();
    assert!(places.is_sorted(), "a phase went back: {events:#?}");
    let once = |kind: &str| events.iter().filter(|event| event["kind"] == kind).count() == 1;
    assert!(once("Accepted") && once("Placed") && once("Applied"), "{events:#?}");
}
