//! The logs of a job: read or followed while its pods are there, and from the archive once they are
//! gone.
//!
//! | module | what it holds |
//! |---|---|
//! | [`select`] | what was asked for, and which containers that means |
//! | [`line`](mod@line), [`redact`] | from bytes to lines without secrets |
//! | [`cursor`] | how far each log was read, so that a broken stream goes on where it ended |
//! | [`find`](mod@find) | from the job's status through the plugin's targets to pods |
//! | [`merge`], [`follow`] | several logs as one: by time, or as the lines come |
//! | [`archive`], [`keep`] | what outlives the pods |
//!
//! Whatever is handed out is a stream that does nothing until it is asked for more: a slow reader
//! slows the cluster down and holds no memory, and dropping it ends every call.

mod archive;
mod cursor;
mod find;
mod follow;
mod keep;
mod line;
mod merge;
mod redact;
mod select;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::stream::{Stream, StreamExt as _};

use crate::clock::{Clock, Timestamp};
use crate::job::Job;
use crate::phase::Lifecycle;
use crate::ports::{
    ArchivedLog, ControlPlane, JobStore, LogArchive, LogKey, LogQuery, MemberError, Members,
    Plugins, StoreError,
};

pub use archive::{Archiver, Limits};
pub use cursor::Cursor;
pub use line::LONGEST_LINE;
pub use redact::Redactor;
pub use select::{LogRequest, Replica, since};

use cursor::Position;
use find::{FindError, Found, find};
use line::{Piece, Pieces};
use select::{Candidate, Scope, Source};

/// Most logs that one stream reads at once. Each holds a connection and up to two lines.
const MOST_SOURCES: usize = 48;

/// Everything that reading logs needs.
#[derive(Clone)]
pub struct LogPorts {
    /// Where jobs are kept.
    pub store: Arc<dyn JobStore>,
    /// Read the status of jobs.
    pub plugins: Arc<dyn Plugins>,
    /// Has the status of jobs.
    pub control: Arc<dyn ControlPlane>,
    /// Where pods run.
    pub members: Arc<dyn Members>,
    /// Where logs are kept.
    pub archive: Arc<dyn LogArchive>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Knows what must not be shown.
    pub redactor: Arc<Redactor>,
}

/// Whose line it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The log.
    pub key: LogKey,
    /// Stands for the key in a [`Cursor`].
    tag: u32,
}

impl Origin {
    fn new(key: LogKey) -> Arc<Self> {
        let tag = cursor::tag(&key);
        Arc::new(Self { key, tag })
    }
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Whose it is.
    pub origin: Arc<Origin>,
    /// When it was written; missing only if the cluster did not say.
    pub at: Option<Timestamp>,
    /// Its text, without secrets.
    pub text: String,
    /// `[worker/pod]`, if the stream holds lines of more than one pod.
    pub prefix: Option<String>,
    /// Leads on after this line, see [`LogRequest::cursor`]. Not with every line of a stream of
    /// very many logs.
    pub id: Option<String>,
}

/// Something that the reader should know and that no container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogNote {
    /// What it is about; `None` if it is about the job.
    pub about: Option<Arc<Origin>>,
    /// A sentence.
    pub message: String,
    /// Whether something could not be read that should be.
    pub problem: bool,
}

/// What a log stream consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogItem {
    /// A line of a container.
    Line(LogLine),
    /// A remark of ours.
    Note(LogNote),
}

impl LogItem {
    fn note(about: Option<&Arc<Origin>>, message: impl Into<String>) -> Self {
        Self::Note(LogNote { about: about.cloned(), message: message.into(), problem: false })
    }

    fn problem(about: Option<&Arc<Origin>>, message: impl Into<String>) -> Self {
        Self::Note(LogNote { about: about.cloned(), message: message.into(), problem: true })
    }
}

/// The logs of a job. Ends with them.
pub type LogStream = Pin<Box<dyn Stream<Item = LogItem> + Send>>;

/// Why there is no log to read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing is what was asked for, though there are logs. Says what there is.
    #[error("{0}")]
    NoMatch(String),
    /// No log could be read. Says why.
    #[error("{0}")]
    Unavailable(String),
}

