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
#[derive(Debug, Default)]
pub(crate) struct Strikes(Mutex<HashMap<PluginDigest, VecDeque<Instant>>>);

impl Strikes {
    /// Counts one at `now`. True if it is one too many.
    pub(crate) fn add(&self, digest: PluginDigest, now: Instant) -> bool {
        let mut strikes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        strikes.retain(|_, times| times.back().is_some_and(|last| now - *last < WITHIN));
        let times = strikes.entry(digest).or_default();
        times.push_back(now);
        while times.front().is_some_and(|first| now - *first >= WITHIN) {
            times.pop_front();
        }
        times.len() >= MOST
    }

    /// Forgets a plugin's strikes.
    pub(crate) fn forget(&self, digest: &PluginDigest) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn third_strike_within_ten_minutes_is_one_too_many() {
        let (strikes, start) = (Strikes::default(), Instant::now());
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
        let (strikes, now) = (Strikes::default(), Instant::now());
        let bad = PluginDigest::of("bad");
        strikes.add(bad, now);
        strikes.add(bad, now);
        strikes.forget(&bad);
        assert!(!strikes.add(bad, now));
    }
}
