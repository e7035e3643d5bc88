//! Beginning and end of a log that is too long to keep whole.

use std::collections::VecDeque;

use super::line::RawLine;
use crate::clock::Timestamp;

/// Takes lines and keeps the first and the last of them. Most of what tells why a run failed
/// stands at its end, so three quarters of the room are for that.
pub(super) struct HeadTail {
    head: String,
    tail: VecDeque<String>,
    tail_bytes: usize,
    room_head: usize,
    room_tail: usize,
    head_is_full: bool,
    omitted_lines: u64,
    original_bytes: u64,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
}

/// What was kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) text: String,
    pub(super) head_bytes: u64,
    pub(super) omitted_lines: u64,
    pub(super) original_bytes: u64,
    pub(super) first_at: Option<Timestamp>,
    pub(super) last_at: Option<Timestamp>,
}

impl HeadTail {
    pub(super) fn new(room: usize) -> Self {
        Self {
            head: String::new(),
            tail: VecDeque::new(),
            tail_bytes: 0,
            room_head: room / 4,
            room_tail: room - room / 4,
            head_is_full: false,
            omitted_lines: 0,
            original_bytes: 0,
            first_at: None,
            last_at: None,
        }
    }

    pub(super) fn push(&mut self, line: &RawLine) {
        self.first_at = self.first_at.or(line.at);
        self.last_at = line.at.or(self.last_at);
        let stamped = line.stamped();
        self.original_bytes += stamped.len() as u64;
        if !self.head_is_full && self.head.len() + stamped.len() <= self.room_head {
            self.head.push_str(&stamped);
            return;
        }
        self.head_is_full = true;
        self.tail_bytes += stamped.len();
        self.tail.push_back(stamped);
        while self.tail_bytes > self.room_tail
            && let Some(oldest) = self.tail.pop_front()
        {
            self.tail_bytes -= oldest.len();
            self.omitted_lines += 1;
        }
    }

    pub(super) fn finish(self) -> Kept {
        let head_bytes = self.head.len() as u64;
        let mut text = self.head;
        text.extend(self.tail);
        Kept {
            head_bytes,
            omitted_lines: self.omitted_lines,
            original_bytes: self.original_bytes,
            first_at: self.first_at,
            last_at: self.last_at,
            text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: i64) -> RawLine {
        RawLine { at: Timestamp::from_second(number).ok(), text: format!("{number:05}") }
    }

    fn keep(room: usize, lines: i64) -> Kept {
        let mut keep = HeadTail::new(room);
        (0..lines).for_each(|number| keep.push(&line(number)));
        keep.finish()
    }

    #[test]
    fn short_log_is_kept_whole() {
        let kept = keep(1000, 10);
        assert_eq!(kept.text, (0..10).map(|number| line(number).stamped()).collect::<String>());
        assert_eq!((kept.omitted_lines, kept.original_bytes), (0, kept.text.len() as u64));
        assert_eq!(kept.first_at, Timestamp::from_second(0).ok());
        assert_eq!(kept.last_at, Timestamp::from_second(9).ok());
    }

    #[test]
    fn long_log_keeps_beginning_and_end_within_its_room() {
        let each = line(0).stamped().len();
        let kept = keep(each * 40, 1000);
        assert!(kept.text.len() <= each * 40);
        let (head, tail) = kept.text.split_at(usize::try_from(kept.head_bytes).unwrap());
        assert!(head.starts_with(&line(0).stamped()) && head.ends_with(&line(9).stamped()));
        assert!(tail.starts_with(&line(970).stamped()) && tail.ends_with(&line(999).stamped()));
        assert_eq!(kept.omitted_lines, 960);
        assert_eq!(kept.original_bytes, each as u64 * 1000);
    }

    #[test]
    fn no_room_keeps_nothing_and_counts_all() {
        let kept = keep(0, 3);
        assert_eq!((kept.text.as_str(), kept.omitted_lines), ("", 3));
    }
}
