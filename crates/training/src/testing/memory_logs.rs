//! The archive of logs of [`MemoryStore`].

use std::collections::BTreeMap;
use std::io::{BufRead, Cursor};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::MemoryStore;
use crate::clock::Timestamp;
use crate::id::JobId;
use crate::job::Job;
use crate::ports::{ArchiveState, ArchiveTask, ArchivedLog, LogArchive, LogKey, StoreError};

#[derive(Default)]
pub(super) struct Logs {
    asked: BTreeMap<JobId, Asked>,
    kept: BTreeMap<(JobId, LogKey), (ArchivedLog, Vec<u8>)>,
}

struct Asked {
    requested_at: Timestamp,
    not_before: Timestamp,
    attempts: u32,
    lease: Option<(String, Timestamp)>,
    closed: bool,
}

impl Logs {
    fn request(&mut self, job: &JobId, now: Timestamp) {
        self.asked.entry(job.clone()).or_insert(Asked {
            requested_at: now,
            not_before: now,
            attempts: 0,
            lease: None,
            closed: false,
        });
    }

    /// What a change of a job asks for.
    pub(super) fn changed(&mut self, after: &Job) {
        if after.phase.is_terminal() && after.submitted_at.is_some() {
            self.request(&after.id, after.updated_at);
        }
    }
}

#[async_trait]
impl LogArchive for MemoryStore {
    async fn request(&self, job: &JobId, now: Timestamp) -> Result<(), StoreError> {
        self.open()?.logs.request(job, now);
        self.archive_hint().notify_one();
        Ok(())
    }

    async fn due(
        &self,
        owner: &str,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<ArchiveTask>, StoreError> {
        let mut state = self.open()?;
        let mut due: Vec<(&JobId, &mut Asked)> = state
            .logs
            .asked
            .iter_mut()
            .filter(|(_, asked)| !asked.closed && asked.not_before <= now)
            .filter(|(_, asked)| asked.lease.as_ref().is_none_or(|(_, until)| *until <= now))
            .collect();
        due.sort_by_key(|(id, asked)| (asked.attempts, asked.requested_at, (*id).clone()));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let claimed = due.into_iter().take(limit).map(|(id, asked)| {
            asked.lease = Some((owner.to_owned(), now + lease));
            ArchiveTask {
                job_id: id.clone(),
                attempts: asked.attempts,
                requested_at: asked.requested_at,
            }
        });
        Ok(claimed.collect())
    }

    async fn put_off(
        &self,
        job: &JobId,
        owner: &str,
        not_before: Timestamp,
        _error: &str,
    ) -> Result<(), StoreError> {
        if let Some(asked) = self.open()?.logs.asked.get_mut(job)
            && asked.lease.as_ref().is_some_and(|(holder, _)| holder == owner)
        {
            asked.attempts += 1;
            asked.not_before = not_before;
            asked.lease = None;
        }
        Ok(())
    }

    async fn close(&self, job: &JobId, _now: Timestamp) -> Result<(), StoreError> {
        if let Some(asked) = self.open()?.logs.asked.get_mut(job) {
            asked.closed = true;
            asked.lease = None;
        }
        Ok(())
    }

    async fn state(&self, job: &JobId) -> Result<ArchiveState, StoreError> {
        Ok(match self.open()?.logs.asked.get(job) {
            None => ArchiveState::Absent,
            Some(asked) if asked.closed => ArchiveState::Closed,
            Some(asked) => ArchiveState::Open { attempts: asked.attempts },
        })
    }

    async fn keep(&self, job: &JobId, log: &ArchivedLog, text: &[u8]) -> Result<(), StoreError> {
        let mut state = self.open()?;
        let key = (job.clone(), log.key.clone());
        let better = state
            .logs
            .kept
            .get(&key)
            .is_none_or(|(before, _)| log.original_bytes >= before.original_bytes);
        if better {
            state.logs.kept.insert(key, (log.clone(), text.to_vec()));
        }
        Ok(())
    }

    async fn kept(&self, job: &JobId) -> Result<Vec<ArchivedLog>, StoreError> {
        let state = self.open()?;
        let own = state.logs.kept.iter().filter(|((id, _), _)| id == job);
        Ok(own.map(|(_, (log, _))| log.clone()).collect())
    }

    async fn text(
        &self,
        job: &JobId,
        key: &LogKey,
    ) -> Result<Option<Box<dyn BufRead + Send>>, StoreError> {
        let state = self.open()?;
        let found = state.logs.kept.get(&(job.clone(), key.clone()));
        Ok(found
            .filter(|(log, _)| log.kept_bytes > 0)
            .map(|(_, text)| -> Box<dyn BufRead + Send> { Box::new(Cursor::new(text.clone())) }))
    }

    async fn forget(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut state = self.open()?;
        let old: Vec<(JobId, LogKey)> = state
            .logs
            .kept
            .iter()
            .filter(|(_, (log, _))| log.read_at < before)
            .map(|(key, _)| key.clone())
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .collect();
        for key in &old {
            state.logs.kept.remove(key);
        }
        Ok(old.len() as u64)
    }

    fn archive_hint(&self) -> Arc<Notify> {
        Arc::clone(&self.archive_hint)
    }
}
