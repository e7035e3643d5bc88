//! How many calls of one plugin run at a time, and of all together that misbehaved lately. Without
//! it a plugin that loops would hold every sandbox, and its neighbours would pay for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::SLOT_WAIT;
use crate::patience::Wait;

/// How long a plugin that timed out or crashed gets one sandbox only.
const PENALTY: Duration = Duration::from_mins(1);
/// Callers that may wait for each place. More are refused at once: a queue that is longer than
/// what half a second can serve only makes everybody late.
const WAITING_PER_PLACE: usize = 64;

/// Half of all sandboxes, at least one.
fn half(sandboxes: u32) -> usize {
    (sandboxes as usize / 2).max(1)
}

/// Places that all plugins share which misbehaved lately: however many they are, the others keep the
/// rest.
#[derive(Debug, Clone)]
pub(crate) struct Penalties(Arc<Semaphore>);

impl Penalties {
    pub(crate) fn new(sandboxes: u32) -> Self {
        Self(Arc::new(Semaphore::new(half(sandboxes))))
    }
}

/// The places of one plugin.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    narrow: Arc<Semaphore>,
    penalties: Penalties,
    most_waiting: usize,
    waiting: AtomicUsize,
    narrow_until: Mutex<Option<Instant>>,
}

/// A place in use. Kept by the work, not by whoever waits for it: a caller that goes away would give
/// the place back while its sandbox still runs.
#[derive(Debug)]
pub(crate) struct Place {
    _place: OwnedSemaphorePermit,
    _narrow: Option<[OwnedSemaphorePermit; 2]>,
}

impl Gate {
    /// Half of all sandboxes: plugins that have not misbehaved yet fill them only together.
    pub(crate) fn new(sandboxes: u32, penalties: Penalties) -> Self {
        let places = half(sandboxes);
        Self {
            places: Arc::new(Semaphore::new(places)),
            narrow: Arc::new(Semaphore::new(1)),
            penalties,
            most_waiting: places * WAITING_PER_PLACE,
            waiting: AtomicUsize::new(0),
            narrow_until: Mutex::default(),
        }
    }

    /// Takes a place. `None` if none became free in time. A call of a plugin that misbehaved lately
    /// gives way to everybody else.
    pub(crate) async fn enter(&self, wait: &Wait) -> Option<Place> {
        let narrow = if self.is_narrow() {
            wait.give_way();
            let own = self.wait(&self.narrow, wait).await?;
            Some([own, self.wait(&self.penalties.0, wait).await?])
        } else {
            None
        };
        Some(Place { _place: self.wait(&self.places, wait).await?, _narrow: narrow })
    }

    /// Remembers that a call timed out or crashed.
    pub(crate) fn narrow(&self) {
        *self.lock() = Some(Instant::now() + PENALTY);
    }

    fn is_narrow(&self) -> bool {
        self.lock().is_some_and(|until| Instant::now() < until)
    }

    async fn wait(&self, places: &Arc<Semaphore>, wait: &Wait) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            return Some(place);
        }
        let _waiting = Waiting::join(&self.waiting, self.most_waiting)?;
        let until = wait.at_most(SLOT_WAIT);
        tokio::time::timeout_at(until, Arc::clone(places).acquire_owned()).await.ok()?.ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.narrow_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One caller in the queue; leaves it when dropped, also by a caller that goes away.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn join(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let this = Self(count);
        (before < most).then_some(this)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(sandboxes: u32) -> Gate {
        Gate::new(sandboxes, Penalties::new(sandboxes))
    }

    #[tokio::test(start_paused = true)]
    async fn plugin_gets_half_of_the_sandboxes() {
        let wait = Wait::default();
        let gate = gate(4);
        let first = gate.enter(&wait).await.unwrap();
        let _second = gate.enter(&wait).await.unwrap();
        assert!(gate.enter(&wait).await.is_none());
        drop(first);
        assert!(gate.enter(&wait).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn plugin_that_misbehaved_gets_one() {
        let wait = Wait::default();
        let gate = gate(8);
        drop(gate.enter(&wait).await.unwrap());
        assert!(!wait.gives_way());
        gate.narrow();
        let first = gate.enter(&wait).await.unwrap();
        assert!(wait.gives_way());
        assert!(gate.enter(&wait).await.is_none());
        drop(first);
        assert!(gate.enter(&wait).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn plugins_that_misbehaved_get_half_of_the_sandboxes_together() {
        let wait = Wait::default();
        let penalties = Penalties::new(4);
        let gates: Vec<Gate> = (0..3).map(|_| Gate::new(4, penalties.clone())).collect();
        for gate in &gates {
            gate.narrow();
        }
        let first = gates[0].enter(&wait).await.unwrap();
        let _second = gates[1].enter(&wait).await.unwrap();
        assert!(gates[2].enter(&wait).await.is_none());
        // One that did nothing wrong does not share with them.
        assert!(Gate::new(4, penalties.clone()).enter(&wait).await.is_some());
        drop(first);
        assert!(gates[2].enter(&wait).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn queue_is_bounded_and_forgets_who_left() {
        let wait = Wait::default();
        let gate = gate(2);
        let _place = gate.enter(&wait).await.unwrap();
        let mut queue: Vec<_> =
            (0..WAITING_PER_PLACE).map(|_| Box::pin(gate.enter(&wait))).collect();
        for waiting in &mut queue {
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        }
        let mut late = Box::pin(gate.enter(&wait));
        assert!(matches!(futures_util::poll!(late.as_mut()), std::task::Poll::Ready(None)));
        queue.pop();
        let mut next = Box::pin(gate.enter(&wait));
        assert!(futures_util::poll!(next.as_mut()).is_pending());
    }
}
