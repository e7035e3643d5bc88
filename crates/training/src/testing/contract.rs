//! What every [`JobStore`] promises, as cases. Each wants an empty store of its own and panics
//! if a promise is broken. Cases about races do their best to lose them; run them on a runtime
//! with several threads.

mod changes;
mod intents;
mod reads;
mod submission;

pub use changes::*;
pub use intents::*;
pub use reads::*;
pub use submission::*;

use std::sync::Arc;

use crate::job::Job;
use crate::phase::Phase;
use crate::ports::{Effects, Inserted, JobStore, ListQuery, Moved};
use crate::testing::samples;

type Store = Arc<dyn JobStore>;

/// Inserts a sample, and returns it.
async fn insert(store: &Store, name: &str, number: u32) -> Job {
    let job = samples::job(name, number);
    put(store, job.clone()).await;
    job
}

/// Inserts this job.
async fn put(store: &Store, job: Job) {
    let id = job.id.clone();
    let inserted = store.insert(&samples::new_job(job)).await.unwrap();
    assert_eq!(inserted, Inserted::New, "{id}");
}

/// Makes a change without effects on intents, and returns the job as it is stored now.
async fn step(store: &Store, after: &Job) -> Job {
    let event = samples::changed(serde_json::json!({"seen": after.phase.as_str()}));
    let moved = store.transition(after, &event, &Effects::default()).await.unwrap();
    assert_eq!(moved, Moved::Done, "{} from version {}", after.id, after.version);
    store.find(&after.id).await.unwrap().unwrap()
}

/// Moves a job to a phase.
async fn walk(store: &Store, job: &Job, phase: Phase) -> Job {
    step(store, &samples::moved(job, phase)).await
}

/// Ids of a list, in its order.
async fn listed(store: &Store, query: &ListQuery) -> Vec<String> {
    ids(&store.list(query).await.unwrap())
}

fn ids(jobs: &[Job]) -> Vec<String> {
    jobs.iter().map(|job| job.id.as_str().to_owned()).collect()
}

/// Runs the same call many times at once. Tasks of the runtime are not at hand here, so the calls
/// are polled together; a real store still runs them on several connections.
async fn all<F: Future>(calls: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    futures_util::future::join_all(calls).await
}
