//! Follows the logs of a job that runs: whatever turns up is opened, what breaks is opened again
//! where it broke, until the job is over and its logs have ended.
//!
//! No task is spawned: the stream drives its calls itself, so that it stops with its reader.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, SelectAll, Stream, StreamExt as _};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::cursor::Passing;
use super::find::{FindError, Found, Targets, pods, targets};
use super::line::{RawLine, lines};
use super::merge::Numbering;
use super::select::{Candidate, Scope, Source};
use super::{
    LogItem, LogLine, LogNote, LogPorts, LogRequest, LogStream, MOST_SOURCES, Origin, is_gone,
    query, sentence, too_many,
};
use crate::job::Job;
use crate::phase::{Lifecycle, Phase};
use crate::ports::{LogKey, LogQuery, MemberError};

/// Between two looks at the job and its pods while something is waited for, and else.
const LOOK_OFTEN: Duration = Duration::from_secs(2);
const LOOK_SELDOM: Duration = Duration::from_secs(10);
/// Between the end of a log and the look that tells what it means.
const LOOK_SOON: Duration = Duration::from_millis(500);
/// A log that is silent for so long is opened again: its connection may have died unnoticed.
const SILENCE: Duration = Duration::from_mins(5);
/// Some containers run on after their job, as those of a Ray cluster do: once the job is over,
/// a stream that is quiet for so long has ended, and any stream after the longer time.
const QUIET: Duration = Duration::from_secs(2);
const AFTERMATH: Duration = Duration::from_secs(10);
/// Remarks are not repeated as long as so many fit into memory.
const MOST_SAID: usize = 256;

/// Follows the job's logs.
pub(super) fn follow(ports: LogPorts, job: Job, request: LogRequest) -> LogStream {
    let soon = Arc::new(Notify::new());
    let first = Look { job: Some(job), found: None, targets: Targets::default() };
    let look = look(ports.clone(), first, Duration::ZERO, Arc::clone(&soon));
    let follow = Follow {
        scope: Scope::new(&request, &[]),
        numbering: Numbering::new(request.cursor.clone()),
        ports,
        request,
        open: SelectAll::new(),
        readings: HashMap::new(),
        look: Box::pin(look),
        soon,
        out: VecDeque::new(),
        said: HashSet::new(),
        over: None,
        last_line: Instant::now(),
        done: false,
    };
    Box::pin(stream::unfold(follow, |mut follow| async move {
        let item = follow.next().await?;
        Some((item, follow))
    }))
}

/// What a look at the job saw.
struct Look {
    /// `None` once there is no such row.
    job: Option<Job>,
    found: Option<Result<Found, FindError>>,
    targets: Targets,
}

/// Waits, then looks: at the row, at the status, at the pods.
async fn look(ports: LogPorts, before: Look, wait: Duration, soon: Arc<Notify>) -> Look {
    let mut now = before;
    if !wait.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = async { soon.notified().await; tokio::time::sleep(LOOK_SOON).await } => {}
        }
        if let Some(job) = &now.job {
            // If the store does not answer, the job that is known has to do.
            let found = ports.store.find(&job.id).await;
            now.job = found.unwrap_or_else(|_| now.job.take());
        }
    }
    if let Some(job) = &now.job {
        now.found = Some(match targets(&ports, job, std::mem::take(&mut now.targets)).await {
            Err(error) => Err(error),
            Ok(targets) => {
                let found = pods(&ports, job, &targets).await;
                now.targets = targets;
                Ok(found)
            }
        });
    }
    now
}

/// How far one container is.
enum Reading {
    /// Its lines come.
    Open { run: u32, running: bool },
    /// Its run has ended and was read to the end.
    Drained { run: u32 },
    /// To be opened by the next look.
    Idle,
}

/// What a log that is read says.
enum Said {
    Line(RawLine),
    /// Always the last.
    Closed(Option<MemberError>),
}

