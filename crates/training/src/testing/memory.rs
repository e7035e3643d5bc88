//! A store that forgets everything when it is dropped. It keeps the same contract as the real
//! ones, so a test of a reconciler on it says something about production.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::memory_logs::Logs;
use super::memory_reads::{among, predecessors_of};
use crate::clock::Timestamp;
use crate::decide::is_at_rest;
use crate::id::{ClusterName, JobId, Sha256Digest};
use crate::intent::{Claimed, IntentKind};
use crate::job::{Event, Job, NewEvent};
use crate::manifest::{Bundle, ObjectRef};
use crate::phase::{Desired, Lifecycle, Phase};
use crate::ports::{
    Effects, Idempotency, Inserted, JobStore, ListQuery, Moved, NewJob, StoreError,
};

/// Jobs in memory.
pub struct MemoryStore {
    origin: String,
    state: Mutex<State>,
    hint: Arc<Notify>,
    pub(super) archive_hint: Arc<Notify>,
}

#[derive(Default)]
pub(super) struct State {
    jobs: BTreeMap<String, Job>,
    bundles: HashMap<String, Bundle>,
    events: HashMap<String, Vec<Event>>,
    intents: BTreeMap<i64, Intent>,
    last_intent: i64,
    keys: HashMap<String, Key>,
    pub(super) logs: Logs,
    unavailable: bool,
    predecessors_asked: usize,
    bundles_asked: usize,
}

struct Intent {
    job_id: JobId,
    kind: IntentKind,
    priority: i32,
    not_before: Timestamp,
    attempts: u32,
    lease: Option<(String, Timestamp)>,
    rearmed: bool,
    created_at: Timestamp,
}

struct Key {
    fingerprint: Sha256Digest,
    job_id: JobId,
    created_at: Timestamp,
}

impl MemoryStore {
    /// An empty store with this origin.
    pub fn new(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            state: Mutex::default(),
            hint: Arc::default(),
            archive_hint: Arc::default(),
        }
    }

    /// How often somebody asked for the predecessors of a job.
    pub fn predecessors_asked(&self) -> usize {
        self.locked().predecessors_asked
    }

    /// How often somebody asked for a bundle.
    pub fn bundles_asked(&self) -> usize {
        self.locked().bundles_asked
    }

    /// Makes every call fail as if the database were down, or work again.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.locked().unavailable = unavailable;
    }

    /// The kinds of a job's intents, due or not, in the order they were recorded.
    pub fn intents(&self, id: &JobId) -> Vec<IntentKind> {
        let state = self.locked();
        let own = state.intents.values().filter(|intent| intent.job_id == *id);
        own.map(|intent| intent.kind).collect()
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn open(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.locked();
        if state.unavailable {
            return Err(StoreError::Unavailable("the test took the store down".into()));
        }
        Ok(state)
    }

    fn ring(&self) {
        self.hint.notify_waiters();
        self.hint.notify_one();
    }
}

/// The guards that the database keeps with checks and triggers.
fn check(before: Option<&Job>, after: &Job) -> Result<(), StoreError> {
    let refuse = |what: &str| Err(StoreError::Internal(format!("{}: {what}", after.id).into()));
    if after.finished_at.is_some() != after.phase.is_terminal() {
        return refuse("`finished_at` belongs to terminal phases, and to each of them");
    }
    if after.deleted_at.is_some() != (after.lifecycle == Lifecycle::Deleted) {
        return refuse("`deleted_at` belongs to deleted jobs, and to each of them");
    }
    let Some(before) = before else { return Ok(()) };
    if before.phase != after.phase && (after.phase == Phase::Queued || before.phase.is_terminal()) {
        return refuse("a phase that is over came back");
    }
    let backwards = |from: usize, to: usize| to < from;
    if backwards(lifecycle_rank(before.lifecycle), lifecycle_rank(after.lifecycle))
        || backwards(desired_rank(before.desired), desired_rank(after.desired))
    {
        return refuse("`lifecycle` and `desired` only move forward");
    }
    Ok(())
}

fn lifecycle_rank(lifecycle: Lifecycle) -> usize {
    Lifecycle::ALL.iter().position(|each| *each == lifecycle).unwrap_or_default()
}

fn desired_rank(desired: Desired) -> usize {
    Desired::ALL.iter().position(|each| *each == desired).unwrap_or_default()
}

fn urgency(kind: IntentKind) -> u8 {
    match kind {
        IntentKind::Delete => 0,
        IntentKind::Stop => 1,
        IntentKind::Apply => 2,
    }
}

