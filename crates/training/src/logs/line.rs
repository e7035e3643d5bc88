//! From the bytes of a log to its lines, and the other way round.

use std::collections::VecDeque;
use std::io::{BufRead, Read as _};

use futures_util::stream::{self, Stream, StreamExt as _};

use super::Redactor;
use crate::clock::Timestamp;
use crate::ports::{LogBytes, MemberError};

/// Longest line in bytes that is handed on; the rest of it is cut.
pub const LONGEST_LINE: usize = 64 << 10;

/// So much more is read, so that a secret across the cut is seen whole and hidden.
const SLACK: usize = 4 << 10;

/// Room for the time at the beginning of a line.
const STAMP: usize = 40;

/// One line as the cluster has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawLine {
    /// When it was written; missing only if the cluster sent no time.
    pub(super) at: Option<Timestamp>,
    /// Without secrets and without its end; at most [`LONGEST_LINE`] and a remark.
    pub(super) text: String,
}

impl RawLine {
    /// As it is archived, with its end.
    pub(super) fn stamped(&self) -> String {
        match self.at {
            Some(at) => format!("{at} {}\n", self.text),
            None => format!("{}\n", self.text),
        }
    }

    fn read(bytes: &[u8], total: usize, redactor: &Redactor) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_suffix('\r').unwrap_or(&text);
        let stamp = text.split_once(' ').and_then(|(at, rest)| Some((at.parse().ok()?, rest)));
        let (at, text) = match stamp {
            Some((at, rest)) => (Some(at), rest),
            None => (text.parse().ok(), if text.parse::<Timestamp>().is_ok() { "" } else { text }),
        };
        let mut text = redactor.clean(text).into_owned();
        if text.len() > LONGEST_LINE {
            let mut end = LONGEST_LINE;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            let size = total / 1024;
            text = format!("{text} [cut: the line has {size} KiB]");
        }
        Self { at, text }
    }
}

/// Cuts bytes into lines. Holds one unfinished line and what of the last piece is not taken yet.
struct Splitter {
    unfinished: Vec<u8>,
    /// Bytes of the unfinished line, also those that were not kept.
    total: usize,
    piece: Vec<u8>,
    at: usize,
}

impl Splitter {
    fn new() -> Self {
        Self { unfinished: Vec::new(), total: 0, piece: Vec::new(), at: 0 }
    }

    fn keep(&mut self, from: usize, to: usize) {
        let bytes = self.piece.get(from..to).unwrap_or_default();
        let room = (LONGEST_LINE + SLACK + STAMP).saturating_sub(self.unfinished.len());
        self.unfinished.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.total += bytes.len();
    }

    fn take(&mut self, redactor: &Redactor) -> RawLine {
        let line = RawLine::read(&self.unfinished, self.total, redactor);
        self.unfinished.clear();
        self.total = 0;
        line
    }

    /// The next whole line of the piece.
    fn next(&mut self, redactor: &Redactor) -> Option<RawLine> {
        let rest = self.piece.get(self.at..).unwrap_or_default();
        match rest.iter().position(|byte| *byte == b'\n') {
            Some(length) => {
                self.keep(self.at, self.at + length);
                self.at += length + 1;
                Some(self.take(redactor))
            }
            None => {
                self.keep(self.at, self.piece.len());
                self.piece = Vec::new();
                self.at = 0;
                None
            }
        }
    }
}

/// What a log consists of when it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A line.
    Line(RawLine),
    /// Something to be said at this place.
    Remark(String),
    /// Why there is no more.
    Broken(String),
}

/// A log being read. Nothing happens until somebody asks for the next piece.
pub(super) type Pieces = std::pin::Pin<Box<dyn Stream<Item = Result<Piece, MemberError>> + Send>>;

/// The lines of a live log, and how many bytes each was.
pub(super) fn lines(
    bytes: LogBytes,
    redactor: std::sync::Arc<Redactor>,
) -> impl Stream<Item = Result<RawLine, MemberError>> + Send {
    let state = (Some(bytes), Splitter::new(), redactor);
    stream::unfold(state, |(mut bytes, mut splitter, redactor)| async move {
        loop {
            if let Some(line) = splitter.next(&redactor) {
                return Some((Ok(line), (bytes, splitter, redactor)));
            }
            let next = match &mut bytes {
                Some(open) => open.next().await,
                None => return None,
            };
            match next {
                Some(Ok(piece)) => splitter.piece = piece,
                Some(Err(error)) => return Some((Err(error), (None, Splitter::new(), redactor))),
                None => {
                    bytes = None;
                    if splitter.total > 0 {
                        let line = splitter.take(&redactor);
                        return Some((Ok(line), (bytes, splitter, redactor)));
                    }
                }
            }
        }
    })
}

