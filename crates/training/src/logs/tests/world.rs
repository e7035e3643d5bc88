//! Clusters, a control plane and a plugin that are what a test says.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::super::*;
use crate::clock::ManualClock;
use crate::id::{ClusterName, JobId, PluginDigest};
use crate::job::Placement;
use crate::manifest::ObjectRef;
use crate::phase::Phase;
use crate::ports::*;
use crate::testing::{MemoryStore, samples};

/// What a log of the world consists of.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) bytes: Vec<Result<Vec<u8>, String>>,
    /// Whether nothing follows.
    pub(super) ends: bool,
}

#[derive(Default)]
pub(super) struct World {
    pods: Mutex<BTreeMap<(String, String), Vec<PodSeen>>>,
    errors: Mutex<HashMap<String, MemberError>>,
    scripts: Mutex<HashMap<LogKey, Script>>,
    gone: Mutex<bool>,
    unready: Mutex<bool>,
    pub(super) queries: Mutex<Vec<LogQuery>>,
    pub(super) pulled: Arc<AtomicUsize>,
}

/// Line `number` of a log, as the cluster sends it: one a second.
pub(super) fn line(number: i64, text: &str) -> String {
    format!("{} {text}\n", Timestamp::from_second(1_000_000 + number).unwrap())
}

pub(super) fn key(role: &str, pod: &str, container: &str) -> LogKey {
    LogKey {
        cluster: "member1".to_owned(),
        role: role.to_owned(),
        pod: pod.to_owned(),
        container: container.to_owned(),
        previous: false,
    }
}

pub(super) fn container(name: &str, state: ContainerState) -> ContainerSeen {
    ContainerSeen { name: name.to_owned(), state, ..Default::default() }
}

pub(super) fn running() -> ContainerState {
    ContainerState::Running(None)
}

pub(super) fn ended() -> ContainerState {
    ContainerState::Ended(ContainerEnd::default())
}

pub(super) fn pod(name: &str, containers: Vec<ContainerSeen>) -> PodSeen {
    PodSeen { name: name.to_owned(), containers, ..Default::default() }
}

impl World {
    pub(super) fn set_pods(&self, cluster: &str, role: &str, pods: Vec<PodSeen>) {
        let key = (cluster.to_owned(), format!("role={role}"));
        self.pods.lock().unwrap().insert(key, pods);
    }

    pub(super) fn set_log(&self, key: LogKey, text: &str, ends: bool) {
        let script = Script { bytes: vec![Ok(text.as_bytes().to_vec())], ends };
        self.scripts.lock().unwrap().insert(key, script);
    }

    pub(super) fn set_script(&self, key: LogKey, script: Script) {
        self.scripts.lock().unwrap().insert(key, script);
    }

    pub(super) fn set_error(&self, cluster: &str, error: Option<MemberError>) {
        let mut errors = self.errors.lock().unwrap();
        match error {
            Some(error) => drop(errors.insert(cluster.to_owned(), error)),
            None => drop(errors.remove(cluster)),
        }
    }

    pub(super) fn remove_workload(&self) {
        *self.gone.lock().unwrap() = true;
    }

    pub(super) fn set_unready(&self, unready: bool) {
        *self.unready.lock().unwrap() = unready;
    }