/// PostgreSQL cannot store the character.
fn without_zero(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn numbered(job: &Job, from: Option<Phase>, event: &NewEvent) -> Event {
    Event {
        seq: job.version,
        at: job.updated_at,
        kind: event.kind.to_owned(),
        from,
        to: job.phase,
        actor: event.actor.to_owned(),
        reason: job.reason.clone(),
        message: job.message.clone(),
        evidence: event.evidence.clone(),
    }
}

impl State {
    fn observed(&self) -> impl Iterator<Item = &Job> {
        let jobs = self.jobs.values();
        jobs.filter(|job| job.lifecycle == Lifecycle::Active && job.phase.is_observed())
    }

    fn enqueue(&mut self, job: &Job, kind: IntentKind) {
        let now = job.updated_at;
        if kind != IntentKind::Apply {
            self.intents.retain(|_, intent| {
                intent.job_id != job.id
                    || intent.kind != IntentKind::Apply
                    || intent.lease.as_ref().is_some_and(|(_, until)| *until > now)
            });
        }
        let same = |intent: &&mut Intent| intent.job_id == job.id && intent.kind == kind;
        if let Some(intent) = self.intents.values_mut().find(same) {
            intent.not_before = intent.not_before.min(now);
            intent.rearmed = intent.lease.is_some();
            return;
        }
        self.last_intent += 1;
        let intent = Intent {
            job_id: job.id.clone(),
            kind,
            priority: job.priority,
            not_before: now,
            attempts: 0,
            lease: None,
            rearmed: false,
            created_at: now,
        };
        self.intents.insert(self.last_intent, intent);
    }

    /// Drops the intent, unless it was enqueued again under the lease.
    fn settle(&mut self, id: i64) {
        match self.intents.get_mut(&id) {
            Some(intent) if intent.rearmed => {
                intent.rearmed = false;
                intent.lease = None;
            }
            _ => drop(self.intents.remove(&id)),
        }
    }

    fn owned(&mut self, id: i64, owner: &str) -> Option<&mut Intent> {
        let intent = self.intents.get_mut(&id)?;
        intent.lease.as_ref().is_some_and(|(holder, _)| holder == owner).then_some(intent)
    }
}

#[async_trait]
impl JobStore for MemoryStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.open().map(drop)
    }

    async fn origin(&self) -> Result<String, StoreError> {
        self.open().map(|_| self.origin.clone())
    }

    async fn find_repeated(
        &self,
        key: &Idempotency,
        now: Timestamp,
    ) -> Result<Option<Job>, StoreError> {
        let state = self.open()?;
        let known = state.keys.get(&key.key).filter(|known| known.fingerprint == key.fingerprint);
        let Some(known) = known else { return Ok(None) };
        let old = known.created_at + Duration::from_hours(24) <= now;
        let job = state.jobs.get(known.job_id.as_str());
        Ok(job.filter(|job| !old || job.lifecycle != Lifecycle::Deleted).cloned())
    }

    async fn insert(&self, new: &NewJob) -> Result<Inserted, StoreError> {
        let mut state = self.open()?;
        let job = &new.job;
        if let Some(idempotency) = &new.idempotency
            && let Some(key) = state.keys.get(&idempotency.key)
        {
            let old = key.created_at + Duration::from_hours(24) <= job.created_at;
            let gone = state
                .jobs
                .get(key.job_id.as_str())
                .is_none_or(|job| job.lifecycle == Lifecycle::Deleted);
            if !(old && gone) {
                return Ok(if key.fingerprint == idempotency.fingerprint {
                    Inserted::SameAs(key.job_id.clone())
                } else {
                    Inserted::KeyReused
                });
            }
        }
        let holder = state.jobs.values().find(|other| {
            other.lifecycle != Lifecycle::Deleted
                && other.namespace == job.namespace
                && other.name == job.name
        });
        if let Some(holder) = holder {
            return Ok(Inserted::NameTaken(holder.id.clone()));
        }
        check(None, job)?;
        if state.jobs.contains_key(job.id.as_str()) {
            return Err(StoreError::Internal(format!("the id {} is taken", job.id).into()));
        }
        let id = job.id.as_str().to_owned();
        if let Some(idempotency) = &new.idempotency {
            let key = Key {
                fingerprint: idempotency.fingerprint,
                job_id: job.id.clone(),
                created_at: job.created_at,
            };
            state.keys.insert(idempotency.key.clone(), key);
        }
        state.bundles.insert(id.clone(), new.bundle.clone());
        state.events.insert(id.clone(), vec![numbered(job, None, &new.event)]);
        state.enqueue(job, IntentKind::Apply);
        state.jobs.insert(id, job.clone());
        drop(state);
        self.ring();
        Ok(Inserted::New)
    }

    async fn find(&self, id: &JobId) -> Result<Option<Job>, StoreError> {
        Ok(self.open()?.jobs.get(id.as_str()).cloned())
    }

    async fn list(&self, query: &ListQuery) -> Result<Vec<Job>, StoreError> {
        let state = self.open()?;
        let mut jobs: Vec<Job> = state
            .jobs
            .values()
            .filter(|job| job.lifecycle != Lifecycle::Deleted)
            .filter(|job| query.namespace.as_ref().is_none_or(|ns| ns == job.namespace.as_str()))
            .filter(|job| query.name.as_ref().is_none_or(|name| name == job.name.as_str()))
            .filter(|job| query.phases.is_empty() || query.phases.contains(&job.phase))
            .filter(|job| query.algorithm.as_ref().is_none_or(|name| *name == job.algorithm))
            .filter(|job| {
                query.after.as_ref().is_none_or(|(at, id)| (job.created_at, &job.id) < (*at, id))
            })
            .cloned()
            .collect();
        jobs.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        if let Some(limit) = query.limit {
            jobs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        Ok(jobs)
    }

    async fn observed(
        &self,
        after: Option<&(Timestamp, JobId)>,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        let state = self.open()?;
        let beyond =
            |job: &&Job| after.is_none_or(|(at, id)| (job.created_at, &job.id) > (*at, id));
        let mut jobs: Vec<Job> = state.observed().filter(beyond).cloned().collect();
        jobs.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        jobs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(jobs)
    }

    async fn observed_among(&self, workloads: &[ObjectRef]) -> Result<Vec<Job>, StoreError> {
        Ok(among(self.open()?.observed(), workloads))
    }

    async fn at_rest_among(&self, workloads: &[ObjectRef]) -> Result<Vec<Job>, StoreError> {
        let state = self.open()?;
        Ok(among(state.jobs.values().filter(|job| is_at_rest(job)), workloads))
    }

    async fn count_by_cluster(&self) -> Result<Vec<(ClusterName, u64)>, StoreError> {
        let mut counts: BTreeMap<ClusterName, u64> = BTreeMap::new();
        for job in self.open()?.observed() {
            for cluster in job.placement.iter().flat_map(|placement| placement.clusters.clone()) {
                *counts.entry(cluster).or_default() += 1;
            }
        }
        Ok(counts.into_iter().collect())
    }

    async fn attempts(&self, first: &JobId) -> Result<Vec<Job>, StoreError> {
        let state = self.open()?;
        let of_it = |job: &&Job| job.id == *first || job.attempt.first.as_ref() == Some(first);
        let mut jobs: Vec<Job> = state.jobs.values().filter(of_it).cloned().collect();
        jobs.sort_by(|a, b| (a.attempt.number, &a.id).cmp(&(b.attempt.number, &b.id)));
        Ok(jobs)
    }

    async fn predecessors(&self, job: &Job, limit: u32) -> Result<Vec<Job>, StoreError> {
        let mut state = self.open()?;
        state.predecessors_asked += 1;
        Ok(predecessors_of(job, state.jobs.values(), limit))
    }

    async fn finished(&self, until: Timestamp, limit: u32) -> Result<Vec<JobId>, StoreError> {
        let state = self.open()?;
        let mut jobs: Vec<&Job> = state
            .jobs
            .values()
            .filter(|job| job.lifecycle == Lifecycle::Active)
            .filter(|job| job.finished_at.is_some_and(|at| at <= until))
            .collect();
        jobs.sort_by_key(|job| job.finished_at);
        Ok(jobs.into_iter().take(limit as usize).map(|job| job.id.clone()).collect())
    }

    async fn ahead(&self, id: &JobId) -> Result<Option<u64>, StoreError> {
        let state = self.open()?;
        let is_queued = |intent: &Intent| {
            let job = state.jobs.get(intent.job_id.as_str());
            intent.kind == IntentKind::Apply && job.is_some_and(|job| job.phase == Phase::Queued)
        };
        let queued: Vec<_> = state.intents.iter().filter(|(_, intent)| is_queued(intent)).collect();
        let mine = queued.iter().find(|(_, intent)| intent.job_id == *id);
        Ok(mine.map(|(key, mine)| {
            let ahead = queued.iter().filter(|(other, intent)| {
                intent.priority > mine.priority || (intent.priority == mine.priority && other < key)
            });
            ahead.count() as u64
        }))
    }

    async fn bundle(&self, id: &JobId) -> Result<Option<Bundle>, StoreError> {
        let mut state = self.open()?;
        state.bundles_asked += 1;
        Ok(state.bundles.get(id.as_str()).cloned())
    }

    async fn events(&self, id: &JobId) -> Result<Vec<Event>, StoreError> {
        Ok(self.open()?.events.get(id.as_str()).cloned().unwrap_or_default())
    }

    async fn transition(
        &self,
        after: &Job,
        event: &NewEvent,
        effects: &Effects,
    ) -> Result<Moved, StoreError> {
        let mut state = self.open()?;
        let Some(before) =
            state.jobs.get(after.id.as_str()).filter(|job| job.version == after.version)
        else {
            return Ok(Moved::Stale);
        };
        check(Some(before), after)?;
        let from = before.phase;
        let stored = Job {
            // What is fixed at submission stays, whatever the caller changed.
            id: before.id.clone(),
            name: before.name.clone(),
            namespace: before.namespace.clone(),
            algorithm: before.algorithm.clone(),
            priority: before.priority,
            request: before.request.clone(),
            target_clusters: before.target_clusters.clone(),
            spread: before.spread,
            max_runtime_seconds: before.max_runtime_seconds,
            max_pending_seconds: before.max_pending_seconds,
            attempt: before.attempt.clone(),
            demand: before.demand,
            workload_api_version: before.workload_api_version.clone(),
            workload_kind: before.workload_kind.clone(),
            provenance: before.provenance.clone(),
            created_at: before.created_at,
            version: before.version + 1,
            reason: without_zero(&after.reason),
            message: without_zero(&after.message),
            ..after.clone()
        };
        let line = numbered(&stored, Some(from), event);
        state.events.entry(stored.id.as_str().to_owned()).or_default().push(line);
        if let Some(id) = effects.settle
            && state.intents.get(&id).is_some_and(|intent| intent.job_id == stored.id)
        {
            state.settle(id);
        }
        for kind in &effects.enqueue {
            state.enqueue(&stored, *kind);
        }
        state.logs.changed(&stored);
        state.jobs.insert(stored.id.as_str().to_owned(), stored);
        drop(state);
        if !effects.enqueue.is_empty() {
            self.ring();
        }
        self.archive_hint.notify_one();
        Ok(Moved::Done)
    }

    async fn claim(
        &self,
        owner: &str,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<Claimed>, StoreError> {
        let mut state = self.open()?;
        for intent in state.intents.values_mut() {
            if intent.lease.as_ref().is_some_and(|(_, until)| *until <= now) {
                intent.lease = None;
                intent.attempts += 1;
            }
        }
        // The most urgent due intent of each job that nobody works on.
        let mut first: BTreeMap<String, (u8, i64)> = BTreeMap::new();
        for (id, intent) in state.intents.iter().filter(|(_, intent)| intent.not_before <= now) {
            let candidate = (urgency(intent.kind), *id);
            let best = first.entry(intent.job_id.as_str().to_owned()).or_insert(candidate);
            *best = candidate.min(*best);
        }
        for intent in state.intents.values().filter(|intent| intent.lease.is_some()) {
            first.remove(intent.job_id.as_str());
        }
        let first: BTreeSet<i64> = first.into_values().map(|(_, id)| id).collect();
        let mut due: Vec<(&i64, &mut Intent)> =
            state.intents.iter_mut().filter(|(id, _)| first.contains(*id)).collect();
        due.sort_by_key(|(id, intent)| {
            let important = std::cmp::Reverse(intent.priority);
            (urgency(intent.kind), important, intent.not_before, **id)
        });
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let claimed = due.into_iter().take(limit).map(|(id, intent)| {
            intent.lease = Some((owner.to_owned(), now + lease));
            intent.rearmed = false;
            Claimed {
                id: *id,
                job_id: intent.job_id.clone(),
                kind: intent.kind,
                attempts: intent.attempts,
                created_at: intent.created_at,
            }
        });
        Ok(claimed.collect())
    }

    async fn postpone(
        &self,
        id: i64,
        owner: &str,
        not_before: Timestamp,
        _error: &str,
    ) -> Result<(), StoreError> {
        if let Some(intent) = self.open()?.owned(id, owner) {
            intent.attempts += 1;
            intent.lease = None;
            // Enqueued again under the lease: due at once, whatever the holder thought.
            if !std::mem::take(&mut intent.rearmed) {
                intent.not_before = not_before;
            }
        }
        Ok(())
    }

    async fn settle(&self, id: i64, owner: &str) -> Result<(), StoreError> {
        let mut state = self.open()?;
        if state.owned(id, owner).is_some() {
            state.settle(id);
        }
        Ok(())
    }

    async fn wake_intents(
        &self,
        kind: IntentKind,
        now: Timestamp,
        limit: u32,
    ) -> Result<(), StoreError> {
        let mut state = self.open()?;
        let asleep = state.intents.iter_mut();
        let mut asleep: Vec<_> =
            asleep.filter(|(_, intent)| intent.kind == kind && intent.not_before > now).collect();
        asleep.sort_by_key(|(id, intent)| (std::cmp::Reverse(intent.priority), **id));
        for (_, intent) in asleep.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)) {
            intent.not_before = now;
        }
        drop(state);
        self.ring();
        Ok(())
    }

    fn hint(&self) -> Arc<Notify> {
        Arc::clone(&self.hint)
    }
}
