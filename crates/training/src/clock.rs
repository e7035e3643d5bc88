//! Time and randomness as parameters: the only file of the product that asks the machine for
//! either. Tests pass a [`ManualClock`] and [`SequentialIds`].

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

pub use jiff::{SignedDuration, Timestamp};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now, in UTC. May jump; never used to measure a duration that decides correctness.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        // As fine as the store keeps it, so that a job reads the same before and after.
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    micros: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self { micros: AtomicI64::new(start.as_microsecond()) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: std::time::Duration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.micros.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.micros.load(Ordering::SeqCst))
            .unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// Makes the random part of identifiers.
pub trait IdSource: Send + Sync {
    /// 32 bits that were not used before, as far as chance allows.
    fn next(&self) -> u32;
}

/// Random bits from the operating system.
#[derive(Debug, Clone, Copy)]
pub struct RandomIds;

impl IdSource for RandomIds {
    #[expect(clippy::disallowed_methods, reason = "the one place that makes identifiers")]
    fn next(&self) -> u32 {
        uuid::Uuid::new_v4().as_fields().0
    }
}

/// 1, 2, 3, …
#[derive(Debug, Default)]
pub struct SequentialIds {
    last: AtomicU32,
}

impl IdSource for SequentialIds {
    fn next(&self) -> u32 {
        self.last.fetch_add(1, Ordering::SeqCst) + 1
    }
}
