//! Inserts: what is written, what is refused, and what a repeated request answers.

use std::time::Duration;

use super::{Store, all, insert, put, step, walk};
use crate::id::Namespace;
use crate::intent::IntentKind;
use crate::job::Job;
use crate::phase::{Lifecycle, Phase};
use crate::ports::Inserted;
use crate::testing::samples::{self, at, job, keyed, new_job};

/// See the name.
pub async fn a_fresh_store_answers_and_is_empty(store: Store) {
    store.ping().await.unwrap();
    let id = job("absent", 1).id;
    assert_eq!(store.find(&id).await.unwrap(), None);
    assert_eq!(store.bundle(&id).await.unwrap(), None);
    assert_eq!(store.events(&id).await.unwrap(), []);
    assert_eq!(store.list(&crate::ports::ListQuery::default()).await.unwrap(), []);
    assert_eq!(store.observed(None, 10).await.unwrap(), []);
    assert_eq!(store.claim("a", at(0), Duration::from_secs(1), 9).await.unwrap(), []);
}

/// See the name.
pub async fn the_origin_is_stable(store: Store) {
    let origin = store.origin().await.unwrap();
    assert!(!origin.is_empty() && origin.len() <= 63, "`{origin}` is no label value");
    assert_eq!(store.origin().await.unwrap(), origin);
}

/// See the name.
pub async fn an_inserted_job_is_found_equal_in_every_field(store: Store) {
    let full = samples::full_job("full", 7);
    put(&store, full.clone()).await;
    assert_eq!(store.find(&full.id).await.unwrap(), Some(full.clone()));
    let text = |job: &Job| job.request.to_string();
    assert_eq!(text(&store.find(&full.id).await.unwrap().unwrap()), text(&full));
}

/// See the name.
pub async fn a_sparse_job_is_found_equal_in_every_field(store: Store) {
    let sparse = insert(&store, "sparse", 1).await;
    assert_eq!(store.find(&sparse.id).await.unwrap(), Some(sparse));
}

/// See the name.
pub async fn an_insert_writes_bundle_first_event_and_apply_intent(store: Store) {
    let job = insert(&store, "one", 1).await;
    let bundle = store.bundle(&job.id).await.unwrap().unwrap();
    assert_eq!(bundle, samples::bundle("one"));
    assert_eq!(bundle.digest(), job.provenance.bundle_digest);

    let events = store.events(&job.id).await.unwrap();
    assert_eq!(events.len(), 1);
    let first = events.first().unwrap();
    assert_eq!((first.seq, first.at, first.from, first.to), (1, at(1), None, Phase::Queued));
    assert_eq!((first.kind.as_str(), first.actor.as_str()), ("Accepted", "user"));
    assert_eq!((&first.reason, &first.message), (&job.reason, &job.message));
    assert_eq!(first.evidence, samples::accepted().evidence);

    let claimed = store.claim("a", at(1), Duration::from_secs(1), 9).await.unwrap();
    assert_eq!(claimed.len(), 1);
    let intent = claimed.first().unwrap();
    assert_eq!((&intent.job_id, intent.kind), (&job.id, IntentKind::Apply));
    assert_eq!((intent.attempts, intent.created_at), (0, at(1)));
}

/// See the name.
pub async fn a_second_job_of_the_same_name_is_refused_with_the_holder(store: Store) {
    let holder = insert(&store, "one", 1).await;
    let second = store.insert(&new_job(job("one", 2))).await.unwrap();
    assert_eq!(second, Inserted::NameTaken(holder.id.clone()));
    // Over is not gone: its objects still have the name.
    walk(&store, &holder, Phase::Failed).await;
    let third = store.insert(&new_job(job("one", 3))).await.unwrap();
    assert_eq!(third, Inserted::NameTaken(holder.id));
}

/// See the name.
pub async fn the_same_name_in_another_namespace_is_free(store: Store) {
    insert(&store, "one", 1).await;
    let namespace = Namespace::parse("team-b").unwrap();
    put(&store, Job { namespace, ..job("one", 2) }).await;
}

/// Marks a job as deleting.
async fn deleting(store: &Store, job: &Job) -> Job {
    let over = walk(store, job, Phase::Cancelled).await;
    step(store, &Job { lifecycle: Lifecycle::Deleting, ..over }).await
}

/// Marks a job as proven gone.
pub(super) async fn deleted(store: &Store, job: &Job) -> Job {
    let deleting = deleting(store, job).await;
    let deleted_at = Some(deleting.updated_at);
    step(store, &Job { lifecycle: Lifecycle::Deleted, deleted_at, ..deleting }).await
}

/// See the name.
pub async fn a_name_is_free_again_only_after_proof_of_deletion(store: Store) {
    let first = insert(&store, "one", 1).await;
    let first = deleting(&store, &first).await;
    let refused = store.insert(&new_job(job("one", 2))).await.unwrap();
    assert_eq!(refused, Inserted::NameTaken(first.id.clone()));
    let deleted_at = Some(first.updated_at);
    step(&store, &Job { lifecycle: Lifecycle::Deleted, deleted_at, ..first }).await;
    insert(&store, "one", 3).await;
}

