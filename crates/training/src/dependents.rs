//! What a job refers to and does not bring along: Secrets and ConfigMaps of its namespace. If they
//! are on the control plane, they reach the member that was chosen before the job does. They are
//! shared with others, so each has a policy of its own, which grows by a cluster when a job needs it
//! there, and is narrowed when the last job that needed it there goes. What is on the control plane
//! stays there.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value, json};

use crate::admit::referenced;
use crate::id::ClusterName;
use crate::job::Job;
use crate::manifest::{Bundle, LABEL_ORIGIN, Manifest, ObjectRef};
use crate::ports::{Shared, Write, WriteOrder};
use crate::propagation::{POLICY_API, POLICY_KIND};

const SECRET: &str = "Secret";
const CONFIG_MAP: &str = "ConfigMap";

/// What the host does about dependents.
#[derive(Debug, Clone, Default)]
pub struct Dependents {
    /// Whether they are made to reach the members; else whoever owns the namespaces does that.
    pub share: bool,
    /// Secrets that the host itself provides in each namespace that needs them.
    pub provided: Vec<ProvidedSecret>,
}

/// A Secret from the host's own settings.
#[derive(Clone)]
pub struct ProvidedSecret {
    /// Its name.
    pub name: String,
    /// Its keys, and their values in base64.
    pub entries: Vec<(String, String)>,
}

impl fmt::Debug for ProvidedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.entries.iter().map(|(key, _)| key.as_str()).collect();
        f.debug_struct("ProvidedSecret").field("name", &self.name).field("keys", &keys).finish()
    }
}

/// What to write for the dependents of a job on these clusters, before anything of the job.
pub fn orders(
    job: &Job,
    bundle: &Bundle,
    clusters: &[ClusterName],
    dependents: &Dependents,
) -> Vec<WriteOrder> {
    if !dependents.share {
        return Vec::new();
    }
    let labels = labels(bundle);
    let mut orders = Vec::new();
    for shared in shared(job, bundle) {
        let Shared { object, .. } = &shared;
        let mut given = dependents.provided.iter();
        let given = given.find(|given| object.kind == SECRET && object.name == given.name);
        if let Some(given) = given {
            let document = secret(job, given, &labels);
            orders.push(WriteOrder { document, write: Write::Offer });
        }
        let document = policy(&shared, clusters, &labels);
        orders.push(WriteOrder { document, write: Write::Grow });
    }
    orders
}

/// The objects that a job shares with others, with their policies.
pub fn shared(job: &Job, bundle: &Bundle) -> Vec<Shared> {
    let at = |api_version: &str, kind: &str, name: String| ObjectRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: job.namespace.to_string(),
        name,
    };
    let mut all = Vec::new();
    for (kind, secrets) in [(SECRET, true), (CONFIG_MAP, false)] {
        all.extend(foreign(bundle, kind, secrets).into_iter().map(|name| {
            let policy = format!("trainyard-{}-{name}", kind.to_lowercase());
            Shared { object: at("v1", kind, name), policy: at(POLICY_API, POLICY_KIND, policy) }
        }));
    }
    all
}

/// Names that the bundle refers to and does not hold.
fn foreign(bundle: &Bundle, kind: &str, secrets: bool) -> BTreeSet<String> {
    let manifests = bundle.manifests().iter();
    let mut names: BTreeSet<String> =
        manifests.flat_map(|manifest| referenced(&manifest.document, secrets)).collect();
    for own in bundle.manifests().iter().map(Manifest::object_ref) {
        if own.kind == kind {
            names.remove(&own.name);
        }
    }
    names
}

/// The labels of what belongs to the installation and to no job.
fn labels(bundle: &Bundle) -> Value {
    let workload = bundle.workload();
    let origin = workload.and_then(|workload| workload.document.pointer("/metadata/labels"));
    let origin = origin.and_then(|labels| labels.get(LABEL_ORIGIN)).cloned();
    Value::Object(origin.map(|origin| (LABEL_ORIGIN.to_owned(), origin)).into_iter().collect())
}

