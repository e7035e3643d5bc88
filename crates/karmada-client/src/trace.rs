//! What there is of one workload at this moment, read fresh for an explanation. Each part may fail
//! on its own; nothing here is kept.

use std::collections::BTreeMap;

use kube::api::ListParams;
use kube::core::request::Request as Requests;
use serde::Deserialize;
use training::clock::Timestamp;
use training::manifest::ObjectRef;
use training::ports::{ControlError, EventSeen, ObjectTrace, Trace, WorkTrace, WorkloadRef};

use crate::KarmadaClient;
use crate::bindings::PERMANENT_ID;
use crate::call::Caller;
use crate::error::CallError;
use crate::members::Event;
use crate::works::{NAMESPACE_PREFIX, WORKS};

/// Events of one object that are read. Repeated ones are one event with a count.
const EVENTS: u32 = 200;

/// Where Karmada writes the policy that an object belongs to.
const POLICY: &str = "propagationpolicy.karmada.io";
const CLUSTER_POLICY: &str = "clusterpropagationpolicy.karmada.io";

#[derive(Deserialize)]
struct Dated {
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: String,
    namespace: String,
    uid: String,
    creation_timestamp: Option<String>,
    deletion_timestamp: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Work {
    metadata: Metadata,
    #[serde(default)]
    spec: WorkSpec,
    #[serde(default)]
    status: WorkStatus,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct WorkSpec {
    suspend_dispatching: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WorkStatus {
    conditions: Option<Vec<Condition>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    message: String,
    last_transition_time: Option<String>,
}

#[derive(Deserialize)]
struct Events {
    items: Option<Vec<Event>>,
}

fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok()
}

impl Dated {
    fn trace(self) -> ObjectTrace {
        let Metadata { uid, creation_timestamp, deletion_timestamp, annotations, .. } =
            self.metadata;
        let annotations = annotations.unwrap_or_default();
        let of = |prefix: &str, part: &str| annotations.get(&format!("{prefix}/{part}"));
        let own = of(POLICY, "name").map(|name| {
            let namespace = of(POLICY, "namespace").map_or("", String::as_str);
            format!("{namespace}/{name}")
        });
        ObjectTrace {
            uid,
            created_at: time(creation_timestamp.as_deref()),
            terminating: deletion_timestamp.is_some(),
            claimed_by: own.or_else(|| of(CLUSTER_POLICY, "name").cloned()),
        }
    }
}

impl Work {
    fn trace(self) -> WorkTrace {
        let conditions = self.status.conditions.unwrap_or_default();
        let applied = conditions.into_iter().find(|condition| condition.kind == "Applied");
        let namespace = &self.metadata.namespace;
        WorkTrace {
            cluster: namespace.strip_prefix(NAMESPACE_PREFIX).unwrap_or(namespace).to_owned(),
            name: self.metadata.name,
            applied_at: applied
                .as_ref()
                .and_then(|condition| time(condition.last_transition_time.as_deref())),
            applied: applied.map(|condition| (condition.status == "True", condition.message)),
            suspended: self.spec.suspend_dispatching == Some(true),
            terminating: self.metadata.deletion_timestamp.is_some(),
        }
    }
}

impl KarmadaClient {
    #[tracing::instrument(name = "karmada.trace", skip_all, fields(object = %workload.object))]
    pub(crate) async fn trace_one(&self, workload: &WorkloadRef, policy: &ObjectRef) -> Trace {
        let object = &workload.object;
        let bound = async {
            let found = self.binding_of(object).await?;
            // The binding of another object that had the name is nothing of this job.
            Ok(found.filter(|binding| {
                workload.uid.as_deref().is_none_or(|uid| uid == binding.target_uid())
            }))
        };
        let works = async {
            let binding = bound.await?;
            let Some(binding) = binding else { return Ok((None, Ok(Vec::new()))) };
            let works = match binding.permanent_id() {
                Some(id) => works_of(&self.caller, id)
                    .await
                    .map_err(|error| error.control("list the Works of", object)),
                None => Ok(Vec::new()),
            };
            Ok::<_, ControlError>((binding.trace(), works))
        };
        let (template, policy, works, events) =
            tokio::join!(self.dated(object), self.dated(policy), works, self.said_of(object));
        let (binding, works) = match works {
            Ok((binding, works)) => (Ok(binding), works),
            Err(error) => {
                let again = ControlError::Unavailable { message: error.to_string() };
                (Err(error), Err(again))
            }
        };
        Trace { template, policy, binding, works, events }
    }

    async fn dated(&self, object: &ObjectRef) -> Result<Option<ObjectTrace>, ControlError> {
        let collection = self.collection(object).await?;
        let found = self.caller.find::<Dated>(&collection, &object.name).await;
        let found = found.map_err(|error| self.failed("read", object, &error))?;
        Ok(found.map(Dated::trace))
    }

    /// What the controllers of Karmada say about an object.
    async fn said_of(&self, object: &ObjectRef) -> Result<Vec<EventSeen>, ControlError> {
        // The same names that `collection` checked for the object itself.
        self.collection(object).await?;
        let params = ListParams {
            field_selector: Some(format!(
                "involvedObject.name={},involvedObject.kind={}",
                object.name, object.kind
            )),
            limit: Some(EVENTS),
            ..ListParams::default()
        };
        let path = format!("/api/v1/namespaces/{}/events", object.namespace);
        let listed = self.caller.request::<Events>(Requests::new(path).list(&params)).await;
        let listed = listed.map_err(|error| error.control("list the events of", object))?;
        let mut events: Vec<EventSeen> =
            listed.items.into_iter().flatten().map(Event::seen).collect();
        events.sort_by_key(|event| event.last_at);
        Ok(events)
    }
}

async fn works_of(caller: &Caller, permanent_id: &str) -> Result<Vec<WorkTrace>, CallError> {
    let mut works = Vec::new();
    let labels = Some(format!("{PERMANENT_ID}={permanent_id}"));
    caller.list(WORKS, labels, |work: Work| works.push(work.trace())).await?;
    Ok(works)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn object_names_the_policy_that_claimed_it() {
        let trace = |annotations| {
            let object = json!({"metadata": {"uid": "u", "annotations": annotations,
                "creationTimestamp": "2026-01-01T00:00:00Z"}});
            serde_json::from_value::<Dated>(object).unwrap().trace()
        };
        let own = trace(json!({
            "propagationpolicy.karmada.io/name": "p", "propagationpolicy.karmada.io/namespace": "n",
        }));
        assert_eq!(own.claimed_by.as_deref(), Some("n/p"));
        assert!(own.created_at.is_some() && !own.terminating);
        let wide = trace(json!({"clusterpropagationpolicy.karmada.io/name": "wide"}));
        assert_eq!(wide.claimed_by.as_deref(), Some("wide"));
        assert_eq!(trace(json!({})).claimed_by, None);
    }

    #[test]
    fn work_says_whether_its_member_took_it() {
        let work = json!({
            "metadata": {"name": "w", "namespace": "karmada-es-member1"},
            "spec": {"suspendDispatching": false},
            "status": {"conditions": [
                {"type": "Dispatching", "status": "True"},
                {"type": "Applied", "status": "False", "message": "no",
                 "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ]},
        });
        let trace = serde_json::from_value::<Work>(work).unwrap().trace();
        assert_eq!((trace.cluster.as_str(), trace.name.as_str()), ("member1", "w"));
        assert_eq!(trace.applied, Some((false, "no".to_owned())));
        assert!(trace.applied_at.is_some() && !trace.suspended && !trace.terminating);
    }
}
