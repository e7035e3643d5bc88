//! Intents: enqueued with a change, claimed by one at a time, settled or postponed by their owner.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;

use super::{Store, all, insert, put};
use crate::clock::Timestamp;
use crate::intent::{Claimed, IntentKind};
use crate::job::Job;
use crate::phase::Phase;
use crate::ports::{Effects, Inserted, Moved};
use crate::testing::samples::{at, changed, job, moved, new_job};

const LEASE: Duration = Duration::from_secs(30);

async fn claim(store: &Store, owner: &str, now: Timestamp) -> Vec<Claimed> {
    store.claim(owner, now, LEASE, 100).await.unwrap()
}

/// The only intent that is due.
async fn claim_one(store: &Store, owner: &str, now: Timestamp) -> Claimed {
    let mut claimed = claim(store, owner, now).await;
    assert_eq!(claimed.len(), 1, "{claimed:?}");
    claimed.remove(0)
}

fn kinds(claimed: &[Claimed]) -> Vec<IntentKind> {
    claimed.iter().map(|intent| intent.kind).collect()
}

/// Enqueues at `now` and settles, by a change of nothing but the time.
async fn with_effects(
    store: &Store,
    job: &Job,
    now: Timestamp,
    enqueue: &[IntentKind],
    settle: Option<i64>,
) {
    let current = store.find(&job.id).await.unwrap().unwrap();
    let effects = Effects { enqueue: enqueue.to_vec(), settle };
    let after = Job { updated_at: now, ..current };
    let moved = store.transition(&after, &changed(json!({})), &effects).await.unwrap();
    assert_eq!(moved, Moved::Done);
}

/// See the name.
pub async fn a_transition_enqueues_and_settles(store: Store) {
    let job = insert(&store, "one", 1).await;
    let apply = claim_one(&store, "a", at(1)).await;
    with_effects(&store, &job, at(2), &[IntentKind::Delete], Some(apply.id)).await;
    let delete = claim_one(&store, "a", at(2)).await;
    assert_eq!((delete.kind, delete.attempts, delete.created_at), (IntentKind::Delete, 0, at(2)));
    with_effects(&store, &job, at(3), &[], Some(delete.id)).await;
    assert_eq!(claim(&store, "a", at(99)).await, []);

    // The id of another job's intent is not touched.
    let other = insert(&store, "two", 2).await;
    let apply = claim_one(&store, "a", at(3)).await;
    with_effects(&store, &job, at(3), &[], Some(apply.id)).await;
    assert_eq!(claim_one(&store, "a", at(99)).await.job_id, other.id);
}

/// See the name.
pub async fn enqueueing_twice_keeps_one_intent_and_makes_it_due(store: Store) {
    let job = insert(&store, "one", 1).await;
    let apply = claim_one(&store, "a", at(1)).await;
    store.postpone(apply.id, "a", at(500), "no room").await.unwrap();
    assert_eq!(claim(&store, "a", at(10)).await, []);
    with_effects(&store, &job, at(10), &[IntentKind::Apply], None).await;
    let again = claim_one(&store, "a", at(10)).await;
    assert_eq!((again.id, again.attempts), (apply.id, 1));
}

/// See the name.
pub async fn a_stop_removes_a_waiting_apply(store: Store) {
    let one = insert(&store, "one", 1).await;
    let two = insert(&store, "two", 1).await;
    with_effects(&store, &one, at(2), &[IntentKind::Stop], None).await;
    with_effects(&store, &two, at(2), &[IntentKind::Delete], None).await;
    let claimed = claim(&store, "a", at(999)).await;
    assert_eq!(kinds(&claimed), [IntentKind::Delete, IntentKind::Stop]);
    for intent in &claimed {
        store.settle(intent.id, "a").await.unwrap();
    }
    assert_eq!(claim(&store, "a", at(9999)).await, []);
}

/// See the name.
pub async fn a_stop_leaves_a_leased_apply(store: Store) {
    let job = insert(&store, "one", 1).await;
    let apply = claim_one(&store, "a", at(1)).await;
    with_effects(&store, &job, at(2), &[IntentKind::Stop], None).await;
    assert_eq!(claim(&store, "b", at(2)).await, [], "the holder may be writing");
    store.postpone(apply.id, "a", at(3), "still there").await.unwrap();
    assert_eq!(claim_one(&store, "b", at(3)).await.kind, IntentKind::Stop);
}

