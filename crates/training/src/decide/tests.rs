//! Tables over [`decide`].

use super::*;
use crate::id::ClusterName;
use crate::job::Placement;
use crate::ports::MemberSeen;
use crate::testing_values;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn job(phase: Phase) -> Job {
    let mut job = testing_values::job("j");
    job.phase = phase;
    job.placement =
        Some(Placement { clusters: vec![ClusterName::parse("m").unwrap()], reason: String::new() });
    if phase == Phase::Running {
        job.started_at = Some(at(0));
    }
    job
}

fn report(state: RunState) -> Report {
    Report {
        state,
        reason: "R".to_owned(),
        message: "M".to_owned(),
        progress: None,
        failure: FailureClass::None,
        started_at: None,
        finished_at: None,
        logs: Vec::new(),
    }
}

fn member(cluster: &str) -> MemberSeen {
    MemberSeen { cluster: cluster.to_owned(), applied: true, ..MemberSeen::default() }
}

fn seen(reports: Vec<(&str, Report)>) -> Observation {
    let members = reports.iter().map(|(cluster, _)| member(cluster)).collect();
    Observation {
        seen: Seen {
            binding: Some(BindingSeen { members, ..BindingSeen::default() }),
            exists: None,
        },
        reports: reports.into_iter().map(|(name, report)| (name.to_owned(), report)).collect(),
        away: None,
    }
}

fn run(job: &Job, observation: &Observation, seconds: i64) -> Option<Job> {
    decide(job, observation, &Patience::default(), at(seconds)).map(|decision| decision.after)
}

#[test]
fn every_state_leads_to_its_phase() {
    use Phase::{Failed, Running, Submitted, Succeeded, Suspended};
    for (from, state, to) in [
        (Submitted, RunState::Pending, Submitted),
        (Submitted, RunState::Running, Running),
        (Submitted, RunState::Suspended, Suspended),
        (Submitted, RunState::Succeeded, Succeeded),
        (Submitted, RunState::Failed, Failed),
        (Running, RunState::Running, Running),
        // A retry inside the cluster does not make a running job pending again.
        (Running, RunState::Pending, Running),
        (Running, RunState::Unknown, Running),
        (Suspended, RunState::Running, Running),
        (Suspended, RunState::Pending, Submitted),
    ] {
        let before = job(from);
        let after = run(&before, &seen(vec![("m", report(state))]), 10).unwrap_or(before);
        assert_eq!(after.phase, to, "{from} + {state:?}");
        assert_eq!(after.finished_at.is_some(), to.is_terminal());
    }
}

#[test]
fn terminal_and_queued_jobs_are_left_alone() {
    for phase in Phase::ALL.iter().filter(|phase| !phase.is_observed()) {
        let observation = seen(vec![("m", report(RunState::Running))]);
        assert_eq!(run(&job(*phase), &observation, 1), None, "{phase}");
    }
}

#[test]
fn the_same_observation_twice_changes_nothing() {
    let observation = seen(vec![("m", report(RunState::Running))]);
    let after = run(&job(Phase::Submitted), &observation, 1).unwrap();
    assert_eq!(run(&after, &observation, 2), None);
}

#[test]
fn failure_class_decides_between_failed_timed_out_and_cancelled() {
    let mut timeout = report(RunState::Failed);
    timeout.failure = FailureClass::Timeout;
    let after = run(&job(Phase::Running), &seen(vec![("m", timeout)]), 1).unwrap();
    assert_eq!(after.phase, Phase::TimedOut);

    let mut stopped = report(RunState::Failed);
    stopped.failure = FailureClass::Stopped;
    let observation = seen(vec![("m", stopped)]);
    assert_eq!(run(&job(Phase::Running), &observation, 1).unwrap().phase, Phase::Failed);
    let mut cancelled = job(Phase::Running);
    cancelled.desired = Desired::Cancel;
    assert_eq!(run(&cancelled, &observation, 1).unwrap().phase, Phase::Cancelled);
}

#[test]
fn success_on_all_clusters_needs_all_of_them() {
    let mut both = job(Phase::Running);
    both.spread = Spread::All;
    both.placement = Some(Placement {
        clusters: vec![ClusterName::parse("a").unwrap(), ClusterName::parse("b").unwrap()],
        reason: String::new(),
    });
    let done = || report(RunState::Succeeded);
    let one = run(&both, &seen(vec![("a", done())]), 1);
    assert!(one.is_none_or(|job| !job.phase.is_terminal()));
    let running = seen(vec![("a", done()), ("b", report(RunState::Running))]);
    assert!(run(&both, &running, 1).is_none_or(|job| job.phase == Phase::Running));
    let failed = seen(vec![("a", done()), ("b", report(RunState::Failed))]);
    assert_eq!(run(&both, &failed, 1).unwrap().phase, Phase::Failed);
    let all = seen(vec![("a", done()), ("b", done())]);
    assert_eq!(run(&both, &all, 1).unwrap().phase, Phase::Succeeded);
}

