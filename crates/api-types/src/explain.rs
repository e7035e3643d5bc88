//! Why a job does not run, or why it ended so.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Phase;

/// What a piece of evidence says about the way beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
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
    /// The word on the wire.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LinkView {
    /// Where on the way: `queue`, `placement`, `template`, `policy`, `binding`, `work`, `cluster`,
    /// `object`, `pods` or `events`. Newer hosts may name further ones.
    pub step: String,
    /// What it says.
    pub state: LinkState,
    /// A sentence.
    pub text: String,
    /// When, or since when, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Who says so, such as `cluster member1, Pod default/a-x`.
    pub source: String,
}

/// The answer of `GET /api/v1/jobs/{id}/explain`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplanationView {
    /// The job.
    pub job_id: String,
    /// Where it stands.
    pub phase: Phase,
    /// What keeps it from running, or why it ended so, and what a person can do.
    pub explanation: String,
    /// The evidence, in the order of a job's way from the queue to its pods.
    pub links: Vec<LinkView>,
    /// When it was looked at, RFC 3339.
    pub at: String,
}

/// For people: the sentence, and the evidence below it.
impl fmt::Display for ExplanationView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.explanation)?;
        for link in &self.links {
            writeln!(f, "  {:<8} {:<10} {}", link.state.as_str(), link.step, link.text)?;
            let at = link.at.as_deref().map_or_else(String::new, |at| format!(", {at}"));
            writeln!(f, "  {:<8} {:<10} {}{at}", "", "", link.source)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_the_sentence_first_and_each_source_below_its_text() {
        let link = LinkView {
            step: "pods".to_owned(),
            state: LinkState::Wrong,
            text: "1 of 2 pods run.".to_owned(),
            at: Some("2026-01-01T00:00:00Z".to_owned()),
            source: "cluster m, Pod d/p".to_owned(),
        };
        let view = ExplanationView {
            job_id: "a-1".to_owned(),
            phase: Phase::Submitted,
            explanation: "It waits.".to_owned(),
            links: vec![link],
            at: String::new(),
        };
        let text = "It waits.\n\n  wrong    pods       1 of 2 pods run.\n                      \
                    cluster m, Pod d/p, 2026-01-01T00:00:00Z\n";
        assert_eq!(view.to_string(), text);
    }
}
