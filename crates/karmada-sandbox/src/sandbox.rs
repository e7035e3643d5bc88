//! The handle tests and the program hold. A thin layer: requests go through `server`, what it
//! reads directly it reads from the same world.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::ensure;
use serde_json::{Value, json};

use crate::json::Tree as _;
use crate::{
    AuditEntry, Config, Faults, TimeMode, clock,
    objects::{Key, resources, write::Write},
    server::{self, Shared},
    sim::World,
};

/// How long open connections may take to end after [`Sandbox::stop`].
const STOP_GRACE: Duration = Duration::from_secs(5);

/// A running sandbox. Dropping it stops it.
pub struct Sandbox {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Binds, creates the clusters and settles: the first request finds both members ready.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let now = match config.time {
            TimeMode::Auto { speed } => {
                ensure!(speed.is_finite() && speed > 0.0, "the speed must be a positive number");
                clock::wall()
            }
            TimeMode::Stepped { start } => start,
        };
        let shared = Shared::new(config.time, World::new(&config, now));
        shared.settle().await;
        let address = server::serve(Arc::clone(&shared), config.listen).await?;
        if matches!(config.time, TimeMode::Auto { .. }) {
            let driver = Arc::clone(&shared);
            shared.spawn(async move { drive(&driver).await });
        }
        Ok(Self { shared, address })
    }

    /// `http://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The text of a kubeconfig with the one context `karmada-apiserver`.
    pub fn kubeconfig(&self) -> String {
        let name = "karmada-apiserver";
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": name,
            "clusters": [{"name": name, "cluster": {"server": self.url()}}],
            "users": [{"name": name, "user": {}}],
            "contexts": [
                {"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}},
            ],
        });
        // JSON is YAML.
        format!("{config:#}\n")
    }

    /// Advances simulated time, one timer after the other, and runs every controller until nothing
    /// is left to do. Several steps at once are done one after the other.
    ///
    /// In an automatic sandbox it only settles: there time cannot be moved.
    pub async fn step(&self, by: Duration) {
        step(&self.shared, by).await;
    }

    /// Runs every controller until nothing changes at the present time.
    pub async fn settle(&self) {
        self.step(Duration::ZERO).await;
    }

    /// The sandbox's time.
    pub fn now(&self) -> jiff::Timestamp {
        self.shared.world().now
    }

    /// The programmable faults.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// One object of the control plane (`None`) or of a member.
    pub fn get(
        &self,
        cluster: Option<&str>,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Option<Value> {
        let res = resources::by_kind(api_version, kind)?;
        let world = self.shared.world();
        world.api(cluster)?.find(res, namespace, name).map(|object| Value::clone(object))
    }

    /// All objects of a kind, in all namespaces, ordered by namespace and name.
    pub fn list(&self, cluster: Option<&str>, api_version: &str, kind: &str) -> Vec<Value> {
        let Some(res) = resources::by_kind(api_version, kind) else { return Vec::new() };
        let world = self.shared.world();
        let Some(api) = world.api(cluster) else { return Vec::new() };
        api.all(res, "").map(|(_, object)| Value::clone(object)).collect()
    }

    /// Merges `status` into an object's status (JSON merge patch), as its controller would write
    /// it. Returns whether the object exists. The imitated controllers leave a status alone until
    /// their next own transition.
    pub fn patch_status(
        &self,
        cluster: Option<&str>,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
        status: Value,
    ) -> bool {
        let Some(res) = resources::by_kind(api_version, kind) else { return false };
        let found = {
            let mut world = self.shared.world();
            let Some(api) = world.api_mut(cluster) else { return false };
            let key = Key::new(res, namespace, name);
            api.edit(&key, |object| {
                let mut merged = object.at(&["status"]).clone();
                crate::objects::patch::merge(&mut merged, &status);
                crate::json::set(object, &["status"], merged);
            });
            api.get(&key).is_some()
        };
        self.shared.wake.notify_one();
        found
    }

    /// Deletes an object in a member behind Karmada's back, finalizers and all. Returns whether it
    /// existed.
    pub fn delete_member_object(
        &self,
        cluster: &str,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> bool {
        let deleted =
            delete_member_object(&self.shared, cluster, api_version, kind, namespace, name);
        self.shared.wake.notify_one();
        deleted
    }

    /// Creates an object in a member or on the control plane without a request.
    pub fn create(&self, cluster: Option<&str>, object: Value) -> anyhow::Result<Value> {
        let (version, kind) =
            (crate::json::text(&object, "/apiVersion"), crate::json::text(&object, "/kind"));
        let Some(res) = resources::by_kind(version, kind) else {
            anyhow::bail!("the sandbox serves no {kind} of {version}");
        };
        let namespace = crate::json::meta(&object, "namespace").to_owned();
        let created = {
            let mut world = self.shared.world();
            let Some(api) = world.api_mut(cluster) else { anyhow::bail!("no such cluster") };
            let write = Write { manager: "sandbox", ..Write::default() };
            api.create(res, &namespace, object, &write)
                .map_err(|error| anyhow::anyhow!("{}", error.message()))?
        };
        self.shared.wake.notify_one();
        Ok(Value::clone(&created))
    }

    /// Every mutating request so far, oldest first.
    pub fn audit(&self) -> Vec<AuditEntry> {
        self.shared.audit().entries()
    }

    /// Requests so far by verb and resource, as `"list pods"`; a watch counts once.
    pub fn request_counts(&self) -> BTreeMap<String, u64> {
        self.shared.audit().counts()
    }

    /// Forgets the audit log and the counters.
    pub fn clear_audit(&self) {
        self.shared.audit().clear();
    }

    /// Stops listening, ends every watch and waits for open requests, at most five seconds.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        let _ = tokio::time::timeout(STOP_GRACE, self.shared.tasks.wait()).await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

pub(crate) fn delete_member_object(
    shared: &Shared,
    cluster: &str,
    api_version: &str,
    kind: &str,
    namespace: &str,
    name: &str,
) -> bool {
    let Some(res) = resources::by_kind(api_version, kind) else { return false };
    let key = Key::new(res, namespace, name);
    let mut world = shared.world();
    let Some(api) = world.api_mut(Some(cluster)) else { return false };
    if api.get(&key).is_none() {
        return false;
    }
    api.edit(&key, |object| {
        crate::json::remove(object, &["metadata", "finalizers"]);
    });
    let now = crate::objects::delete::Delete { grace_seconds: Some(0), ..Default::default() };
    let _ = api.delete(&key, &now);
    true
}

pub(crate) async fn step(shared: &Shared, by: Duration) {
    let _one = shared.stepping.lock().await;
    shared.settle().await;
    if matches!(shared.mode, TimeMode::Auto { .. }) {
        return;
    }
    let end = clock::after(shared.world().now, by);
    loop {
        let more = shared.world().advance(end);
        shared.settle().await;
        if !more {
            return;
        }
    }
}

/// The driver of an automatic sandbox: settles, then sleeps until the next timer or request.
async fn drive(shared: &Shared) {
    loop {
        shared.settle().await;
        let idle = {
            let mut world = shared.world();
            let now = world.now;
            world.fire(now);
            if world.has_work() { Some(Duration::ZERO) } else { world.until_next_timer() }
        };
        if idle == Some(Duration::ZERO) {
            tokio::task::yield_now().await;
            continue;
        }
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = shared.wake.notified() => {}
            () = tokio::time::sleep(idle.unwrap_or(Duration::from_hours(1))) => {}
        }
        if shared.stop.is_cancelled() {
            return;
        }
    }
}
