//! Lets plugins read the statuses that members report. Several are read at a time, so that one that
//! takes long holds up nobody else; and what fails is left alone for a while, so that it does not
//! take its time from every round.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::id::{JobId, PluginDigest};
use crate::job::Job;
use crate::ports::{PluginFault, Plugins, Report, Seen};

use super::observe::reported;

/// Jobs whose statuses are read at once. Few of them are of the same plugin: each has places of its
/// own.
pub(super) const AT_ONCE: usize = 16;
/// A plugin that ran out of time so often in one round is not asked again in it.
const LATE: u32 = 2;
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is left alone, and until when. A round is one call of [`Pauses::begin`] and what follows.
#[derive(Debug, Default)]
pub(super) struct Pauses(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Plugins that did not answer in time.
    plugins: HashMap<PluginDigest, Slow>,
    /// Jobs whose last status was not read, whatever the reason.
    jobs: HashMap<JobId, Pause>,
}

#[derive(Debug, Default)]
struct Slow {
    /// How often in this round.
    late: u32,
    /// Whether it read a status in this round.
    answered: bool,
    pause: Pause,
}

#[derive(Debug, Default)]
struct Pause {
    times: u32,
    until: Option<Timestamp>,
}

impl Pause {
    /// Begins, twice as long as the time before.
    fn begin(&mut self, now: Timestamp) -> Duration {
        let length = Duration::from_secs(1 << self.times.min(5)).min(LONGEST_PAUSE);
        self.times = self.times.saturating_add(1);
        self.until = now.checked_add(length).ok();
        length
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| until <= now)
    }
}

impl Pauses {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere left at worst one pause too many.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new round.
    pub(super) fn begin(&self) {
        self.state().plugins.retain(|_, slow| {
            let (late, answered) = (slow.late, slow.answered);
            (slow.late, slow.answered) = (0, false);
            late > 0 || !answered
        });
    }

    /// Forgets jobs that nobody looks at any more.
    pub(super) fn keep(&self, seen: impl Fn(&JobId) -> bool) {
        self.state().jobs.retain(|id, _| seen(id));
    }

    fn allow(&self, job: &Job, now: Timestamp) -> bool {
        let state = self.state();
        let plugin = state.plugins.get(&job.provenance.plugin_digest);
        plugin.is_none_or(|slow| slow.late < LATE && slow.pause.is_over(now))
            && state.jobs.get(&job.id).is_none_or(|pause| pause.is_over(now))
    }

    fn done(&self, job: &Job) {
        let mut state = self.state();
        state.jobs.remove(&job.id);
        if let Some(slow) = state.plugins.get_mut(&job.provenance.plugin_digest) {
            slow.answered = true;
        }
    }

    /// How long the job is left alone.
    fn failed(&self, job: &Job, fault: &PluginFault, now: Timestamp) -> Duration {
        let mut state = self.state();
        let in_vain = matches!(
            fault,
            PluginFault::TimedOut { .. } | PluginFault::Busy | PluginFault::Quarantined { .. }
        );
        if in_vain {
            let slow = state.plugins.entry(job.provenance.plugin_digest).or_default();
            slow.late = slow.late.saturating_add(1);
            if slow.late == LATE {
                slow.pause.begin(now);
            }
        }
        state.jobs.entry(job.id.clone()).or_default().begin(now)
    }
}

/// What the plugin of a job reads from the status of each member that reported one, and whether it
/// read all of them. A plugin that fails on a status is logged.
pub(super) async fn read(
    plugins: &dyn Plugins,
    clock: &dyn Clock,
    pauses: &Pauses,
    job: &Job,
    seen: &Seen,
) -> (Vec<(String, Report)>, bool) {
    let mut reports = Vec::new();
    let mut complete = true;
    for member in seen.binding.iter().flat_map(|binding| &binding.members) {
        let Some(status) = &member.status else { continue };
        if !pauses.allow(job, clock.now()) {
            return (reports, false);
        }
        let object = reported(job, status);
        let digest = &job.provenance.plugin_digest;
        match plugins.interpret(digest, &job.algorithm, &object).await {
            Ok(report) => reports.push((member.cluster.clone(), report)),
            Err(fault) => {
                complete = false;
                let pause = pauses.failed(job, &fault, clock.now());
                tracing::warn!(
                    job.id = %job.id,
                    cluster.name = %member.cluster,
                    error = &fault as &dyn std::error::Error,
                    "Status of job `{}` could not be interpreted, which is tried again in {} s",
                    job.id,
                    pause.as_secs()
                );
            }
        }
    }
    if complete {
        pauses.done(job);
    }
    (reports, complete)
}

