//! A registry of plugins that forgets everything when it is dropped. It keeps the same contract as
//! the real ones.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::clock::{Clock, ManualClock, Timestamp};
use crate::id::PluginDigest;
use crate::ports::{
    ComponentArchive, FileNotes, KeptComponent, KeptVersion, Moved, NewPluginEvent, PluginEvent,
    PluginRegistry, Route, StoreError,
};

/// Components, routes and histories in memory.
pub struct MemoryRegistry {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct State {
    components: BTreeMap<String, (KeptComponent, Timestamp)>,
    signatures: Vec<(PluginDigest, String)>,
    files: BTreeMap<String, PluginDigest>,
    routes: BTreeMap<String, Route>,
    events: Vec<PluginEvent>,
    unavailable: bool,
}

impl Default for MemoryRegistry {
    fn default() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
        Self { state: Mutex::default(), clock }
    }
}

impl MemoryRegistry {
    /// Makes every call fail as if the database were down, or work again.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.locked().unavailable = unavailable;
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.locked();
        if state.unavailable {
            return Err(StoreError::Unavailable("the test took the registry down".into()));
        }
        Ok(state)
    }
}

impl State {
    fn append(&mut self, event: &NewPluginEvent) {
        let id = i64::try_from(self.events.len()).unwrap_or(i64::MAX).saturating_add(1);
        let event = NewPluginEvent {
            // PostgreSQL cannot store the character.
            message: event.message.replace('\0', "\u{fffd}"),
            ..event.clone()
        };
        self.events.push(PluginEvent { id, event });
    }
}

#[async_trait]
impl ComponentArchive for MemoryRegistry {
    async fn keep(&self, component: &KeptComponent) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut state = self.open()?;
        let digest = component.digest.to_string();
        state.components.entry(digest).or_insert_with(|| (component.clone(), now));
        Ok(())
    }

    async fn kept(&self) -> Result<HashSet<PluginDigest>, StoreError> {
        Ok(self.open()?.components.values().map(|(kept, _)| kept.digest).collect())
    }

    async fn fetch(&self, digest: &PluginDigest) -> Result<Option<Vec<u8>>, StoreError> {
        let state = self.open()?;
        Ok(state.components.get(&digest.to_string()).map(|(kept, _)| kept.bytes.clone()))
    }

    async fn keep_signature(&self, digest: &PluginDigest, text: &str) -> Result<(), StoreError> {
        let mut state = self.open()?;
        let signature = (*digest, text.to_owned());
        if !state.signatures.contains(&signature) {
            state.signatures.push(signature);
        }
        Ok(())
    }

    async fn signatures(&self, digest: &PluginDigest) -> Result<Vec<String>, StoreError> {
        let state = self.open()?;
        let of = state.signatures.iter().rev().filter(|(signed, _)| signed == digest);
        Ok(of.take(16).map(|(_, text)| text.clone()).collect())
    }

    async fn last_good(&self) -> Result<BTreeMap<String, PluginDigest>, StoreError> {
        Ok(self.open()?.files.clone())
    }

    async fn note_files(&self, notes: &FileNotes) -> Result<(), StoreError> {
        let mut state = self.open()?;
        for (file, digest) in &notes.gone {
            if state.files.get(file) == Some(digest) {
                state.files.remove(file);
            }
        }
        state.files.extend(notes.held.iter().cloned());
        Ok(())
    }
}

#[async_trait]
impl PluginRegistry for MemoryRegistry {
    async fn kept_versions(&self, plugin: &str) -> Result<Vec<KeptVersion>, StoreError> {
        let state = self.open()?;
        let kept = state.components.values().filter(|(kept, _)| kept.name == plugin);
        let mut versions: Vec<KeptVersion> = kept
            .map(|(kept, first_seen)| KeptVersion {
                digest: kept.digest,
                version: kept.version.clone(),
                size: kept.bytes.len() as u64,
                first_seen: *first_seen,
            })
            .collect();
        // Stable, and the map is ordered by digest.
        versions.sort_by_key(|kept| std::cmp::Reverse(kept.first_seen));
        Ok(versions)
    }

    async fn routes(&self) -> Result<Vec<Route>, StoreError> {
        Ok(self.open()?.routes.values().cloned().collect())
    }

    async fn change_route(
        &self,
        route: &Route,
        event: &NewPluginEvent,
    ) -> Result<Moved, StoreError> {
        let mut state = self.open()?;
        let stored = state.routes.get(&route.plugin).map_or(0, |route| route.version);
        if stored != route.version {
            return Ok(Moved::Stale);
        }
        let next = Route { version: stored + 1, ..route.clone() };
        state.routes.insert(route.plugin.clone(), next);
        state.append(event);
        Ok(Moved::Done)
    }

    async fn record(&self, events: &[NewPluginEvent]) -> Result<(), StoreError> {
        let mut state = self.open()?;
        for event in events {
            state.append(event);
        }
        Ok(())
    }

    async fn plugin_events(
        &self,
        plugin: Option<&str>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<PluginEvent>, StoreError> {
        let state = self.open()?;
        let newest = state.events.iter().rev();
        let wanted = newest
            .filter(|event| plugin.is_none_or(|plugin| event.event.plugin == plugin))
            .filter(|event| before.is_none_or(|before| event.id < before));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(wanted.take(limit).cloned().collect())
    }
}
