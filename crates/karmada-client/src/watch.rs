//! A collection of the control plane mirrored in memory: one watch feeds it, and while the watch
//! is broken a list that all callers share. Only what a caller needs is kept of an object.
//!
//! What waits in a connection while the process is stopped, or its machine asleep, would be told in
//! its order afterwards, as if it were new. So after a [lapse](crate::pulse) nothing is told before it
//! was listed anew, and what the watch of before still holds is dropped with it.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use futures_util::StreamExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::call::Caller;
use crate::error::chain;
use crate::pulse::{BEAT, Pulse};

/// How long the server may keep a watch open. Short, because a connection that is dead without
/// having been closed is noticed only after this time and 5 s.
pub(crate) const WATCH_SECONDS: u32 = 55;

/// A watch that gave no sign of life for so long is not trusted: it should have been renewed.
const SILENCE: Duration = Duration::from_secs(90);

/// An object that is mirrored, and what is kept of it.
pub(crate) trait Mirrored:
    Resource<DynamicType = ()> + DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static
{
    type Key: Eq + Hash + Clone + Send + Sync + 'static;
    type Kept: PartialEq + Send + Sync + 'static;
    type Settings: Send + Sync + 'static;

    /// Shortens the object; `None` if it cannot be of interest.
    fn keep(self, settings: &Self::Settings) -> Option<(Self::Key, Self::Kept)>;
}

type Entries<T> = HashMap<<T as Mirrored>::Key, Arc<<T as Mirrored>::Kept>>;

/// What is mirrored.
struct Held<T: Mirrored> {
    entries: Entries<T>,
    /// Rises with everything the watch delivers.
    events: u64,
}

/// Where a whole content comes from.
enum Source {
    Watch,
    /// A list that began when so many events had come.
    List {
        before: u64,
    },
}

/// A list that was made for want of a watch.
struct Relist {
    at: Instant,
    /// The lapses before it began.
    lapses: u64,
    outcome: Result<(), String>,
}

/// The mirror of all objects of one kind.
pub(crate) struct Mirror<T: Mirrored> {
    settings: T::Settings,
    held: RwLock<Held<T>>,
    /// What changed since it was last asked for. No larger than what was ever mirrored since.
    changed: Mutex<HashSet<T::Key>>,
    health: Mutex<Health>,
    /// When it was last listed for want of a watch, and how that ended. Held during the list, so
    /// that callers which come meanwhile share its result.
    relist: tokio::sync::Mutex<Option<Relist>>,
    pulse: Arc<Pulse>,
    poll_interval: Duration,
    hint: Arc<Notify>,
}

#[derive(Default)]
struct Health {
    /// The lapses before the watch that has delivered everything once.
    complete: Option<u64>,
    /// When it failed, unless it was seen to work since.
    broken_at: Option<Instant>,
    last_sign: Option<Instant>,
    relists: u64,
}

impl<T: Mirrored> Mirror<T> {
    pub(crate) fn new(
        settings: T::Settings,
        poll_interval: Duration,
        pulse: Arc<Pulse>,
        hint: Arc<Notify>,
    ) -> Self {
        Self {
            settings,
            held: RwLock::new(Held { entries: Entries::<T>::new(), events: 0 }),
            changed: Mutex::default(),
            health: Mutex::default(),
            relist: tokio::sync::Mutex::new(None),
            pulse,
            poll_interval,
            hint,
        }
    }

