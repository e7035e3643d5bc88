//! A pass over every job that may run, in parts, so that no change waits for the whole. The more it
//! costs, the rarer it is.

use std::collections::HashSet;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::JobId;
use crate::job::Job;

/// How many times as long as its work took a pass rests before the next: a twentieth of a core.
const REST: u32 = 20;
/// Longest rest. Bounds how late a deadline is noticed, or a change that no watch told of.
const LONGEST_REST: Duration = Duration::from_mins(1);

/// One pass after the other.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    under_way: bool,
    /// The last job of the parts so far, by creation time and id.
    position: Option<(Timestamp, JobId)>,
    /// Jobs of the parts so far.
    seen: HashSet<JobId>,
    /// Time in the parts so far.
    busy: Duration,
    /// When the next pass begins; `None` for now.
    next: Option<Timestamp>,
}

/// A part that was read. It counts once it is handed to [`Sweep::end_part`]: one that is dropped for
/// an error is read again.
#[derive(Debug)]
pub(super) struct Part {
    ids: Vec<JobId>,
    last: Option<(Timestamp, JobId)>,
    is_last: bool,
}

impl Part {
    /// What was read, of at most `limit` jobs.
    pub(super) fn of(jobs: &[Job], limit: u32) -> Self {
        Self {
            ids: jobs.iter().map(|job| job.id.clone()).collect(),
            last: jobs.last().map(|job| (job.created_at, job.id.clone())),
            is_last: jobs.len() < limit as usize,
        }
    }
}

impl Sweep {
    /// Begins a pass with the next part, whatever is going on, also if that is the last part of one.
    pub(super) fn start_over(&mut self) {
        self.under_way = false;
        self.next = None;
    }

    /// Whether a part is to be read now.
    pub(super) fn is_due(&mut self, now: Timestamp) -> bool {
        if !self.under_way && self.next.is_none_or(|next| now >= next) {
            *self = Self { under_way: true, ..Self::default() };
        }
        self.under_way
    }

    /// Where the next part begins: after this job.
    pub(super) fn position(&self) -> Option<&(Timestamp, JobId)> {
        self.position.as_ref()
    }

    /// Counts a part that took so long. `true` if it was the last: the next pass begins after a
    /// rest, of `least` at least.
    pub(super) fn end_part(
        &mut self,
        part: Part,
        took: Duration,
        now: Timestamp,
        least: Duration,
    ) -> bool {
        self.seen.extend(part.ids);
        self.busy += took;
        self.position = part.last;
        if part.is_last {
            let rest = self.busy.saturating_mul(REST).min(LONGEST_REST).max(least);
            // Unless it is to start over.
            self.next = self.under_way.then(|| now + rest);
            self.under_way = false;
        }
        part.is_last
    }

    /// Whether the pass saw the job.
    pub(super) fn saw(&self, id: &JobId) -> bool {
        self.seen.contains(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing_values::job;

    const LEAST: Duration = Duration::from_secs(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn pass_goes_on_where_it_was_and_rests_by_its_cost() {
        let mut sweep = Sweep::default();
        assert!(sweep.is_due(at(0)));
        let (one, two) = (job("one"), job("two"));
        let took = Duration::from_millis(100);
        let part = Part::of(std::slice::from_ref(&one), 1);
        assert!(!sweep.end_part(part, took, at(1), LEAST));
        assert_eq!(sweep.position(), Some(&(one.created_at, one.id.clone())));
        assert!(sweep.is_due(at(1)));
        assert!(sweep.end_part(Part::of(std::slice::from_ref(&two), 2), took, at(2), LEAST));
        assert!(sweep.saw(&one.id) && sweep.saw(&two.id) && !sweep.saw(&job("three").id));
        // 0.2 s of work: 4 s of rest.
        assert!(!sweep.is_due(at(5)));
        assert!(sweep.is_due(at(6)));
        assert_eq!(sweep.position(), None);
        assert!(!sweep.saw(&one.id));
    }

    #[test]
    fn rest_has_bounds_and_can_be_cut_short() {
        let mut sweep = Sweep::default();
        assert!(sweep.is_due(at(0)));
        sweep.end_part(Part::of(&[], 1), Duration::ZERO, at(0), LEAST);
        assert!(!sweep.is_due(at(0)));
        assert!(sweep.is_due(at(1)));
        sweep.end_part(Part::of(&[], 1), Duration::from_hours(1), at(1), LEAST);
        assert!(!sweep.is_due(at(60)));
        sweep.start_over();
        assert!(sweep.is_due(at(60)));
        // While the last part is looked at.
        sweep.start_over();
        assert!(sweep.end_part(Part::of(&[], 1), Duration::ZERO, at(60), LEAST));
        assert!(sweep.is_due(at(60)));
        assert_eq!(sweep.position(), None);
    }

    #[test]
    fn part_that_failed_is_read_again() {
        let mut sweep = Sweep::default();
        assert!(sweep.is_due(at(0)));
        drop(Part::of(&[job("one")], 1));
        assert!(sweep.is_due(at(1)));
        assert_eq!(sweep.position(), None);
        assert!(!sweep.saw(&job("one").id));
    }
}
