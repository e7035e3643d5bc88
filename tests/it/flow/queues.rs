//! Members with a queue of their own, such as Kueue: it changes objects that Karmada keeps as they
//! are on the control plane. With the interpreter of the plugin it is left to do so.

use serde_json::{Value, json};

use crate::harness::{App, Setup, all_plugins_dir, sample_form, until, until_within};

const MEMBERS: [&str; 2] = ["member1", "member2"];
/// A component that nothing has compiled yet, on a busy machine.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(3);

/// What a test needs to know of a kind.
struct Kind {
    plugin: &'static str,
    file: &'static str,
    api: &'static str,
    kind: &'static str,
    plural: &'static str,
    /// Settings of the host by which its plugin makes this kind.
    settings: &'static str,
    /// Where the queue says on which nodes the pods go, and with what of the member's object.
    places: fn(&Value) -> Value,
    /// From the object to what it says.
    pool: &'static str,
    form: fn(&str) -> Value,
}

/// A form of the least.
fn least(name: &str, algorithm: &str) -> Value {
    json!({
        "jobName": name,
        "algorithm": {
            "algorithmName": algorithm, "imageUri": "registry.example/team/train:1",
        },
        "resources": { "instanceResources": { "cpuCores": 1, "memoryGiB": 1 } },
        "entrypoint": "python train.py",
    })
}

fn on_spot_nodes() -> Value {
    json!({"spec": {"nodeSelector": {"pool": "spot"}}})
}

const RAY_JOB: Kind = Kind {
    plugin: "xgboost",
    file: "xgboost.wasm",
    api: "ray.io/v1",
    kind: "RayJob",
    plural: "rayjobs",
    settings: "",
    places: |_| json!({"rayClusterSpec": {"headGroupSpec": {"template": on_spot_nodes()}}}),
    pool: "/spec/rayClusterSpec/headGroupSpec/template/spec/nodeSelector/pool",
    form: sample_form,
};

const JOB: Kind = Kind {
    plugin: "job",
    file: "kube-job.wasm",
    api: "batch/v1",
    kind: "Job",
    plural: "jobs",
    settings: "",
    places: |_| json!({"template": on_spot_nodes()}),
    pool: "/spec/template/spec/nodeSelector/pool",
    form: |name| least(name, "job"),
};

/// Has no pod template of its own: the queue adds a change of the runtime to those that are there.
const TRAIN_JOB: Kind = Kind {
    plugin: "pytorch",
    file: "pytorch.wasm",
    api: "trainer.kubeflow.org/v1alpha1",
    kind: "TrainJob",
    plural: "trainjobs",
    settings: "[plugins.settings.pytorch]\nworkloadKind = \"TrainJob\"\n",
    places: |object| {
        let mut patches = object["spec"]["runtimePatches"].clone();
        let jobs = json!([{"name": "node", "template": {"spec": {"template": on_spot_nodes()}}}]);
        patches.as_array_mut().expect("a list").push(json!({
            "manager": "kueue.x-k8s.io/manager",
            "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": jobs}}},
        }));
        json!({ "runtimePatches": patches })
    },
    pool: "/spec/runtimePatches/1/trainingRuntimeSpec/template/spec/replicatedJobs/0/template/spec/\
           template/spec/nodeSelector/pool",
    form: |name| least(name, "pytorch"),
};

impl Kind {
    async fn app(&self) -> App {
        let setup = Setup::sqlite().speed(2.0).own_plugins().config(self.settings);
        let (from, to) = (all_plugins_dir(), setup.plugins_dir());
        std::fs::copy(from.join(self.file), to.join(self.file)).expect("a built plugin");
        let app = setup.start().await;
        until_within(PATIENCE, "the plugin serves", async || {
            let list = app.get("/api/v1/algorithms").await.body;
            list.as_array().is_some_and(|list| !list.is_empty())
        })
        .await;
        app
    }

    async fn install(&self, app: &App) {
        let name = format!("trainyard-{}", self.kind.to_lowercase());
        let path = format!("/api/v1/plugins/{}/interpreters/{name}/install", self.plugin);
        let answer = app.send_as("ada", "POST", &path, None).await;
        assert_eq!((answer.status, &answer.body["state"]), (200, &json!("same")));
    }

    fn on_member(&self, app: &App, name: &str) -> Option<(&'static str, Value)> {
        let find = |member| app.sandbox.get(Some(member), self.api, self.kind, "default", name);
        MEMBERS.into_iter().find_map(|member| find(member).map(|object| (member, object)))
    }

    fn is_held(&self, app: &App, name: &str) -> bool {
        let (_, object) = self.on_member(app, name).expect("it is on a member");
        object["spec"]["suspend"].as_bool().unwrap_or_default()
    }

    /// The queue writes, and everything that follows from it has followed.
    async fn queue_writes(&self, app: &App, name: &str, body: &Value) {
        let (member, _) = self.on_member(app, name).expect("it is on a member");
        let request = reqwest::Client::new()
            .patch(format!(
                "{}/apis/cluster.karmada.io/v1alpha1/clusters/{member}/proxy/apis/{}/namespaces/\
                 default/{}/{name}",
                app.sandbox.url(),
                self.api,
                self.plural
            ))
            .header("content-type", "application/merge-patch+json")
            .body(body.to_string());
        let answer = request.send().await.expect("the member answers");
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
        app.sandbox.settle().await;
    }