#[test]
fn vanished_workload_is_lost_after_a_second_look_and_never_before() {
    let gone =
        Observation { seen: Seen { binding: None, exists: Some(false) }, ..Observation::default() };
    let first = run(&job(Phase::Running), &gone, 100).unwrap();
    assert_eq!((first.phase, first.last_known), (Phase::Unknown, Some(Phase::Running)));
    assert_eq!(run(&first, &gone, 159), None);
    let second = run(&first, &gone, 160).unwrap();
    assert_eq!(second.phase, Phase::Lost);
    assert!(second.finished_at.is_some());

    // It was only the watch that was behind.
    let back = run(&first, &seen(vec![("m", report(RunState::Running))]), 159).unwrap();
    assert_eq!((back.phase, back.missing_since), (Phase::Running, None));
}

#[test]
fn a_workload_that_we_remove_is_not_lost() {
    let gone =
        Observation { seen: Seen { binding: None, exists: Some(false) }, ..Observation::default() };
    let mut cancelled = job(Phase::Running);
    cancelled.desired = Desired::Cancel;
    assert_eq!(run(&cancelled, &gone, 1_000_000), None);
}

#[test]
fn outage_makes_a_job_unknown_and_its_end_brings_the_phase_back() {
    let mut outage = seen(vec![("m", report(RunState::Running))]);
    outage.away = Some(Away { cluster: "m".to_owned(), reason: "ClusterNotReachable".to_owned() });
    let mut running = job(Phase::Running);
    running.reason = "R".to_owned();
    running.message = "M".to_owned();
    let first = run(&running, &outage, 100).unwrap();
    assert_eq!((first.phase, first.stale_since), (Phase::Running, Some(at(100))));
    let unknown = run(&first, &outage, 160).unwrap();
    assert_eq!((unknown.phase, unknown.last_known), (Phase::Unknown, Some(Phase::Running)));
    assert!(unknown.message.contains("ClusterNotReachable"), "{}", unknown.message);
    // The frozen status of an absent cluster is not news.
    assert_eq!(run(&unknown, &outage, 200), None);
    let back = run(&unknown, &seen(vec![("m", report(RunState::Running))]), 300).unwrap();
    assert_eq!((back.phase, back.stale_since), (Phase::Running, None));
    let lost = run(&unknown, &outage, 100 + 24 * 3600).unwrap();
    assert_eq!(lost.phase, Phase::Lost);
}

#[test]
fn karmadas_refusals_become_reasons() {
    let mut unfit = seen(vec![]);
    unfit.seen.binding = Some(BindingSeen {
        scheduled: Some((false, "NoClusterFit".to_owned(), "0/2 clusters".to_owned())),
        ..BindingSeen::default()
    });
    let after = run(&job(Phase::Submitted), &unfit, 1).unwrap();
    assert_eq!((after.phase, after.reason.as_str()), (Phase::Submitted, "NoClusterFit"));
    assert!(after.message.contains("0/2 clusters"));

    let mut refused = seen(vec![]);
    refused.seen.binding = Some(BindingSeen {
        members: vec![MemberSeen {
            cluster: "m".to_owned(),
            applied_message: "already exists".to_owned(),
            ..MemberSeen::default()
        }],
        ..BindingSeen::default()
    });
    let after = run(&job(Phase::Submitted), &refused, 1).unwrap();
    assert_eq!((after.phase, after.reason.as_str()), (Phase::Submitted, "NotApplied"));
    // Not applied without a word is the ordinary state of the first second.
    let mut young = refused;
    young.seen.binding.as_mut().unwrap().members[0].applied_message.clear();
    assert_eq!(run(&job(Phase::Submitted), &young, 1), None);
}