/// See the name.
pub async fn an_intent_enqueued_under_a_lease_outlives_its_settlement(store: Store) {
    let job = insert(&store, "one", 1).await;
    let first = claim_one(&store, "a", at(1)).await;
    with_effects(&store, &job, at(2), &[IntentKind::Apply], None).await;
    assert_eq!(claim(&store, "b", at(2)).await, [], "it is leased");
    store.settle(first.id, "a").await.unwrap();
    let second = claim_one(&store, "b", at(2)).await;

    with_effects(&store, &job, at(3), &[IntentKind::Apply], None).await;
    store.postpone(second.id, "b", at(500), "not yet").await.unwrap();
    let third = claim_one(&store, "b", at(3)).await;

    with_effects(&store, &job, at(4), &[IntentKind::Apply], None).await;
    with_effects(&store, &job, at(5), &[], Some(third.id)).await;
    let fourth = claim_one(&store, "b", at(5)).await;
    store.settle(fourth.id, "b").await.unwrap();
    assert_eq!(claim(&store, "b", at(9999)).await, []);
}

/// See the name.
pub async fn concurrent_claimers_never_share_an_intent(store: Store) {
    for number in 1..=60 {
        insert(&store, &format!("job-{number}"), number).await;
    }
    let store = &store;
    let claimers = (0..8).map(|n| async move {
        let (owner, mut got) = (format!("owner-{n}"), Vec::new());
        // An empty answer may only mean that others were faster; so everybody asks again.
        for _ in 0..30 {
            got.extend(store.claim(&owner, at(100), LEASE, 7).await.unwrap());
        }
        got
    });
    let claimed: Vec<Claimed> = all(claimers).await.into_iter().flatten().collect();
    let distinct: HashSet<i64> = claimed.iter().map(|intent| intent.id).collect();
    assert_eq!(claimed.len(), 60);
    assert_eq!(distinct.len(), 60);
}

/// See the name.
pub async fn a_claim_takes_urgent_then_important_then_early(store: Store) {
    for (name, number, priority) in [("late", 9, 500), ("early", 1, 500), ("vip", 8, 900)] {
        put(&store, Job { priority, ..job(name, number) }).await;
    }
    let stopped = insert(&store, "stopped", 2).await;
    with_effects(&store, &stopped, at(20), &[IntentKind::Stop], None).await;
    let removed = insert(&store, "removed", 3).await;
    with_effects(&store, &removed, at(21), &[IntentKind::Delete], None).await;
    let claimed = claim(&store, "a", at(30)).await;
    let names: Vec<&str> =
        claimed.iter().map(|intent| intent.job_id.as_str().rsplit_once('-').unwrap().0).collect();
    assert_eq!(names, ["removed", "stopped", "vip", "early", "late"]);
}

/// See the name.
pub async fn a_claim_takes_at_most_its_limit(store: Store) {
    for number in 1..=5 {
        insert(&store, &format!("job-{number}"), number).await;
    }
    assert_eq!(store.claim("a", at(9), LEASE, 2).await.unwrap().len(), 2);
    assert_eq!(store.claim("a", at(9), LEASE, 2).await.unwrap().len(), 2);
    assert_eq!(store.claim("a", at(9), LEASE, 2).await.unwrap().len(), 1);
    assert_eq!(store.claim("a", at(9), LEASE, 2).await.unwrap(), []);
}

/// See the name.
pub async fn a_queued_job_knows_how_many_are_taken_before_it(store: Store) {
    let first = insert(&store, "first", 1).await;
    let second = insert(&store, "second", 2).await;
    let mut urgent = job("urgent", 3);
    urgent.priority = first.priority + 1;
    assert_eq!(store.insert(&new_job(urgent.clone())).await.unwrap(), Inserted::New);
    assert_eq!(store.ahead(&urgent.id).await.unwrap(), Some(0));
    assert_eq!(store.ahead(&first.id).await.unwrap(), Some(1));
    assert_eq!(store.ahead(&second.id).await.unwrap(), Some(2));
    // The one being carried out still stands before the others.
    assert_eq!(store.claim("a", at(9), LEASE, 1).await.unwrap().len(), 1);
    assert_eq!(store.ahead(&first.id).await.unwrap(), Some(1));
    with_effects(&store, &first, at(9), &[IntentKind::Stop], None).await;
    assert_eq!(store.ahead(&first.id).await.unwrap(), None, "it no longer waits for its turn");
    assert_eq!(store.ahead(&second.id).await.unwrap(), Some(1));
}

/// See the name.
pub async fn a_claim_takes_one_intent_of_a_job(store: Store) {
    let job = insert(&store, "one", 1).await;
    with_effects(&store, &job, at(2), &[IntentKind::Stop, IntentKind::Delete], None).await;
    let delete = claim_one(&store, "a", at(9)).await;
    assert_eq!(delete.kind, IntentKind::Delete);
    store.settle(delete.id, "a").await.unwrap();
    assert_eq!(claim_one(&store, "a", at(9)).await.kind, IntentKind::Stop);
}

