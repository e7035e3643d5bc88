//! ResourceBindings: where Karmada put a workload and what its members report of it. The status
//! of a member is kept as text, which takes a fifth of the memory of a tree.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use kube::Resource;
use kube::core::ObjectMeta;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use training::manifest::ObjectRef;
use training::ports::{BindingSeen, BindingTrace, ControlError, MemberSeen, Seen, WorkloadRef};

use crate::KarmadaClient;
use crate::apply::Head;
use crate::resolve::is_segment;
use crate::watch::Mirrored;

/// Label of a binding, and of the Works made from it.
pub(crate) const PERMANENT_ID: &str = "resourcebinding.karmada.io/permanent-id";

/// Look-ups of workloads without a binding at the same time, and at most in one call. The rest
/// is looked up by the next calls, so that a burst of new jobs delays nobody's status.
const LOOKUPS_AT_ONCE: usize = 8;
const LOOKUPS_PER_CALL: usize = 256;

/// A ResourceBinding as the API server has it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ResourceBinding {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    status: Option<Status>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    resource: Target,
    clusters: Option<Vec<TargetCluster>>,
    #[serde(default)]
    placement: Placement,
    preserve_resources_on_deletion: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Placement {
    cluster_affinity: Affinity,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Affinity {
    cluster_names: Vec<String>,
    exclude: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Target {
    api_version: String,
    kind: String,
    namespace: String,
    name: String,
    uid: String,
}

#[derive(Debug, Clone, Deserialize)]
struct TargetCluster {
    name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    conditions: Option<Vec<Condition>>,
    aggregated_status: Option<Vec<Item>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    #[serde(default, rename = "lastTransitionTime")]
    since: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    cluster_name: String,
    #[serde(default)]
    applied: bool,
    #[serde(default)]
    applied_message: String,
    status: Option<Value>,
}

/// What is kept of a binding.
#[derive(Debug, PartialEq)]
pub(crate) struct Bound {
    /// uid of the workload; the same name may have been given to another object since.
    uid: Box<str>,
    clusters: Vec<Box<str>>,
    scheduled: Option<(bool, Box<str>, Box<str>)>,
    members: Vec<Member>,
}

#[derive(Debug, PartialEq)]
struct Member {
    cluster: Box<str>,
    applied: bool,
    applied_message: Box<str>,
    status: Option<Box<str>>,
}

impl Resource for ResourceBinding {
    type DynamicType = ();
    type Scope = kube::core::NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "ResourceBinding".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "work.karmada.io".into()
    }

    /// Never `v1alpha1`, which costs a call of the conversion webhook per object.
    fn version((): &()) -> Cow<'_, str> {
        "v1alpha2".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "resourcebindings".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl ResourceBinding {
    /// The path of the bindings of a namespace, and the name that Karmada gives to the binding of
    /// an object. The group is not part of it: compare [`Self::is_of`].
    pub(crate) fn place_of(object: &ObjectRef) -> (String, String) {
        let name = format!("{}-{}", object.name, object.kind).to_lowercase().replace(':', ".");
        (Self::url_path(&(), Some(&object.namespace)), name)
    }

    pub(crate) fn is_of(&self, object: &ObjectRef) -> bool {
        let target = &self.spec.resource;
        target.api_version == object.api_version
            && target.kind == object.kind
            && target.name == object.name
            && target.namespace == object.namespace
    }

    pub(crate) fn target_uid(&self) -> &str {
        &self.spec.resource.uid
    }

    pub(crate) fn is_being_deleted(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    pub(crate) fn preserves_resources(&self) -> bool {
        self.spec.preserve_resources_on_deletion == Some(true)
    }

    /// Whether Karmada made it for this policy.
    pub(crate) fn is_claimed_by(&self, policy: &ObjectRef) -> bool {
        let annotations = self.metadata.annotations.as_ref();
        let says = |field: &str| {
            let key = format!("propagationpolicy.karmada.io/{field}");
            annotations.and_then(|all| all.get(&key)).map(String::as_str)
        };
        says("name") == Some(&policy.name) && says("namespace") == Some(&policy.namespace)
    }

    /// The clusters that its object is placed on, and those that its placement still names.
    pub(crate) fn reach(&self) -> Vec<&str> {
        let Affinity { cluster_names, exclude } = &self.spec.placement.cluster_affinity;
        let named = cluster_names.iter().filter(|name| !exclude.contains(name));
        let placed = self.spec.clusters.iter().flatten().map(|cluster| &cluster.name);
        named.chain(placed).map(String::as_str).collect()
    }

    /// What it says, with its times.
    pub(crate) fn trace(self) -> Option<BindingTrace> {
        let created_at = self.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let conditions = self.status.iter().flat_map(|status| &status.conditions).flatten();
        let scheduled_at = conditions
            .filter(|condition| condition.kind == "Scheduled")
            .find_map(|condition| condition.since.as_deref()?.parse().ok());
        let (_, bound) = self.keep(&())?;
        Some(BindingTrace { seen: bound.seen(), created_at, scheduled_at })
    }

    pub(crate) fn permanent_id(&self) -> Option<&str> {
        let labels = self.metadata.labels.as_ref()?;
        labels.get(PERMANENT_ID).map(String::as_str).filter(|id| is_segment(id))
    }
}

impl Mirrored for ResourceBinding {
    type Key = ObjectRef;
    type Kept = Bound;
    type Settings = ();

    fn keep(self, (): &()) -> Option<(ObjectRef, Bound)> {
        let Target { api_version, kind, namespace, name, uid } = self.spec.resource;
        let key = ObjectRef { api_version, kind, namespace, name };
        let status = self.status.unwrap_or_default();
        let scheduled = status.conditions.into_iter().flatten().find(|c| c.kind == "Scheduled");
        let bound = Bound {
            uid: uid.into(),
            clusters: self
                .spec
                .clusters
                .into_iter()
                .flatten()
                .map(|cluster| cluster.name.into())
                .collect(),
            scheduled: scheduled.map(|c| (c.status == "True", c.reason.into(), c.message.into())),
            members: status.aggregated_status.into_iter().flatten().map(Member::from).collect(),
        };
        Some((key, bound))
    }
}

impl From<Item> for Member {
    fn from(item: Item) -> Self {
        Self {
            cluster: item.cluster_name.into(),
            applied: item.applied,
            applied_message: item.applied_message.into(),
            status: item.status.map(|status| status.to_string().into()),
        }
    }
}

impl Bound {
    fn seen(&self) -> BindingSeen {
        let text = |text: &str| text.to_owned();
        BindingSeen {
            clusters: self.clusters.iter().map(|name| text(name)).collect(),
            scheduled: self
                .scheduled
                .as_ref()
                .map(|(yes, reason, message)| (*yes, text(reason), text(message))),
            members: self
                .members
                .iter()
                .map(|member| MemberSeen {
                    cluster: text(&member.cluster),
                    applied: member.applied,
                    applied_message: text(&member.applied_message),
                    // The text was made from a tree, so reading it back cannot fail.
                    status: member.status.as_deref().and_then(|s| serde_json::from_str(s).ok()),
                })
                .collect(),
        }
    }
}

/// When a workload without a binding was last looked up, and whether it was there.
pub(crate) type Lookups = Mutex<HashMap<WorkloadKey, (Instant, bool)>>;
type WorkloadKey = (ObjectRef, Option<String>);

impl KarmadaClient {
    #[tracing::instrument(name = "karmada.observe", skip_all, fields(workloads = workloads.len()))]
    pub(crate) async fn observe_all(
        &self,
        workloads: &[WorkloadRef],
    ) -> Result<Vec<Seen>, ControlError> {
        self.freshen_bindings().await?;
        let mut all = Vec::with_capacity(workloads.len());
        let mut unbound = Vec::new();
        for (index, workload) in workloads.iter().enumerate() {
            // Ten thousand statuses take some 100 ms to read; other tasks run in between.
            if index % 256 == 255 {
                tokio::task::yield_now().await;
            }
            let bound = self.bindings.get(&workload.object);
            let bound = bound
                .filter(|bound| workload.uid.as_deref().is_none_or(|wanted| *wanted == *bound.uid));
            if bound.is_none() {
                unbound.push(index);
            }
            all.push(Seen { binding: bound.map(|bound| bound.seen()), exists: None });
        }
        let found = self.look_up(workloads, unbound).await;
        for (index, exists) in found {
            if let Some(seen) = all.get_mut(index) {
                seen.exists = exists;
            }
        }
        Ok(all)
    }

    /// The workloads whose bindings changed since the last call.
    pub(crate) async fn changed_workloads(&self) -> Result<Vec<ObjectRef>, ControlError> {
        self.freshen_bindings().await?;
        Ok(self.bindings.take_changed().into_iter().collect())
    }

    async fn freshen_bindings(&self) -> Result<(), ControlError> {
        let fresh = self.bindings.freshen(&self.caller).await;
        fresh.map_err(|message| ControlError::Unavailable {
            message: format!("list the bindings: {message}"),
        })
    }

    /// Whether the workloads with these indexes exist.
    async fn look_up(
        &self,
        workloads: &[WorkloadRef],
        unbound: Vec<usize>,
    ) -> Vec<(usize, Option<bool>)> {
        let mut answers = Vec::with_capacity(unbound.len());
        let mut unknown = Vec::new();
        {
            let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
            lookups.retain(|_, (at, _)| at.elapsed() < self.poll_interval);
            for workload in unbound.into_iter().filter_map(|i| Some((i, workloads.get(i)?))) {
                let (index, WorkloadRef { object, uid }) = workload;
                match lookups.get(&(object.clone(), uid.clone())) {
                    Some((_, exists)) => answers.push((index, Some(*exists))),
                    None => unknown.push(workload),
                }
            }
        }
        unknown.truncate(LOOKUPS_PER_CALL);
        // One that cannot be looked up means that the others cannot either.
        let failed = AtomicBool::new(false);
        let asked: Vec<_> = unknown
            .into_iter()
            .map(|(index, workload)| self.look_up_one(index, workload, &failed))
            .collect();
        let asked: Vec<_> =
            futures_util::stream::iter(asked).buffered(LOOKUPS_AT_ONCE).collect().await;
        answers.extend(asked);
        answers
    }

    async fn look_up_one(
        &self,
        index: usize,
        workload: &WorkloadRef,
        failed: &AtomicBool,
    ) -> (usize, Option<bool>) {
        if failed.load(Ordering::Relaxed) {
            return (index, None);
        }
        let exists = self.exists(workload).await;
        failed.fetch_or(exists.is_none(), Ordering::Relaxed);
        (index, exists)
    }

    async fn exists(&self, workload: &WorkloadRef) -> Option<bool> {
        let collection = self.collection(&workload.object).await.ok()?;
        let found = self.caller.find::<Head>(&collection, &workload.object.name).await;
        let exists = match found.ok()? {
            None => false,
            Some(head) => workload.uid.as_deref().is_none_or(|wanted| wanted == head.uid()),
        };
        let key = (workload.object.clone(), workload.uid.clone());
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        lookups.insert(key, (Instant::now(), exists));
        Some(exists)
    }

    /// Forgets that an object was not there: it has just been written.
    pub(crate) fn forget_lookup(&self, object: &ObjectRef) {
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        lookups.retain(|(looked_up, _), _| looked_up != object);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn binding_keeps_what_the_port_shows() {
        let status = json!({"jobStatus": "RUNNING", "zero": 0});
        let binding: ResourceBinding = serde_json::from_value(json!({
            "metadata": {
                "name": "a-rayjob", "namespace": "team",
                "labels": {"resourcebinding.karmada.io/permanent-id": "0f-1"},
                "managedFields": [{"manager": "x", "operation": "Update"}],
            },
            "spec": {
                "resource": {"apiVersion": "ray.io/v1", "kind": "RayJob", "namespace": "team",
                    "name": "a", "uid": "u1", "resourceVersion": "7"},
                "clusters": [{"name": "member1"}],
            },
            "status": {
                "conditions": [{"type": "Scheduled", "status": "True", "reason": "Success",
                    "message": "ok", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
                "aggregatedStatus": [
                    {"clusterName": "member1", "status": status, "applied": true, "health": "Healthy"},
                    {"clusterName": "member2", "appliedMessage": "no"},
                ],
            },
        }))
        .unwrap();
        let object = ObjectRef {
            api_version: "ray.io/v1".to_owned(),
            kind: "RayJob".to_owned(),
            namespace: "team".to_owned(),
            name: "a".to_owned(),
        };
        assert!(binding.is_of(&object));
        assert_eq!(binding.permanent_id(), Some("0f-1"));
        assert_eq!(
            ResourceBinding::place_of(&object),
            (
                "/apis/work.karmada.io/v1alpha2/namespaces/team/resourcebindings".to_owned(),
                "a-rayjob".to_owned()
            )
        );
        let (key, bound) = binding.keep(&()).unwrap();
        assert_eq!(key, object);
        assert_eq!(&*bound.uid, "u1");
        let seen = bound.seen();
        assert_eq!(seen.clusters, ["member1"]);
        assert_eq!(seen.scheduled, Some((true, "Success".to_owned(), "ok".to_owned())));
        assert_eq!(seen.members[0].status, Some(status));
        assert!(seen.members[0].applied && !seen.members[1].applied);
        assert_eq!(seen.members[1].applied_message, "no");
    }

    #[test]
    fn binding_of_a_moment_ago_has_nothing_yet() {
        let binding: ResourceBinding =
            serde_json::from_value(json!({"metadata": {}, "spec": {"resource": {}}})).unwrap();
        let (_, bound) = binding.keep(&()).unwrap();
        assert_eq!(bound.seen(), BindingSeen::default());
    }
}
