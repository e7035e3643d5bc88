//! Transitions: guarded by the version, recorded without a gap, and never backwards.

use serde_json::json;

use super::{Store, all, insert, listed, put, step, walk};
use crate::id::ClusterName;
use crate::job::{FailureClass, Job, Placement};
use crate::phase::{Desired, Lifecycle, Phase};
use crate::ports::{Effects, ListQuery, Moved, StoreError};
use crate::testing::samples::{self, at, changed, moved};

/// See the name.
pub async fn a_transition_rewrites_the_row_and_raises_the_version(store: Store) {
    let before = insert(&store, "one", 1).await;
    let after = Job {
        phase: Phase::Failed,
        lifecycle: Lifecycle::Deleting,
        desired: Desired::Delete,
        reason: "Evicted".to_owned(),
        message: "The node went away: „é“.".to_owned(),
        failure: FailureClass::Infrastructure,
        progress: Some(0.75),
        last_known: Some(Phase::Running),
        stale_since: Some(at(11)),
        placement: Some(Placement {
            clusters: vec![ClusterName::parse("member1").unwrap()],
            reason: "It was the only one.".to_owned(),
        }),
        workload_uid: Some("uid-1".to_owned()),
        missing_since: Some(at(12)),
        pending_since: Some(at(18)),
        run_began: Some(at(19)),
        restarts: 3,
        delete_volumes: true,
        updated_at: at(13),
        submitted_at: Some(at(14)),
        started_at: Some(at(15)),
        finished_at: Some(at(16)),
        ..before
    };
    let stored = step(&store, &after).await;
    assert_eq!(stored, Job { version: 2, ..after });
    let gone = Job {
        lifecycle: Lifecycle::Deleted,
        deleted_at: Some(at(17)),
        progress: None,
        stale_since: None,
        placement: None,
        pending_since: None,
        run_began: None,
        ..stored
    };
    assert_eq!(step(&store, &gone).await, Job { version: 3, ..gone });
}

/// See the name.
pub async fn a_stale_transition_changes_nothing(store: Store) {
    let first = insert(&store, "one", 1).await;
    let second = walk(&store, &first, Phase::Submitted).await;
    let effects = Effects { enqueue: vec![crate::intent::IntentKind::Stop], settle: None };
    for version in [0, 1, 3] {
        let stale = Job { version, ..moved(&second, Phase::Failed) };
        let answer = store.transition(&stale, &changed(json!({})), &effects).await.unwrap();
        assert_eq!(answer, Moved::Stale, "version {version}");
    }
    assert_eq!(store.find(&first.id).await.unwrap(), Some(second));
    assert_eq!(store.events(&first.id).await.unwrap().len(), 2);
    let due = store.claim("a", at(999), std::time::Duration::from_secs(1), 9).await.unwrap();
    assert_eq!(due.len(), 1, "only the first apply");
    let absent = samples::job("absent", 9);
    let answer = store.transition(&absent, &changed(json!({})), &effects).await.unwrap();
    assert_eq!(answer, Moved::Stale, "a job that never was");
}

/// See the name.
pub async fn concurrent_transitions_of_one_version_let_one_through(store: Store) {
    let job = insert(&store, "one", 1).await;
    let (store, after) = (&store, &moved(&job, Phase::Submitted));
    let calls = (0..16).map(|n| async move {
        store.transition(after, &changed(json!(n)), &Effects::default()).await
    });
    let answers: Vec<Moved> = all(calls).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| **answer == Moved::Done).count(), 1);
    assert_eq!(store.find(&job.id).await.unwrap().unwrap().version, 2);
    assert_eq!(store.events(&job.id).await.unwrap().len(), 2);
}

/// See the name.
pub async fn event_numbers_have_no_gap_and_equal_the_version(store: Store) {
    let mut job = insert(&store, "one", 1).await;
    for phase in [Phase::Submitted, Phase::Running, Phase::Unknown, Phase::Running] {
        job = walk(&store, &job, phase).await;
    }
    let numbers: Vec<i64> =
        store.events(&job.id).await.unwrap().iter().map(|event| event.seq).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    assert_eq!(job.version, 5);
}

