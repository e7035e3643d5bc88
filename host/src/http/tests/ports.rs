//! A plugin and a control plane for the router tests: the smallest that show every answer.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Notify;
use training::manifest::{Manifest, ObjectRef, Role};
use training::ports::{
    Audience, CatalogView, Cluster, ControlError, ControlPlane, Conversion, ConversionInput,
    ConvertRefusal, EventSeen, FieldError, LogBytes, LogQuery, MemberError, Members, ObjectPage,
    ObjectQuery, Owned, PluginChange, PluginFault, PluginInfo, PluginKind, PluginVersion, Plugins,
    PodSeen, Prepared, Remaining, Removal, Report, Route, Seen, Signature, Trace, Usage,
    VersionState, WorkloadRef, WriteOrder,
};
use training::{ClusterName, JobId, PluginDigest, Sha256Digest};

/// One plugin, `trees`, which makes a ConfigMap-sized job and behaves as its hyperparameters say.
pub(super) struct OnePlugin;

fn info() -> PluginInfo {
    let kind = PluginKind {
        api_version: "batch/v1".to_owned(),
        kind: "Job".to_owned(),
        plural: "jobs".to_owned(),
        workload: true,
        max_name_length: 63,
    };
    PluginInfo {
        name: "trees".to_owned(),
        version: "1.2.3".to_owned(),
        digest: Sha256Digest::of("trees"),
        algorithms: vec!["trees".to_owned(), "forest".to_owned()],
        title: "Trees".to_owned(),
        summary: "Grows trees.".to_owned(),
        schema: "{ \"type\":  \"object\" }".to_owned(),
        schema_digest: Sha256Digest::of("schema"),
        settings_schema: "{}".to_owned(),
        kinds: vec![kind],
        interpreters: Vec::new(),
        suspend: None,
        examples: vec![json!({"jobName": "example"})],
    }
}

#[async_trait]
impl Plugins for OnePlugin {
    fn resolve(&self, algorithm: &str, _: Audience<'_>) -> Option<Arc<PluginInfo>> {
        let info = info();
        info.algorithms.iter().any(|name| name == algorithm).then(|| Arc::new(info))
    }

    fn list(&self) -> Vec<Arc<PluginInfo>> {
        vec![Arc::new(info())]
    }

    fn catalog(&self) -> CatalogView {
        let version = PluginVersion {
            info: Arc::new(info()),
            state: VersionState::Active,
            reason: "It is the highest version.".to_owned(),
            file: Some("trees.wasm".to_owned()),
            signature: Signature::Unsigned,
            usage: Usage::default(),
        };
        CatalogView { versions: vec![version], rejected: Vec::new() }
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

    async fn load(&self, plugin: &PluginDigest) -> Result<Arc<PluginInfo>, PluginFault> {
        let info = info();
        if info.digest == *plugin {
            Ok(Arc::new(info))
        } else {
            Err(PluginFault::NotLoaded(*plugin))
        }
    }

    fn settings(&self, _: &PluginDigest) -> Result<Value, PluginFault> {
        Ok(json!({}))
    }

    async fn input_text(
        &self,
        _: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<String, PluginFault> {
        Ok(input.spec.hyperparameters.to_string())
    }

    fn prepare(&self, _: &PluginDigest, values: &Value) -> Result<Prepared, PluginFault> {
        let errors = match values.get("eta").and_then(Value::as_f64) {
            Some(eta) if eta > 1.0 => vec![FieldError::new("/eta", "maximum", "At most 1.")],
            _ => Vec::new(),
        };
        Ok(Prepared { hyperparameters: values.clone(), errors })
    }

    async fn validate(
        &self,
        _: &PluginDigest,
        _: &ConversionInput,
    ) -> Result<Vec<FieldError>, PluginFault> {
        Ok(Vec::new())
    }

    async fn convert(
        &self,
        _: &PluginDigest,
        input: &ConversionInput,
    ) -> Result<Result<Conversion, ConvertRefusal>, PluginFault> {
        let plugin = || "trees".to_owned();
        match input.spec.hyperparameters.get("mood").and_then(Value::as_str) {
            Some("panic") => panic!("on purpose"),
            Some("busy") => return Err(PluginFault::Busy),
            Some("slow") => {
                let call = "convert";
                return Err(PluginFault::TimedOut { plugin: plugin(), call, limit_ms: 1 });
            }
            Some("broken") => {
                let detail = "secret detail".to_owned();
                return Err(PluginFault::Failed { plugin: plugin(), call: "convert", detail });
            }
            Some("stuck") => std::future::pending().await,
            Some("greedy") => {
                let document = json!({"apiVersion": "v1", "kind": "Secret",
                    "metadata": {"name": input.spec.name.as_str()}});
                let manifests = vec![Manifest { role: Role::Workload, document }];
                return Ok(Ok(Conversion { manifests, warnings: Vec::new() }));
            }
            _ => {}
        }
        let pod = json!({"restartPolicy": "Never",
            "containers": [{"name": "train", "image": "busybox:1",
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}]});
        let document = json!({"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": input.spec.name.as_str()},
            "spec": {"template": {"spec": pod}}});
        let manifests = vec![Manifest { role: Role::Workload, document }];
        Ok(Ok(Conversion { manifests, warnings: vec!["Mind the gap.".to_owned()] }))
    }

    async fn interpret(
        &self,
        plugin: &PluginDigest,
        _: &str,
        _: &Value,
    ) -> Result<Report, PluginFault> {
        Err(PluginFault::NotLoaded(*plugin))
    }
}

/// A control plane that is away, but was seen before.
pub(super) struct Away;

fn away<T>() -> Result<T, ControlError> {
    Err(ControlError::Unavailable { message: "secret address".to_owned() })
}

#[async_trait]
impl ControlPlane for Away {
    async fn ping(&self) -> Result<(), ControlError> {
        away()
    }