    fn refuse(&self, cluster: &ClusterName) -> Result<(), MemberError> {
        self.errors.lock().unwrap().get(cluster.as_str()).cloned().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Members for World {
    async fn pods(
        &self,
        cluster: &ClusterName,
        _: &str,
        labels: &str,
    ) -> Result<Vec<PodSeen>, MemberError> {
        self.refuse(cluster)?;
        let key = (cluster.to_string(), labels.to_owned());
        Ok(self.pods.lock().unwrap().get(&key).cloned().unwrap_or_default())
    }

    async fn events(
        &self,
        _: &ClusterName,
        _: &str,
        _: &str,
    ) -> Result<Vec<EventSeen>, MemberError> {
        panic!("logs need no such call")
    }

    async fn object(&self, _: &ClusterName, _: &ObjectRef) -> Result<Option<Value>, MemberError> {
        panic!("logs need no such call")
    }

    async fn list(&self, _: &ClusterName, _: &ObjectQuery) -> Result<ObjectPage, MemberError> {
        panic!("logs need no such call")
    }

    async fn log(&self, query: &LogQuery) -> Result<LogBytes, MemberError> {
        self.refuse(&query.cluster)?;
        self.queries.lock().unwrap().push(query.clone());
        let scripts = self.scripts.lock().unwrap();
        let found = scripts.iter().find(|(key, _)| {
            key.pod == query.pod
                && key.container == query.container
                && key.previous == query.previous
                && key.cluster == query.cluster.as_str()
        });
        let cluster = query.cluster.clone();
        let missing =
            || MemberError::NotFound { cluster: cluster.clone(), what: "the log".to_owned() };
        let script = found.map(|(_, script)| script.clone()).ok_or_else(missing)?;
        let since = query.since;
        let cut = move |bytes: Vec<u8>| -> Vec<u8> {
            let Some(since) = since else { return bytes };
            let text = String::from_utf8(bytes).unwrap();
            let later = |line: &&str| {
                let (at, _) = line.split_once(' ').unwrap();
                at.parse::<Timestamp>().unwrap() >= since
            };
            text.split_inclusive('\n').filter(later).collect::<String>().into_bytes()
        };
        let pulled = Arc::clone(&self.pulled);
        let cluster = query.cluster.clone();
        let pieces = stream::iter(script.bytes).map(move |piece| {
            pulled.fetch_add(1, Ordering::SeqCst);
            let cluster = cluster.clone();
            piece.map(&cut).map_err(|message| MemberError::Unavailable { cluster, message })
        });
        if script.ends || !query.follow {
            return Ok(Box::pin(pieces));
        }
        Ok(Box::pin(pieces.chain(stream::pending())))
    }
}

#[async_trait]
impl ControlPlane for World {
    async fn ping(&self) -> Result<(), ControlError> {
        Ok(())
    }

    async fn clusters(&self) -> Result<Vec<Cluster>, ControlError> {
        let mut one = crate::testing_values::cluster("member1", 8);
        one.ready = !*self.unready.lock().unwrap();
        Ok(vec![one])
    }

    fn known_clusters(&self) -> Vec<ClusterName> {
        Vec::new()
    }

    async fn write(&self, _: &JobId, _: &[WriteOrder]) -> Result<Vec<String>, ControlError> {
        panic!("logs need no such call")
    }

    async fn remove(&self, _: &Removal) -> Result<Vec<Remaining>, ControlError> {
        panic!("logs need no such call")
    }

    async fn owned(&self, _: &str, _: &str) -> Result<Vec<Owned>, ControlError> {
        panic!("logs need no such call")
    }

    async fn remove_exactly(&self, _: &Owned) -> Result<(), ControlError> {
        panic!("logs need no such call")
    }

    async fn interpreter(&self, _: &str) -> Result<Option<Value>, ControlError> {
        panic!("logs need no such call")
    }

    async fn install_interpreter(&self, _: &str, _: &Value) -> Result<(), ControlError> {
        panic!("logs need no such call")
    }

    async fn release(&self, _: &ObjectRef, _: &[ObjectRef]) -> Result<bool, ControlError> {
        panic!("logs need no such call")
    }

    async fn set_flag(&self, _: &WorkloadRef, _: &[&str], _: bool) -> Result<bool, ControlError> {
        panic!("logs need no such call")
    }

    async fn trace(&self, _: &WorkloadRef, _: &ObjectRef) -> Trace {
        panic!("logs need no such call")
    }

    async fn observe(&self, _: &[WorkloadRef]) -> Result<Vec<Seen>, ControlError> {
        if *self.gone.lock().unwrap() {
            return Ok(vec![Seen { binding: None, exists: Some(false) }]);
        }
        let member = |cluster: &str| MemberSeen {
            cluster: cluster.to_owned(),
            applied: true,
            status: Some(json!({})),
            ..Default::default()
        };
        // The third is a copy that nobody of us placed there.
        let members = ["member1", "member2", "stranger"].map(member).to_vec();
        Ok(vec![Seen {
            binding: Some(BindingSeen { members, ..Default::default() }),
            exists: None,
        }])
    }

    fn hint(&self) -> Arc<Notify> {
        Arc::default()
    }
}

#[async_trait]
impl Plugins for World {
    fn resolve(&self, _: &str, _: Audience<'_>) -> Option<Arc<PluginInfo>> {
        None
    }

    fn list(&self) -> Vec<Arc<PluginInfo>> {
        Vec::new()
    }

    fn catalog(&self) -> CatalogView {
        panic!("logs need no such call")
    }

    async fn set_routes(&self, _: &[Route]) {}

    fn release(&self, _: &PluginDigest) -> bool {
        false
    }

    fn take_changes(&self) -> Vec<PluginChange> {
        Vec::new()
    }

    fn hint(&self) -> Arc<Notify> {
        Arc::default()
    }

    async fn load(&self, _: &PluginDigest) -> Result<Arc<PluginInfo>, PluginFault> {
        panic!("logs need no such call")
    }

    fn prepare(&self, _: &PluginDigest, _: &Value) -> Result<Prepared, PluginFault> {
        panic!("logs need no such call")
    }

    fn settings(&self, _: &PluginDigest) -> Result<Value, PluginFault> {
        panic!("logs need no such call")
    }

    async fn input_text(
        &self,
        _: &PluginDigest,
        _: &ConversionInput,
    ) -> Result<String, PluginFault> {
        panic!("logs need no such call")
    }

    async fn validate(
        &self,
        _: &PluginDigest,
        _: &ConversionInput,
    ) -> Result<Vec<FieldError>, PluginFault> {
        panic!("logs need no such call")
    }

    async fn convert(
        &self,
        _: &PluginDigest,
        _: &ConversionInput,
    ) -> Result<Result<Conversion, ConvertRefusal>, PluginFault> {
        panic!("logs need no such call")
    }

    async fn interpret(&self, _: &PluginDigest, _: &str, _: &Value) -> Result<Report, PluginFault> {
        let target = |role: &str, selector: &str| LogTarget {
            role: role.to_owned(),
            label_selector: selector.to_owned(),
            container: Some("train".to_owned()),
        };
        Ok(Report {
            state: RunState::Running,
            reason: String::new(),
            message: String::new(),
            progress: None,
            failure: crate::job::FailureClass::None,
            started_at: None,
            finished_at: None,
            // The last one would select everybody's pods.
            logs: vec![
                target("driver", "role=driver"),
                target("worker", "role=worker"),
                target("everybody", ""),
            ],
        })
    }
}

/// Ports over a world, and a job that runs in it.
pub(super) struct Bench {
    pub(super) world: Arc<World>,
    pub(super) store: Arc<MemoryStore>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) ports: LogPorts,
    pub(super) job: Job,
}

impl Bench {
    /// A running job on `member1`.
    pub(super) async fn new() -> Self {
        Self::on(&["member1"]).await
    }

