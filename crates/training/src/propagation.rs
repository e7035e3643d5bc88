//! What is written for a job, and in which order: policies that pin it to its clusters, what it refers
//! to, its storage, and last the workload.

use serde_json::{Value, json};

use crate::id::ClusterName;
use crate::job::Job;
use crate::manifest::{Bundle, Manifest, ObjectRef, Role};
use crate::ports::{Write, WriteOrder};

pub(crate) const POLICY_API: &str = "policy.karmada.io/v1alpha1";
pub(crate) const POLICY_KIND: &str = "PropagationPolicy";

/// Name of the policy for the workload and what leaves with it.
pub fn policy_ref(job: &Job) -> ObjectRef {
    policy_named(job, format!("{}-propagation", job.name))
}

/// Name of the policy for storage, which outlives the job.
pub fn storage_policy_ref(job: &Job) -> ObjectRef {
    policy_named(job, format!("{}-storage", job.name))
}

fn policy_named(job: &Job, name: String) -> ObjectRef {
    ObjectRef {
        api_version: POLICY_API.to_owned(),
        kind: POLICY_KIND.to_owned(),
        namespace: job.namespace.to_string(),
        name,
    }
}

/// One policy over `manifests`, or `None` if there are none.
fn policy(
    job: &Job,
    at: &ObjectRef,
    manifests: &[&Manifest],
    labels: &Value,
    clusters: &[ClusterName],
    preserve: bool,
) -> Option<Value> {
    if manifests.is_empty() {
        return None;
    }
    let selectors: Vec<Value> = manifests
        .iter()
        .map(|manifest| manifest.object_ref())
        .map(|object| {
            json!({
                "apiVersion": object.api_version,
                "kind": object.kind,
                "namespace": object.namespace,
                "name": object.name,
            })
        })
        .collect();
    let names: Vec<&str> = clusters.iter().map(ClusterName::as_str).collect();
    let mut spec = json!({
        "resourceSelectors": selectors,
        // A member object that somebody else made is never taken over.
        "conflictResolution": "Abort",
        // Dependents would be deleted on the member together with the job, data included.
        "propagateDeps": false,
        "placement": {
            "clusterAffinity": { "clusterNames": names },
            // The cluster was chosen when it had no taints. One that comes later must not evict a
            // run: Karmada would start it again.
            "clusterTolerations": [{ "operator": "Exists" }],
            // Written out: an empty block defaults to Divided, which ignores the rest.
            "replicaScheduling": { "replicaSchedulingType": "Duplicated" },
        },
    });
    if preserve && let Some(spec) = spec.as_object_mut() {
        spec.insert("preserveResourcesOnDeletion".to_owned(), Value::Bool(true));
    }
    Some(json!({
        "apiVersion": at.api_version,
        "kind": at.kind,
        "metadata": {
            "name": at.name,
            "namespace": at.namespace,
            "labels": labels,
            "annotations": { crate::manifest::LABEL_JOB_ID: job.id.as_str() },
        },
        "spec": spec,
    }))
}

/// The policies of a job on the given clusters: one for the workload and what must leave with it, one
/// for storage. That one goes on naming the clusters on which earlier jobs left `volumes`: without it
/// Karmada would let go of them, and nobody could ever delete them there.
pub fn policies(
    job: &Job,
    bundle: &Bundle,
    clusters: &[ClusterName],
    volumes: &[ClusterName],
) -> Vec<Value> {
    let earlier = volumes.iter().filter(|cluster| !clusters.contains(cluster));
    let storing: Vec<ClusterName> = clusters.iter().chain(earlier).cloned().collect();
    let labels = bundle
        .workload()
        .and_then(|workload| workload.document.pointer("/metadata/labels"))
        .cloned()
        .unwrap_or_else(|| json!({}));
    let leaving: Vec<&Manifest> =
        bundle.with_role(Role::Workload).chain(bundle.with_role(Role::Config)).collect();
    let staying: Vec<&Manifest> = bundle.with_role(Role::Storage).collect();
    [
        policy(job, &policy_ref(job), &leaving, &labels, clusters, false),
        policy(job, &storage_policy_ref(job), &staying, &labels, &storing, true),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Everything to write, in order: a look whether the workload's name is free, what the job refers to
/// and does not bring along, policies, storage, configuration, and last the workload, before which
/// nothing runs. The uid of the workload is the last one returned.
pub fn write_orders(
    job: &Job,
    bundle: &Bundle,
    clusters: &[ClusterName],
    volumes: &[ClusterName],
    dependents: Vec<WriteOrder>,
) -> Vec<WriteOrder> {
    let order =
        |manifest: &Manifest, write| WriteOrder { document: manifest.document.clone(), write };
    let mut orders: Vec<WriteOrder> =
        bundle.with_role(Role::Workload).map(|manifest| order(manifest, Write::Vacant)).collect();
    orders.extend(dependents);
    orders.extend(
        policies(job, bundle, clusters, volumes)
            .into_iter()
            .map(|document| WriteOrder { document, write: Write::Apply }),
    );
    for (role, write) in [
        (Role::Storage, Write::CreateOrKeep),
        (Role::Config, Write::Create),
        (Role::Workload, Write::Create),
    ] {
        orders.extend(bundle.with_role(role).map(|manifest| order(manifest, write)));
    }
    orders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing_values::{job, sample_bundle};

    #[test]
    fn storage_has_a_policy_of_its_own_that_preserves_and_nothing_depends_on_deps() {
        let clusters = [ClusterName::parse("m").unwrap()];
        let earlier = ["n", "m"].map(|name| ClusterName::parse(name).unwrap());
        let policies = policies(&job("j"), &sample_bundle("j"), &clusters, &earlier);
        let named =
            |index: usize| &policies[index]["spec"]["placement"]["clusterAffinity"]["clusterNames"];
        assert_eq!((named(0), named(1)), (&json!(["m"]), &json!(["m", "n"])));
        assert_eq!(policies.len(), 2);
        let spec = |index: usize| &policies[index]["spec"];
        assert_eq!(spec(0)["resourceSelectors"].as_array().unwrap().len(), 1);
        assert_eq!(spec(0)["resourceSelectors"][0]["kind"], "RayJob");
        assert!(spec(0).get("preserveResourcesOnDeletion").is_none());
        assert_eq!(spec(1)["resourceSelectors"][0]["kind"], "PersistentVolumeClaim");
        assert_eq!(spec(1)["preserveResourcesOnDeletion"], true);
        for policy in &policies {
            assert_eq!(policy["spec"]["propagateDeps"], false);
        }
    }

    #[test]
    fn the_workload_is_written_last() {
        let clusters = [ClusterName::parse("m").unwrap()];
        let orders = write_orders(&job("j"), &sample_bundle("j"), &clusters, &[], Vec::new());
        let kinds: Vec<&str> =
            orders.iter().map(|order| order.document["kind"].as_str().unwrap()).collect();
        assert_eq!(
            kinds,
            ["RayJob", "PropagationPolicy", "PropagationPolicy", "PersistentVolumeClaim", "RayJob"]
        );
        assert_eq!(orders[0].write, Write::Vacant);
    }
}
