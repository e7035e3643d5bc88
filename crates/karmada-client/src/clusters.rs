//! Member clusters as the scheduler sees them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kube::Resource;
use kube::core::ObjectMeta;
use serde::Deserialize;
use serde_json::Value;
use training::ClusterName;
use training::job::Demand;
use training::ports::{Cluster, ControlError};

use crate::KarmadaClient;
use crate::quantity::millis;
use crate::watch::Mirrored;

/// A Cluster as the API server has it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Member {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Spec {
    provider: Option<String>,
    region: Option<String>,
    zone: Option<String>,
    zones: Option<Vec<String>>,
    taints: Option<Vec<Taint>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Taint {
    key: String,
    value: Option<String>,
    effect: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    conditions: Option<Vec<Condition>>,
    kubernetes_version: Option<String>,
    node_summary: Option<Nodes>,
    api_enablements: Option<Vec<Api>>,
    resource_summary: Option<Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    last_transition_time: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Nodes {
    #[serde(default)]
    total_num: u32,
    #[serde(default)]
    ready_num: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Api {
    group_version: String,
    resources: Option<Vec<ApiResource>>,
}

#[derive(Debug, Clone, Deserialize)]
struct ApiResource {
    kind: String,
}

impl Resource for Member {
    type DynamicType = ();
    type Scope = kube::core::ClusterResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Cluster".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "cluster.karmada.io".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1alpha1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "clusters".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Names of the resources that count as GPUs.
#[derive(Debug)]
pub(crate) struct GpuResources(pub(crate) Vec<String>);

impl Mirrored for Member {
    type Key = ClusterName;
    type Kept = Cluster;
    type Settings = GpuResources;

    fn keep(self, gpus: &GpuResources) -> Option<(ClusterName, Cluster)> {
        let name = ClusterName::parse(self.metadata.name.unwrap_or_default()).ok()?;
        let labels = self.metadata.labels.unwrap_or_default();
        let label = |name: &str| labels.get(name).cloned();
        let Status { conditions, node_summary, api_enablements, resource_summary, .. } =
            self.status;
        let ready = conditions.into_iter().flatten().find(|condition| condition.kind == "Ready");
        let zones = self.spec.zones.filter(|zones| !zones.is_empty()).map(|zones| zones.join(","));
        let free = resource_summary.as_ref().map(|summary| free(summary, &gpus.0));
        let cluster = Cluster {
            name: name.clone(),
            ready: ready.as_ref().is_some_and(|ready| ready.status == "True"),
            ready_reason: ready
                .as_ref()
                .map_or_else(|| "Karmada has not looked at it yet".to_owned(), Condition::words),
            ready_since: ready
                .and_then(|ready| ready.last_transition_time)
                .and_then(|time| time.parse().ok()),
            region: filled(self.spec.region).or_else(|| label("region")),
            zone: zones.or(filled(self.spec.zone)).or_else(|| label("zone")),
            provider: filled(self.spec.provider),
            version: filled(self.status.kubernetes_version),
            nodes: node_summary.map(|nodes| (nodes.ready_num, nodes.total_num)),
            apis: api_enablements.into_iter().flatten().flat_map(Api::kinds).collect(),
            taints: self
                .spec
                .taints
                .into_iter()
                .flatten()
                .filter(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute"))
                .map(Taint::words)
                .collect(),
            free,
            resources: resource_summary.unwrap_or(Value::Null),
        };
        Some((name, cluster))
    }
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

impl Condition {
    /// `ClusterNotReachable: cluster is not reachable`.
    fn words(&self) -> String {
        match (self.reason.as_str(), self.message.as_str()) {
            ("", message) => message.to_owned(),
            (reason, "") => reason.to_owned(),
            (reason, message) => format!("{reason}: {message}"),
        }
    }
}

impl Taint {
    fn words(self) -> String {
        match filled(self.value) {
            Some(value) => format!("{}={value}:{}", self.key, self.effect),
            None => format!("{}:{}", self.key, self.effect),
        }
    }
}

impl Api {
    fn kinds(self) -> impl Iterator<Item = String> {
        let Self { group_version, resources } = self;
        let resources = resources.into_iter().flatten();
        resources.map(move |resource| format!("{group_version}/{}", resource.kind))
    }
}

/// Allocatable less allocated less allocating. An amount that cannot be read counts as none.
fn free(summary: &Value, gpus: &[String]) -> Demand {
    let amount = |part: &str, resource: &str| -> u128 {
        let quantity = summary.get(part).and_then(|amounts| amounts.get(resource));
        match quantity {
            Some(Value::String(text)) => millis(text).unwrap_or(0),
            // JSON allows a quantity to be a bare number.
            Some(Value::Number(number)) => millis(&number.to_string()).unwrap_or(0),
            _ => 0,
        }
    };
    let left = |resource: &str| {
        amount("allocatable", resource)
            .saturating_sub(amount("allocated", resource))
            .saturating_sub(amount("allocating", resource))
    };
    let whole = |millis: u128| u64::try_from(millis / 1000).unwrap_or(u64::MAX);
    Demand {
        cpu_millis: u64::try_from(left("cpu")).unwrap_or(u64::MAX),
        memory_bytes: whole(left("memory")),
        gpus: gpus.iter().map(|name| whole(left(name))).fold(0, u64::saturating_add),
    }
}

impl KarmadaClient {
    #[tracing::instrument(name = "karmada.clusters", skip_all)]
    pub(crate) async fn all_clusters(&self) -> Result<Vec<Cluster>, ControlError> {
        self.members.freshen(&self.caller).await.map_err(|message| ControlError::Unavailable {
            message: format!("list the clusters: {message}"),
        })?;
        let members = self.members.all();
        let by_name: BTreeMap<ClusterName, Cluster> =
            members.iter().map(|member| (member.name.clone(), Cluster::clone(member))).collect();
        Ok(by_name.into_values().collect())
    }

    pub(crate) fn cluster_names(&self) -> Vec<ClusterName> {
        let mut names: Vec<ClusterName> =
            self.members.all().iter().map(|member| member.name.clone()).collect();
        names.sort();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn keep(value: Value) -> Cluster {
        let gpus = GpuResources(vec!["nvidia.com/gpu".to_owned(), "amd.com/gpu".to_owned()]);
        serde_json::from_value::<Member>(value).unwrap().keep(&gpus).unwrap().1
    }

    #[test]
    fn cluster_shows_what_karmada_reports() {
        let cluster = keep(json!({
            "metadata": {"name": "member1", "labels": {"region": "ignored", "zone": "z9"}},
            "spec": {
                "provider": "p", "region": "r",
                "taints": [
                    {"key": "cluster.karmada.io/not-ready", "effect": "NoSchedule"},
                    {"key": "a", "value": "b", "effect": "NoExecute"},
                    {"key": "soft", "effect": "PreferNoSchedule"},
                ],
            },
            "status": {
                "kubernetesVersion": "v1.36.0",
                "nodeSummary": {"totalNum": 3, "readyNum": 2},
                "conditions": [{"type": "Ready", "status": "False", "reason": "ClusterNotReachable",
                    "message": "cluster is not reachable",
                    "lastTransitionTime": "2026-01-01T00:00:00Z"}],
                "apiEnablements": [{"groupVersion": "ray.io/v1",
                    "resources": [{"kind": "RayJob", "name": "rayjobs"}]}],
                "resourceSummary": {
                    "allocatable": {"cpu": "10", "memory": "4Gi", "nvidia.com/gpu": "16", "amd.com/gpu": 4},
                    "allocated": {"cpu": "2500m", "memory": "1Gi", "nvidia.com/gpu": "3"},
                    "allocating": {"cpu": "500m", "amd.com/gpu": "9"},
                },
            },
        }));
        assert!(!cluster.ready);
        assert_eq!(cluster.ready_reason, "ClusterNotReachable: cluster is not reachable");
        assert_eq!(cluster.ready_since, Some("2026-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!((cluster.region.as_deref(), cluster.zone.as_deref()), (Some("r"), Some("z9")));
        assert_eq!(cluster.taints, ["cluster.karmada.io/not-ready:NoSchedule", "a=b:NoExecute"]);
        assert_eq!(cluster.apis, ["ray.io/v1/RayJob"]);
        assert_eq!(cluster.nodes, Some((2, 3)));
        let free = Demand { cpu_millis: 7000, memory_bytes: 3 << 30, gpus: 13 };
        assert_eq!(cluster.free, Some(free));
    }

    #[test]
    fn cluster_without_a_summary_has_unknown_room() {
        let cluster = keep(json!({"metadata": {"name": "new"}}));
        assert_eq!((cluster.free, cluster.ready), (None, false));
        assert_eq!(cluster.resources, Value::Null);
    }
}
