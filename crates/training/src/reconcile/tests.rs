//! One intent from its claim to its end, over a control plane that takes everything.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{Config, Reconcilers};
use crate::clock::{ManualClock, SequentialIds};
use crate::id::{ClusterName, JobId};
use crate::job::{Job, Placement};
use crate::manifest::{Bundle, Manifest, ObjectRef, Role};
use crate::phase::Phase;
use crate::ports::{
    Cluster, ControlError, ControlPlane, JobStore as _, NewJob, Owned, Reach, Remaining, Removal,
    Seen, Shared, Trace, WorkloadRef, WriteOrder,
};
use crate::testing::samples::{self, at};
use crate::testing::{MemoryPlugins, MemoryStore};

#[derive(Default)]
struct Willing {
    /// Names of shared objects that were taken off clusters.
    withdrawn: Mutex<Vec<String>>,
}

#[async_trait]
impl ControlPlane for Willing {
    async fn ping(&self) -> Result<(), ControlError> {
        Ok(())
    }

    async fn clusters(&self) -> Result<Vec<Cluster>, ControlError> {
        let mut one = crate::testing_values::cluster("member1", 64);
        one.apis = vec!["ray.io/v1/RayJob".to_owned()];
        Ok(vec![one])
    }

    fn known_clusters(&self) -> Vec<ClusterName> {
        Vec::new()
    }

    async fn write(&self, _: &JobId, orders: &[WriteOrder]) -> Result<Vec<String>, ControlError> {
        Ok(orders.iter().map(|_| "uid".to_owned()).collect())
    }

    async fn remove(&self, _: &Removal) -> Result<Vec<Remaining>, ControlError> {
        Ok(Vec::new())
    }

    async fn owned(&self, _: &str, _: &str) -> Result<Vec<Owned>, ControlError> {
        Ok(Vec::new())
    }

    async fn remove_exactly(&self, _: &Owned) -> Result<(), ControlError> {
        Ok(())
    }

    async fn interpreter(&self, _: &str) -> Result<Option<Value>, ControlError> {
        Ok(None)
    }

    async fn install_interpreter(&self, _: &str, _: &Value) -> Result<(), ControlError> {
        Ok(())
    }

    async fn release(&self, _: &ObjectRef, _: &[ObjectRef]) -> Result<bool, ControlError> {
        Ok(true)
    }

    async fn reach(&self, _: &Shared) -> Result<Option<Reach>, ControlError> {
        let clusters = vec!["member1".to_owned()];
        let (uid, version) = ("uid".to_owned(), "1".to_owned());
        Ok(Some(Reach { clusters, preserves: false, uid, version }))
    }

    async fn withdraw(
        &self,
        shared: &Shared,
        from: &[ClusterName],
        _: &Reach,
    ) -> Result<Vec<Remaining>, ControlError> {
        assert_eq!(from, [samples::cluster("member1")]);
        self.withdrawn.lock().unwrap().push(shared.object.name.clone());
        Ok(Vec::new())
    }

    async fn set_flag(&self, _: &WorkloadRef, _: &[&str], _: bool) -> Result<bool, ControlError> {
        Ok(true)
    }

    async fn observe(&self, workloads: &[WorkloadRef]) -> Result<Vec<Seen>, ControlError> {
        Ok(workloads.iter().map(|_| Seen::default()).collect())
    }

    async fn trace(&self, _: &WorkloadRef, _: &ObjectRef) -> Trace {
        Trace::unavailable("nobody asks")
    }

    fn hint(&self) -> Arc<Notify> {
        Arc::default()
    }
}

#[tokio::test]
async fn earlier_volumes_are_asked_for_once_in_an_attempt_that_places_and_writes() {
    let store = Arc::new(MemoryStore::new("origin"));
    let job = samples::job("fresh", 1);
    let new = NewJob { bundle: samples::bundle("fresh"), ..samples::new_job(job.clone()) };
    store.insert(&new).await.unwrap();
    let reconcilers = Reconcilers::new(
        Arc::clone(&store) as _,
        Arc::<MemoryPlugins>::default(),
        Arc::<Willing>::default(),
        Arc::new(ManualClock::new(at(1000))),
        Arc::<SequentialIds>::default(),
        Config::new("host"),
    );
    let batch = reconcilers.claim(8).await.unwrap();
    assert_eq!(batch.intents.len(), 1);
    for intent in batch.intents {
        reconcilers.carry_out(intent, batch.deadline).await;
    }
    let after = store.find(&job.id).await.unwrap().unwrap();
    assert_eq!(after.phase, Phase::Submitted, "{}", after.message);
    assert_eq!(store.predecessors_asked(), 1);
}

/// A job that is placed on `member1` and pulls its image with these secrets.
fn with_secrets(number: u32, secrets: &[&str]) -> (Job, Bundle) {
    let name = format!("job{number}");
    let pull: Vec<Value> = secrets.iter().map(|secret| json!({"name": secret})).collect();
    let document = json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": {"spec": {"containers": [], "imagePullSecrets": pull}}},
    });
    let bundle = Bundle::new(vec![Manifest { role: Role::Workload, document }]);
    let placement =
        Placement { clusters: vec![samples::cluster("member1")], reason: String::new() };
    let job = Job { placement: Some(placement), ..samples::job(&name, number) };
    (job, bundle)
}

#[tokio::test]
async fn what_others_share_is_read_once_however_many_jobs_are_removed() {
    let (store, control) = (Arc::new(MemoryStore::new("origin")), Arc::<Willing>::default());
    let insert = async |(job, bundle): (Job, Bundle)| {
        store.insert(&NewJob { bundle, ..samples::new_job(job) }).await.unwrap();
    };
    // More than one page, and only the last of them needs one of the secrets.
    const OTHERS: u32 = 150;
    for number in 1..OTHERS {
        insert(with_secrets(number, &["registry"])).await;
    }
    insert(with_secrets(OTHERS, &["s3"])).await;
    let (leaving, bundle) = with_secrets(1000, &["registry", "s3", "own"]);
    insert((leaving.clone(), bundle.clone())).await;
    let reconcilers = Reconcilers::new(
        Arc::clone(&store) as _,
        Arc::<MemoryPlugins>::default(),
        Arc::clone(&control) as _,
        Arc::new(ManualClock::new(at(1000))),
        Arc::<SequentialIds>::default(),
        Config::new("host"),
    );
    let clusters = [samples::cluster("member1")];
    for _ in 0..3 {
        reconcilers.withdraw(&leaving, &bundle, &clusters).await.unwrap();
    }
    assert_eq!(*control.withdrawn.lock().unwrap(), ["own", "own", "own"]);
    assert_eq!(store.bundles_asked(), OTHERS as usize);
}