#[cfg(test)]
mod tests {
    use futures_util::stream::{self, StreamExt as _};
    use serde_json::json;

    use super::*;
    use crate::clock::SystemClock;
    use crate::ports::{BindingSeen, MemberSeen};
    use crate::testing::MemoryPlugins;
    use crate::testing_values;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn job(name: &str, plugin: PluginDigest) -> Job {
        let mut job = testing_values::job(name);
        job.provenance.plugin_digest = plugin;
        job
    }

    fn late() -> PluginFault {
        PluginFault::TimedOut { plugin: "p".to_owned(), call: "interpret", limit_ms: 1000 }
    }

    fn reported_once() -> Seen {
        let status = Some(json!({"active": 1}));
        let member = MemberSeen { cluster: "m".to_owned(), status, ..MemberSeen::default() };
        let binding = BindingSeen { members: vec![member], ..BindingSeen::default() };
        Seen { binding: Some(binding), exists: Some(true) }
    }

    #[tokio::test(start_paused = true)]
    async fn plugin_that_hangs_holds_up_no_other_and_is_soon_left_alone() {
        let plugins = MemoryPlugins::default();
        let (slow, good) = (plugins.add("slow", "1.0.0", true), plugins.add("good", "1.0.0", true));
        plugins.stall(&slow);
        let (pauses, clock, seen) = (Pauses::default(), SystemClock, reported_once());
        let mut jobs: Vec<Job> = (0..200).map(|n| job(&format!("s{n}"), slow)).collect();
        jobs.insert(AT_ONCE - 1, job("good", good));
        pauses.begin();
        let read = stream::iter(&jobs)
            .map(|job| async {
                (job.name.clone(), read(&plugins, &clock, &pauses, job, &seen).await)
            })
            .buffer_unordered(AT_ONCE);
        let order: Vec<_> = read.collect().await;
        let (first, (reports, complete)) = &order[0];
        assert_eq!((first.as_str(), reports.len(), *complete), ("good", 1, true));
        assert!(order[1..].iter().all(|(_, (reports, complete))| reports.is_empty() && !complete));
        let asked = plugins.stalled_calls();
        assert!((1..=AT_ONCE).contains(&asked), "only what was under way already: {asked}");
    }

    #[test]
    fn plugin_waits_twice_as_long_after_each_bad_round_and_starts_over_after_a_good_one() {
        let (pauses, plugin) = (Pauses::default(), PluginDigest::of("p"));
        let jobs: Vec<Job> = (0..9).map(|n| job(&format!("j{n}"), plugin)).collect();
        let other = job("other", PluginDigest::of("q"));
        let mut now = 0;
        for (round, length) in [1, 2, 4].into_iter().enumerate() {
            pauses.begin();
            for job in &jobs[2 * round..2 * round + 2] {
                assert!(pauses.allow(job, at(now)), "round {round}");
                pauses.failed(job, &late(), at(now));
            }
            assert!(!pauses.allow(&jobs[8], at(now)), "round {round}");
            assert!(pauses.allow(&other, at(now)));
            pauses.begin();
            assert!(!pauses.allow(&jobs[8], at(now + length - 1)), "round {round}");
            now += length;
            assert!(pauses.allow(&jobs[8], at(now)), "round {round}");
        }
        pauses.begin();
        assert!(!pauses.state().plugins.is_empty(), "nobody asked it");
        pauses.done(&jobs[8]);
        pauses.begin();
        assert!(pauses.state().plugins.is_empty(), "a round without trouble ends it");
    }

    #[test]
    fn job_whose_status_breaks_its_plugin_is_alone_with_it() {
        let (pauses, plugin) = (Pauses::default(), PluginDigest::of("p"));
        let (bad, fine) = (job("bad", plugin), job("fine", plugin));
        let trap = PluginFault::Failed {
            plugin: "p".to_owned(),
            call: "interpret",
            detail: "trap".to_owned(),
        };
        let lengths = [1, 2, 4, 8, 16, 30, 30].map(Duration::from_secs);
        assert_eq!(lengths.map(|_| pauses.failed(&bad, &trap, at(0))), lengths);
        assert!(!pauses.allow(&bad, at(29)) && pauses.allow(&bad, at(30)));
        assert!(pauses.allow(&fine, at(0)));
        pauses.done(&bad);
        assert!(pauses.allow(&bad, at(0)));
        pauses.failed(&bad, &trap, at(0));
        pauses.keep(|id| *id != bad.id);
        assert!(pauses.state().jobs.is_empty());
    }
}
