//! Data for standard output. A reader that went away, as `head` does, is no mistake of anybody: what
//! follows is not written, and the outcome stays the same.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};

/// Prints like `println!`, but not into a pipe that nobody reads any more.
macro_rules! data_line {
    ($($text:tt)*) => { crate::output::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints like `print!`, but not into a pipe that nobody reads any more.
macro_rules! data {
    ($($text:tt)*) => { crate::output::write(format_args!($($text)*)) };
}

/// Writes all of it. What cannot be written for another reason, such as a full disk, ends the
/// program: half of an answer must not look like a whole one.
pub(crate) fn write(text: Arguments<'_>) {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_fmt(text).and_then(|()| stdout.flush());
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        eprintln!("error: standard output: {error}");
        std::process::exit(2);
    }
}