/// The pieces of an archived log: its lines since `since`, of those the last `tail`, and a remark
/// where some were left out.
pub(super) fn archived(
    mut text: Box<dyn BufRead + Send>,
    head_bytes: u64,
    omitted: Option<String>,
    since: Option<Timestamp>,
    tail: Option<u64>,
) -> Pieces {
    let mut omitted = omitted;
    let mut read = 0;
    let mut next = move || {
        loop {
            if read >= head_bytes
                && let Some(remark) = omitted.take()
            {
                return Some(Piece::Remark(remark));
            }
            let mut line = Vec::new();
            let most = (LONGEST_LINE + SLACK) as u64;
            let got = text.by_ref().take(most).read_until(b'\n', &mut line).ok()?;
            if got == 0 {
                return None;
            }
            read += got as u64;
            line.pop_if(|end| *end == b'\n');
            // Secrets were taken out before it was kept.
            let line = RawLine::read(&line, got, &Redactor::default());
            if since.is_none_or(|since| line.at.is_none_or(|at| at >= since)) {
                return Some(Piece::Line(line));
            }
        }
    };
    let Some(tail) = tail else {
        return Box::pin(stream::iter(std::iter::from_fn(next).map(Ok)));
    };
    let tail = usize::try_from(tail).unwrap_or(usize::MAX);
    let mut last = VecDeque::new();
    while let Some(piece) = next() {
        if matches!(piece, Piece::Line(_)) {
            last.push_back(piece);
        }
        if last.len() > tail {
            last.pop_front();
        }
    }
    Box::pin(stream::iter(last.into_iter().map(Ok)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const T: &str = "2026-01-01T00:00:00.123456789Z";

    async fn read(pieces: &[&[u8]], redactor: Redactor) -> Vec<RawLine> {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(piece.to_vec())).collect();
        let bytes: LogBytes = Box::pin(stream::iter(pieces));
        lines(bytes, Arc::new(redactor)).map(Result::unwrap).collect().await
    }

    #[tokio::test]
    async fn lines_are_put_together_across_pieces() {
        let texts = [
            format!("{T} one\n{T} t"),
            "wo\r\n".to_owned(),
            format!("\n{T} \nno time\n{T} \u{e9}"),
        ];
        let mut bytes: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
        bytes.push(b" \xff end");
        let lines = read(&bytes, Redactor::default()).await;
        let at: Timestamp = T.parse().unwrap();
        let seen: Vec<_> = lines.iter().map(|line| (line.at, line.text.as_str())).collect();
        assert_eq!(
            seen,
            [
                (Some(at), "one"),
                (Some(at), "two"),
                (None, ""),
                (Some(at), ""),
                (None, "no time"),
                (Some(at), "é \u{fffd} end"),
            ]
        );
    }

    #[tokio::test]
    async fn long_lines_are_cut_marked_and_held_to_their_limit() {
        let start = format!("{T} ").into_bytes();
        let much = vec![b'x'; 1 << 20];
        let mut pieces: Vec<&[u8]> = vec![&start];
        pieces.extend(std::iter::repeat_n(much.as_slice(), 4));
        pieces.push(b"\n");
        let next = format!("{T} next\n");
        pieces.push(next.as_bytes());
        let lines = read(&pieces, Redactor::default()).await;
        assert_eq!(lines.len(), 2);
        assert!(lines[0].text.len() < LONGEST_LINE + 64);
        assert!(lines[0].text.ends_with("x [cut: the line has 4096 KiB]"));
        assert_eq!(lines[1].text, "next");
    }

    #[tokio::test]
    async fn secret_across_pieces_and_across_the_cut_is_hidden() {
        let redactor = Redactor::new(["hunter2222".to_owned()], &[]).unwrap();
        let filler = format!("{T} {}hunt", "x".repeat(LONGEST_LINE - 5));
        let pieces: [&[u8]; 2] = [filler.as_bytes(), b"er2222 and more\n"];
        let lines = read(&pieces, redactor).await;
        assert!(!lines[0].text.contains("hunt"), "{}", &lines[0].text[LONGEST_LINE - 20..]);
        assert!(lines[0].text.contains("***"));
    }

    #[tokio::test]
    async fn archived_lines_come_with_a_remark_where_some_are_missing() {
        let text = |lines: &[&str]| -> Box<dyn BufRead + Send> {
            Box::new(std::io::Cursor::new(lines.concat().into_bytes()))
        };
        let (a, b, c) =
            ("2026-01-01T00:00:01Z a\n", "2026-01-01T00:00:02Z b\n", "2026-01-01T00:00:09.5Z c\n");
        let show = |pieces: Pieces| async {
            pieces
                .map(|piece| match piece.unwrap() {
                    Piece::Line(line) => line.text,
                    Piece::Remark(text) | Piece::Broken(text) => text,
                })
                .collect::<Vec<_>>()
                .await
        };
        let head = (a.len() + b.len()) as u64;
        let gap = || Some("gap".to_owned());
        let all = archived(text(&[a, b, c]), head, gap(), None, None);
        assert_eq!(show(all).await, ["a", "b", "gap", "c"]);
        let whole = archived(text(&[a, b]), head, None, None, None);
        assert_eq!(show(whole).await, ["a", "b"]);
        let since = Some("2026-01-01T00:00:02Z".parse().unwrap());
        let late = archived(text(&[a, b, c]), head, gap(), since, None);
        assert_eq!(show(late).await, ["b", "gap", "c"]);
        let tail = archived(text(&[a, b, c]), head, gap(), None, Some(2));
        assert_eq!(show(tail).await, ["b", "c"]);
        let none = archived(text(&[a]), 0, None, None, Some(0));
        assert!(show(none).await.is_empty());
    }
}
