//! How far each log of a stream was read. A client hands it back, and the stream goes on after the
//! line that came with it.

use std::collections::BTreeMap;
use std::fmt;

use super::line::RawLine;
use crate::clock::Timestamp;
use crate::id::Sha256Digest;
use crate::ports::LogKey;

/// Most logs in a cursor, and with it the length of its text.
const MOST: usize = 256;

/// The last line that was read: its time, and how many lines of that time were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) at: Timestamp,
    pub(super) count: u32,
}

/// Positions by log. As text it is one word of letters, digits and hyphens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor(BTreeMap<u32, Position>);

/// Stands for a key in a cursor. Two logs of one job with the same are as likely as to win in a
/// lottery, and would cost some lines after a broken connection.
pub(super) fn tag(key: &LogKey) -> u32 {
    let LogKey { cluster, role: _, pod, container, previous } = key;
    let digest = Sha256Digest::of(format!("{cluster}/{pod}/{container}/{previous}")).to_string();
    digest.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or_default()
}

impl Cursor {
    /// Reads a cursor back; `None` if the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let mut positions = BTreeMap::new();
        for word in text.split('-') {
            let (tag, rest) = word.split_at_checked(8)?;
            let (at, count) = rest.split_at_checked(16)?;
            let nanos = u64::from_str_radix(at, 16).ok()?;
            let at = Timestamp::from_nanosecond(i128::from(nanos)).ok()?;
            let count = u32::from_str_radix(count, 16).ok()?;
            positions.insert(u32::from_str_radix(tag, 16).ok()?, Position { at, count });
            if positions.len() > MOST {
                return None;
            }
        }
        Some(Self(positions))
    }

    pub(super) fn position(&self, tag: u32) -> Option<Position> {
        self.0.get(&tag).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Counts a line in.
    pub(super) fn advance(&mut self, tag: u32, at: Option<Timestamp>) {
        let Some(at) = at else { return };
        match self.0.get_mut(&tag) {
            Some(position) if position.at == at => position.count += 1,
            // Lines of two writers may be out of order by a little.
            Some(position) if position.at > at => {}
            _ => drop(self.0.insert(tag, Position { at, count: 1 })),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (tag, position)) in self.0.iter().enumerate() {
            let nanos = u64::try_from(position.at.as_nanosecond()).unwrap_or_default();
            let hyphen = if index == 0 { "" } else { "-" };
            write!(f, "{hyphen}{tag:08x}{nanos:016x}{:x}", position.count)?;
        }
        Ok(())
    }
}

/// Passes over the lines up to a position, and those before a time. The cluster sends lines from a
/// second on, so some come again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passing {
    position: Option<Position>,
    passed: u32,
    since: Option<Timestamp>,
}

impl Passing {
    pub(super) fn to(position: Option<Position>, since: Option<Timestamp>) -> Self {
        Self { position, passed: 0, since }
    }

    /// Whether the line comes after the position.
    pub(super) fn is_new(&mut self, line: &RawLine) -> bool {
        let Some(at) = line.at else { return true };
        if self.since.is_some_and(|since| at < since) {
            return false;
        }
        let Some(position) = self.position else { return true };
        if at < position.at {
            return false;
        }
        if at == position.at && self.passed < position.count {
            self.passed += 1;
            return false;
        }
        self.position = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::new(second, 5).unwrap()
    }

    #[test]
    fn cursor_survives_printing_and_parsing() {
        let mut cursor = Cursor::default();
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor.clone()));
        for (tag, second) in [(7, 1), (u32::MAX, 9), (7, 1), (7, 0)] {
            cursor.advance(tag, Some(at(second)));
        }
        cursor.advance(7, None);
        assert_eq!(cursor.position(7), Some(Position { at: at(1), count: 2 }));
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        for wrong in ["x", "0000000100", "é", "--", &"0".repeat(24)] {
            assert_eq!(Cursor::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn lines_up_to_the_position_are_passed_over_once() {
        let line = |second, text: &str| RawLine { at: Some(at(second)), text: text.to_owned() };
        let mut passing = Passing::to(Some(Position { at: at(2), count: 2 }), None);
        let all =
            [line(1, "a"), line(2, "b"), line(2, "c"), line(2, "d"), line(1, "e"), line(3, "f")];
        let new: Vec<&str> =
            all.iter().filter(|line| passing.is_new(line)).map(|line| line.text.as_str()).collect();
        assert_eq!(new, ["d", "e", "f"]);
        let mut passing = Passing::to(None, Some(at(2)));
        assert_eq!(all.iter().filter(|line| passing.is_new(line)).count(), 4);
    }
}
