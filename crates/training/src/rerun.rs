//! Runs a job once more: under which name, and as which attempt of the same work. The host never
//! does this by itself, because training may not be repeatable; a user asks for it.

use crate::id::JobId;
use crate::job::{Attempt, Job};
use crate::ports::{JobStore, StoreError};

/// What another attempt will be called and which it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// Its job name: that of the first attempt with the number at its end.
    pub name: String,
    /// Which attempt.
    pub attempt: Attempt,
}

/// Why there is no other attempt.
#[derive(Debug, thiserror::Error)]
pub enum RerunError {
    /// The last attempt is not over, so a second one would run beside it.
    #[error("attempt `{id}` is not over")]
    Running {
        /// The attempt.
        id: JobId,
    },
    /// The store failed.
    #[error("the attempts could not be read")]
    Store(#[from] StoreError),
}

/// The attempt after those that were made of the work of this job.
///
/// # Errors
/// See [`RerunError`].
pub async fn next_attempt(store: &dyn JobStore, job: &Job) -> Result<Next, RerunError> {
    let first = job.attempt.first.clone().unwrap_or_else(|| job.id.clone());
    let attempts = store.attempts(&first).await?;
    if let Some(running) = attempts.iter().find(|attempt| !attempt.phase.is_terminal()) {
        return Err(RerunError::Running { id: running.id.clone() });
    }
    let number = attempts.iter().map(|attempt| attempt.attempt.number).max().unwrap_or(1) + 1;
    let named = attempts.iter().find(|attempt| attempt.id == first).unwrap_or(job);
    let name = format!("{}-{number}", named.name);
    Ok(Next { name, attempt: Attempt { number, first: Some(first) } })
}
