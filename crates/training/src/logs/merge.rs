//! Several logs that end, as one stream in the order of time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, Stream, StreamExt as _};

use super::cursor::{Cursor, Passing};
use super::line::{Piece, Pieces};
use super::select::Scope;
use super::{LogItem, LogLine, Origin, sentence};
use crate::clock::Timestamp;

/// Longest wait for the next piece of a log that does not have to wait for its container.
const PATIENCE: Duration = Duration::from_secs(15);

/// Up to so many logs each line comes with a cursor, with more only some do: it grows with them.
const CURSOR_ALWAYS: usize = 8;
const CURSOR_EVERY: u32 = 32;

struct One {
    origin: Arc<Origin>,
    pieces: Option<Pieces>,
    passing: Passing,
    head: Option<Piece>,
    /// Time of the head; lines without one stay where they are.
    at: Option<Timestamp>,
}

impl One {
    /// Makes sure that there is a head, if the log has not ended.
    async fn fill(&mut self) {
        while self.head.is_none()
            && let Some(pieces) = &mut self.pieces
        {
            let next = tokio::time::timeout(PATIENCE, pieces.next()).await;
            let end = match next {
                Ok(Some(Ok(Piece::Line(line)))) => {
                    if self.passing.is_new(&line) {
                        self.at = line.at.or(self.at);
                        self.head = Some(Piece::Line(line));
                    }
                    continue;
                }
                Ok(Some(Ok(remark))) => {
                    self.head = Some(remark);
                    continue;
                }
                Ok(None) => None,
                Ok(Some(Err(error))) => Some(format!("The log breaks off here: {error}.")),
                Err(_) => Some("The log breaks off here: the cluster is too slow.".to_owned()),
            };
            self.pieces = None;
            self.head = end.map(Piece::Broken);
        }
    }
}

/// Counts lines and decides which come with a cursor.
#[derive(Default)]
pub(super) struct Numbering {
    pub(super) cursor: Cursor,
    lines: u32,
}

impl Numbering {
    pub(super) fn new(cursor: Cursor) -> Self {
        Self { cursor, lines: 0 }
    }

    pub(super) fn next(&mut self, origin: &Origin, at: Option<Timestamp>) -> Option<String> {
        self.cursor.advance(origin.tag, at);
        self.lines = self.lines.wrapping_add(1);
        let due = self.cursor.len() <= CURSOR_ALWAYS || self.lines.is_multiple_of(CURSOR_EVERY);
        due.then(|| self.cursor.to_string())
    }
}

/// Merges by time; equal times in the order of the sources.
pub(super) fn merge(
    sources: Vec<(Arc<Origin>, Pieces)>,
    scope: Scope,
    cursor: Cursor,
    since: Option<Timestamp>,
) -> impl Stream<Item = LogItem> + Send {
    let all: Vec<One> = sources
        .into_iter()
        .map(|(origin, pieces)| One {
            passing: Passing::to(cursor.position(origin.tag), since),
            origin,
            pieces: Some(pieces),
            head: None,
            at: None,
        })
        .collect();
    let state = (all, scope, Numbering::new(cursor));
    stream::unfold(state, |(mut all, scope, mut numbering)| async move {
        join_all(all.iter_mut().map(One::fill)).await;
        let first = all.iter_mut().filter(|one| one.head.is_some()).min_by_key(|one| one.at)?;
        let item = match first.head.take()? {
            Piece::Remark(text) => LogItem::note(Some(&first.origin), sentence(&text)),
            Piece::Broken(text) => LogItem::problem(Some(&first.origin), sentence(&text)),
            Piece::Line(line) => LogItem::Line(LogLine {
                prefix: scope.prefix(&first.origin.key),
                id: numbering.next(&first.origin, line.at),
                origin: Arc::clone(&first.origin),
                at: line.at,
                text: line.text,
            }),
        };
        Some((item, (all, scope, numbering)))
    })
}
