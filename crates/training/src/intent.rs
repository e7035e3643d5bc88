//! Outside effects, recorded before they happen. A request only writes an intent; a reconciler
//! claims it under a lease, carries it out, and settles or postpones it.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::JobId;

/// What has to be done to the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IntentKind {
    /// Place the job and apply its bundle.
    Apply,
    /// Remove the workload, keep the record: a cancelled or timed-out job.
    Stop,
    /// Remove everything of the job and prove it gone.
    Delete,
}

impl IntentKind {
    /// The word of the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Stop => "stop",
            Self::Delete => "delete",
        }
    }

    /// Reads [`IntentKind::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Apply, Self::Stop, Self::Delete].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// An intent that this process holds the lease of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Row id in the store.
    pub id: i64,
    /// Whose it is.
    pub job_id: JobId,
    /// What to do.
    pub kind: IntentKind,
    /// How often it was tried before.
    pub attempts: u32,
    /// When it was recorded.
    pub created_at: Timestamp,
}

/// How long to wait before attempt `attempts + 1`: 0.5 s doubling to 30 s, three quarters of it
/// certain and one quarter by `jitter` (any number; only its low byte counts), so that jobs which
/// failed together do not come back together.
pub fn backoff(attempts: u32, jitter: u32) -> Duration {
    let full = Duration::from_millis(500).saturating_mul(1 << attempts.min(6));
    let full = full.min(Duration::from_secs(30));
    full.mul_f64(0.75 + 0.25 * f64::from(jitter & 0xff) / 255.0)
}

/// How long to wait before the next look at a removal: it needs several looks even when all goes
/// well, so the first 10 s are looked through evenly; after that something is wrong.
pub fn removal_pace(attempts: u32, jitter: u32) -> Duration {
    const EVEN: u32 = 40;
    if attempts < EVEN {
        return Duration::from_millis(250);
    }
    backoff(attempts - EVEN, jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_a_cap_and_never_below_three_quarters() {
        assert_eq!(backoff(0, 255), Duration::from_millis(500));
        assert_eq!(backoff(0, 0), Duration::from_millis(375));
        assert_eq!(backoff(40, 255), Duration::from_secs(30));
        assert!(backoff(3, 0) > backoff(1, 255));
    }

    #[test]
    fn removal_looks_evenly_at_first_and_backs_off_later() {
        assert_eq!(removal_pace(0, 255), removal_pace(39, 255));
        assert_eq!(removal_pace(100, 255), Duration::from_secs(30));
    }
}
