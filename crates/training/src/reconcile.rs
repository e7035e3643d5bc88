//! The loops that carry intents out and follow the clusters.
//!
//! A loop is woken by a timer or a hint and takes no input: each round reads what is due from the
//! store and does one idempotent step for it, on one code path, whoever woke it. A crash between
//! any two lines is an ordinary retry.

mod again;
mod dispatch;
mod ledger;
mod observe;
mod orphans;
mod poke;
mod proof;
mod reading;
mod reap;
mod remove;
mod sweep;
mod withdraw;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, Stream, StreamExt as _};
use tokio::sync::{Notify, Semaphore, watch};

use crate::clock::{Clock, IdSource};
use crate::decide::Patience;
use crate::dependents::Dependents;
use crate::id::ClusterName;
use crate::logs::Archiver;
use crate::ports::{ControlPlane, JobStore, Members, Plugins};

pub use orphans::{OrphanCounts, OrphanMode, Orphans};

pub(crate) use observe::{reported, workload_ref};

/// How the loops behave.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of this process among those that share the store.
    pub owner: String,
    /// Longest time between two rounds of [`Reconcilers::dispatch`] without a hint.
    pub dispatch_interval: Duration,
    /// Longest time between two rounds of [`Reconcilers::observe`] without a hint.
    pub observe_interval: Duration,
    /// How long a claimed intent is ours, and how long the jobs of a host that died wait at most.
    /// A step that takes three quarters of it is dropped and tried again.
    pub lease: Duration,
    /// Steps that run at the same time.
    pub concurrency: usize,
    /// How long a job that is over is kept before it is deleted; `None` for ever.
    pub keep_finished: Option<Duration>,
    /// So long after the last order to make a workload may have been sent, its absence proves that
    /// it is gone: longer than an API server works on any request.
    pub proof: Duration,
    /// What is done about objects of ours whose job is gone.
    pub orphans: Orphans,
    /// Clusters that jobs of a namespace may use; one that is not named may use all.
    pub allowed_clusters: BTreeMap<String, Vec<ClusterName>>,
    /// What is done about what jobs refer to.
    pub dependents: Dependents,
    /// How patient [`crate::decide`](mod@crate::decide) is.
    pub patience: Patience,
}

impl Config {
    /// What production uses: leases of half a minute, 16 steps at a time. An idle dispatch round is
    /// one statement that finds nothing.
    pub fn new(owner: impl Into<String>) -> Self {
        Self {
            owner: owner.into(),
            dispatch_interval: Duration::from_millis(250),
            observe_interval: Duration::from_secs(1),
            lease: Duration::from_secs(30),
            concurrency: 16,
            keep_finished: None,
            // An API server gives a request 60 s unless its operator says otherwise.
            proof: Duration::from_secs(75),
            orphans: Orphans::default(),
            allowed_clusters: BTreeMap::new(),
            dependents: Dependents { share: true, provided: Vec::new() },
            patience: Patience::default(),
        }
    }
}

/// How long no step must have ended for new ones to be claimed beside it: longer than one that
/// meets no trouble takes, shorter than anybody notices.
const GATHER: Duration = Duration::from_millis(25);

/// Tells a loop to end after the step it is in. Set it to `true`, or drop the sender.
pub type Stop = watch::Receiver<bool>;

/// The loops of one process.
#[derive(Clone)]
pub struct Reconcilers {
    store: Arc<dyn JobStore>,
    plugins: Arc<dyn Plugins>,
    control: Arc<dyn ControlPlane>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    ledger: Arc<ledger::Ledger>,
    orphans: Arc<orphans::Counters>,
    references: Arc<withdraw::References>,
    logs: Option<Arc<Archiver>>,
    members: Option<Arc<dyn Members>>,
    config: Config,
}

impl Reconcilers {
    /// Puts the loops together; nothing runs yet.
    pub fn new(
        store: Arc<dyn JobStore>,
        plugins: Arc<dyn Plugins>,
        control: Arc<dyn ControlPlane>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        config: Config,
    ) -> Self {
        Self {
            store,
            plugins,
            control,
            clock,
            ids,
            ledger: Arc::default(),
            orphans: Arc::default(),
            references: Arc::default(),
            logs: None,
            members: None,
            config,
        }
    }

    /// Lets a stop or a deletion wait, though not for long, until the job's logs are archived.
    pub fn archiving(self, logs: Arc<Archiver>) -> Self {
        Self { logs: Some(logs), ..self }
    }

    /// Lets a job that mounts a claim of somebody else go only where that claim is, as far as the
    /// members say.
    pub fn looking_into(self, members: Arc<dyn Members>) -> Self {
        Self { members: Some(members), ..self }
    }

