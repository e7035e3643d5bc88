//! Fetches the logs of jobs into the archive: when a run is over, and before a stop or a deletion
//! takes its pods away. Reads what is due from the store; a crash between any two lines is an
//! ordinary retry, because keeping a log again is harmless.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::find::{Found, Targets, pods, targets};
use super::keep::HeadTail;
use super::line::lines;
use super::select::{Candidate, Source};
use super::{LogPorts, LogRequest, is_gone, query, sentence};
use crate::clock::Timestamp;
use crate::id::ClusterName;
use crate::intent::backoff;
use crate::job::Job;
use crate::ports::{ArchiveState, ArchiveTask, ArchivedLog, LogKey, MemberError, StoreError};
use crate::reconcile::{Stop, report, wait};

/// How long a job that is being archived is ours; a step takes three quarters of it at most.
const LEASE: Duration = Duration::from_mins(1);
/// Jobs at a time, and logs of one job at a time: few jobs have more, and operators take the pods
/// of a run that is over away within seconds.
const JOBS: u32 = 8;
const LOGS: usize = 16;
/// Longest time between two looks for what is due.
const INTERVAL: Duration = Duration::from_secs(1);
/// For so long a cluster that does not answer is asked again for the logs of a job that is over.
const PATIENCE: Duration = Duration::from_hours(24);
/// So often the logs of a run that is over are read although some of its containers still run.
const ENDING_TRIES: u32 = 1;
/// Between two looks for logs that are too old, and how many are removed then, in how many steps.
const TIDY: Duration = Duration::from_mins(10);
const FORGET_AT_ONCE: u32 = 20;
const FORGET_TIMES: u32 = 50;
/// So often archiving may fail before a stop or a deletion no longer waits for it.
const HELD_TRIES: u32 = 3;

/// How much is kept, and how long others wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one container's log.
    pub container_bytes: usize,
    /// Bytes of all logs of a job.
    pub job_bytes: usize,
    /// Longest time that a stop or a deletion waits for the logs.
    pub hold: Duration,
    /// How long logs are kept; `None` for ever.
    pub keep: Option<Duration>,
}

/// Archives logs.
pub struct Archiver {
    ports: LogPorts,
    limits: Limits,
    owner: String,
}

/// How a step on one job ended.
enum Step {
    /// Whatever could be read is kept.
    Closed,
    /// To be tried again, at once or later; says why.
    Again { why: String, later: bool },
}

impl Archiver {
    /// `owner` is the name of this process among those that share the store.
    pub fn new(ports: LogPorts, limits: Limits, owner: impl Into<String>) -> Self {
        Self { ports, limits, owner: owner.into() }
    }

    /// Archives what is due until `stop`. Run it once per process; several processes may.
    pub async fn run(&self, mut stop: Stop) {
        let hint = self.ports.archive.archive_hint();
        let mut tidied: Option<Instant> = None;
        while !*stop.borrow() {
            if tidied.is_none_or(|at| at.elapsed() >= TIDY) {
                tidied = Some(Instant::now());
                if let Err(error) = self.forget().await {
                    report("archive", &error);
                }
            }
            // Listening starts before looking, or a hint between the two would be lost.
            let woken = hint.notified();
            let mut stopping = stop.clone();
            let round = tokio::select! {
                round = self.round() => round,
                // What is under way is dropped: it is done again after the lease.
                _ = stopping.wait_for(|stopped| *stopped) => return,
            };
            match round {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => report("archive", &error),
            }
            wait(woken, INTERVAL, &mut stop).await;
        }
    }

    /// One round. `Ok(true)` if there may be more to do at once.
    pub(super) async fn round(&self) -> Result<bool, StoreError> {
        let now = self.ports.clock.now();
        let due = self.ports.archive.due(&self.owner, now, LEASE, JOBS).await?;
        let more = due.len() == JOBS as usize;
        let deadline = Instant::now() + LEASE.mul_f64(0.75);
        futures_util::stream::iter(due)
            .for_each_concurrent(None, |task| self.carry_out(task, deadline))
            .await;
        Ok(more)
    }

    /// Removes what is older than it is kept. A thousand logs at most, a few at a time, or those who write to an
    /// SQLite file would wait; the rest is for the next time.
    pub(super) async fn forget(&self) -> Result<(), StoreError> {
        let Some(keep) = self.limits.keep else { return Ok(()) };
        let before = self.ports.clock.now() - keep;
        let mut removed = 0;
        for _ in 0..FORGET_TIMES {
            match self.ports.archive.forget(before, FORGET_AT_ONCE).await? {
                0 => break,
                some => removed += some,
            }
        }
        if removed > 0 {
            tracing::info!("Removed {removed} archived logs that were old enough");
        }
        Ok(())
    }