/// See the name.
pub async fn an_event_holds_phases_time_and_evidence(store: Store) {
    let job = insert(&store, "one", 1).await;
    let after = moved(&job, Phase::Submitted);
    let evidence = json!({"uid": "1", "zeta": [0, 1.5], "alpha": null});
    store.transition(&after, &changed(evidence.clone()), &Effects::default()).await.unwrap();
    let events = store.events(&job.id).await.unwrap();
    let last = events.last().unwrap();
    assert_eq!((last.from, last.to), (Some(Phase::Queued), Phase::Submitted));
    assert_eq!(last.at, after.updated_at);
    assert_eq!((last.kind.as_str(), last.actor.as_str()), ("PhaseChanged", "observe"));
    assert_eq!((&last.reason, &last.message), (&after.reason, &after.message));
    assert_eq!(last.evidence.to_string(), evidence.to_string());
}

/// A change that no decision makes is refused loudly, whatever version it brings.
async fn refused(store: &Store, after: &Job) {
    let before = store.find(&after.id).await.unwrap();
    let answer = store.transition(after, &changed(json!({})), &Effects::default()).await;
    assert!(matches!(answer, Err(StoreError::Internal(_))), "{answer:?}");
    assert_eq!(store.find(&after.id).await.unwrap(), before);
}

/// See the name.
pub async fn a_terminal_phase_never_changes(store: Store) {
    let job = insert(&store, "one", 1).await;
    let over = walk(&store, &job, Phase::Succeeded).await;
    refused(&store, &moved(&over, Phase::Running)).await;
    refused(&store, &moved(&over, Phase::Failed)).await;
    // The rest of the row may still change.
    let noted = Job { message: "Logs are archived.".to_owned(), ..over };
    assert_eq!(step(&store, &noted).await.version, 3);
}

/// See the name.
pub async fn what_the_user_wants_never_moves_back(store: Store) {
    let job = insert(&store, "one", 1).await;
    let cancelled = step(&store, &Job { desired: Desired::Cancel, ..job }).await;
    refused(&store, &Job { desired: Desired::Run, ..cancelled.clone() }).await;
    let lifecycle = Lifecycle::Deleting;
    let going = step(&store, &Job { desired: Desired::Delete, lifecycle, ..cancelled }).await;
    refused(&store, &Job { lifecycle: Lifecycle::Active, ..going.clone() }).await;
    refused(&store, &Job { desired: Desired::Cancel, ..going.clone() }).await;
    refused(&store, &moved(&walk(&store, &going, Phase::Submitted).await, Phase::Queued)).await;
}

/// See the name.
pub async fn a_terminal_job_stays_on_record(store: Store) {
    let job = insert(&store, "one", 1).await;
    let over = walk(&store, &job, Phase::Lost).await;
    assert_eq!(store.find(&job.id).await.unwrap(), Some(over));
    assert_eq!(listed(&store, &ListQuery::default()).await, [job.id.as_str()]);
    assert!(store.bundle(&job.id).await.unwrap().is_some());
}

/// See the name.
pub async fn a_deleted_job_is_found_but_not_listed(store: Store) {
    let job = insert(&store, "one", 1).await;
    let over = walk(&store, &job, Phase::Cancelled).await;
    let gone = Job { lifecycle: Lifecycle::Deleted, deleted_at: Some(at(9)), ..over };
    let gone = step(&store, &gone).await;
    assert_eq!(store.find(&job.id).await.unwrap(), Some(gone));
    assert_eq!(store.list(&ListQuery::default()).await.unwrap(), []);
    assert_eq!(store.events(&job.id).await.unwrap().len(), 3);
}

/// See the name.
pub async fn a_zero_byte_in_a_message_is_stored_as_a_replacement(store: Store) {
    let job = samples::job("one", 1);
    put(&store, job.clone()).await;
    let after = Job { message: "a\0b".to_owned(), ..moved(&job, Phase::Submitted) };
    assert_eq!(step(&store, &after).await.message, "a\u{fffd}b");
}
