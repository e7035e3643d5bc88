//! What the status of a workload means, for kinds that several plugins emit; and how to quote a
//! cluster, which may say anything.

mod batch_job;
mod deployment;
mod mpi_job;
mod ray_job;
mod train_job;
mod training_job;

pub use batch_job::{batch_job, indexed_job};
pub use deployment::deployment;
pub use mpi_job::mpi_job;
pub use ray_job::ray_job;
pub use train_job::train_job;
pub use training_job::{Group, training_job};

/// A report is kept for ever, so what it quotes is bounded, and of one line.
pub fn quotable(text: &str) -> String {
    const MOST: usize = 1024;
    let mut quoted: String =
        text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        quoted.push('…');
    }
    quoted
}

/// Reasons are single words, whatever an operator writes.
pub fn reason_word(reason: &str) -> String {
    let word: String = reason.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    if word.is_empty() { "Failed".to_owned() } else { word }
}

/// Whether a text can be the value of a label. One that is not could change the meaning of a
/// selector.
pub fn is_label_value(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