    async fn clusters(&self) -> Result<Vec<Cluster>, ControlError> {
        away()
    }

    fn known_clusters(&self) -> Vec<ClusterName> {
        vec![ClusterName::parse("member1").unwrap()]
    }

    async fn write(&self, _: &JobId, _: &[WriteOrder]) -> Result<Vec<String>, ControlError> {
        away()
    }

    async fn remove(&self, _: &Removal) -> Result<Vec<Remaining>, ControlError> {
        away()
    }

    async fn owned(&self, _: &str, _: &str) -> Result<Vec<Owned>, ControlError> {
        away()
    }

    async fn remove_exactly(&self, _: &Owned) -> Result<(), ControlError> {
        away()
    }

    async fn interpreter(&self, _: &str) -> Result<Option<Value>, ControlError> {
        away()
    }

    async fn install_interpreter(&self, _: &str, _: &Value) -> Result<(), ControlError> {
        away()
    }

    async fn release(&self, _: &ObjectRef, _: &[ObjectRef]) -> Result<bool, ControlError> {
        away()
    }

    async fn set_flag(&self, _: &WorkloadRef, _: &[&str], _: bool) -> Result<bool, ControlError> {
        away()
    }

    async fn observe(&self, _: &[WorkloadRef]) -> Result<Vec<Seen>, ControlError> {
        away()
    }

    async fn trace(&self, _: &WorkloadRef, _: &ObjectRef) -> Trace {
        Trace::unavailable("secret address")
    }

    fn hint(&self) -> Arc<Notify> {
        Arc::default()
    }
}

fn no_answer<T>(cluster: &ClusterName) -> Result<T, MemberError> {
    let message = "connection refused".to_owned();
    Err(MemberError::Unavailable { cluster: cluster.clone(), message })
}

#[async_trait]
impl Members for Away {
    async fn pods(
        &self,
        cluster: &ClusterName,
        _: &str,
        _: &str,
    ) -> Result<Vec<PodSeen>, MemberError> {
        no_answer(cluster)
    }

    async fn events(
        &self,
        cluster: &ClusterName,
        _: &str,
        _: &str,
    ) -> Result<Vec<EventSeen>, MemberError> {
        no_answer(cluster)
    }

    async fn object(
        &self,
        cluster: &ClusterName,
        _: &ObjectRef,
    ) -> Result<Option<Value>, MemberError> {
        no_answer(cluster)
    }

    async fn list(
        &self,
        cluster: &ClusterName,
        _: &ObjectQuery,
    ) -> Result<ObjectPage, MemberError> {
        no_answer(cluster)
    }

    async fn log(&self, query: &LogQuery) -> Result<LogBytes, MemberError> {
        no_answer(&query.cluster)
    }
}