/// Reads or follows the logs of a job, also of one that is proven gone.
///
/// Followed logs begin at once and end when the job is over and its logs have ended. A job that is
/// over already has nothing to follow: its logs are read.
///
/// # Errors
/// See [`LogError`]. What fails later, or for some of the pods, is said in the stream.
pub async fn read(ports: &LogPorts, job: Job, request: LogRequest) -> Result<LogStream, LogError> {
    let over = job.phase.is_terminal() || job.lifecycle == Lifecycle::Deleted;
    if request.follow && !request.previous && !over {
        return Ok(follow::follow(ports.clone(), job, request));
    }
    let (found, kept) = futures_util::future::join(
        async {
            // What is proven gone need not be looked for.
            if job.lifecycle == Lifecycle::Deleted { None } else { Some(find(ports, &job).await) }
        },
        ports.archive.kept(&job.id),
    )
    .await;
    let there = There::new(found, kept?, &request);
    let selected = request.select(&there.candidates);
    if selected.is_empty() {
        return there.nothing(&job, &request);
    }
    let mut scope = Scope::new(&request, &there.roles);
    for candidate in &selected {
        scope.add(&candidate.key);
    }
    let mut notes: Vec<LogItem> = there
        .problems
        .iter()
        .chain(&there.lacks)
        .map(|text| LogItem::problem(None, text.as_str()))
        .collect();
    if let Some(more) = selected.len().checked_sub(MOST_SOURCES + 1) {
        notes.push(LogItem::note(None, too_many(more + 1)));
    }
    let opened = selected
        .iter()
        .take(MOST_SOURCES)
        .map(|candidate| open(ports, &job, &request, candidate, &there.kept));
    let mut sources = Vec::new();
    let mut failures = Vec::new();
    for (origin, opened) in join_all(opened).await {
        match opened {
            Ok(pieces) => sources.push((origin, pieces)),
            Err(why) => failures.push((origin, why)),
        }
    }
    let waits = |key: &LogKey| {
        let mut waiting = selected.iter().filter(|one| matches!(one.source, Source::Waiting(_)));
        waiting.any(|one| one.key == *key)
    };
    let live = |one: &Candidate| matches!(one.source, Source::Live { .. });
    // What the archive lacks will never come; what a cluster lacks may.
    if let (true, Some((_, why))) = (sources.is_empty(), failures.first())
        && selected.iter().all(live)
    {
        return Err(LogError::Unavailable(format!("No log can be read: {why}.")));
    }
    notes.extend(failures.iter().map(|(origin, why)| {
        let about = Some(origin);
        if waits(&origin.key) {
            LogItem::note(about, sentence(why))
        } else {
            LogItem::problem(about, sentence(why))
        }
    }));
    let lines = merge::merge(sources, scope, request.cursor, request.since);
    Ok(Box::pin(futures_util::stream::iter(notes).chain(lines)))
}

fn too_many(more: usize) -> String {
    format!(
        "{more} more logs are left out: at most {MOST_SOURCES} are read at once. Choose some by \
         role or replica."
    )
}

/// With a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

/// What there is to read of a job.
struct There {
    candidates: Vec<Candidate>,
    /// What could not be looked at.
    problems: Vec<String>,
    /// What the archive says that it lacks.
    lacks: Vec<String>,
    roles: Vec<String>,
    kept: HashMap<LogKey, ArchivedLog>,
}

impl There {
    /// Puts together what is on the clusters and what is kept. A pod that is there goes before its
    /// archived log, which may have been shortened.
    fn new(
        found: Option<Result<Found, FindError>>,
        kept: Vec<ArchivedLog>,
        request: &LogRequest,
    ) -> Self {
        let (mut candidates, mut problems, mut roles) = (Vec::new(), Vec::new(), Vec::new());
        match found {
            None => {}
            Some(Ok(found)) => {
                candidates = found.candidates;
                problems =
                    found.problems.iter().map(|(_, error)| sentence(&error.to_string())).collect();
                problems.dedup();
                roles = found.roles;
            }
            Some(Err(error)) => problems.push(sentence(&error.to_string())),
        }
        let (logs, unread): (Vec<_>, Vec<_>) =
            kept.into_iter().partition(|log| !log.key.container.is_empty());
        let live = !candidates.is_empty();
        let mut known = HashMap::new();
        for log in logs {
            if !roles.contains(&log.key.role) {
                roles.push(log.key.role.clone());
            }
            if !candidates.iter().any(|candidate| candidate.key == log.key) {
                candidates.push(Candidate {
                    key: log.key.clone(),
                    main: log.main,
                    source: Source::Kept,
                });
            }
            known.insert(log.key.clone(), log);
        }
        // The clusters speak for themselves while they have something to say, and what was said of a
        // role before its logs could be read is no longer true.
        let read = |one: &LogKey| {
            let same = |key: &LogKey| key.cluster == one.cluster && key.role == one.role;
            known.values().any(|log: &ArchivedLog| same(&log.key) && log.problem.is_empty())
        };
        let wanted = |one: &LogKey| {
            one.role.is_empty() || request.role.as_ref().is_none_or(|role| *role == one.role)
        };
        let unread = unread.iter().filter(|log| !live && wanted(&log.key) && !read(&log.key));
        let lacks = unread.map(|log| sentence(&log.problem)).collect();
        Self { candidates, problems, lacks, roles, kept: known }
    }

