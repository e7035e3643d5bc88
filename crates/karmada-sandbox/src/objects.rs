//! One API server's objects: a revisioned store with the event log its watches read and the queue
//! of changes its controllers read. Knows nothing of HTTP or Karmada. `server` calls it for
//! requests, `sim` and the controllers call it for everything else.

mod compare;
pub(crate) mod delete;
pub(crate) mod fields;
mod hooks;
pub(crate) mod list;
pub(crate) mod patch;
pub(crate) mod resources;
pub(crate) mod selectors;
pub(crate) mod write;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

pub(crate) use self::resources::{Res, Resource};
use crate::json::Tree as _;
use crate::{clock::Ids, json};

/// How many events a watch may lag behind before it gets 410. The real server keeps some minutes;
/// one event holds a whole object of about 20 KB, so this is what 160 MB per API server buy.
const LOG_LENGTH: usize = 8_192;

/// Identity of an object within one API server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) res: Res,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(res: Res, namespace: &str, name: &str) -> Self {
        Self { res, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The key of an object as its own metadata states it.
    pub(crate) fn of(res: Res, object: &Value) -> Self {
        Self::new(res, json::meta(object, "namespace"), json::meta(object, "name"))
    }
}

/// One committed revision.
#[derive(Debug, Clone)]
pub(crate) struct LogEntry {
    pub(crate) revision: u64,
    pub(crate) key: Key,
    /// The state before, absent for a creation.
    pub(crate) old: Option<Arc<Value>>,
    /// The state after; for a deletion the last state, under the revision of the deletion.
    pub(crate) new: Arc<Value>,
    pub(crate) deleted: bool,
}

/// What a controller is woken with. Several writes of one object between two looks are one change;
/// a deletion is never merged, because its last state is the only trace left.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) key: Key,
    pub(crate) deleted: Option<Arc<Value>>,
}

/// One API server.
#[derive(Debug)]
pub(crate) struct Api {
    /// Empty for the control plane, else the member's name.
    pub(crate) name: String,
    /// The time requests and controllers see; the world sets it.
    pub(crate) now: Timestamp,
    pub(crate) ids: Ids,
    /// Groups whose CRDs are not installed.
    pub(crate) missing_groups: BTreeSet<String>,
    /// What its own admission does to new objects.
    pub(crate) hooks: hooks::Hooks,
    /// The webhook of Karmada does not answer.
    pub(crate) webhook_down: bool,
    /// Events in the order they appeared, so that the oldest can give way.
    pub(crate) kept_events: VecDeque<Key>,
    objects: BTreeMap<Key, Arc<Value>>,
    owned: HashMap<String, BTreeSet<Key>>,
    revision: u64,
    log: VecDeque<LogEntry>,
    /// Watches may start at this revision or later.
    floor: u64,
    changes: VecDeque<Change>,
    queued: HashSet<Key>,
    signal: watch::Sender<u64>,
}

impl Api {
    pub(crate) fn new(name: &str, now: Timestamp, seed: u64) -> Self {
        // Real clusters do not start at revision 1 either; a test that assumes it is wrong.
        let revision = 100;
        Self {
            name: name.to_owned(),
            now,
            ids: Ids::new(seed),
            missing_groups: BTreeSet::new(),
            hooks: hooks::Hooks::default(),
            webhook_down: false,
            kept_events: VecDeque::new(),
            objects: BTreeMap::new(),
            owned: HashMap::new(),
            revision,
            log: VecDeque::new(),
            floor: revision,
            changes: VecDeque::new(),
            queued: HashSet::new(),
            signal: watch::Sender::new(revision),
        }
    }

    pub(crate) fn is_control_plane(&self) -> bool {
        self.name.is_empty()
    }

    pub(crate) fn serves(&self, res: Res) -> bool {
        (self.is_control_plane() || !res.control_only) && !self.missing_groups.contains(res.group)
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.signal.subscribe()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    pub(crate) fn find(&self, res: Res, namespace: &str, name: &str) -> Option<&Arc<Value>> {
        self.objects.get(&Key::new(res, namespace, name))
    }

    /// All objects of a resource, in key order, in one namespace or in all (empty).
    pub(crate) fn all<'a>(
        &'a self,
        res: Res,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> + 'a {
        self.objects.range(Key::new(res, namespace, "")..).take_while(move |(key, _)| {
            key.res == res && (namespace.is_empty() || key.namespace == namespace)
        })
    }