    /// The queue takes the object under its label, and holds it.
    async fn queue_holds(&self, app: &App, name: &str) {
        let queue = json!({"kueue.x-k8s.io/queue-name": "team"});
        let body = json!({"metadata": {"labels": queue}, "spec": {"suspend": true}});
        self.queue_writes(app, name, &body).await;
    }

    /// The queue lets the object go, to nodes of its choice.
    async fn queue_lets_go(&self, app: &App, name: &str) {
        let (_, object) = self.on_member(app, name).expect("it is on a member");
        let mut spec = (self.places)(&object);
        spec["suspend"] = json!(false);
        self.queue_writes(app, name, &json!({ "spec": spec })).await;
        let (_, object) = self.on_member(app, name).expect("it is on a member");
        assert_eq!(object.pointer(self.pool), Some(&json!("spot")), "{object:#}");
        assert!(!self.is_held(app, name));
    }

    /// On a member whose controllers do nothing yet.
    async fn arrived(&self, app: &App, name: &str) -> String {
        for member in MEMBERS {
            app.sandbox.faults().operators_down(member);
        }
        let id = app.submit(&(self.form)(name)).await;
        until("it is on a member", async || self.on_member(app, name).is_some()).await;
        app.sandbox.settle().await;
        id
    }
}

fn operators_up(app: &App) {
    for member in MEMBERS {
        app.sandbox.faults().operators_up(member);
    }
}

async fn queue_is_fought_until_the_interpreter_is_installed(kind: &Kind) {
    let app = kind.app().await;
    let id = kind.arrived(&app, "queued").await;
    kind.queue_holds(&app, "queued").await;
    assert!(!kind.is_held(&app, "queued"), "Karmada writes over what the queue wrote");

    kind.install(&app).await;
    kind.queue_holds(&app, "queued").await;
    assert!(kind.is_held(&app, "queued"), "the queue is left alone");
    operators_up(&app);
    let job = app.job_in_phase(&id, "Suspended").await;
    assert_eq!(job["suspend"], false, "nobody here holds it back: {job:#}");
    assert_eq!((&job["status"], job.get("startedAt")), (&json!("Pending"), None), "{job:#}");
    let explained = app.get(&format!("/api/v1/jobs/{id}/explain")).await.body;
    assert!(explained.to_string().contains("the cluster's queue"), "{explained:#}");

    kind.queue_lets_go(&app, "queued").await;
    app.job_in_phase(&id, "Succeeded").await;
    assert_eq!(app.creations(kind.plural, "queued"), 1, "it is the same object");
}

#[tokio::test]
async fn queue_of_a_member_holds_a_ray_job_back_and_lets_it_go() {
    queue_is_fought_until_the_interpreter_is_installed(&RAY_JOB).await;
}

#[tokio::test]
async fn queue_of_a_member_holds_a_job_back_and_lets_it_go() {
    queue_is_fought_until_the_interpreter_is_installed(&JOB).await;
}

#[tokio::test]
async fn queue_of_a_member_holds_a_train_job_back_and_lets_it_go() {
    queue_is_fought_until_the_interpreter_is_installed(&TRAIN_JOB).await;
}

async fn wish(app: &App, id: &str, verb: &str) {
    let answer = app.post(&format!("/api/v1/jobs/{id}/{verb}"), &json!({})).await;
    assert_eq!(answer.status, 200, "{verb}: {}", answer.body);
}

/// A job without a queue, then one in a queue.
async fn users_hold_back_and_resume(kind: &Kind) {
    let app = kind.app().await;
    kind.install(&app).await;
    let id = app.submit(&(kind.form)("free")).await;
    app.job_in_phase(&id, "Running").await;
    wish(&app, &id, "suspend").await;
    app.job_in_phase(&id, "Suspended").await;
    wish(&app, &id, "resume").await;
    app.job_in_phase(&id, "Succeeded").await;

    let id = kind.arrived(&app, "bound").await;
    kind.queue_holds(&app, "bound").await;
    wish(&app, &id, "suspend").await;
    let template = || app.sandbox.get(None, kind.api, kind.kind, "default", "bound");
    let is_wished = |wished: bool| {
        template().is_some_and(|it| it["spec"]["suspend"].as_bool().unwrap_or_default() == wished)
    };
    until("the control plane holds it back", async || is_wished(true)).await;
    operators_up(&app);
    app.job_in_phase(&id, "Suspended").await;
    // What a user holds back, no queue starts.
    kind.queue_writes(&app, "bound", &json!({"spec": {"suspend": false}})).await;
    assert!(kind.is_held(&app, "bound"));
    wish(&app, &id, "resume").await;
    until("the control plane lets it go", async || is_wished(false)).await;
    app.sandbox.settle().await;
    assert!(kind.is_held(&app, "bound"), "now it is the queue's to start");
    kind.queue_lets_go(&app, "bound").await;
    app.job_in_phase(&id, "Succeeded").await;
}

#[tokio::test]
async fn ray_job_is_held_back_by_its_user_with_the_interpreter_installed() {
    users_hold_back_and_resume(&RAY_JOB).await;
}

#[tokio::test]
async fn job_is_held_back_by_its_user_with_the_interpreter_installed() {
    users_hold_back_and_resume(&JOB).await;
}
