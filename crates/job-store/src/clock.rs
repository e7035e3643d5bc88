//! The time of the database, which several hosts share while the clocks of their machines need not
//! agree: a lease dated by a clock that is an hour behind would be stolen, one dated by a clock that
//! is ahead would outlive its holder by an hour.
//!
//! The database is asked by the way, whenever a host looks for work; in between the time is counted
//! on by the machine's monotonic clock, which nobody sets. So it is wrong by half a round trip and by
//! what that clock drifts in a fraction of a second.

use std::sync::{PoisonError, RwLock};

use tokio::time::Instant;
use training::Timestamp;
use training::clock::{Clock, SignedDuration, SystemClock};

/// A correction below this is the jitter of a network, and not worth an answer.
const NOTABLE: SignedDuration = SignedDuration::from_secs(1);

/// What the database said last, and when.
#[derive(Debug, Default)]
pub(crate) struct StoreClock {
    known: RwLock<Option<(Timestamp, Instant)>>,
}

impl StoreClock {
    /// Takes over an answer, in microseconds since 1970, to a question that was asked at `asked`.
    /// Returns by how much the clock was wrong until now, zero if not by a notable amount.
    pub(crate) fn learn(&self, asked: Instant, answer: Option<i64>) -> SignedDuration {
        let Some(time) = answer.and_then(|micros| Timestamp::from_microsecond(micros).ok()) else {
            return SignedDuration::ZERO;
        };
        // The answer was true somewhere between question and now.
        let true_at = asked + asked.elapsed() / 2;
        let first = self.known().is_none();
        let before = self.now();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some((time, true_at));
        let correction = self.now().duration_since(before);
        if correction.abs() < NOTABLE {
            return SignedDuration::ZERO;
        }
        if first {
            tracing::warn!(
                "This machine's clock differs from the database's by {correction:#}; the \
                 database's counts"
            );
        } else {
            tracing::warn!("The time of the database has jumped by {correction:#}");
        }
        correction
    }

    fn known(&self) -> Option<(Timestamp, Instant)> {
        *self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for StoreClock {
    fn now(&self) -> Timestamp {
        match self.known() {
            Some((time, at)) => {
                let now = time.checked_add(at.elapsed()).unwrap_or(time);
                // As fine as the store keeps it.
                Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
            }
            None => SystemClock.now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_is_counted_on_from_the_middle_of_the_question() {
        let clock = StoreClock::default();
        let asked = Instant::now();
        tokio::time::advance(Duration::from_secs(2)).await;
        clock.learn(asked, Some(1_000_000_000));
        assert_eq!(clock.now(), Timestamp::from_second(1001).unwrap());
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(clock.now(), Timestamp::from_second(1061).unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn clock_that_stood_still_is_put_right_and_says_by_how_much() {
        let clock = StoreClock::default();
        clock.learn(Instant::now(), Some(1_000_000_000));
        let jitter = clock.learn(Instant::now(), Some(1_000_300_000));
        assert_eq!(jitter, SignedDuration::ZERO);
        // The machine was suspended for an hour, and its monotonic clock with it.
        let wrong = clock.learn(Instant::now(), Some(4_600_300_000));
        assert_eq!(wrong, SignedDuration::from_hours(1));
        assert_eq!(clock.now(), Timestamp::from_microsecond(4_600_300_000).unwrap());
    }

    #[test]
    fn database_without_a_clock_of_its_own_leaves_it_to_the_machine() {
        let clock = StoreClock::default();
        assert_eq!(clock.learn(Instant::now(), None), SignedDuration::ZERO);
        let before = SystemClock.now();
        assert!(clock.now() >= before);
    }
}
