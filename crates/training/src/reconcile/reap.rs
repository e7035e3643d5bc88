//! Deletes jobs that have been over for longer than they are kept. Only the host does this: a member
//! that removed the object by itself would make Karmada run the job again.

use std::time::Duration;

use super::Reconcilers;
use crate::cancel;
use crate::ports::StoreError;

/// Jobs asked for at once.
const BATCH: u32 = 100;

impl Reconcilers {
    /// One round: asks for the deletion of everything that is due, which `remove` carries out.
    pub(super) async fn reap_round(&self, keep: Duration) -> Result<(), StoreError> {
        loop {
            let until = self.clock.now() - keep;
            let due = self.store.finished(until, BATCH).await?;
            for id in &due {
                if cancel::expire(&*self.store, &*self.clock, id).await?.is_some() {
                    tracing::info!(job.id = %id, "Job `{id}` has been over for {keep:?} and goes");
                }
            }
            if due.len() < BATCH as usize {
                return Ok(());
            }
        }
    }
}