    /// Every object of a namespace, whatever its resource.
    pub(crate) fn contents_of(&self, namespace: &str) -> Vec<Key> {
        resources::ALL
            .iter()
            .filter(|res| res.namespaced)
            .flat_map(|res| self.all(res, namespace).map(|(key, _)| key.clone()))
            .collect()
    }

    /// Objects whose owner references name `uid`.
    pub(crate) fn owned_by(&self, uid: &str) -> Vec<Key> {
        self.owned.get(uid).into_iter().flatten().cloned().collect()
    }

    pub(crate) fn owned_of(&self, uid: &str, res: Res) -> Vec<Arc<Value>> {
        self.owned
            .get(uid)
            .into_iter()
            .flatten()
            .filter(|key| key.res == res)
            .filter_map(|key| self.objects.get(key).cloned())
            .collect()
    }

    /// The events after `revision`, oldest first; `None` if some of them are forgotten.
    pub(crate) fn events_after(
        &self,
        revision: u64,
    ) -> Option<impl DoubleEndedIterator<Item = &LogEntry>> {
        if revision < self.floor {
            return None;
        }
        let skip = usize::try_from(revision - self.floor).unwrap_or(usize::MAX);
        Some(self.log.range(skip.min(self.log.len())..))
    }

    /// Forgets the event log, as a compaction does. Also moves the revision, so that a watch that
    /// had read everything is too old as well.
    pub(crate) fn compact(&mut self) {
        self.revision += 1;
        self.floor = self.revision;
        self.log.clear();
        self.signal.send_replace(self.revision);
    }

    pub(crate) fn next_change(&mut self) -> Option<Change> {
        let change = self.changes.pop_front()?;
        if change.deleted.is_none() {
            self.queued.remove(&change.key);
        }
        Some(change)
    }

    pub(crate) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Wakes the controllers of an object that did not change.
    pub(crate) fn touch(&mut self, key: Key) {
        if self.queued.insert(key.clone()) {
            self.changes.push_back(Change { key, deleted: None });
        }
    }

    /// Stores `object` as the next revision.
    fn put(&mut self, key: Key, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        json::set(&mut object, &["metadata", "resourceVersion"], self.revision.to_string());
        let new = Arc::new(object);
        let old = self.objects.insert(key.clone(), Arc::clone(&new));
        if let Some(old) = &old {
            self.forget_owners(&key, old);
        }
        for owner in json::list(&new, "/metadata/ownerReferences") {
            if let Some(uid) = owner.at(&["uid"]).as_str() {
                self.owned.entry(uid.to_owned()).or_default().insert(key.clone());
            }
        }
        self.touch(key.clone());
        self.append(LogEntry {
            revision: self.revision,
            key,
            old,
            new: Arc::clone(&new),
            deleted: false,
        });
        new
    }

    /// Removes an object for good. Finalizers are the caller's business.
    fn take(&mut self, key: &Key) -> Option<Arc<Value>> {
        let old = self.objects.remove(key)?;
        self.forget_owners(key, &old);
        self.revision += 1;
        let mut last = Value::clone(&old);
        json::set(&mut last, &["metadata", "resourceVersion"], self.revision.to_string());
        let last = Arc::new(last);
        self.changes.push_back(Change { key: key.clone(), deleted: Some(Arc::clone(&last)) });
        self.append(LogEntry {
            revision: self.revision,
            key: key.clone(),
            old: Some(old),
            new: Arc::clone(&last),
            deleted: true,
        });
        Some(last)
    }

    fn forget_owners(&mut self, key: &Key, object: &Value) {
        for owner in json::list(object, "/metadata/ownerReferences") {
            let Some(uid) = owner.at(&["uid"]).as_str() else { continue };
            if let Some(children) = self.owned.get_mut(uid) {
                children.remove(key);
                if children.is_empty() {
                    self.owned.remove(uid);
                }
            }
        }
    }

    fn append(&mut self, entry: LogEntry) {
        self.log.push_back(entry);
        if self.log.len() > LOG_LENGTH
            && let Some(forgotten) = self.log.pop_front()
        {
            self.floor = forgotten.revision;
        }
        self.signal.send_replace(self.revision);
    }
}
