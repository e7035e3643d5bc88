//! Progress of long work on stderr. Nothing is drawn unless a person watches: indicatif hides
//! itself when stderr is not a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of so many steps. It clears itself when it is dropped.
pub(crate) fn bar(steps: usize, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64).with_message(what);
    // The template is a constant; a wrong one would leave the plain bar.
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    bar.with_finish(indicatif::ProgressFinish::AndClear)
}

/// A sign of life while something takes as long as it takes. It clears itself when it is dropped.
pub(crate) fn spinner(what: &'static str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner.with_finish(indicatif::ProgressFinish::AndClear)
}