    pub(crate) fn get(&self, key: &T::Key) -> Option<Arc<T::Kept>> {
        self.read().entries.get(key).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<T::Kept>> {
        self.read().entries.values().cloned().collect()
    }

    /// What changed since the last call.
    pub(crate) fn take_changed(&self) -> HashSet<T::Key> {
        std::mem::take(&mut self.changed())
    }

    /// Whether the mirror is what the API server has, but for a delay. A failure counts only once
    /// it lasted longer than the poll interval: until then a list would bring nothing newer.
    pub(crate) fn healthy(&self) -> bool {
        let lapses = self.pulse.lapses();
        let health = self.health();
        health.complete == Some(lapses)
            && health.broken_at.is_none_or(|at| at.elapsed() <= self.poll_interval)
            && health.last_sign.is_some_and(|at| at.elapsed() <= SILENCE)
    }

    /// How many lists were made for want of a watch.
    pub(crate) fn relists(&self) -> u64 {
        self.health().relists
    }

    /// Brings the mirror up to date unless the watch does; at most one list per poll interval.
    pub(crate) async fn freshen(&self, caller: &Caller) -> Result<(), String> {
        if self.healthy() {
            return Ok(());
        }
        let mut last = self.relist.lock().await;
        let lapses = self.pulse.lapses();
        if let Some(last) = &*last
            && last.lapses == lapses
            && last.at.elapsed() < self.poll_interval
        {
            return last.outcome.clone();
        }
        self.health().relists += 1;
        let before = self.read().events;
        let mut fresh = Entries::<T>::new();
        let path = T::url_path(&(), None);
        let outcome = caller.list(&path, None, |object: T| self.keep(object, &mut fresh)).await;
        let outcome = outcome.map_err(|error| error.to_string());
        if outcome.is_ok() {
            self.replace(fresh, Source::List { before }, lapses);
        }
        *last = Some(Relist { at: Instant::now(), lapses, outcome: outcome.clone() });
        outcome
    }

    /// The watch was accepted by the server, or delivered something.
    pub(crate) fn sign_of_life(&self) {
        let mut health = self.health();
        health.last_sign = Some(Instant::now());
        if health.broken_at.take().is_some() {
            tracing::info!("The watch of {} works again", T::plural(&()));
        }
    }

    fn broken(&self, error: &watcher::Error) {
        let mut health = self.health();
        if health.broken_at.is_none() {
            health.broken_at = Some(Instant::now());
            tracing::warn!(
                "The watch of {} failed and is tried again: {}",
                T::plural(&()),
                words(error)
            );
        }
    }

    /// Takes what a watch tells that began after so many lapses. `false` if there was another one
    /// since: nothing that it tells is to be believed.
    fn apply(&self, event: Event<T>, initial: &mut Entries<T>, lapses: u64) -> bool {
        match event {
            Event::Init => initial.clear(),
            Event::InitApply(object) => self.keep(object, initial),
            Event::InitDone => {
                if !self.replace(std::mem::take(initial), Source::Watch, lapses) {
                    return false;
                }
                self.health().complete = Some(lapses);
                self.sign_of_life();
            }
            Event::Apply(object) => {
                if let Some((key, kept)) = object.keep(&self.settings) {
                    let kept = Arc::new(kept);
                    let Some(mut held) = self.write_unless_lapsed(lapses) else { return false };
                    held.events += 1;
                    let before = held.entries.insert(key.clone(), Arc::clone(&kept));
                    drop(held);
                    // Karmada touches its objects more often than anything we keep changes.
                    if before.is_none_or(|before| before != kept) {
                        self.changed().insert(key);
                        self.hint.notify_one();
                    }
                }
                self.sign_of_life();
            }
            Event::Delete(object) => {
                if let Some((key, _)) = object.keep(&self.settings) {
                    let Some(mut held) = self.write_unless_lapsed(lapses) else { return false };
                    held.events += 1;
                    let was_there = held.entries.remove(&key).is_some();
                    drop(held);
                    if was_there {
                        self.changed().insert(key);
                        self.hint.notify_one();
                    }
                }
                self.sign_of_life();
            }
        }
        true
    }

    fn keep(&self, object: T, into: &mut Entries<T>) {
        if let Some((key, kept)) = object.keep(&self.settings) {
            into.insert(key, Arc::new(kept));
        }
    }

    /// `false` if the content is of before a lapse, and was dropped.
    fn replace(&self, mut fresh: Entries<T>, source: Source, lapses: u64) -> bool {
        fresh.shrink_to_fit();
        let changed: Vec<T::Key> = {
            let Some(mut held) = self.write_unless_lapsed(lapses) else { return false };
            match source {
                Source::Watch => held.events += 1,
                // The watch came back meanwhile: what it brought may be newer. Asked under the lock,
                // or it could come back between the question and the replacement.
                Source::List { before } if before != held.events => return true,
                Source::List { .. } => {}
            }
            let entries = &mut held.entries;
            let newer = fresh.iter().filter(|(key, kept)| entries.get(*key) != Some(*kept));
            let gone = entries.keys().filter(|key| !fresh.contains_key(*key));
            let changed = newer.map(|(key, _)| key).chain(gone).cloned().collect();
            *entries = fresh;
            changed
        };
        // Not under the lock of the entries: whoever asks for what changed reads them next.
        self.changed().extend(changed);
        self.hint.notify_one();
        true
    }

    /// Locks what is held for something that was read after so many lapses. Asked under the lock, or
    /// a list of after the next lapse could be overwritten by what was read before it.
    fn write_unless_lapsed(&self, lapses: u64) -> Option<RwLockWriteGuard<'_, Held<T>>> {
        let held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        (self.pulse.lapses() == lapses).then_some(held)
    }

    fn changed(&self) -> std::sync::MutexGuard<'_, HashSet<T::Key>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Held<T>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Feeds the mirror until `stop`. Failures are retried for ever, with a growing pause.
pub(crate) async fn follow<T: Mirrored>(
    mirror: Arc<Mirror<T>>,
    client: Client,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let lapses = mirror.pulse.lapses();
        follow_until_lapse(&mirror, client.clone(), &stop, lapses).await;
    }
}

