//! Works: what Karmada means to have on a member. A Work outlives template and binding while its
//! member does not answer, and as long as it exists the member may still run the job.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;
use training::JobId;
use training::manifest::{LABEL_JOB_ID, ObjectRef};

use crate::bindings::PERMANENT_ID;
use crate::call::Caller;
use crate::error::CallError;

pub(crate) const WORKS: &str = "/apis/work.karmada.io/v1alpha1/works";

/// Namespaces of Works are called so, followed by the cluster's name.
pub(crate) const NAMESPACE_PREFIX: &str = "karmada-es-";

#[derive(Deserialize)]
struct Work {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    namespace: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    workload: Workload,
    preserve_resources_on_deletion: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Workload {
    manifests: Vec<Value>,
}

/// A Work as far as removal and release need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WorkSeen {
    pub(crate) cluster: String,
    pub(crate) preserves_resources: bool,
    job_id: String,
}

impl Work {
    fn cluster(&self) -> String {
        let namespace = &self.metadata.namespace;
        namespace.strip_prefix(NAMESPACE_PREFIX).unwrap_or(namespace).to_owned()
    }

    fn seen(&self, manifest: &Value) -> WorkSeen {
        WorkSeen {
            cluster: self.cluster(),
            preserves_resources: self.spec.preserve_resources_on_deletion == Some(true),
            job_id: text(manifest, &["metadata", "labels", LABEL_JOB_ID]),
        }
    }
}

fn text(value: &Value, path: &[&str]) -> String {
    let found = path.iter().try_fold(value, |value, key| value.get(key));
    found.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The Works made from the binding with this permanent id, on any cluster.
pub(crate) async fn of_binding(
    caller: &Caller,
    permanent_id: &str,
) -> Result<Vec<WorkSeen>, CallError> {
    let mut works = Vec::new();
    let labels = Some(format!("{PERMANENT_ID}={permanent_id}"));
    caller.list(WORKS, labels, |work: Work| works.push(work.seen(&Value::Null))).await?;
    Ok(works)
}

/// What is known of the binding of an object that is being removed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trace {
    /// It was seen, with this permanent id, so its Works can be asked for by label.
    PermanentId(String),
    /// It was already gone when this process first looked, perhaps after a restart.
    GoneSince(Instant),
}

/// Works by the objects in them.
type Index = HashMap<ObjectRef, Vec<WorkSeen>>;

/// Remembers bindings of objects under removal, and finds Works when nothing was remembered.
#[derive(Default)]
pub(crate) struct Works {
    traces: Mutex<HashMap<(ObjectRef, JobId), Trace>>,
    /// All Works by object, as of an instant. Held during the list, so that callers share it.
    index: tokio::sync::Mutex<Option<(Instant, Index)>>,
}

impl Works {
    pub(crate) fn remember(&self, object: &ObjectRef, job_id: &JobId, permanent_id: &str) {
        let trace = Trace::PermanentId(permanent_id.to_owned());
        self.traces().insert((object.clone(), job_id.clone()), trace);
    }

    pub(crate) fn forget(&self, object: &ObjectRef, job_id: &JobId) {
        self.traces().remove(&(object.clone(), job_id.clone()));
    }

    /// Works that are left of an object whose binding is gone.
    ///
    /// Without a permanent id all Works are listed and told apart by the manifests in them. That
    /// is dear, so the list is shared for `max_age`; but one that was begun before the binding was
    /// seen to be gone proves nothing and is never used.
    pub(crate) async fn left_of(
        &self,
        caller: &Caller,
        object: &ObjectRef,
        job_id: &JobId,
        shared: bool,
        max_age: Duration,
    ) -> Result<Vec<WorkSeen>, CallError> {
        let key = (object.clone(), job_id.clone());
        let trace =
            self.traces().entry(key).or_insert_with(|| Trace::GoneSince(Instant::now())).clone();
        let gone_since = match trace {
            Trace::PermanentId(id) => return of_binding(caller, &id).await,
            Trace::GoneSince(at) => at,
        };
        let mut index = self.index.lock().await;
        let works = match index.as_ref() {
            Some((at, works)) if *at >= gone_since && at.elapsed() < max_age => works,
            _ => {
                let begun = Instant::now();
                let works = list_all(caller).await?;
                &index.insert((begun, works)).1
            }
        };
        let left = works.get(object).into_iter().flatten();
        // What we write carries the label, in its Works as well.
        let left = left.filter(|work| shared || work.job_id == job_id.as_str());
        Ok(left.cloned().collect())
    }

    fn traces(&self) -> std::sync::MutexGuard<'_, HashMap<(ObjectRef, JobId), Trace>> {
        self.traces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn list_all(caller: &Caller) -> Result<Index, CallError> {
    let mut works = Index::new();
    caller
        .list(WORKS, None, |work: Work| {
            for manifest in &work.spec.workload.manifests {
                let object = ObjectRef {
                    api_version: text(manifest, &["apiVersion"]),
                    kind: text(manifest, &["kind"]),
                    namespace: text(manifest, &["metadata", "namespace"]),
                    name: text(manifest, &["metadata", "name"]),
                };
                works.entry(object).or_default().push(work.seen(manifest));
            }
        })
        .await?;
    Ok(works)
}
