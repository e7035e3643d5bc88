//! What was over and runs again. Karmada makes an object anew when somebody deletes it on the member,
//! and keeps no record that its program had ended.

use super::{Decision, Observation, chosen, evidence, has_begun};
use crate::clock::Timestamp;
use crate::intent::IntentKind;
use crate::job::{Job, NewEvent, Spread};
use crate::phase::{Desired, Lifecycle, Phase};
use crate::ports::{Effects, Report, RunState};

/// Whether a job ended by itself and still has its objects: then its workload must stay as it is.
pub fn is_at_rest(job: &Job) -> bool {
    matches!(job.phase, Phase::Succeeded | Phase::Failed | Phase::TimedOut)
        && (job.desired, job.lifecycle) == (Desired::Run, Lifecycle::Active)
        && job.workload_uid.is_some()
}

/// Says what it means that the workload of a job that is at rest is seen like this; `None` if that is
/// how it ended. The outcome stays; what runs again is stopped.
pub fn ran_again(job: &Job, observation: &Observation, now: Timestamp) -> Option<Decision> {
    if !is_at_rest(job) {
        return None;
    }
    let chosen = chosen(job);
    let reports: Vec<&Report> = observation
        .reports
        .iter()
        .filter(|(cluster, _)| chosen.contains(&cluster.as_str()))
        .map(|(_, report)| report)
        .collect();
    let goes_on =
        |state| matches!(state, RunState::Pending | RunState::Running | RunState::Suspended);
    let running = reports.iter().any(|report| goes_on(report.state));
    // Of several clusters the row has the time of one.
    let began =
        reports.iter().filter(|report| has_begun(report.state) && job.spread == Spread::One);
    let began = began.filter_map(|report| report.started_at).max();
    let is_later = began.is_some_and(|began| job.run_began.is_some_and(|before| before < began));
    if !running && !is_later {
        return None;
    }
    let mut after = job.clone();
    after.restarts = after.restarts.saturating_add(1);
    after.run_began = began.max(after.run_began);
    after.updated_at = now;
    let mut effects = Effects::default();
    if running {
        after.desired = Desired::Cancel;
        effects.enqueue.push(IntentKind::Stop);
    }
    let mut evidence = evidence(observation);
    if let Some(members) = evidence.as_object_mut() {
        members.insert("stopped".to_owned(), running.into());
    }
    let event = NewEvent { kind: "RanAgain", actor: "observe", evidence };
    Some(Decision { after, event, effects })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ClusterName;
    use crate::job::{FailureClass, Placement};
    use crate::testing_values::job;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn over(phase: Phase) -> Job {
        let clusters = vec![ClusterName::parse("m").unwrap()];
        Job {
            phase,
            placement: Some(Placement { clusters, reason: String::new() }),
            workload_uid: Some("u".to_owned()),
            run_began: Some(at(10)),
            finished_at: Some(at(20)),
            ..job("a")
        }
    }

    fn seen(cluster: &str, state: RunState, began: Option<i64>) -> Observation {
        let report = Report {
            state,
            reason: String::new(),
            message: String::new(),
            failure: FailureClass::None,
            started_at: began.map(at),
            finished_at: None,
            progress: None,
            logs: Vec::new(),
        };
        Observation { reports: vec![(cluster.to_owned(), report)], ..Observation::default() }
    }

    #[test]
    fn only_another_run_than_the_one_that_ended_is_told_and_what_goes_on_is_stopped() {
        use RunState::{Failed, Pending, Running, Succeeded, Unknown};
        for (observation, told, stopped) in [
            (seen("m", Succeeded, Some(10)), false, false),
            (seen("m", Failed, None), false, false),
            (seen("m", Unknown, None), false, false),
            (seen("m", Pending, None), true, true),
            (seen("m", Running, Some(30)), true, true),
            (seen("m", Succeeded, Some(30)), true, false),
            (seen("elsewhere", Running, Some(30)), false, false),
            (Observation::default(), false, false),
        ] {
            for phase in [Phase::Succeeded, Phase::Failed, Phase::TimedOut] {
                let decision = ran_again(&over(phase), &observation, at(40));
                assert_eq!(decision.is_some(), told, "{phase}: {observation:?}");
                let Some(Decision { after, event, effects }) = decision else { continue };
                assert_eq!((after.phase, after.finished_at), (phase, Some(at(20))));
                assert_eq!((after.restarts, event.kind), (1, "RanAgain"));
                assert_eq!(effects.enqueue == [IntentKind::Stop], stopped, "{observation:?}");
                assert_eq!(ran_again(&after, &observation, at(50)), None, "it is told once");
            }
        }
    }

    #[test]
    fn jobs_that_are_not_over_or_on_their_way_out_are_none_of_its_business() {
        let runs = seen("m", RunState::Running, Some(30));
        for other in [
            over(Phase::Running),
            over(Phase::Lost),
            over(Phase::Cancelled),
            Job { desired: Desired::Delete, ..over(Phase::Succeeded) },
            Job { lifecycle: Lifecycle::Deleting, ..over(Phase::Succeeded) },
            Job { workload_uid: None, ..over(Phase::Failed) },
        ] {
            assert_eq!(ran_again(&other, &runs, at(40)), None, "{other:?}");
        }
    }
}