#[test]
fn what_the_program_does_outweighs_what_karmada_says_of_the_workload() {
    let unscheduled = BindingSeen {
        scheduled: Some((false, "NoClusterFit".to_owned(), "0/2 clusters".to_owned())),
        members: vec![member("m")],
        ..BindingSeen::default()
    };
    let refused = BindingSeen {
        members: vec![MemberSeen {
            applied: false,
            applied_message: "webhook denied the request".to_owned(),
            ..member("m")
        }],
        ..BindingSeen::default()
    };
    for (binding, reason) in [(unscheduled, "NoClusterFit"), (refused, "NotApplied")] {
        for (state, phase, wins) in [
            (RunState::Unknown, Phase::Submitted, false),
            (RunState::Pending, Phase::Submitted, false),
            (RunState::Suspended, Phase::Submitted, false),
            (RunState::Running, Phase::Running, false),
            (RunState::Succeeded, Phase::Succeeded, true),
            (RunState::Failed, Phase::Failed, true),
        ] {
            let mut observation = seen(vec![("m", report(state))]);
            observation.seen.binding = Some(binding.clone());
            let after = run(&job(Phase::Submitted), &observation, 1).unwrap();
            let expected = if wins { "R" } else { reason };
            assert_eq!(
                (after.phase, after.reason.as_str()),
                (phase, expected),
                "{reason} {state:?}"
            );
            assert_eq!(after.started_at.is_some(), phase == Phase::Running, "{reason} {state:?}");
            assert_eq!(run(&after, &observation, 2), None, "{reason} {state:?}");
        }
    }
}

#[test]
fn status_of_a_cluster_that_was_not_chosen_speaks_for_nobody() {
    let observation = seen(vec![("m", report(RunState::Pending)), ("n", report(RunState::Failed))]);
    let after = run(&job(Phase::Submitted), &observation, 1).unwrap();
    assert_eq!(after.phase, Phase::Submitted);
    let stranger = seen(vec![("n", report(RunState::Running))]);
    assert_eq!(run(&job(Phase::Submitted), &stranger, 1), None);
}

#[test]
fn run_elsewhere_is_stopped_also_when_ours_is_over_or_away() {
    let elsewhere = |state| {
        let mut observation = seen(vec![("m", report(state))]);
        let binding = observation.seen.binding.as_mut().unwrap();
        binding.clusters = vec!["m".to_owned(), "n".to_owned()];
        observation
    };
    let over = elsewhere(RunState::Succeeded);
    let decision = decide(&job(Phase::Running), &over, &Patience::default(), at(1)).unwrap();
    assert_eq!((decision.after.phase, decision.after.reason.as_str()), (Phase::Succeeded, "R"));
    assert_eq!(decision.effects.enqueue, [IntentKind::Stop]);
    let mut away = elsewhere(RunState::Running);
    away.away = Some(Away { cluster: "m".to_owned(), reason: "ClusterNotReachable".to_owned() });
    let decision = decide(&job(Phase::Running), &away, &Patience::default(), at(1)).unwrap();
    assert_eq!(
        (decision.after.desired, decision.after.reason.as_str()),
        (Desired::Cancel, "PlacedElsewhere")
    );
    assert_eq!(decision.effects.enqueue, [IntentKind::Stop]);
}

#[test]
fn run_that_its_cluster_began_anew_is_counted_once() {
    let began = |seconds: i64| {
        let mut running = report(RunState::Running);
        running.started_at = Some(at(seconds));
        seen(vec![("m", running)])
    };
    let mut limited = job(Phase::Submitted);
    limited.max_runtime_seconds = Some(1000);
    let first = run(&limited, &began(10), 11).unwrap();
    assert_eq!((first.run_began, first.restarts), (Some(at(10)), 0));
    let decision = decide(&first, &began(50), &Patience::default(), at(51)).unwrap();
    let second = decision.after;
    assert_eq!(decision.event.kind, "Restarted");
    assert_eq!((second.run_began, second.restarts), (Some(at(50)), 1));
    assert_eq!(second.started_at, Some(at(10)), "its limit covers all of its runs");
    assert_eq!(run(&second, &began(50), 60), None);
    // Whoever was held back begins anew by intent.
    let held = run(&second, &seen(vec![("m", report(RunState::Suspended))]), 70).unwrap();
    let resumed = run(&held, &began(90), 91).unwrap();
    assert_eq!((resumed.run_began, resumed.restarts), (Some(at(90)), 1));
}

#[test]
fn job_that_was_held_back_is_given_its_time_to_wait_again() {
    let mut limited = job(Phase::Running);
    limited.max_pending_seconds = Some(60);
    let suspended = seen(vec![("m", report(RunState::Suspended))]);
    let pending = seen(vec![("m", report(RunState::Pending))]);
    // Its cluster put it out for another, long after it was accepted.
    let out = run(&limited, &suspended, 500).unwrap();
    assert_eq!((out.pending_since, out.desired), (Some(at(500)), Desired::Run));
    assert_eq!(run(&out, &suspended, 560), None);
    assert_eq!(run(&out, &suspended, 561).unwrap().reason, PENDING_REASON);
    let back = run(&out, &pending, 550).unwrap();
    assert_eq!((back.phase, back.pending_since), (Phase::Submitted, Some(at(500))));
    // One that waits for its cluster's queue from the start has waited since then.
    let mut queued = job(Phase::Submitted);
    queued.max_pending_seconds = Some(60);
    assert_eq!(run(&queued, &suspended, 61).unwrap().reason, PENDING_REASON);
}

