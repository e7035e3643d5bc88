//! A whole Trainyard for one test: sandbox, database, and the host's real binary. Nothing is
//! shared between tests but the plugin files and their compiled cache.

mod database;
mod http;
mod postgres;
mod process;

use std::path::PathBuf;
use std::time::Duration;

pub(crate) use database::Database;
pub(crate) use http::{Answer, Event, EventStream, send, send_to_with_key, send_with_key};
use karmada_sandbox::{Config, Sandbox, TimeMode};
pub(crate) use postgres::PostgresServer;
pub(crate) use process::{Host, all_plugins_dir, plugins_dir, program};
use serde_json::{Value, json};

/// The longest that a test waits for a state. Far above what is needed; a test that needs it
/// fails, and says what it saw last.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a test can choose.
pub(crate) struct Setup {
    /// How much faster than life the workloads run.
    pub(crate) speed: f64,
    /// The database.
    pub(crate) database: Database,
    /// Further settings of the host, as its environment takes them.
    pub(crate) env: Vec<(&'static str, String)>,
    /// Files of this host.
    dir: tempfile::TempDir,
    /// Whether its plugins are in a directory of its own instead of the shared one.
    own_plugins: bool,
}

impl Setup {
    /// SQLite, and workloads at twenty times their usual speed.
    pub(crate) fn sqlite() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self { speed: 20.0, database: Database::sqlite(), env: Vec::new(), dir, own_plugins: false }
    }

    /// A PostgreSQL database of its own, or `None` with a loud line where there is no server.
    pub(crate) async fn postgres() -> Option<Self> {
        Some(Self { database: Database::postgres().await?, ..Self::sqlite() })
    }

    /// A plugin directory of its own, empty at first; see [`Setup::plugins_dir`].
    pub(crate) fn own_plugins(self) -> Self {
        std::fs::create_dir(self.dir.path().join("plugins")).expect("a plugin directory");
        Self { own_plugins: true, ..self }
    }

    /// Settings that the environment cannot express, as TOML.
    pub(crate) fn config(self, toml: &str) -> Self {
        let file = self.dir.path().join(process::CONFIG_FILE);
        std::fs::write(file, toml).expect("the configuration is written");
        self
    }

    /// Where this host's plugins are.
    pub(crate) fn plugins_dir(&self) -> PathBuf {
        own_or_shared(self.own_plugins, &self.dir)
    }

    /// Workloads at the given speed.
    pub(crate) fn speed(self, speed: f64) -> Self {
        Self { speed, ..self }
    }

    /// Starts everything and waits until it is ready.
    pub(crate) async fn start(self) -> App {
        let time = TimeMode::Auto { speed: self.speed };
        let mut config = Config { time, ..Config::auto() };
        for cluster in &mut config.clusters {
            // An outage shows within a second instead of forty.
            cluster.not_ready_after = Duration::from_millis(500);
            cluster.ready_after = Duration::from_millis(300);
        }
        let sandbox = Sandbox::start(config).await.expect("the sandbox starts");
        for member in ["member1", "member2"] {
            // Whoever owns the namespaces puts the credentials there; pods wait for them.
            let secret = json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": "trainyard-s3", "namespace": "default"},
            });
            sandbox.create(Some(member), secret).expect("the credentials");
        }
        let Self { database, env, dir, own_plugins, .. } = self;
        let kubeconfig = dir.path().join("karmada.kubeconfig");
        std::fs::write(&kubeconfig, sandbox.kubeconfig()).expect("the kubeconfig is written");
        let plugins = own_or_shared(own_plugins, &dir);
        let host = Host::start(&database, &kubeconfig, dir.path(), &plugins, &env).await;
        App { sandbox, host, database, kubeconfig, env, dir, own_plugins }
    }
}

/// A running Trainyard.
pub(crate) struct App {
    pub(crate) sandbox: Sandbox,
    pub(crate) host: Host,
    pub(crate) database: Database,
    kubeconfig: PathBuf,
    env: Vec<(&'static str, String)>,
    pub(crate) dir: tempfile::TempDir,
    own_plugins: bool,
}

impl App {
    /// Where this host's plugins are.
    pub(crate) fn plugins_dir(&self) -> PathBuf {
        own_or_shared(self.own_plugins, &self.dir)
    }

    /// Kills the host as a power cut would, and starts another one on the same database.
    pub(crate) async fn kill_and_restart(&mut self) {
        self.host.kill();
        self.restart().await;
    }

    /// Starts a host where the last one has ended.
    pub(crate) async fn restart(&mut self) {
        let (plugins, dir) = (self.plugins_dir(), self.dir.path());
        self.host = Host::start(&self.database, &self.kubeconfig, dir, &plugins, &self.env).await;
    }

    /// Starts one more host on the same database and control plane.
    pub(crate) async fn another_host(&self) -> Host {
        let (plugins, dir) = (self.plugins_dir(), self.dir.path());
        Host::start(&self.database, &self.kubeconfig, dir, &plugins, &self.env).await
    }

    /// A setting for the next start.
    pub(crate) fn set_env(&mut self, name: &'static str, value: &str) {
        self.env.push((name, value.to_owned()));
    }

