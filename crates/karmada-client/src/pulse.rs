//! Notices when this process did not run for a while: it was stopped, or its machine was suspended or
//! paused. What it read before that and has not told yet is old, and nothing in it says so.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use training::clock::{Clock, Timestamp};

/// How often somebody is to look, at least.
pub(crate) const BEAT: Duration = Duration::from_millis(500);

/// Longest time between two looks that passes for a busy machine: four beats. Longer than a runtime
/// that has its share of the processor leaves a task waiting, and so short that another host can
/// hardly have taken over what this one was doing. A false alarm costs one list.
const LONGEST: Duration = Duration::from_secs(2);

/// The looks of everybody who asks.
pub(crate) struct Pulse {
    clock: Arc<dyn Clock>,
    last: Mutex<Look>,
}

/// A time by two clocks: that which measures time stands still while a machine is suspended, and the
/// other may be set back.
struct Look {
    measured: Instant,
    shown: Timestamp,
    lapses: u64,
}

impl Pulse {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let last = Look { measured: Instant::now(), shown: clock.now(), lapses: 0 };
        Self { clock, last: Mutex::new(last) }
    }

    /// How often this process did not run for a while, until now.
    pub(crate) fn lapses(&self) -> u64 {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, or a look that waited for it would count as one of before.
        let (measured, shown) = (Instant::now(), self.clock.now());
        let by_clock = Duration::try_from(shown.duration_since(last.shown)).unwrap_or_default();
        let silent = by_clock.max(measured.duration_since(last.measured));
        let lapses = last.lapses + u64::from(silent > LONGEST);
        *last = Look { measured, shown, lapses };
        lapses
    }
}

#[cfg(test)]
mod tests {
    use training::clock::{ManualClock, SignedDuration};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_that_nobody_looked_is_a_lapse_by_whichever_clock() {
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let pulse = Pulse::new(Arc::clone(&clock) as Arc<dyn Clock>);
        for _ in 0..10 {
            tokio::time::advance(LONGEST).await;
            clock.advance(LONGEST);
            assert_eq!(pulse.lapses(), 0, "somebody looked often enough");
        }
        let moment = Duration::from_millis(1);
        tokio::time::advance(LONGEST + moment).await;
        assert_eq!(pulse.lapses(), 1, "the process was stopped");
        clock.advance(LONGEST + LONGEST + moment);
        assert_eq!(pulse.lapses(), 2, "the machine was suspended");
        assert_eq!(pulse.lapses(), 2, "each lapse counts once");
    }

    #[tokio::test(start_paused = true)]
    async fn clock_that_is_set_back_hides_no_lapse_and_makes_none() {
        /// Shows an hour less each time.
        struct Backwards(Mutex<Timestamp>);

        impl Clock for Backwards {
            fn now(&self) -> Timestamp {
                let mut shown = self.0.lock().unwrap();
                *shown -= SignedDuration::from_hours(1);
                *shown
            }
        }

        let pulse = Pulse::new(Arc::new(Backwards(Mutex::new(Timestamp::UNIX_EPOCH))));
        assert_eq!(pulse.lapses(), 0);
        tokio::time::advance(LONGEST * 2).await;
        assert_eq!(pulse.lapses(), 1);
    }
}