/// See the name.
pub async fn a_job_with_a_leased_intent_yields_no_other(store: Store) {
    let job = insert(&store, "one", 1).await;
    claim_one(&store, "a", at(1)).await;
    with_effects(&store, &job, at(2), &[IntentKind::Delete], None).await;
    assert_eq!(claim(&store, "b", at(30)).await, []);
    assert_eq!(claim(&store, "a", at(30)).await, [], "not even for the same owner");
    assert_eq!(claim_one(&store, "b", at(31)).await.kind, IntentKind::Delete);
}

/// See the name.
pub async fn an_expired_lease_is_claimable_again(store: Store) {
    insert(&store, "one", 1).await;
    let first = claim_one(&store, "a", at(1)).await;
    assert_eq!(claim(&store, "b", at(30)).await, []);
    let second = claim_one(&store, "b", at(31)).await;
    assert_eq!((second.id, second.attempts), (first.id, 1), "a lost lease was a try");
    store.settle(first.id, "a").await.unwrap();
    store.postpone(first.id, "a", at(0), "too late").await.unwrap();
    assert_eq!(claim(&store, "c", at(32)).await, [], "the late owner changed nothing");
}

/// See the name.
pub async fn a_postponed_intent_keeps_its_attempts_and_due_time(store: Store) {
    insert(&store, "one", 1).await;
    for attempt in 0..3 {
        let now = at(i64::from(attempt) * 100 + 1);
        let intent = claim_one(&store, "a", now).await;
        assert_eq!((intent.attempts, intent.created_at), (attempt, at(1)));
        store.postpone(intent.id, "a", now + Duration::from_secs(100), "busy\0").await.unwrap();
        assert_eq!(claim(&store, "a", now + Duration::from_secs(99)).await, []);
    }
}

/// See the name.
pub async fn only_the_owner_settles_and_postpones(store: Store) {
    insert(&store, "one", 1).await;
    let intent = claim_one(&store, "a", at(1)).await;
    store.settle(intent.id, "b").await.unwrap();
    store.postpone(intent.id, "b", at(0), "not mine").await.unwrap();
    assert_eq!(claim(&store, "b", at(2)).await, [], "the lease is still that of a");
    store.settle(intent.id, "a").await.unwrap();
    assert_eq!(claim(&store, "b", at(9999)).await, [], "it is gone");
    store.settle(intent.id, "a").await.unwrap();
}

/// See the name.
pub async fn waking_makes_postponed_intents_of_that_kind_due(store: Store) {
    insert(&store, "one", 1).await;
    let two = insert(&store, "two", 1).await;
    with_effects(&store, &two, at(1), &[IntentKind::Delete], None).await;
    for intent in claim(&store, "a", at(1)).await {
        store.postpone(intent.id, "a", at(5000), "later").await.unwrap();
    }
    store.wake_intents(IntentKind::Apply, at(2), 9).await.unwrap();
    assert_eq!(claim_one(&store, "a", at(2)).await.kind, IntentKind::Apply);
    assert_eq!(claim(&store, "b", at(3)).await, []);
}

/// See the name.
pub async fn waking_a_few_wakes_those_that_go_first(store: Store) {
    for (name, priority) in [("low", 1), ("high", 9), ("later-high", 9), ("middle", 5)] {
        put(&store, Job { priority, ..job(name, 1) }).await;
    }
    for intent in claim(&store, "a", at(1)).await {
        store.postpone(intent.id, "a", at(5000), "later").await.unwrap();
    }
    let woken = async |limit| {
        store.wake_intents(IntentKind::Apply, at(2), limit).await.unwrap();
        let claimed = claim(&store, "a", at(2)).await;
        claimed.into_iter().map(|intent| intent.job_id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(woken(2).await, ["high-00000001", "later-high-00000001"]);
    assert_eq!(woken(1).await, ["middle-00000001"]);
}

/// See the name.
pub async fn a_write_of_an_intent_rings_the_hint(store: Store) {
    let hint = store.hint();
    let rung = async || tokio::time::timeout(Duration::from_secs(5), hint.notified()).await;
    let job = insert(&store, "one", 1).await;
    rung().await.unwrap();
    let effects = Effects { enqueue: vec![IntentKind::Stop], settle: None };
    let after = moved(&job, Phase::Submitted);
    store.transition(&after, &changed(json!({})), &effects).await.unwrap();
    rung().await.unwrap();
    store.wake_intents(IntentKind::Apply, at(2), 9).await.unwrap();
    rung().await.unwrap();
}
