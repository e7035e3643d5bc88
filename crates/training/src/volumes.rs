//! Where the volumes of a job may be. A volume outlives its job and is found again by the next job
//! of its name, on the cluster where it was made: nothing carries data from one cluster to another. A
//! claim that the form names and that somebody else made is where he made it.

use std::collections::BTreeSet;

use crate::admit::claimed;
use crate::id::ClusterName;
use crate::job::Job;
use crate::manifest::{Bundle, Manifest, ObjectRef, Role};
use crate::phase::Lifecycle;
use crate::ports::{JobStore, Members, StoreError};

/// Jobs of the same name that are looked at.
const MOST: u32 = 16;

/// Clusters on which earlier jobs of the same name may have left volumes, the latest first; none if
/// the job has no volumes.
///
/// # Errors
/// The store's.
pub async fn left_by_earlier_jobs(
    store: &dyn JobStore,
    job: &Job,
    bundle: &Bundle,
) -> Result<Vec<ClusterName>, StoreError> {
    let mut clusters = Vec::new();
    if !has_volumes(bundle) {
        return Ok(clusters);
    }
    for earlier in store.predecessors(job, MOST).await? {
        let bundle = store.bundle(&earlier.id).await?;
        if !bundle.as_ref().is_some_and(has_volumes) {
            continue;
        }
        if earlier.lifecycle == Lifecycle::Deleted && earlier.delete_volumes {
            // It was proven that none of them was left.
            break;
        }
        for cluster in earlier.placement.into_iter().flat_map(|placement| placement.clusters) {
            if !clusters.contains(&cluster) {
                clusters.push(cluster);
            }
        }
    }
    Ok(clusters)
}

/// Names of the claims that a bundle mounts and does not bring along.
pub fn foreign_claims(bundle: &Bundle) -> BTreeSet<String> {
    let manifests = bundle.manifests().iter();
    let mut names: BTreeSet<String> =
        manifests.flat_map(|manifest| claimed(&manifest.document)).collect();
    for own in bundle.with_role(Role::Storage).map(Manifest::object_ref) {
        names.remove(&own.name);
    }
    names
}

/// The first of these claims that the cluster says it does not have. Whoever may not look, or gets no
/// answer, knows nothing, and nothing stands in the way.
pub async fn lacking(
    members: &dyn Members,
    job: &Job,
    cluster: &ClusterName,
    claims: &BTreeSet<String>,
) -> Option<String> {
    for name in claims {
        let object = ObjectRef {
            api_version: "v1".to_owned(),
            kind: "PersistentVolumeClaim".to_owned(),
            namespace: job.namespace.to_string(),
            name: name.clone(),
        };
        match members.object(cluster, &object).await {
            Ok(None) => return Some(name.clone()),
            Ok(Some(_)) => {}
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "Nobody knows whether {object} is on cluster {cluster}"
                );
                return None;
            }
        }
    }
    None
}

fn has_volumes(bundle: &Bundle) -> bool {
    bundle.with_role(Role::Storage).next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Placement;
    use crate::manifest::Manifest;
    use crate::phase::Phase;
    use crate::ports::{Effects, NewJob};
    use crate::testing::MemoryStore;
    use crate::testing::samples::{self, at, changed};

    fn names(names: &[&str]) -> Vec<ClusterName> {
        names.iter().map(|name| ClusterName::parse(*name).unwrap()).collect()
    }

    fn bundle(with_volume: bool) -> Bundle {
        let sample = crate::testing_values::sample_bundle("same");
        let kept = |manifest: &&Manifest| with_volume || manifest.role == Role::Workload;
        Bundle::new(sample.manifests().iter().filter(kept).cloned().collect())
    }

    /// A job of the name that ran on this cluster and is gone.
    async fn gone(store: &MemoryStore, number: u32, cluster: &str, change: (bool, bool)) {
        let (volume, delete_volumes) = change;
        let job = samples::job("same", number);
        let new = NewJob {
            bundle: bundle(volume),
            job,
            ..samples::new_job(samples::job("same", number))
        };
        store.insert(&new).await.unwrap();
        let placement = Some(Placement { clusters: names(&[cluster]), reason: String::new() });
        let after = Job {
            placement,
            phase: Phase::Cancelled,
            lifecycle: Lifecycle::Deleted,
            delete_volumes,
            finished_at: Some(at(98)),
            deleted_at: Some(at(99)),
            ..new.job
        };
        let event = changed(serde_json::json!({}));
        store.transition(&after, &event, &Effects::default()).await.unwrap();
    }

    #[tokio::test]
    async fn volumes_are_where_jobs_of_the_name_ran_since_they_were_last_deleted() {
        let store = MemoryStore::new("origin");
        let found = async |with_volume| {
            let job = samples::job("same", 50);
            left_by_earlier_jobs(&store, &job, &bundle(with_volume)).await.unwrap()
        };
        assert_eq!(found(true).await, names(&[]));
        gone(&store, 1, "a", (true, false)).await;
        assert_eq!(found(true).await, names(&["a"]));
        gone(&store, 2, "b", (true, false)).await;
        gone(&store, 3, "c", (false, false)).await;
        assert_eq!(found(true).await, names(&["b", "a"]), "the third had none");
        assert_eq!(found(false).await, names(&[]), "and neither has this one");
        gone(&store, 4, "d", (true, true)).await;
        assert_eq!(found(true).await, names(&[]));
    }
}
