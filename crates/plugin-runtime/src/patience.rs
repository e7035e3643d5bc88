//! How long somebody waits for plugins. All calls of one request share one moment at which the
//! request is answered, whatever they wait for: a place, a runner, or the guest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use training::ports::PluginFault;

use crate::sandbox::Call;

/// The patience of one caller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For all calls together, and when that is over; `None` for a caller that waits for each call
    /// as long as it may take.
    bound: Option<(Duration, Instant)>,
}

impl Patience {
    /// For callers with bounds of their own.
    pub(crate) const UNBOUNDED: Self = Self { bound: None };

    /// For everything that one request asks, from now on.
    pub(crate) fn of_request(limit: Duration) -> Self {
        Self { bound: Some((limit, Instant::now() + limit)) }
    }

    /// What one call knows of it.
    pub(crate) fn wait(&self) -> Wait {
        Wait { until: self.bound.map(|(_, until)| until), turn: Arc::default() }
    }

    /// Waits for a call. One that the guest had begun is late; one that was still in a queue would
    /// perhaps have been quick, and is refused like any other that finds no room.
    pub(crate) async fn call<T>(
        &self,
        plugin: &str,
        call: Call,
        wait: &Wait,
        work: impl Future<Output = Result<T, PluginFault>>,
    ) -> Result<T, PluginFault> {
        let Some((limit, until)) = self.bound else { return work.await };
        if until <= Instant::now() {
            return Err(late(plugin, call, limit));
        }
        match timeout_at(until, work).await {
            Ok(answer) => answer,
            Err(_) if wait.turn.begun.load(Ordering::Relaxed) => Err(late(plugin, call, limit)),
            Err(_) => Err(PluginFault::Busy),
        }
    }

    /// Waits for something else than a call; `None` if it is not there in time.
    pub(crate) async fn other<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        match self.bound {
            None => Some(work.await),
            Some((_, until)) => timeout_at(until, work).await.ok(),
        }
    }
}

fn late(plugin: &str, call: Call, limit: Duration) -> PluginFault {
    PluginFault::TimedOut {
        plugin: plugin.to_owned(),
        call: call.name(),
        limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
    }
}

/// One call that waits for its turn.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wait {
    until: Option<Instant>,
    turn: Arc<Turn>,
}

/// What became of the call, for everybody who knows of it.
#[derive(Debug, Default)]
struct Turn {
    begun: AtomicBool,
    gives_way: AtomicBool,
}

impl Wait {
    /// When waiting in a queue ends that nobody waits in for longer than `most`: there is no point
    /// in a call whose caller is gone.
    pub(crate) fn at_most(&self, most: Duration) -> Instant {
        let queue = Instant::now() + most;
        self.until.map_or(queue, |until| until.min(queue))
    }

    /// Everybody else comes first, from the first moment of the call: its plugin misbehaved lately.
    pub(crate) fn give_way(&self) {
        self.turn.gives_way.store(true, Ordering::Relaxed);
    }

    /// Whether everybody else comes first.
    pub(crate) fn gives_way(&self) -> bool {
        self.turn.gives_way.load(Ordering::Relaxed)
    }

    /// The guest has the word.
    pub(crate) fn begin(&self) {
        self.turn.begun.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn call_that_was_begun_is_late_and_one_that_waits_for_its_turn_is_refused() {
        let patience = Patience::of_request(Duration::from_secs(1));
        let ask = async |wait: Wait| {
            let never = std::future::pending::<Result<(), PluginFault>>();
            patience.call("p", Call::Convert, &wait, never).await.unwrap_err()
        };
        let (waiting, begun) = (patience.wait(), patience.wait());
        begun.begin();
        let (waiting, begun) = tokio::join!(ask(waiting), ask(begun));
        assert!(matches!(waiting, PluginFault::Busy), "{waiting}");
        assert!(matches!(begun, PluginFault::TimedOut { limit_ms: 1000, .. }), "{begun}");
        // Afterwards nothing is begun any more.
        let wait = patience.wait();
        let work = async {
            wait.begin();
            Ok(())
        };
        let after = patience.call("p", Call::Convert, &wait, work).await;
        assert!(matches!(after, Err(PluginFault::TimedOut { limit_ms: 1000, .. })), "{after:?}");
        assert!(!wait.turn.begun.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_stands_in_a_queue_for_longer_than_the_request_lasts() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let wait = Patience::of_request(second).wait();
        assert_eq!(wait.at_most(Duration::from_secs(5)), now + second);
        assert_eq!(wait.at_most(second / 2), now + second / 2);
        assert_eq!(Patience::UNBOUNDED.wait().at_most(second), now + second);
    }
}
