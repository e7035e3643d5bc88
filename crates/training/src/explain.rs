//! Why a job does not run, or why it ended as it did: one sentence for a person, and the chain of
//! evidence it rests on. [`explain`] is pure; [`explain_job`] collects the evidence through the
//! ports, in bounded time, and goes on without a source that fails: what could not be seen is said
//! to be unknown, never guessed.

mod control;
mod evidence;
mod gather;
mod member;
mod placed;
mod pods;
mod sentence;
mod warnings;

use crate::clock::Timestamp;
use crate::job::Job;

pub use evidence::{Evidence, MemberEvidence, Presence};
pub use gather::{Sources, explain_job};

/// A place on the way of a job from the queue to its program, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Our own queue.
    Queue,
    /// The choice of a cluster.
    Placement,
    /// The workload on the control plane.
    Template,
    /// The policy that tells Karmada where to.
    Policy,
    /// Karmada's record of where the workload goes.
    Binding,
    /// Karmada's order to one member.
    Work,
    /// The member cluster itself.
    Cluster,
    /// The workload on the member.
    Object,
    /// Its pods.
    Pods,
    /// What the member's controllers complain about.
    Events,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 10] = [
        Self::Queue,
        Self::Placement,
        Self::Template,
        Self::Policy,
        Self::Binding,
        Self::Work,
        Self::Cluster,
        Self::Object,
        Self::Pods,
        Self::Events,
    ];

    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Placement => "placement",
            Self::Template => "template",
            Self::Policy => "policy",
            Self::Binding => "binding",
            Self::Work => "work",
            Self::Cluster => "cluster",
            Self::Object => "object",
            Self::Pods => "pods",
            Self::Events => "events",
        }
    }
}

/// What a link says about the way beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Nothing here is in the way.
    Ok,
    /// Not done yet, and nothing is wrong with that.
    Waiting,
    /// Something here is in the way, or is why the job ended.
    Wrong,
    /// It could not be looked at.
    Unknown,
}

impl LinkState {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Waiting => "waiting",
            Self::Wrong => "wrong",
            Self::Unknown => "unknown",
        }
    }
}

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where on the way.
    pub step: Step,
    /// What it says.
    pub state: LinkState,
    /// A sentence.
    pub text: String,
    /// Since when, or when.
    pub at: Option<Timestamp>,
    /// Who says so: `ResourceBinding default/a-rayjob`, `cluster member1, Pod default/a-x`.
    pub source: String,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What keeps the job from running, or why it ended, and what a person can do.
    pub sentence: String,
    /// The evidence, in the order of the way.
    pub links: Vec<Link>,
    /// When it was looked at.
    pub at: Timestamp,
}

/// Why something is in the way, and what to do. The stronger one makes the sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Blame {
    /// How much it explains; see [`Weight`].
    weight: Weight,
    /// Words that follow a colon, without a full stop.
    cause: String,
    /// Words that follow a semicolon, without a full stop.
    remedy: String,
}

/// How much a blame explains, weakest first. What is nearer to the program explains more, but
/// nothing that a cluster said is worth anything once it does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// Something waits, and nobody says why.
    Waits,
    /// A complaint that may pass.
    Complaint,
    /// The control plane has not passed the workload on.
    Control,
    /// The workload itself says so.
    Object,
    /// A controller cannot make the pods.
    Events,
    /// A pod says so.
    Pods,
    /// The member refuses the workload.
    Refused,
    /// The member is away.
    Away,
}

/// A link, and what it is to blame for.
#[derive(Debug, Clone)]
struct Found {
    link: Link,
    blame: Option<Blame>,
}

impl Found {
    fn new(step: Step, state: LinkState, text: impl Into<String>, source: String) -> Self {
        let text = shorten(&text.into(), LONGEST_TEXT);
        Self { link: Link { step, state, text, at: None, source }, blame: None }
    }

    fn at(mut self, at: Option<Timestamp>) -> Self {
        self.link.at = at;
        self
    }

    fn blame(mut self, weight: Weight, cause: &str, remedy: impl Into<String>) -> Self {
        let cause = inside(cause);
        self.blame = Some(Blame { weight, cause, remedy: remedy.into() });
        self
    }
}

/// Longest text of a link and longest cause in the sentence, in characters: an operator may quote
/// a whole log.
const LONGEST_TEXT: usize = 1000;
const LONGEST_CAUSE: usize = 400;

/// A text on one line, cut where it is too long.
fn shorten(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// Somebody's words as a part of one sentence.
fn inside(text: &str) -> String {
    // What the scheduler says of preemption repeats what it said before.
    let text = text.split(" preemption: ").next().unwrap_or_default();
    bare(&shorten(text, LONGEST_CAUSE)).replace(". ", "; ")
}

/// A sentence without its full stop, to stand inside another one.
fn bare(text: &str) -> &str {
    text.trim().trim_end_matches('.')
}

/// Makes the answer from what was seen.
pub fn explain(evidence: &Evidence, now: Timestamp) -> Explanation {
    let mut found = vec![placed::queue(evidence), placed::placement(evidence)];
    if evidence.was_written() {
        found.push(control::template(evidence));
        found.push(control::policy(evidence));
        found.push(control::binding(evidence, now));
    } else {
        found.extend(control::refused_write(&evidence.job));
    }
    for member in &evidence.members {
        found.push(member::work(evidence, member));
        found.push(member::cluster(evidence, member));
        found.push(member::object(evidence, member));
        found.push(pods::pods(evidence, member));
        found.push(warnings::events(evidence, member));
    }
    let strongest = found
        .iter()
        .filter_map(|found| found.blame.as_ref())
        .reduce(|best, next| if next.weight >= best.weight { next } else { best });
    Explanation {
        sentence: sentence::whole(&evidence.job, strongest, evidence.remaining()),
        links: found.into_iter().map(|found| found.link).collect(),
        at: now,
    }
}

/// What the row of a job alone says, for lists and status, which ask nobody else.
pub fn in_short(job: &Job) -> String {
    sentence::of_row(job)
}

#[cfg(test)]
mod tests;
