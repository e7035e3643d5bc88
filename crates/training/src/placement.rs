//! Where a job runs: one ready cluster that has the API, is allowed, has room and is least loaded,
//! chosen by us. Karmada would copy a multi-component job to every matching cluster, or take the
//! alphabetically first; so the choice is pinned in the policy, one name, no second run.

use serde_json::{Value, json};

use crate::id::ClusterName;
use crate::job::{Demand, Job, Placement, Spread};
use crate::manifest::{Bundle, Manifest, ObjectRef, Role};
use crate::ports::{Cluster, Write, WriteOrder};

const POLICY_API: &str = "policy.karmada.io/v1alpha1";
const POLICY_KIND: &str = "PropagationPolicy";

/// A cluster that cannot take the job, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The cluster.
    pub cluster: String,
    /// Words that continue "cluster X …".
    pub why: String,
}

/// Why a cluster cannot take the job, or `None` if it can.
fn unfit(job: &Job, cluster: &Cluster, load: &Demand) -> Option<String> {
    if !cluster.ready {
        return Some(format!("is not ready ({})", cluster.ready_reason));
    }
    if let Some(taint) = cluster.taints.first() {
        return Some(format!("has the taint {taint}"));
    }
    let api = format!("{}/{}", job.workload_api_version, job.workload_kind);
    if !cluster.apis.contains(&api) {
        return Some(format!(
            "does not have the API {} {}",
            job.workload_api_version, job.workload_kind
        ));
    }
    let Some(free) = &cluster.free else {
        return None;
    };
    let shortages = [
        ("CPU millicores", job.demand.cpu_millis, free.cpu_millis, load.cpu_millis),
        ("bytes of memory", job.demand.memory_bytes, free.memory_bytes, load.memory_bytes),
        ("GPUs", job.demand.gpus, free.gpus, load.gpus),
    ];
    shortages.into_iter().find_map(|(unit, wanted, free, taken)| {
        let left = free.saturating_sub(taken);
        (wanted > left).then(|| format!("has {left} {unit} free and the job needs {wanted}"))
    })
}

/// Share of its free room that the job would leave over, scarcest resource first; 1 is empty.
fn headroom(job: &Job, cluster: &Cluster, load: &Demand) -> f64 {
    let Some(free) = &cluster.free else {
        // Nothing is known about its room: better than a full cluster, worse than an empty one.
        return 0.5;
    };
    let share = |wanted: u64, free: u64, taken: u64| {
        if wanted == 0 {
            return 1.0;
        }
        let left = free.saturating_sub(taken).saturating_sub(wanted);
        left as f64 / (free.max(1)) as f64
    };
    share(job.demand.gpus, free.gpus, load.gpus)
        .min(share(job.demand.cpu_millis, free.cpu_millis, load.cpu_millis))
        .min(share(job.demand.memory_bytes, free.memory_bytes, load.memory_bytes))
}

/// What a cluster was given that its own figures do not show yet.
pub type Load<'a> = &'a dyn Fn(&str) -> Demand;

/// Chooses the cluster, or the clusters, for a job.
///
/// `load` is the demand of jobs that we placed lately and whose pods the cluster's figures may not
/// contain. Ties go to the cluster with less of it, then to the alphabetically first.
///
/// # Errors
/// Every candidate with the reason why it cannot take the job.
pub fn choose(job: &Job, clusters: &[Cluster], load: Load<'_>) -> Result<Placement, Vec<Unfit>> {
    let wanted =
        |name: &ClusterName| job.target_clusters.is_empty() || job.target_clusters.contains(name);
    let mut refused: Vec<Unfit> = job
        .target_clusters
        .iter()
        .filter(|target| !clusters.iter().any(|cluster| cluster.name == **target))
        .map(|target| Unfit {
            cluster: target.to_string(),
            why: "is not registered with Karmada".to_owned(),
        })
        .collect();
    let mut fit: Vec<(&Cluster, f64, Demand)> = Vec::new();
    for cluster in clusters.iter().filter(|cluster| wanted(&cluster.name)) {
        let taken = load(cluster.name.as_str());
        match unfit(job, cluster, &taken) {
            Some(why) => refused.push(Unfit { cluster: cluster.name.to_string(), why }),
            None => fit.push((cluster, headroom(job, cluster, &taken), taken)),
        }
    }
    if job.spread == Spread::All {
        if !refused.is_empty() || fit.is_empty() {
            return Err(refused);
        }
        let clusters: Vec<ClusterName> =
            fit.iter().map(|(cluster, ..)| cluster.name.clone()).collect();
        let reason = format!("The job asked for every candidate cluster: {} runs.", clusters.len());
        return Ok(Placement { clusters, reason });
    }
    fit.sort_by(|(a, room_a, load_a), (b, room_b, load_b)| {
        room_b
            .total_cmp(room_a)
            .then_with(|| load_a.cpu_millis.cmp(&load_b.cpu_millis))
            .then_with(|| a.name.cmp(&b.name))
    });
    let Some((best, room, _)) = fit.first() else {
        return Err(refused);
    };
    let others = match (fit.len() - 1, refused.len()) {
        (0, 0) => "it is the only candidate".to_owned(),
        (0, _) => format!("the only fit one; {}", sentence(&refused)),
        (1, 0) => "one other fit candidate has no more".to_owned(),
        (more, 0) => format!("{more} other fit candidates have no more"),
        (more, _) => format!("{more} other fit, none with more; {}", sentence(&refused)),
    };
    let reason = if best.free.is_some() {
        format!(
            "Cluster {} is ready, has the API, and keeps {:.0} % of its free room: {others}.",
            best.name,
            room * 100.0
        )
    } else {
        format!("Cluster {} is ready and has the API; {others}.", best.name)
    };
    Ok(Placement { clusters: vec![best.name.clone()], reason })
}