    async fn carry_out(&self, task: ArchiveTask, deadline: Instant) {
        let id = &task.job_id;
        tracing::debug!(job.id = %id, "Archiving the logs of job `{id}`");
        let step = match self.archive(&task, deadline).await {
            Ok(step) => step,
            Err(error) => {
                tracing::warn!(
                    job.id = %id,
                    error = &error as &dyn std::error::Error,
                    "Logs of job `{id}` could not be archived and are tried again"
                );
                Step::Again { why: error.to_string(), later: true }
            }
        };
        let now = self.ports.clock.now();
        let recorded = match step {
            Step::Closed => {
                tracing::info!(job.id = %id, "Archived the logs of job `{id}`");
                self.ports.archive.close(id, now).await
            }
            Step::Again { why, later } => {
                // Jobs of one cluster need not be spread: few are archived at a time.
                let pause = if later { backoff(task.attempts, 0) } else { Duration::ZERO };
                self.ports.archive.put_off(id, &self.owner, now + pause, &why).await
            }
        };
        if let Err(error) = recorded {
            // The lease runs out and the job is due again.
            report("archive", &error);
        }
    }

    /// Whether a stop or a deletion, asked for at `asked_at`, has to wait for the job's logs, and
    /// why. Asks for them if nobody has.
    pub(crate) async fn hold(
        &self,
        job: &Job,
        asked_at: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        if job.submitted_at.is_none() {
            return Ok(None);
        }
        let now = self.ports.clock.now();
        let waited = Duration::try_from(now.duration_since(asked_at)).unwrap_or_default();
        if waited > self.limits.hold {
            return Ok(None);
        }
        match self.ports.archive.state(&job.id).await? {
            ArchiveState::Closed => return Ok(None),
            ArchiveState::Open { attempts } if attempts >= HELD_TRIES => return Ok(None),
            ArchiveState::Open { .. } => {}
            ArchiveState::Absent => self.ports.archive.request(&job.id, now).await?,
        }
        Ok(Some("its logs are being archived".to_owned()))
    }

    async fn archive(&self, task: &ArchiveTask, deadline: Instant) -> Result<Step, StoreError> {
        let Some(job) = self.ports.store.find(&task.job_id).await? else {
            return Ok(Step::Closed);
        };
        let now = self.ports.clock.now();
        let waited = Duration::try_from(now.duration_since(task.requested_at)).unwrap_or_default();
        let given_up = waited > PATIENCE;
        let nothing = || LogKey {
            cluster: String::new(),
            role: String::new(),
            pod: String::new(),
            container: String::new(),
            previous: false,
        };
        if !given_up && let Some(why) = self.away(&job).await {
            return Ok(Step::Again { why, later: true });
        }
        let found = match targets(&self.ports, &job, Targets::default()).await {
            Ok(targets) if targets.is_gone() => {
                let why = "the workload was gone before its logs could be read";
                self.note(&job, nothing(), why).await?;
                return Ok(Step::Closed);
            }
            Ok(targets) if targets.is_unknown() && !given_up => {
                let why = "Karmada has no binding for the workload".to_owned();
                return Ok(Step::Again { why, later: true });
            }
            Ok(targets) => pods(&self.ports, &job, &targets).await,
            Err(error) => {
                if error.retryable() && !given_up {
                    return Ok(Step::Again { why: error.to_string(), later: true });
                }
                self.note(&job, nothing(), &error.to_string()).await?;
                return Ok(Step::Closed);
            }
        };
        self.archive_found(task, &job, found, given_up, deadline).await
    }

    /// Why no cluster of the job is worth asking: it would only keep others waiting.
    async fn away(&self, job: &Job) -> Option<String> {
        let clusters = self.ports.control.clusters().await.ok()?;
        let placed = &job.placement.as_ref()?.clusters;
        let is_away = |name: &&ClusterName| {
            clusters.iter().any(|cluster| cluster.name == **name && !cluster.ready)
        };
        let away: Vec<&str> = placed.iter().filter(is_away).map(ClusterName::as_str).collect();
        let all = !away.is_empty() && away.len() == placed.len();
        all.then(|| format!("cluster {} is not ready", away.join(", ")))
    }

    async fn archive_found(
        &self,
        task: &ArchiveTask,
        job: &Job,
        found: Found,
        given_up: bool,
        deadline: Instant,
    ) -> Result<Step, StoreError> {
        let mut again = None;
        for (key, error) in &found.problems {
            if error.retryable() {
                again.get_or_insert_with(|| error.to_string());
            }
            self.note(job, key.clone(), &error.to_string()).await?;
        }
        for key in found.vacant {
            self.note(job, key, "no pod of this role was there any more").await?;
        }
        let kept = self.ports.archive.kept(&job.id).await?;
        let kept: HashMap<LogKey, ArchivedLog> =
            kept.into_iter().map(|log| (log.key.clone(), log)).collect();
        let room = self.limits.job_bytes / found.candidates.len().max(1);
        let room = room.min(self.limits.container_bytes);
        let mut candidates = found.candidates;
        // What matters most first, should there be no time for the rest.
        candidates.sort_by_key(|candidate| !candidate.main);
        // A run that is over by its operator's word may still be writing its last lines.
        let ending = job.phase.is_terminal() && task.attempts < ENDING_TRIES;
        let runs =
            |one: &Candidate| one.main && matches!(one.source, Source::Live { running: true, .. });
        if ending && candidates.iter().any(runs) {
            again.get_or_insert_with(|| "some of its containers still run".to_owned());
        }
        let done = |log: &ArchivedLog| {
            let read = log.problem.is_empty() || log.original_bytes > 0;
            // What still ran is read once more, and then only if there is a reason to.
            let often = task.attempts > ENDING_TRIES && log.read_at >= task.requested_at;
            read && (log.ended || often)
        };
        let missing =
            candidates.into_iter().filter(|one| kept.get(&one.key).is_none_or(|log| !done(log)));
        let mut fetched = futures_util::stream::iter(missing)
            .map(|candidate| self.fetch(job, candidate, room, deadline))
            .buffer_unordered(LOGS);
        while let Some(failed) = fetched.next().await {
            if let Some(error) = failed? {
                again.get_or_insert(error);
            }
        }
        match again {
            Some(_) if Instant::now() >= deadline => {
                Ok(Step::Again { why: "there is more to read".to_owned(), later: false })
            }
            Some(why) if !given_up => Ok(Step::Again { why, later: true }),
            _ => Ok(Step::Closed),
        }
    }

