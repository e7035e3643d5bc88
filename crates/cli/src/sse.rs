//! Reads server-sent events as far as our host sends them.

/// Longest event in bytes: a line of a log has 64 KiB, and JSON may make six bytes of one.
const LONGEST: usize = 1 << 20;

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its kind.
    pub(crate) name: String,
    /// What it says.
    pub(crate) data: String,
    /// Leads on after it.
    pub(crate) id: Option<String>,
}

/// Puts events together from the pieces of a stream.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    unread: Vec<u8>,
    event: Event,
    size: usize,
}

impl Reader {
    /// Takes a piece; whole events are handed to `take`. `false` if this is no stream of events.
    pub(crate) fn push(&mut self, piece: &[u8], mut take: impl FnMut(Event)) -> bool {
        self.size += piece.len();
        self.unread.extend_from_slice(piece);
        let mut rest = self.unread.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let Ok(line) = std::str::from_utf8(line) else { return false };
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                self.size = rest.len();
                // Signs of life have no data.
                if !event.data.is_empty() {
                    take(event);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut self.event.name),
                "data" if self.event.data.is_empty() => value.clone_into(&mut self.event.data),
                "data" => self.event.data = format!("{}\n{value}", self.event.data),
                "id" => self.event.id = Some(value.to_owned()),
                _ => {}
            }
        }
        self.unread = rest.to_vec();
        self.size <= LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> (Vec<Event>, bool) {
        let (mut reader, mut events, mut fine) = (Reader::default(), Vec::new(), true);
        for piece in pieces {
            fine &= reader.push(piece.as_bytes(), |event| events.push(event));
        }
        (events, fine)
    }

    fn event(name: &str, data: &str, id: Option<&str>) -> Event {
        Event { name: name.to_owned(), data: data.to_owned(), id: id.map(str::to_owned) }
    }

    #[test]
    fn events_are_put_together_across_pieces() {
        let (events, fine) = read(&[
            ": hello\n\neve",
            "nt: line\r\nid: 7\r\ndata: {\"a\":",
            " 1}\n\n:\n\ndata: x\ndata:y\n\nevent: end\n",
            "data: é\n",
        ]);
        assert!(fine);
        let expected = [event("line", "{\"a\": 1}", Some("7")), event("", "x\ny", None)];
        assert_eq!(events, expected, "the last one is not whole");
    }

    #[test]
    fn what_is_no_stream_of_events_is_refused() {
        assert!(!read(&[&"x".repeat(LONGEST + 1)]).1);
        let mut reader = Reader::default();
        assert!(!reader.push(b"data: \xff\n", |_| {}));
        let many = "data: x\n\n".repeat(LONGEST / 4);
        assert!(read(&[&many]).1, "many events are no long one");
    }
}