type Voice = Pin<Box<dyn Stream<Item = (Arc<Origin>, Said)> + Send>>;

struct Follow {
    ports: LogPorts,
    request: LogRequest,
    scope: Scope,
    numbering: Numbering,
    open: SelectAll<Voice>,
    readings: HashMap<LogKey, Reading>,
    look: Pin<Box<dyn Future<Output = Look> + Send>>,
    soon: Arc<Notify>,
    out: VecDeque<LogItem>,
    said: HashSet<String>,
    /// Since when the job is known to be over.
    over: Option<Instant>,
    last_line: Instant,
    done: bool,
}

impl Follow {
    async fn next(&mut self) -> Option<LogItem> {
        loop {
            if let Some(item) = self.out.pop_front() {
                return Some(item);
            }
            if self.done {
                return None;
            }
            let end =
                self.over.map(|over| (self.last_line.max(over) + QUIET).min(over + AFTERMATH));
            let end = async move {
                match end {
                    Some(end) => tokio::time::sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some((origin, said)) = self.open.next(), if !self.open.is_empty() => {
                    self.take(&origin, said);
                }
                look = &mut self.look => self.apply(look),
                () = end => self.done = true,
            }
        }
    }

    fn take(&mut self, origin: &Arc<Origin>, said: Said) {
        let line = match said {
            Said::Line(line) => line,
            Said::Closed(error) => return self.close(origin, error),
        };
        self.last_line = Instant::now();
        self.out.push_back(LogItem::Line(LogLine {
            prefix: self.scope.prefix(&origin.key),
            id: self.numbering.next(origin, line.at),
            origin: Arc::clone(origin),
            at: line.at,
            text: line.text,
        }));
    }

    fn close(&mut self, origin: &Arc<Origin>, error: Option<MemberError>) {
        let Some(reading) = self.readings.get_mut(&origin.key) else { return };
        let (run, running) = match reading {
            Reading::Open { run, running } => (*run, *running),
            _ => (0, true),
        };
        *reading = match &error {
            None if !running => Reading::Drained { run },
            Some(error) if is_gone(error) => Reading::Drained { run },
            _ => Reading::Idle,
        };
        match error {
            // It ended, or the way to it was cut: a look tells which.
            None => self.soon.notify_one(),
            Some(error) if !is_gone(&error) => self.say(Some(origin), &error.to_string(), true),
            Some(_) => {}
        }
        if self.over.is_some() && self.open.is_empty() {
            self.done = true;
        }
    }

    /// Says something once.
    fn say(&mut self, about: Option<&Arc<Origin>>, text: &str, problem: bool) {
        let text = sentence(text);
        let pod = about.map(|origin| origin.key.pod.as_str()).unwrap_or_default();
        if self.said.len() >= MOST_SAID {
            self.said.clear();
        }
        if self.said.insert(format!("{pod}: {text}")) {
            self.out.push_back(LogItem::Note(LogNote {
                about: about.cloned(),
                message: text,
                problem,
            }));
        }
    }

    fn apply(&mut self, mut look: Look) {
        let job = look.job.clone();
        let over = job
            .as_ref()
            .is_none_or(|job| job.phase.is_terminal() || job.lifecycle == Lifecycle::Deleted);
        let mut waits = job.as_ref().is_none_or(|job| job.phase != Phase::Running);
        match (look.found.take(), &job) {
            (Some(Ok(found)), Some(job)) => waits |= self.open_new(job, &found),
            (Some(Err(error)), _) if !over => {
                waits = true;
                self.say(None, &error.to_string(), true);
            }
            _ => {}
        }
        if over {
            self.over.get_or_insert_with(Instant::now);
            self.done |= self.open.is_empty();
        } else if self.open.is_empty()
            && let Some(job) = &job
        {
            let why = if job.message.is_empty() { &job.reason } else { &job.message };
            self.say(None, &format!("The job is {}: {why}", job.phase), false);
        }
        let wait = if waits { LOOK_OFTEN } else { LOOK_SELDOM };
        let soon = Arc::clone(&self.soon);
        self.look = Box::pin(self::look(self.ports.clone(), look, wait, soon));
    }

    /// Opens what is selected and not open; says whether something is waited for.
    fn open_new(&mut self, job: &Job, found: &Found) -> bool {
        for (_, error) in &found.problems {
            self.say(None, &error.to_string(), true);
        }
        self.scope.expect(&self.request, &found.roles);
        let selected = self.request.select(&found.candidates);
        if selected.is_empty() && !found.candidates.is_empty() {
            let text = self.request.no_match(&found.candidates);
            self.say(None, &text, false);
        }
        let mut waits = selected.is_empty() || !found.problems.is_empty();
        let mut left_out = 0;
        for candidate in &selected {
            self.scope.add(&candidate.key);
            let (running, run) = match &candidate.source {
                Source::Live { running, run } => (*running, *run),
                Source::Waiting(why) => {
                    waits = true;
                    let origin = Origin::new(candidate.key.clone());
                    self.say(Some(&origin), &format!("it has not started: {why}"), false);
                    continue;
                }
                Source::Kept => continue,
            };
            match self.readings.get(&candidate.key) {
                Some(Reading::Open { .. }) => {}
                Some(Reading::Drained { run: drained }) if *drained == run => waits = true,
                _ if self.open.len() >= MOST_SOURCES => left_out += 1,
                _ => self.open(job, candidate, running, run),
            }
        }
        if left_out > 0 {
            self.say(None, &too_many(left_out), false);
        }
        waits
    }

    fn open(&mut self, job: &Job, candidate: &Candidate, running: bool, run: u32) {
        let origin = Origin::new(candidate.key.clone());
        let position = self.numbering.cursor.position(origin.tag);
        let Some(mut query) = query(job, &self.request, &candidate.key, position) else { return };
        query.follow = true;
        let since = self.request.since;
        self.readings.insert(candidate.key.clone(), Reading::Open { run, running });
        let voice = voice(&self.ports, query, Passing::to(position, since));
        self.open.push(Box::pin(voice.map(move |said| (Arc::clone(&origin), said))));
    }
}

/// One log on its way.
enum Mouth {
    Shut(LogQuery),
    Open(Pin<Box<dyn Stream<Item = Result<RawLine, MemberError>> + Send>>),
    Done,
}

/// Opens a log and says its lines, then, once, how it ended.
fn voice(
    ports: &LogPorts,
    query: LogQuery,
    passing: Passing,
) -> impl Stream<Item = Said> + Send + use<> {
    let (members, redactor) = (Arc::clone(&ports.members), Arc::clone(&ports.redactor));
    let state = (Mouth::Shut(query), passing, members, redactor);
    stream::unfold(state, |(mouth, mut passing, members, redactor)| async move {
        let mut lines = match mouth {
            Mouth::Done => return None,
            Mouth::Open(lines) => lines,
            Mouth::Shut(query) => match members.log(&query).await {
                Ok(bytes) => Box::pin(lines(bytes, Arc::clone(&redactor))),
                Err(error) => {
                    let state = (Mouth::Done, passing, members, redactor);
                    return Some((Said::Closed(Some(error)), state));
                }
            },
        };
        loop {
            let end = match tokio::time::timeout(SILENCE, lines.next()).await {
                Ok(Some(Ok(line))) if passing.is_new(&line) => {
                    let state = (Mouth::Open(lines), passing, members, redactor);
                    return Some((Said::Line(line), state));
                }
                Ok(Some(Ok(_))) => continue,
                Ok(Some(Err(error))) => Some(error),
                Ok(None) | Err(_) => None,
            };
            return Some((Said::Closed(end), (Mouth::Done, passing, members, redactor)));
        }
    })
}