    /// The answer if nothing was selected.
    fn nothing(self, job: &Job, request: &LogRequest) -> Result<LogStream, LogError> {
        if !self.candidates.is_empty() {
            return Err(LogError::NoMatch(request.no_match(&self.candidates)));
        }
        if !self.problems.is_empty() {
            return Err(LogError::Unavailable(self.problems.join(" ")));
        }
        let mut items: Vec<LogItem> =
            self.lacks.into_iter().map(|text| LogItem::problem(None, text)).collect();
        if items.is_empty() {
            let why = if job.message.is_empty() { &job.reason } else { &job.message };
            let text = format!(
                "There is no pod and no archived log of this job. It is {}: {why}",
                job.phase
            );
            items.push(LogItem::note(None, sentence(&text)));
        }
        Ok(Box::pin(futures_util::stream::iter(items)))
    }
}

/// What the cluster is asked for: everything since the position, or what the request says.
fn query(
    job: &Job,
    request: &LogRequest,
    key: &LogKey,
    position: Option<Position>,
) -> Option<LogQuery> {
    let since = match position {
        Some(position) => Some(position.at.max(request.since.unwrap_or(position.at))),
        None => request.since,
    };
    Some(LogQuery {
        cluster: crate::ClusterName::parse(key.cluster.as_str()).ok()?,
        namespace: job.namespace.to_string(),
        pod: key.pod.clone(),
        container: key.container.clone(),
        follow: false,
        tail_lines: request.tail.filter(|_| position.is_none()),
        since,
        previous: key.previous,
        limit_bytes: None,
    })
}

/// Opens one log for reading to its end, the kept one if the other is gone.
async fn open(
    ports: &LogPorts,
    job: &Job,
    request: &LogRequest,
    candidate: &Candidate,
    kept: &HashMap<LogKey, ArchivedLog>,
) -> (Arc<Origin>, Result<Pieces, String>) {
    let origin = Origin::new(candidate.key.clone());
    let position = request.cursor.position(origin.tag);
    let live = match &candidate.source {
        Source::Live { .. } => match query(job, request, &candidate.key, position) {
            Some(query) => ports.members.log(&query).await.map_err(|error| error.to_string()),
            None => Err(format!("cluster {} cannot be named", candidate.key.cluster)),
        },
        Source::Waiting(why) => Err(format!("it has not started: {why}")),
        Source::Kept => Err(String::new()),
    };
    let why = match live {
        Ok(bytes) => {
            let lines = line::lines(bytes, Arc::clone(&ports.redactor));
            return (origin, Ok(Box::pin(lines.map(|line| line.map(Piece::Line)))));
        }
        Err(why) => why,
    };
    let Some(log) = kept.get(&candidate.key) else { return (origin, Err(why)) };
    let tail = request.tail.filter(|_| position.is_none());
    let since = position.map(|position| position.at).max(request.since);
    let opened = match ports.archive.text(&job.id, &candidate.key).await {
        Ok(Some(text)) => Ok(line::archived(text, log.head_bytes, omitted(log), since, tail)),
        Ok(None) if log.problem.is_empty() => Err("its archived log is lost".to_owned()),
        Ok(None) => Err(log.problem.clone()),
        Err(error) => Err(error.to_string()),
    };
    (origin, opened)
}

/// What is said in the place of what is missing from an archived log.
fn omitted(log: &ArchivedLog) -> Option<String> {
    let missing = log.original_bytes.saturating_sub(log.kept_bytes);
    let mut said = Vec::new();
    if log.omitted_lines > 0 {
        let lines = log.omitted_lines;
        said.push(format!("The archive leaves out {lines} lines with {missing} bytes here."));
    }
    if !log.problem.is_empty() {
        said.push(sentence(&log.problem));
    }
    (!said.is_empty()).then(|| said.join(" "))
}

/// Whether the log is gone for good.
fn is_gone(error: &MemberError) -> bool {
    matches!(error, MemberError::NotFound { .. } | MemberError::Unregistered { .. })
}