    /// Starts a host that is alive, and waits for no more: it may have no plugin to be ready with.
    pub(crate) async fn restart_unready(&mut self) {
        let (plugins, dir) = (self.plugins_dir(), self.dir.path());
        self.host =
            Host::start_alive(&self.database, &self.kubeconfig, dir, &plugins, &self.env).await;
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        http::send(&self.host.url, "GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        http::send(&self.host.url, "POST", path, Some(body.to_string())).await
    }

    pub(crate) async fn post_text(&self, path: &str, body: &str) -> Answer {
        http::send(&self.host.url, "POST", path, Some(body.to_owned())).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        http::send(&self.host.url, "DELETE", path, None).await
    }

    /// Opens an answer without reading its body.
    pub(crate) async fn open(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let mut request = reqwest::Client::new().get(format!("{}{path}", self.host.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("the host answers")
    }

    /// Opens a stream of events.
    pub(crate) async fn stream_of(&self, path: &str) -> EventStream {
        EventStream::new(self.open(path, &[("accept", "text/event-stream")]).await)
    }

    /// Every event of a stream that ends, after the one with an id if there is one.
    pub(crate) async fn events_of(&self, path: &str, after: Option<&str>) -> Vec<Event> {
        let mut headers = vec![("accept", "text/event-stream")];
        headers.extend(after.map(|id| ("last-event-id", id)));
        let mut stream = EventStream::new(self.open(path, &headers).await);
        let mut events = Vec::new();
        let reading = async {
            while let Some(event) = stream.next().await {
                events.push(event);
            }
        };
        let ended = tokio::time::timeout(PATIENCE, reading).await.is_ok();
        assert!(ended, "the stream never ended: {events:#?}");
        events
    }

    /// Sends a request in somebody's name.
    pub(crate) async fn send_as(
        &self,
        actor: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let body = body.map(Value::to_string);
        http::send_as(&self.host.url, method, path, body, Some(actor)).await
    }

    /// Submits a form that must be accepted; returns the job's id.
    pub(crate) async fn submit(&self, form: &Value) -> String {
        let answer = self.post("/api/v1/jobs", form).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["id"].as_str().expect("an id").to_owned()
    }

    /// Merges into an object of the control plane, as somebody with `kubectl` does.
    pub(crate) async fn patch(&self, path: &str, body: &Value) {
        let request = reqwest::Client::new()
            .patch(format!("{}{path}", self.sandbox.url()))
            .header("content-type", "application/merge-patch+json")
            .body(body.to_string());
        let answer = request.send().await.expect("the sandbox answers");
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
    }

    /// Waits until the job is as wanted; fails with what was seen last.
    pub(crate) async fn job_until(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/api/v1/jobs/{id}");
        let mut last = Value::Null;
        let waiting = async {
            loop {
                let answer = self.get(&path).await;
                last = answer.body;
                if answer.status == 200 && wanted(&last) {
                    return;
                }
                pause().await;
            }
        };
        let done = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
        assert!(done, "job {id} never came to the wanted state; last: {last:#}");
        last
    }

    /// Waits until the job is in the phase.
    pub(crate) async fn job_in_phase(&self, id: &str, phase: &str) -> Value {
        self.job_until(id, |job| job["phase"] == phase).await
    }

    /// Waits until the API no longer knows the job.
    pub(crate) async fn job_gone(&self, id: &str) {
        let path = format!("/api/v1/jobs/{id}");
        until("the job is gone", async || self.get(&path).await.status == 404).await;
    }

    /// The timeline of a job.
    pub(crate) async fn events(&self, id: &str) -> Vec<Value> {
        let answer = self.get(&format!("/api/v1/jobs/{id}/events")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let events = answer.body.get("events").cloned().unwrap_or(answer.body);
        events.as_array().expect("a list of events").clone()
    }

    /// How many workloads of this name the sandbox was ever asked to create.
    pub(crate) fn creations(&self, kind: &str, name: &str) -> usize {
        let audit = self.sandbox.audit();
        let created = audit.iter().filter(|entry| {
            entry.method == "POST"
                && entry.path.ends_with(kind)
                && entry.name == name
                && entry.status == 201
        });
        created.count()
    }

    /// The clusters on which an object exists.
    pub(crate) fn members_with(&self, api: &str, kind: &str, name: &str) -> Vec<&'static str> {
        ["member1", "member2"]
            .into_iter()
            .filter(|member| self.sandbox.get(Some(member), api, kind, "default", name).is_some())
            .collect()
    }
}

fn own_or_shared(own: bool, dir: &tempfile::TempDir) -> PathBuf {
    if own { dir.path().join("plugins") } else { plugins_dir() }
}

/// Waits for a state, never for a change.
pub(crate) async fn until(what: &str, holds: impl AsyncFnMut() -> bool) {
    until_within(PATIENCE, what, holds).await;
}

/// The same for what takes longer than anything else, such as compiling an interpreter.
pub(crate) async fn until_within(
    patience: Duration,
    what: &str,
    mut holds: impl AsyncFnMut() -> bool,
) {
    let waiting = async {
        while !holds().await {
            pause().await;
        }
    };
    assert!(tokio::time::timeout(patience, waiting).await.is_ok(), "never: {what}");
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(25)).await;
}

/// The form that the README posts, under another name.
pub(crate) fn sample_form(name: &str) -> Value {
    let text = std::fs::read_to_string(repo().join("tests/data/params.json")).expect("the sample");
    let mut form: Value = serde_json::from_str(&text).expect("the sample is JSON");
    form["jobName"] = json!(name);
    form
}

/// The root of the checkout.
pub(crate) fn repo() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}
