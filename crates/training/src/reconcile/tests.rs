//! One intent from its claim to its end, over a control plane that takes everything.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Notify;

use super::{Config, Reconcilers};
use crate::clock::{ManualClock, SequentialIds};
use crate::id::{ClusterName, JobId};
use crate::manifest::ObjectRef;
use crate::phase::Phase;
use crate::ports::{
    Cluster, ControlError, ControlPlane, JobStore as _, NewJob, Owned, Remaining, Removal, Seen,
    Trace, WorkloadRef, WriteOrder,
};
use crate::testing::samples::{self, at};
use crate::testing::{MemoryPlugins, MemoryStore};

struct Willing;

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
        Arc::new(Willing),
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