/// See the name.
pub async fn the_same_key_and_body_answer_the_first_job(store: Store) {
    let first = job("one", 1);
    assert_eq!(store.insert(&keyed(first.clone(), "k", "b")).await.unwrap(), Inserted::New);
    let request = keyed(job("one", 2), "k", "b");
    let key = request.idempotency.clone().unwrap();
    assert_eq!(store.find_repeated(&key, at(1)).await.unwrap(), Some(first.clone()));
    let other = keyed(job("one", 2), "k", "c").idempotency.unwrap();
    assert_eq!(store.find_repeated(&other, at(1)).await.unwrap(), None);
    let again = store.insert(&request).await.unwrap();
    assert_eq!(again, Inserted::SameAs(first.id.clone()));
    assert_eq!(store.find(&job("one", 2).id).await.unwrap(), None);
    // Also days later, as long as the job may exist on a cluster.
    let late = Job { created_at: at(400_000), ..job("one", 3) };
    let again = store.insert(&keyed(late, "k", "b")).await.unwrap();
    assert_eq!(again, Inserted::SameAs(first.id));
}

/// See the name.
pub async fn the_same_key_with_another_body_is_refused(store: Store) {
    assert_eq!(store.insert(&keyed(job("one", 1), "k", "b")).await.unwrap(), Inserted::New);
    let other = store.insert(&keyed(job("two", 2), "k", "c")).await.unwrap();
    assert_eq!(other, Inserted::KeyReused);
    assert_eq!(store.find(&job("two", 2).id).await.unwrap(), None);
}

/// See the name.
pub async fn a_refused_insert_leaves_nothing_behind(store: Store) {
    insert(&store, "one", 1).await;
    let refused = keyed(job("one", 2), "k", "b");
    assert!(matches!(store.insert(&refused).await.unwrap(), Inserted::NameTaken(_)));
    assert_eq!(store.find(&refused.job.id).await.unwrap(), None);
    assert_eq!(store.bundle(&refused.job.id).await.unwrap(), None);
    assert_eq!(store.events(&refused.job.id).await.unwrap(), []);
    assert_eq!(store.claim("a", at(99), Duration::from_secs(1), 9).await.unwrap().len(), 1);
    // The key is still free for a request that succeeds.
    assert_eq!(store.insert(&keyed(job("two", 3), "k", "c")).await.unwrap(), Inserted::New);
}

/// See the name.
pub async fn a_key_is_forgotten_after_a_day_if_its_job_is_gone(store: Store) {
    let first = job("one", 1);
    assert_eq!(store.insert(&keyed(first.clone(), "k", "b")).await.unwrap(), Inserted::New);
    deleted(&store, &first).await;
    let key = keyed(first.clone(), "k", "b").idempotency.unwrap();
    let repeated = store.find_repeated(&key, at(86_400)).await.unwrap();
    assert_eq!(repeated.map(|job| job.lifecycle), Some(Lifecycle::Deleted));
    assert_eq!(store.find_repeated(&key, at(86_402)).await.unwrap(), None);
    let soon = Job { created_at: at(86_400), ..job("one", 2) };
    let answer = store.insert(&keyed(soon, "k", "b")).await.unwrap();
    assert_eq!(answer, Inserted::SameAs(first.id), "a late duplicate must not run again");
    let later = Job { created_at: at(86_402), ..job("one", 3) };
    assert_eq!(store.insert(&keyed(later, "k", "c")).await.unwrap(), Inserted::New);
}

/// See the name.
pub async fn concurrent_inserts_of_one_name_make_one_job(store: Store) {
    let store = &store;
    let calls = (1..=24).map(|n| async move { store.insert(&new_job(job("one", n))).await });
    let answers: Vec<Inserted> = all(calls).await.into_iter().map(Result::unwrap).collect();
    let jobs = store.list(&crate::ports::ListQuery::default()).await.unwrap();
    assert_eq!(jobs.len(), 1);
    let winner = Inserted::NameTaken(jobs.first().unwrap().id.clone());
    assert_eq!(answers.iter().filter(|answer| **answer == Inserted::New).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == winner).count(), 23);
}

/// See the name.
pub async fn concurrent_inserts_of_one_key_make_one_job(store: Store) {
    let store = &store;
    let name = |n: u32| format!("job-{n}");
    let calls =
        (1..=24).map(|n| async move { store.insert(&keyed(job(&name(n), n), "k", "body")).await });
    let answers: Vec<Inserted> = all(calls).await.into_iter().map(Result::unwrap).collect();
    let jobs = store.list(&crate::ports::ListQuery::default()).await.unwrap();
    assert_eq!(jobs.len(), 1);
    let winner = Inserted::SameAs(jobs.first().unwrap().id.clone());
    assert_eq!(answers.iter().filter(|answer| **answer == Inserted::New).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == winner).count(), 23);
}
