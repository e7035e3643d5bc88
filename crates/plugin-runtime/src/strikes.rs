//! Counts how often a plugin took its process with it. Three times in ten minutes is no accident,
//! and each time costs its neighbours a runner.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use training::PluginDigest;

/// Strikes that lead to quarantine …
const MOST: usize = 3;
/// … within this time.
const WITHIN: Duration = Duration::from_mins(10);

/// The strikes of all plugins.
#[derive(Debug)]
pub(crate) struct Strikes {
    /// Strikes closer to each other are one: a machine that stands still for a moment loses every
    /// process that was at work.
    apart: Duration,
    times: Mutex<HashMap<PluginDigest, VecDeque<Instant>>>,
}

impl Strikes {
    pub(crate) fn new(apart: Duration) -> Self {
        Self { apart, times: Mutex::default() }
    }

    /// Counts one at `now`. True if it is one too many.
    pub(crate) fn add(&self, digest: PluginDigest, now: Instant) -> bool {
        let mut strikes = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        strikes.retain(|_, times| times.back().is_some_and(|last| now - *last < WITHIN));
        let times = strikes.entry(digest).or_default();
        if times.back().is_none_or(|last| now - *last >= self.apart) {
            times.push_back(now);
        }
        while times.front().is_some_and(|first| now - *first >= WITHIN) {
            times.pop_front();
        }
        times.len() >= MOST
    }

    /// Forgets a plugin's strikes.
    pub(crate) fn forget(&self, digest: &PluginDigest) {
        self.times.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn third_strike_within_ten_minutes_is_one_too_many() {
        let (strikes, start) = (Strikes::new(Duration::from_secs(5)), Instant::now());
        let (bad, clumsy) = (PluginDigest::of("bad"), PluginDigest::of("clumsy"));
        let minute = |n| start + Duration::from_mins(n);
        assert!(!strikes.add(bad, minute(0)) && !strikes.add(bad, minute(1)));
        assert!(!strikes.add(clumsy, minute(1)));
        assert!(strikes.add(bad, minute(2)));
        assert!(!strikes.add(clumsy, minute(9)) && !strikes.add(clumsy, minute(12)));
        assert!(strikes.add(clumsy, minute(13)));
    }

    #[test]
    fn forgotten_strikes_do_not_count() {
        let (strikes, now) = (Strikes::new(Duration::from_secs(5)), Instant::now());
        let bad = PluginDigest::of("bad");
        let second = |n| now + Duration::from_secs(n);
        strikes.add(bad, second(0));
        strikes.add(bad, second(10));
        strikes.forget(&bad);
        assert!(!strikes.add(bad, second(20)));
    }

    #[test]
    fn processes_that_are_lost_at_once_are_one_strike() {
        let (strikes, now) = (Strikes::new(Duration::from_secs(5)), Instant::now());
        let unlucky = PluginDigest::of("unlucky");
        for n in 0..9 {
            assert!(!strikes.add(unlucky, now + Duration::from_millis(n)));
        }
    }
}