#[test]
fn the_host_stops_what_the_cluster_does_not() {
    let mut limited = job(Phase::Running);
    limited.max_runtime_seconds = Some(100);
    limited.reason = "R".to_owned();
    limited.message = "M".to_owned();
    let observation = seen(vec![("m", report(RunState::Running))]);
    assert_eq!(run(&limited, &observation, 170), None);
    let decision = decide(&limited, &observation, &Patience::default(), at(171)).unwrap();
    assert_eq!(decision.after.desired, Desired::Cancel);
    assert_eq!(decision.after.reason, DEADLINE_REASON);
    assert_eq!(decision.effects.enqueue, [IntentKind::Stop]);
}

#[test]
fn deadline_survives_an_outage_of_the_cluster() {
    let mut limited = job(Phase::Running);
    limited.desired = Desired::Cancel;
    limited.reason = DEADLINE_REASON.to_owned();
    let mut outage = seen(vec![("m", report(RunState::Running))]);
    outage.away = Some(Away { cluster: "m".to_owned(), reason: "R".to_owned() });
    let first = run(&limited, &outage, 100).unwrap();
    let unknown = run(&first, &outage, 200).unwrap();
    assert_eq!((unknown.phase, unknown.reason.as_str()), (Phase::Unknown, DEADLINE_REASON));
    let mut stopped = report(RunState::Failed);
    stopped.failure = FailureClass::Stopped;
    let after = run(&unknown, &seen(vec![("m", stopped)]), 300).unwrap();
    assert_eq!(after.phase, Phase::TimedOut);
}

#[test]
fn job_that_waits_too_long_is_stopped_unless_it_is_held_back() {
    let mut waiting = job(Phase::Submitted);
    waiting.max_pending_seconds = Some(60);
    let observation = seen(vec![("m", report(RunState::Pending))]);
    let at_its_limit = run(&waiting, &observation, 60).unwrap_or(waiting.clone());
    assert_eq!(at_its_limit.desired, Desired::Run);
    let decision = decide(&waiting, &observation, &Patience::default(), at(61)).unwrap();
    assert_eq!((decision.after.phase, decision.after.desired), (Phase::Submitted, Desired::Cancel));
    assert_eq!(decision.after.reason, PENDING_REASON);
    assert_eq!(decision.effects.enqueue, [IntentKind::Stop]);
    let held = Job { suspend: true, ..waiting.clone() };
    let held = run(&held, &observation, 1000).unwrap_or(held);
    assert_eq!(held.desired, Desired::Run);
    let started = Job { started_at: Some(at(59)), phase: Phase::Running, ..waiting };
    let running = run(&started, &seen(vec![("m", report(RunState::Running))]), 1000);
    assert_eq!(running.unwrap_or(started).desired, Desired::Run);
}

#[test]
fn time_of_a_suspended_job_begins_anew() {
    let mut limited = job(Phase::Running);
    limited.max_runtime_seconds = Some(100);
    limited.suspend = true;
    let suspended = run(&limited, &seen(vec![("m", report(RunState::Suspended))]), 90).unwrap();
    assert_eq!((suspended.phase, suspended.started_at), (Phase::Suspended, None));
    assert_eq!(run(&suspended, &seen(vec![("m", report(RunState::Suspended))]), 5000), None);
    let resumed = Job { suspend: false, ..suspended };
    let running = run(&resumed, &seen(vec![("m", report(RunState::Running))]), 5000).unwrap();
    assert_eq!((running.started_at, running.desired), (Some(at(5000)), Desired::Run));
}

#[test]
fn workload_on_a_cluster_that_was_not_chosen_is_stopped() {
    let mut observation = seen(vec![("m", report(RunState::Running))]);
    observation.seen.binding.as_mut().unwrap().clusters = vec!["m".to_owned(), "n".to_owned()];
    let decision =
        decide(&job(Phase::Submitted), &observation, &Patience::default(), at(1)).unwrap();
    assert_eq!(decision.after.desired, Desired::Cancel);
    assert_eq!(decision.after.reason, "PlacedElsewhere");
    assert_eq!(decision.effects.enqueue, [IntentKind::Stop]);
    // Once is enough.
    assert_eq!(run(&decision.after, &observation, 2), None);
}

#[test]
fn lost_job_is_removed_should_its_cluster_return() {
    let gone =
        Observation { seen: Seen { binding: None, exists: Some(false) }, ..Observation::default() };
    let first = run(&job(Phase::Running), &gone, 100).unwrap();
    let decision = decide(&first, &gone, &Patience::default(), at(160)).unwrap();
    assert_eq!(decision.effects.enqueue, [IntentKind::Stop]);
}
