//! One case: a host of its own on the control plane under test, a namespace of its own, and nothing
//! of either left behind.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::{Value, json};
use training::IdSource as _;
use training::clock::RandomIds;

use super::member::{self, MARK};
use super::target::Target;
use crate::harness::{Answer, Database, Host, plugins_dir, sample_form, send, until_within};

/// The longest that a case waits for a state.
const PATIENCE: Duration = Duration::from_secs(150);

const LABEL_ORIGIN: &str = "trainyard.dev/origin";

/// What a case works with.
pub(super) struct Suite {
    pub(super) target: Target,
    /// Two members that are ready and have room.
    pub(super) members: Vec<String>,
    pub(super) namespace: String,
    host: Host,
    _dir: tempfile::TempDir,
}

/// Runs a case and cleans up after it, whether it succeeded or not.
pub(super) async fn case(run: impl AsyncFnOnce(&Suite)) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let target = Target::reach(dir.path()).await;
    let mut members = target.ready_members().await;
    assert!(members.len() >= 2, "the suite needs two ready members, there are {members:?}");
    members.truncate(2);
    member::furnish(&target, &members).await;
    // Patience is for people; what a test takes away does not come back.
    let env = [("TRAINYARD__RECONCILE__LOST_AFTER_MISSING_SECONDS", "2".to_owned())];
    let host =
        Host::start(&Database::sqlite(), &target.kubeconfig, dir.path(), &plugins_dir(), &env)
            .await;
    let namespace = format!("{MARK}-{:08x}", RandomIds.next());
    let suite = Suite { target, members, namespace, host, _dir: dir };
    let ended = AssertUnwindSafe(run(&suite)).catch_unwind().await;
    let cleaned = AssertUnwindSafe(suite.clean_up()).catch_unwind().await;
    for outcome in [ended, cleaned] {
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Suite {
    /// Makes the namespace; Karmada makes it on the members.
    pub(super) async fn make_namespace(&self) {
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": self.namespace, "labels": { MARK: "true" } },
        });
        self.target.create(None, "/api/v1/namespaces", &namespace).await;
    }

    /// The sample form in the suite's namespace, with both members as targets.
    pub(super) fn form(&self, name: &str) -> Value {
        let mut form = sample_form(name);
        form["namespace"] = json!(self.namespace);
        form["targetClusters"] = json!(self.members);
        form
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        send(&self.host.url, "GET", path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        send(&self.host.url, "POST", path, Some(body.to_string())).await
    }

    /// Submits a form that must be accepted.
    pub(super) async fn submit(&self, form: &Value) -> String {
        let answer = self.post("/api/v1/jobs", form).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["id"].as_str().expect("an id").to_owned()
    }

    /// Submits the sample and waits until its workload is on a member; returns both.
    pub(super) async fn placed(&self, name: &str) -> (String, String) {
        let id = self.submit(&self.form(name)).await;
        let job = self.job_until(&id, |job| job["phase"] != "Queued").await;
        let clusters = job["clusters"].as_array().expect("a list");
        assert_eq!(clusters.len(), 1, "{job:#}");
        let member = clusters[0].as_str().expect("a name").to_owned();
        let path = self.ray_job(name);
        self.wait("the workload is on its member", async || {
            self.target.get(Some(&member), &path).await.is_some()
        })
        .await;
        (id, member)
    }

    pub(super) async fn wait(&self, what: &str, holds: impl AsyncFnMut() -> bool) {
        until_within(PATIENCE, what, holds).await;
    }

    /// Waits until the job is as wanted; fails with what was seen last.
    pub(super) async fn job_until(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.job_while(id, wanted, async || {}).await
    }

    /// The same, doing something between two looks.
    pub(super) async fn job_while(
        &self,
        id: &str,
        wanted: impl Fn(&Value) -> bool,
        mut between: impl AsyncFnMut(),
    ) -> Value {
        let path = format!("/api/v1/jobs/{id}");
        let mut last = Value::Null;
        let waiting = until_within(PATIENCE, "the job is as wanted", async || {
            between().await;
            let answer = self.get(&path).await;
            last = answer.body;
            answer.status == 200 && wanted(&last)
        });
        if let Err(panic) = AssertUnwindSafe(waiting).catch_unwind().await {
            eprintln!("last seen: {last:#}");
            std::panic::resume_unwind(panic);
        }
        last
    }

    /// Reports a status on the member until the API shows the phase.
    pub(super) async fn reported(
        &self,
        id: &str,
        name: &str,
        member: &str,
        status: Value,
        phase: &str,
    ) -> Value {
        let path = self.ray_job(name);
        let report = async || member::report(&self.target, member, &path, &status).await;
        self.job_while(id, |job| job["phase"] == phase, report).await
    }

    /// Deletes a job and waits until that is proven; plays whoever holds its volume on the members.
    pub(super) async fn delete(&self, id: &str, name: &str, query: &str) {
        let path = format!("/api/v1/jobs/{id}");
        let answer = send(&self.host.url, "DELETE", &format!("{path}{query}"), None).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let volume = self.volume(name);
        self.wait("the job is gone", async || {
            for member in &self.members {
                member::let_go(&self.target, member, &volume).await;
            }
            self.get(&path).await.status == 404
        })
        .await;
    }

    pub(super) fn ray_job(&self, name: &str) -> String {
        format!("/apis/ray.io/v1/namespaces/{}/rayjobs/{name}", self.namespace)
    }

    pub(super) fn volume(&self, name: &str) -> String {
        format!("/api/v1/namespaces/{}/persistentvolumeclaims/{name}-pvc", self.namespace)
    }

    pub(super) fn policy(&self, name: &str, which: &str) -> String {
        format!("{}/{name}-{which}", self.policies())
    }

    pub(super) fn policies(&self) -> String {
        let namespace = &self.namespace;
        format!("/apis/policy.karmada.io/v1alpha1/namespaces/{namespace}/propagationpolicies")
    }

    /// The members on which an object is.
    pub(super) async fn members_with(&self, path: &str) -> Vec<String> {
        let mut found = Vec::new();
        for member in &self.members {
            if self.target.get(Some(member), path).await.is_some() {
                found.push(member.clone());
            }
        }
        found
    }

    /// Deletes by label what the host made, wherever it is, then the namespace; and shows that it
    /// is gone.
    async fn clean_up(&self) {
        let namespace = &self.namespace;
        let core = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims");
        let jobs = format!("/apis/ray.io/v1/namespaces/{namespace}/rayjobs");
        let ours = format!("?labelSelector={LABEL_ORIGIN}");
        // What Karmada keeps on the members stays there, so they are cleaned one by one, after the
        // control plane, which would make it again.
        let policies = self.policies();
        let here = [&jobs, &core, &policies].map(|path| (None, path));
        let there = self.members.iter().flat_map(|name| [(&jobs, name), (&core, name)]);
        let there = there.map(|(path, name)| (Some(name.as_str()), path));
        for (place, collection) in here.into_iter().chain(there) {
            let path = format!("{collection}{ours}");
            self.wait(&format!("nothing is left of {path} at {place:?}"), async || {
                let left = self.target.list(place, &path).await;
                for object in &left {
                    let name = object["metadata"]["name"].as_str().expect("a name");
                    let object = format!("{collection}/{name}");
                    self.target.delete(place, &object).await;
                    if let Some(member) = place {
                        member::let_go(&self.target, member, &object).await;
                    }
                }
                left.is_empty()
            })
            .await;
        }
        // Whether it ends depends on a controller that a bare member does not have.
        self.target.delete(None, &format!("/api/v1/namespaces/{namespace}")).await;
    }
}