    /// Reads and keeps one log. What may be read later is answered as a text.
    async fn fetch(
        &self,
        job: &Job,
        candidate: Candidate,
        room: usize,
        deadline: Instant,
    ) -> Result<Option<String>, StoreError> {
        let running = match &candidate.source {
            Source::Live { running, .. } => *running,
            Source::Waiting(why) => {
                let why = format!("it has not started: {why}");
                self.keep_unread(job, &candidate, &why).await?;
                return Ok(None);
            }
            Source::Kept => return Ok(None),
        };
        if Instant::now() >= deadline {
            return Ok(Some("there is more to read".to_owned()));
        }
        let request = LogRequest::default();
        let Some(query) = query(job, &request, &candidate.key, None) else { return Ok(None) };
        let bytes = match self.ports.members.log(&query).await {
            Ok(bytes) => bytes,
            Err(error) => return self.unread(job, &candidate, &error).await,
        };
        let mut keeper = HeadTail::new(room);
        let mut lines = Box::pin(lines(bytes, self.ports.redactor.clone()));
        let mut problem = String::new();
        let mut failed = None;
        loop {
            match tokio::time::timeout_at(deadline, lines.next()).await {
                Ok(Some(Ok(line))) => keeper.push(&line),
                Ok(None) => break,
                Ok(Some(Err(error))) => {
                    problem = format!("the log broke off here: {error}");
                    failed = error.retryable().then(|| error.to_string());
                    break;
                }
                Err(_) => {
                    "there was no time to read the rest".clone_into(&mut problem);
                    break;
                }
            }
        }
        let kept = keeper.finish();
        let log = ArchivedLog {
            key: candidate.key,
            main: candidate.main,
            ended: !running && problem.is_empty(),
            first_at: kept.first_at,
            last_at: kept.last_at,
            read_at: self.ports.clock.now(),
            original_bytes: kept.original_bytes,
            kept_bytes: kept.text.len() as u64,
            head_bytes: if problem.is_empty() || kept.omitted_lines > 0 {
                kept.head_bytes
            } else {
                // What is to be said of the end is said at the end.
                kept.text.len() as u64
            },
            omitted_lines: kept.omitted_lines,
            problem,
        };
        self.ports.archive.keep(&job.id, &log, kept.text.as_bytes()).await?;
        Ok(failed)
    }

    async fn unread(
        &self,
        job: &Job,
        candidate: &Candidate,
        error: &MemberError,
    ) -> Result<Option<String>, StoreError> {
        let why = match error {
            error if is_gone(error) => "the pod was gone before its log could be read".to_owned(),
            error => error.to_string(),
        };
        self.keep_unread(job, candidate, &why).await?;
        Ok(error.retryable().then_some(why))
    }

    /// Keeps that, and why, there is no log of a container.
    async fn keep_unread(
        &self,
        job: &Job,
        candidate: &Candidate,
        why: &str,
    ) -> Result<(), StoreError> {
        let log = ArchivedLog { main: candidate.main, ..self.empty(candidate.key.clone(), why) };
        self.ports.archive.keep(&job.id, &log, b"").await
    }

    /// Keeps a sentence on what is not about one container.
    async fn note(&self, job: &Job, key: LogKey, why: &str) -> Result<(), StoreError> {
        let text = match (key.cluster.as_str(), key.role.as_str()) {
            ("", _) => why.to_owned(),
            (cluster, role) => format!("logs of role {role} on cluster {cluster}: {why}"),
        };
        self.ports.archive.keep(&job.id, &self.empty(key, &text), b"").await
    }

    fn empty(&self, key: LogKey, why: &str) -> ArchivedLog {
        ArchivedLog {
            key,
            main: false,
            ended: false,
            first_at: None,
            last_at: None,
            read_at: self.ports.clock.now(),
            original_bytes: 0,
            kept_bytes: 0,
            head_bytes: 0,
            omitted_lines: 0,
            problem: sentence(why),
        }
    }
}