fn secret(job: &Job, given: &ProvidedSecret, labels: &Value) -> Value {
    let entries: Map<String, Value> =
        given.entries.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": given.name, "namespace": job.namespace.as_str(), "labels": labels},
        "type": "Opaque",
        "data": entries,
    })
}

fn policy(shared: &Shared, clusters: &[ClusterName], labels: &Value) -> Value {
    let Shared { object, policy } = shared;
    let names: Vec<&str> = clusters.iter().map(ClusterName::as_str).collect();
    json!({
        "apiVersion": policy.api_version,
        "kind": policy.kind,
        "metadata": {
            "name": policy.name,
            "namespace": policy.namespace,
            "labels": labels,
        },
        "spec": {
            "resourceSelectors": [{
                "apiVersion": object.api_version,
                "kind": object.kind,
                "namespace": object.namespace,
                "name": object.name,
            }],
            // What a member has under this name already is somebody's and stays as it is.
            "conflictResolution": "Abort",
            // What was brought there leaves with the last job that needed it.
            "preserveResourcesOnDeletion": false,
            "placement": {
                // Written out, because a policy that was narrowed to no cluster excludes some.
                "clusterAffinity": { "clusterNames": names, "exclude": [] },
                "clusterTolerations": [{ "operator": "Exists" }],
                "replicaScheduling": { "replicaSchedulingType": "Duplicated" },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Role;
    use crate::testing_values::job;

    fn bundle() -> Bundle {
        let container = json!({
            "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s3", "key": "a"}}}],
            "envFrom": [{"configMapRef": {"name": "shared"}}, {"configMapRef": {"name": "own"}}],
        });
        let workload = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "j", "labels": {LABEL_ORIGIN: "o"}},
            "spec": {"template": {"spec": {
                "containers": [container],
                "imagePullSecrets": [{"name": "registry"}],
            }}},
        });
        let own = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own"}, "data": {}});
        Bundle::new(vec![
            Manifest { role: Role::Workload, document: workload },
            Manifest { role: Role::Config, document: own },
        ])
    }

    fn given() -> Dependents {
        let entries = vec![("a".to_owned(), "hush".to_owned())];
        Dependents {
            share: true,
            provided: vec![ProvidedSecret { name: "s3".to_owned(), entries }],
        }
    }

    #[test]
    fn what_is_referred_to_and_not_brought_along_gets_a_policy_of_its_own() {
        let clusters = [ClusterName::parse("m").unwrap()];
        let orders = orders(&job("j"), &bundle(), &clusters, &given());
        let seen: Vec<(&str, &str, Write)> = orders
            .iter()
            .map(|order| {
                let document = &order.document;
                let text = |pointer| document.pointer(pointer).and_then(Value::as_str).unwrap();
                (text("/kind"), text("/metadata/name"), order.write)
            })
            .collect();
        let expected = [
            ("PropagationPolicy", "trainyard-secret-registry", Write::Grow),
            ("Secret", "s3", Write::Offer),
            ("PropagationPolicy", "trainyard-secret-s3", Write::Grow),
            ("PropagationPolicy", "trainyard-configmap-shared", Write::Grow),
        ];
        assert_eq!(seen, expected);
        for order in &orders {
            assert_eq!(order.document["metadata"]["labels"], json!({LABEL_ORIGIN: "o"}));
            assert_eq!(order.document["metadata"]["namespace"], "default");
        }
        assert_eq!(orders[0].document["spec"]["preserveResourcesOnDeletion"], false);
    }

    #[test]
    fn nothing_is_written_where_somebody_else_does_it_and_no_value_is_shown() {
        let off = Dependents { share: false, ..given() };
        assert_eq!(orders(&job("j"), &bundle(), &[], &off), Vec::new());
        let orders = orders(&job("j"), &bundle(), &[], &given());
        assert!(!format!("{orders:?} {:?}", given()).contains("hush"));
    }
}
