//! Where the logs of jobs are kept once their pods are gone.

use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::StoreError;
use crate::clock::Timestamp;
use crate::id::JobId;

/// Whose log it is. Within one job it names one archived log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogKey {
    /// The member cluster.
    pub cluster: String,
    /// `driver`, `head`, `worker`: the plugin's word.
    pub role: String,
    /// The pod; empty if what is said concerns the whole role or cluster.
    pub pod: String,
    /// The container; empty as the pod.
    pub container: String,
    /// Whether it is of the container's run before its last one.
    pub previous: bool,
}

/// One log on record, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedLog {
    /// Whose it is.
    pub key: LogKey,
    /// Whether the plugin names the container as the one to read first.
    pub main: bool,
    /// Whether the container had ended when it was read: then nothing can follow.
    pub ended: bool,
    /// Time of the first line that is kept.
    pub first_at: Option<Timestamp>,
    /// Time of the last one.
    pub last_at: Option<Timestamp>,
    /// When it was read.
    pub read_at: Timestamp,
    /// Bytes that the cluster sent.
    pub original_bytes: u64,
    /// Bytes that are kept, before compression.
    pub kept_bytes: u64,
    /// How many of the kept bytes are before what was left out.
    pub head_bytes: u64,
    /// Lines that were left out after them.
    pub omitted_lines: u64,
    /// Why it could not be read, or not to its end; empty if it could.
    pub problem: String,
}

/// A job whose logs are to be archived, under a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveTask {
    /// The job.
    pub job_id: JobId,
    /// How often it was tried before.
    pub attempts: u32,
    /// When it was asked for.
    pub requested_at: Timestamp,
}

/// How far the archive of a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveState {
    /// Nobody asked for it.
    Absent,
    /// It was asked for and is not complete.
    Open {
        /// How often it was tried.
        attempts: u32,
    },
    /// Whatever could be read was read.
    Closed,
}

/// Keeps the logs of jobs, and which jobs' logs are still to be fetched.
///
/// A job's logs are asked for by [`LogArchive::request`], and by
/// [`JobStore::transition`](super::JobStore::transition) in the transaction in which a job that was
/// applied reaches a terminal phase. They stay due until [`LogArchive::close`], whoever dies.
#[async_trait]
pub trait LogArchive: Send + Sync {
    /// Asks for the logs of a job, due now. Asking again changes nothing.
    async fn request(&self, job: &JobId, now: Timestamp) -> Result<(), StoreError>;

    /// Takes up to `limit` due jobs for `lease`: those that were tried less often before others,
    /// so that a cluster that is away holds up nobody else's, then those asked for first. No two
    /// callers hold one job at once.
    async fn due(
        &self,
        owner: &str,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<ArchiveTask>, StoreError>;

    /// Gives a job back, due again at `not_before`, with one more attempt and the error as
    /// evidence. Does nothing if the lease of `owner` is lost.
    async fn put_off(
        &self,
        job: &JobId,
        owner: &str,
        not_before: Timestamp,
        error: &str,
    ) -> Result<(), StoreError>;

    /// Says that whatever could be read is kept.
    async fn close(&self, job: &JobId, now: Timestamp) -> Result<(), StoreError>;

    /// How far the archive of a job is.
    async fn state(&self, job: &JobId) -> Result<ArchiveState, StoreError>;

    /// Keeps one log: lines that each begin with an RFC 3339 time and a space. It replaces what is
    /// kept under its key unless that was read from more bytes, so that reading again is harmless
    /// and a log that can no longer be read is not lost.
    async fn keep(&self, job: &JobId, log: &ArchivedLog, text: &[u8]) -> Result<(), StoreError>;

    /// What is kept of a job, by key.
    async fn kept(&self, job: &JobId) -> Result<Vec<ArchivedLog>, StoreError>;

    /// The text of one log. It is unpacked while it is read, so that a slow reader holds little.
    async fn text(
        &self,
        job: &JobId,
        key: &LogKey,
    ) -> Result<Option<Box<dyn BufRead + Send>>, StoreError>;

    /// Removes up to about `limit` logs that were read before then, and says how many it removed.
    async fn forget(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;

    /// Rings when this process asked for logs. A hint: it may ring for nothing or be missed.
    fn archive_hint(&self) -> Arc<Notify>;
}
