//! Messages between the host and its workers. A frame is a length (`u32`, little endian) and that
//! many bytes of postcard. Either side refuses a frame longer than it expects before it reserves
//! memory for it: what a runner says is as untrusted as the guest in it.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::guest_log::Line;
use crate::sandbox::Call;

/// Longest frame to a runner: the job, which is at most as large as a request body.
pub(crate) const REQUEST_BYTES: usize = 16 << 20;
/// Longest frame from a runner: an answer of a MiB, its log, and room.
pub(crate) const RESPONSE_BYTES: usize = 4 << 20;
/// Longest frame from a compiler. The largest interpreters compile to 37 MiB.
pub(crate) const CODE_BYTES: usize = 256 << 20;

/// The first frame to a compiler; the component's bytes are the second.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CompileLimits {
    /// Processor time in seconds.
    pub(crate) cpu_seconds: u64,
    /// Address space in bytes.
    pub(crate) memory_bytes: u64,
}

/// The only frame from a compiler: the code, or why there is none.
pub(crate) type Compiled = Result<Vec<u8>, String>;

/// The first frame to a runner.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunLimits {
    /// Longest call in microseconds.
    pub(crate) deadline_us: u64,
    /// Memory of one call in bytes.
    pub(crate) memory_bytes: usize,
    /// Directory of compiled code, the only one the runner can see afterwards.
    pub(crate) code_dir: String,
}

/// A frame to a runner.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request<'a> {
    /// Load a component and link it.
    Load {
        /// Key of the component from now on.
        digest: &'a str,
        /// File in the directory of code.
        file: &'a str,
    },
    /// Call a function of a loaded component.
    Call {
        /// The component.
        digest: &'a str,
        /// The function.
        call: Call,
        /// Its argument; empty for `describe`.
        json: &'a str,
    },
}

/// What the names in a component are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contents {
    /// Everything it imports.
    pub(crate) imports: Vec<String>,
    /// Everything it exports.
    pub(crate) exports: Vec<String>,
}

/// Why a component cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unfit {
    /// It imports what is not offered.
    ForbiddenImport(String),
    /// It lacks an export.
    MissingExport(String),
    /// It does not fit otherwise.
    Link(String),
    /// The code cannot be loaded.
    Code(String),
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ended {
    /// With an answer: postcard of the contract's type follows.
    Answer,
    /// The deadline passed.
    TimedOut,
    /// It trapped, or its answer does not fit the contract.
    Failed(String),
}

/// A frame from a runner.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Response {
    /// To [`Request::Load`].
    Loaded(Result<Contents, Unfit>),
    /// To [`Request::Call`]. One for each function that was called, with its answer after it.
    Called {
        /// How it ended.
        ended: Ended,
        /// What the guest logged.
        log: Vec<Line>,
        /// Memory it had at most, in bytes.
        memory_bytes: u64,
        /// How long it took in microseconds.
        took_us: u64,
    },
}

/// Writes a message as one frame.
pub(crate) fn write<T: Serialize>(to: &mut impl Write, message: &T) -> io::Result<()> {
    to.write_all(&frame(message)?)
}

/// A message as one frame.
pub(crate) fn frame<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    Frame::new().with(message)?.into_bytes()
}

/// Several messages as one frame, which [`split`] takes apart again.
#[derive(Debug)]
pub(crate) struct Frame(Vec<u8>);

impl Frame {
    pub(crate) fn new() -> Self {
        Self(vec![0; 4])
    }

    /// Adds a message.
    pub(crate) fn with<T: Serialize>(self, message: &T) -> io::Result<Self> {
        postcard::to_extend(message, self.0).map(Self).map_err(invalid)
    }

    /// The bytes to send.
    pub(crate) fn into_bytes(mut self) -> io::Result<Vec<u8>> {
        let length = u32::try_from(self.0.len() - 4).map_err(invalid)?;
        if let Some(head) = self.0.get_mut(..4) {
            head.copy_from_slice(&length.to_le_bytes());
        }
        Ok(self.0)
    }
}

/// Reads one frame into `buffer`. `Ok(false)` if the other side has closed between two frames.
pub(crate) fn read_frame(
    from: &mut impl Read,
    buffer: &mut Vec<u8>,
    limit: usize,
) -> io::Result<bool> {
    let mut head = [0; 4];
    if let Err(error) = from.read_exact(&mut head) {
        let closed = error.kind() == io::ErrorKind::UnexpectedEof;
        return if closed { Ok(false) } else { Err(error) };
    }
    buffer.resize(length(head, limit)?, 0);
    from.read_exact(buffer)?;
    Ok(true)
}

/// Reads one frame that must come.
pub(crate) fn read<T: DeserializeOwned>(from: &mut impl Read, limit: usize) -> io::Result<T> {
    let mut buffer = Vec::new();
    if !read_frame(from, &mut buffer, limit)? {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    parse(&buffer)
}

/// The length of a frame, if it is bearable.
pub(crate) fn length(head: [u8; 4], limit: usize) -> io::Result<usize> {
    let length = u32::from_le_bytes(head) as usize;
    if length > limit {
        return Err(invalid(format!("a frame of {length} bytes; at most {limit} are allowed")));
    }
    Ok(length)
}

/// Reads the first message in a frame, and what follows it.
pub(crate) fn split<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> io::Result<(T, &'a [u8])> {
    postcard::take_from_bytes(bytes).map_err(invalid)
}

/// Reads the message in a frame; nothing may follow it.
pub(crate) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> io::Result<T> {
    let (message, rest) = split(bytes)?;
    if rest.is_empty() { Ok(message) } else { Err(invalid("bytes follow the message")) }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_comes_back_as_it_was_written() {
        let request = Request::Call { digest: "d", call: Call::Convert, json: "{}" };
        let frame = frame(&request).unwrap();
        let mut buffer = Vec::new();
        assert!(read_frame(&mut frame.as_slice(), &mut buffer, REQUEST_BYTES).unwrap());
        let back: Request<'_> = parse(&buffer).unwrap();
        assert!(matches!(back, Request::Call { digest: "d", call: Call::Convert, json: "{}" }));
    }

    #[test]
    fn closed_socket_is_the_end_and_half_a_frame_is_an_error() {
        let mut buffer = Vec::new();
        assert!(!read_frame(&mut [].as_slice(), &mut buffer, 10).unwrap());
        assert!(read_frame(&mut [4, 0, 0, 0, 1].as_slice(), &mut buffer, 10).is_err());
    }

    #[test]
    fn frame_beyond_the_limit_reserves_nothing() {
        let mut buffer = Vec::new();
        let error = read_frame(&mut [255; 8].as_slice(), &mut buffer, 10).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(buffer.capacity(), 0);
    }

    #[test]
    fn lie_about_a_length_inside_a_frame_is_an_error() {
        // A string that says it has four GiB.
        assert!(parse::<String>(&[255, 255, 255, 255, 15, b'a']).is_err());
        assert!(parse::<u8>(&[1, 2]).is_err());
    }
}