    /// Carries out intents until `stop`. Run it once per process; several processes may. A step that
    /// hangs holds up only itself: others are claimed meanwhile.
    pub async fn dispatch(&self, mut stop: Stop) {
        let hint = self.store.hint();
        let turns = Semaphore::new(self.config.concurrency);
        let mut steps = FuturesUnordered::new();
        let mut claim = true;
        while !*stop.borrow() {
            // Listening starts before looking, or a hint between the two would be lost.
            let woken = hint.notified();
            let free =
                dispatch::BATCH.saturating_sub(u32::try_from(steps.len()).unwrap_or(u32::MAX));
            // In large parts, because each claim is a transaction.
            if claim && free >= dispatch::BATCH / 2 {
                match meanwhile(self.claim(free), &mut steps).await {
                    Ok(dispatch::Batch { intents, deadline }) => {
                        claim = intents.len() == free as usize;
                        let turns = &turns;
                        steps.extend(intents.into_iter().map(|intent| async move {
                            let _turn = turns.acquire().await;
                            self.carry_out(intent, deadline).await;
                        }));
                    }
                    Err(error) => {
                        report("dispatch", &error);
                        claim = false;
                    }
                }
            }
            let busy = !steps.is_empty();
            let idle = async move {
                if claim {
                    return std::future::pending().await;
                }
                if busy {
                    // While steps end quickly, what comes is claimed together once they are done.
                    tokio::time::sleep(GATHER).await;
                }
                tokio::select! {
                    () = woken => {}
                    () = tokio::time::sleep(self.config.dispatch_interval) => {}
                }
            };
            tokio::select! {
                Some(()) = steps.next() => {}
                () = idle => claim = true,
                // An error means that the sender is gone, which is a stop as well.
                _ = stop.wait_for(|stopped| *stopped) => {}
            }
        }
        // What has begun is finished: otherwise others would wait for its leases.
        while steps.next().await.is_some() {}
    }

    /// Whether jobs that are over are ever deleted by the host: then [`Self::reap`] is wanted.
    pub fn keeps_some_time(&self) -> bool {
        self.config.keep_finished.is_some()
    }

    /// Deletes jobs that have been over for long enough, until `stop`. Run it once per process;
    /// several processes may.
    pub async fn reap(&self, mut stop: Stop) {
        let Some(keep) = self.config.keep_finished else { return };
        // A tenth later than promised is still a kept promise.
        let interval = (keep / 10).clamp(Duration::from_secs(1), Duration::from_mins(1));
        while !*stop.borrow() {
            if let Err(error) = self.reap_round(keep).await {
                report("reap", &error);
            }
            wait(std::future::pending(), interval, &mut stop).await;
        }
    }

    /// Follows the clusters until `stop`. Run it once per process; several processes may.
    pub async fn observe(&self, mut stop: Stop) {
        let hint: Arc<Notify> = self.control.hint();
        let mut memory = observe::Memory::default();
        while !*stop.borrow() {
            let woken = hint.notified();
            let started = self.clock.now();
            let more = self.observe_round(&mut memory).await.unwrap_or_else(|error| {
                report("observe", &error);
                false
            });
            let took = Duration::try_from(self.clock.now().duration_since(started));
            // A storm of changes costs a fifth of a core at most, and changes which come together
            // are read together.
            let rest = took.unwrap_or_default().saturating_mul(4);
            let rest = rest.clamp(Duration::from_millis(20), Duration::from_secs(2));
            wait(std::future::pending(), rest, &mut stop).await;
            if more {
                continue;
            }
            wait(woken, self.config.observe_interval, &mut stop).await;
        }
    }
}

/// Waits for `wanted` while the steps go on: one that is not polled may hold the very connection
/// that `wanted` waits for.
async fn meanwhile<T>(
    wanted: impl Future<Output = T>,
    steps: &mut (impl Stream<Item = ()> + Unpin),
) -> T {
    let mut wanted = std::pin::pin!(wanted);
    loop {
        tokio::select! {
            result = &mut wanted => return result,
            Some(()) = steps.next() => {}
        }
    }
}

/// Waits for the hint, the timer or the stop, whichever comes first.
pub(crate) async fn wait(hint: impl Future<Output = ()>, timer: Duration, stop: &mut Stop) {
    tokio::select! {
        () = hint => {}
        () = tokio::time::sleep(timer) => {}
        // An error means that the sender is gone, which is a stop as well.
        _ = stop.wait_for(|stopped| *stopped) => {}
    }
}

/// Logs an error with its causes.
pub(crate) fn report(what: &str, error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(error, "A round of `{what}` failed; the next one tries again");
}

/// What one step of a loop can fail with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error(transparent)]
    Store(#[from] crate::ports::StoreError),
    #[error(transparent)]
    Control(#[from] crate::ports::ControlError),
}

#[cfg(test)]
mod tests;