/// Feeds the mirror from one watch until it lapses or stops. The connection ends with it, and with
/// that what waits in it.
async fn follow_until_lapse<T: Mirrored>(
    mirror: &Mirror<T>,
    client: Client,
    stop: &CancellationToken,
    lapses: u64,
) {
    let config = watcher::Config::default().timeout(WATCH_SECONDS);
    let mut events = pin!(watcher(Api::<T>::all(client), config).default_backoff());
    let mut initial = Entries::<T>::new();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = tokio::time::timeout(BEAT, events.next()) => event,
        };
        let believed = match event {
            Ok(Some(Ok(event))) => mirror.apply(event, &mut initial, lapses),
            Ok(Some(Err(error))) => {
                mirror.broken(&error);
                true
            }
            Ok(None) => return,
            Err(_beat) => true,
        };
        if !believed || mirror.pulse.lapses() != lapses {
            tracing::info!(
                "The watch of {} begins anew, because this process did not run for a while",
                T::plural(&())
            );
            return;
        }
    }
}

/// The error without what the server sent, which `Display` of a status repeats in full.
fn words(error: &watcher::Error) -> String {
    match error {
        watcher::Error::WatchError(status) => format!("{} {}", status.code, status.message),
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status)) => {
            format!("{} {}", status.code, status.reason)
        }
        watcher::Error::InitialListFailed(kube::Error::Auth(_))
        | watcher::Error::WatchStartFailed(kube::Error::Auth(_)) => {
            "no credentials could be obtained".to_owned()
        }
        other => chain(other),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Namespace;
    use training::clock::{Clock, ManualClock, Timestamp};

    use super::*;

    impl Mirrored for Namespace {
        type Key = String;
        type Kept = Option<String>;
        type Settings = ();

        fn keep(self, (): &()) -> Option<(String, Option<String>)> {
            Some((self.metadata.name?, self.metadata.resource_version))
        }
    }

    fn namespace(name: &str, version: &str) -> Namespace {
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some(name.to_owned());
        namespace.metadata.resource_version = Some(version.to_owned());
        namespace
    }

    /// A mirror, and the clock of its machine.
    fn mirror() -> (Mirror<Namespace>, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        let pulse = Arc::new(Pulse::new(Arc::clone(&clock) as Arc<dyn Clock>));
        (Mirror::new((), Duration::from_secs(1), pulse, Arc::default()), clock)
    }

    fn version(mirror: &Mirror<Namespace>) -> Option<String> {
        mirror.get(&"a".to_owned())?.as_ref().clone()
    }

    fn listed(mirror: &Mirror<Namespace>, objects: &[(&str, &str)]) -> Entries<Namespace> {
        let mut entries = Entries::<Namespace>::new();
        for (name, version) in objects {
            mirror.keep(namespace(name, version), &mut entries);
        }
        entries
    }

    #[test]
    fn list_that_was_overtaken_by_the_watch_is_dropped() {
        let (mirror, _) = mirror();
        let mut initial = Entries::<Namespace>::new();
        for event in
            [Event::Apply(namespace("a", "2")), Event::Delete(namespace("b", "2")), Event::InitDone]
        {
            let before = mirror.read().events;
            let list = listed(&mirror, &[("a", "1"), ("b", "1")]);
            initial.extend(listed(&mirror, &[("a", "2")]));
            assert!(mirror.apply(event, &mut initial, 0));
            mirror.replace(list, Source::List { before }, 0);
            assert_eq!(version(&mirror).as_deref(), Some("2"));
            assert!(mirror.get(&"b".to_owned()).is_none());
        }
        let before = mirror.read().events;
        let list = listed(&mirror, &[("a", "3")]);
        mirror.replace(list, Source::List { before }, 0);
        assert_eq!(version(&mirror).as_deref(), Some("3"), "nothing came between");
    }

    #[test]
    fn what_was_read_before_a_lapse_changes_nothing_after_it() {
        let (mirror, clock) = mirror();
        assert!(mirror.apply(Event::InitDone, &mut listed(&mirror, &[("a", "1")]), 0));
        assert!(mirror.healthy());
        clock.advance(Duration::from_mins(5));
        assert!(!mirror.healthy(), "nothing of before is told");
        let before = mirror.read().events;
        let lapses = mirror.pulse.lapses();
        assert!(mirror.replace(listed(&mirror, &[("a", "5")]), Source::List { before }, lapses));
        mirror.take_changed();
        let mut initial = listed(&mirror, &[("a", "4")]);
        for event in
            [Event::Apply(namespace("a", "2")), Event::Delete(namespace("a", "3")), Event::InitDone]
        {
            assert!(!mirror.apply(event, &mut initial, 0));
        }
        let late = listed(&mirror, &[("a", "4")]);
        assert!(!mirror.replace(late, Source::List { before }, 0), "listed before it");
        assert_eq!(version(&mirror).as_deref(), Some("5"));
        assert!(mirror.take_changed().is_empty() && !mirror.healthy());
        assert!(mirror.apply(Event::InitDone, &mut listed(&mirror, &[("a", "6")]), lapses));
        assert_eq!(version(&mirror).as_deref(), Some("6"));
        assert!(mirror.healthy());
    }
}