/// Lists refusals for a sentence: `cluster a is not ready (X); cluster b …`.
pub fn sentence(refused: &[Unfit]) -> String {
    refused
        .iter()
        .map(|unfit| format!("cluster {} {}", unfit.cluster, unfit.why))
        .collect::<Vec<_>>()
        .join("; ")
}

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

/// The policies of a job on the given clusters: one for the workload and what must leave with it,
/// one for storage.
pub fn policies(job: &Job, bundle: &Bundle, clusters: &[ClusterName]) -> Vec<Value> {
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
        policy(job, &storage_policy_ref(job), &staying, &labels, clusters, true),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Everything to write, in order: a look whether the workload's name is free, policies, storage,
/// configuration, and last the workload, before which nothing runs. The uid of the workload is
/// the last one returned.
pub fn write_orders(job: &Job, bundle: &Bundle, clusters: &[ClusterName]) -> Vec<WriteOrder> {
    let order =
        |manifest: &Manifest, write| WriteOrder { document: manifest.document.clone(), write };
    let mut orders: Vec<WriteOrder> =
        bundle.with_role(Role::Workload).map(|manifest| order(manifest, Write::Vacant)).collect();
    orders.extend(
        policies(job, bundle, clusters)
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
    use crate::testing_values::{cluster, job, sample_bundle};

    fn nothing(_: &str) -> Demand {
        Demand::default()
    }

    #[test]
    fn exactly_one_cluster_is_chosen_and_it_is_the_emptiest() {
        let clusters = [cluster("a", 8), cluster("b", 64)];
        let placement = choose(&job("j"), &clusters, &nothing).unwrap();
        assert_eq!(placement.clusters, vec![ClusterName::parse("b").unwrap()]);
    }

    #[test]
    fn unready_tainted_apiless_and_full_clusters_are_refused_with_their_reason() {
        let mut unready = cluster("a", 64);
        unready.ready = false;
        unready.ready_reason = "ClusterNotReachable".to_owned();
        let mut tainted = cluster("b", 64);
        tainted.taints = vec!["maintenance:NoSchedule".to_owned()];
        let mut bare = cluster("c", 64);
        bare.apis.clear();
        let full = cluster("d", 1);
        let refused = choose(&job("j"), &[unready, tainted, bare, full], &nothing).unwrap_err();
        let text = sentence(&refused);
        for words in ["a is not ready (ClusterNotReachable)", "taint", "API", "d has 1000 CPU"] {
            assert!(text.contains(words), "{words} is not in: {text}");
        }
    }

    #[test]
    fn targets_limit_the_candidates_and_unknown_ones_are_named() {
        let mut wanted = job("j");
        wanted.target_clusters =
            vec![ClusterName::parse("a").unwrap(), ClusterName::parse("zz").unwrap()];
        let clusters = [cluster("a", 8), cluster("b", 64)];
        let placement = choose(&wanted, &clusters, &nothing).unwrap();
        assert_eq!(placement.clusters, vec![ClusterName::parse("a").unwrap()]);
        assert!(placement.reason.contains("zz is not registered"), "{}", placement.reason);
    }

    #[test]
    fn what_was_placed_lately_counts_as_taken() {
        let clusters = [cluster("a", 10), cluster("b", 9)];
        let load = |name: &str| {
            if name == "a" { job("j").demand } else { Demand::default() }
        };
        let placement = choose(&job("k"), &clusters, &load).unwrap();
        assert_eq!(placement.clusters, vec![ClusterName::parse("b").unwrap()]);
    }

    #[test]
    fn all_means_all_or_nothing() {
        let mut wanted = job("j");
        wanted.spread = Spread::All;
        let clusters = [cluster("a", 64), cluster("b", 64)];
        assert_eq!(choose(&wanted, &clusters, &nothing).unwrap().clusters.len(), 2);
        let mut down = cluster("b", 64);
        down.ready = false;
        assert!(choose(&wanted, &[cluster("a", 64), down], &nothing).is_err());
    }

    #[test]
    fn storage_has_a_policy_of_its_own_that_preserves_and_nothing_depends_on_deps() {
        let clusters = [ClusterName::parse("m").unwrap()];
        let policies = policies(&job("j"), &sample_bundle("j"), &clusters);
        assert_eq!(policies.len(), 2);
        let spec = |index: usize| &policies[index]["spec"];
        assert_eq!(spec(0)["resourceSelectors"].as_array().unwrap().len(), 1);
        assert_eq!(spec(0)["resourceSelectors"][0]["kind"], "RayJob");
        assert!(spec(0).get("preserveResourcesOnDeletion").is_none());
        assert_eq!(spec(1)["resourceSelectors"][0]["kind"], "PersistentVolumeClaim");
        assert_eq!(spec(1)["preserveResourcesOnDeletion"], true);
        for policy in &policies {
            assert_eq!(policy["spec"]["propagateDeps"], false);
            assert_eq!(
                policy["spec"]["placement"]["clusterAffinity"]["clusterNames"],
                json!(["m"])
            );
        }
    }

    #[test]
    fn the_workload_is_written_last() {
        let clusters = [ClusterName::parse("m").unwrap()];
        let orders = write_orders(&job("j"), &sample_bundle("j"), &clusters);
        let kinds: Vec<&str> =
            orders.iter().map(|order| order.document["kind"].as_str().unwrap()).collect();
        assert_eq!(
            kinds,
            ["RayJob", "PropagationPolicy", "PropagationPolicy", "PersistentVolumeClaim", "RayJob"]
        );
        assert_eq!(orders[0].write, Write::Vacant);
    }
}