    pub(super) async fn on(clusters: &[&str]) -> Self {
        let world = Arc::new(World::default());
        let store = Arc::new(MemoryStore::new("memory"));
        let clock = Arc::new(ManualClock::new(samples::at(1000)));
        let redactor = Redactor::new(["hunter22".to_owned()], &[]).unwrap();
        let ports = LogPorts {
            store: store.clone(),
            plugins: world.clone(),
            control: world.clone(),
            members: world.clone(),
            archive: store.clone(),
            clock: clock.clone(),
            redactor: Arc::new(redactor),
        };
        let job = samples::job("one", 1);
        store.insert(&samples::new_job(job.clone())).await.unwrap();
        let clusters = clusters.iter().map(|name| samples::cluster(name)).collect();
        let placement = Some(Placement { clusters, reason: String::new() });
        let mut bench = Self { world, store, clock, ports, job };
        bench.job.placement = placement;
        bench.job.submitted_at = Some(samples::at(2));
        bench.step(Phase::Submitted).await;
        bench.step(Phase::Running).await;
        bench
    }

    /// Moves the job.
    pub(super) async fn step(&mut self, phase: Phase) {
        let after = samples::moved(&self.job, phase);
        let event = samples::changed(json!({}));
        let moved = self.store.transition(&after, &event, &Effects::default()).await.unwrap();
        assert_eq!(moved, Moved::Done);
        self.job = self.store.find(&after.id).await.unwrap().unwrap();
    }

    pub(super) async fn read(&self, request: LogRequest) -> Result<LogStream, LogError> {
        read(&self.ports, self.job.clone(), request).await
    }

    /// All of it, as text.
    pub(super) async fn shown(&self, request: LogRequest) -> Vec<String> {
        self.read(request).await.unwrap().map(|item| shown(&item)).collect().await
    }

    /// Archives what is due; how many jobs that were.
    pub(super) async fn archive(&self, limits: Limits) {
        Archiver::new(self.ports.clone(), limits, "test").round().await.unwrap();
    }
}

/// `prefix text`, and remarks in parentheses.
pub(super) fn shown(item: &LogItem) -> String {
    match item {
        LogItem::Line(line) => {
            let prefix = line.prefix.as_ref().map(|prefix| format!("{prefix} "));
            format!("{}{}", prefix.unwrap_or_default(), line.text)
        }
        LogItem::Note(note) => format!("({})", note.message),
    }
}
