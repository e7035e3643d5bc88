//! Lists: their order, their filters and their pages.

use std::collections::BTreeSet;

use super::submission::deleted;
use super::{Store, ids, insert, listed, put, step, walk};
use crate::id::{ClusterName, Namespace};
use crate::job::{Attempt, Job, Placement};
use crate::manifest::ObjectRef;
use crate::phase::{Desired, Lifecycle, Phase};
use crate::ports::ListQuery;
use crate::testing::samples::{self, at, cluster, job, moved};

/// See the name.
pub async fn a_list_is_newest_first_and_ties_break_by_id(store: Store) {
    for (name, number, seconds) in [("b", 1, 5), ("b-a", 1, 5), ("ba", 1, 5), ("c", 4, 9)] {
        put(&store, Job { created_at: at(seconds), ..job(name, number) }).await;
    }
    // Bytes decide, not the language of the database: `-` comes before `a`.
    let expected = ["c-00000004", "ba-00000001", "b-a-00000001", "b-00000001"];
    assert_eq!(listed(&store, &ListQuery::default()).await, expected);
}

/// See the name.
pub async fn a_list_filters(store: Store) {
    let team = Namespace::parse("team-b").unwrap();
    put(&store, Job { namespace: team, ..job("other-team", 1) }).await;
    put(&store, Job { algorithm: "pytorch".to_owned(), ..job("other-algorithm", 2) }).await;
    let running = insert(&store, "running", 3).await;
    let running = walk(&store, &running, Phase::Submitted).await;
    walk(&store, &running, Phase::Running).await;
    let failed = insert(&store, "failed", 4).await;
    walk(&store, &failed, Phase::Failed).await;

    let all = ListQuery::default();
    let namespace = Some("team-b".to_owned());
    let query = ListQuery { namespace, ..all.clone() };
    assert_eq!(listed(&store, &query).await, ["other-team-00000001"]);
    let name = Some("failed".to_owned());
    let query = ListQuery { name, ..all.clone() };
    assert_eq!(listed(&store, &query).await, ["failed-00000004"]);
    let query = ListQuery { namespace: Some("team-b".to_owned()), ..query };
    assert_eq!(listed(&store, &query).await.len(), 0);
    let algorithm = Some("pytorch".to_owned());
    let query = ListQuery { algorithm, ..all.clone() };
    assert_eq!(listed(&store, &query).await, ["other-algorithm-00000002"]);
    let query = ListQuery { phases: vec![Phase::Running, Phase::Failed], ..all.clone() };
    assert_eq!(listed(&store, &query).await, ["failed-00000004", "running-00000003"]);
    let query = ListQuery {
        namespace: Some("default".to_owned()),
        algorithm: Some("xgboost".to_owned()),
        phases: vec![Phase::Failed],
        ..all.clone()
    };
    assert_eq!(listed(&store, &query).await, ["failed-00000004"]);
    let nobody = Some("x' OR 'a' = 'a".to_owned());
    assert_eq!(listed(&store, &ListQuery { namespace: nobody, ..all }).await.len(), 0);
}

/// See the name.
pub async fn pages_cover_every_job_once(store: Store) {
    for number in 1..=23 {
        // Three jobs of each moment.
        let created_at = at(i64::from(number / 3));
        put(&store, Job { created_at, ..job(&format!("job-{number}"), number) }).await;
    }
    let whole = listed(&store, &ListQuery::default()).await;
    let mut paged = Vec::new();
    let mut query = ListQuery { limit: Some(5), ..ListQuery::default() };
    loop {
        let page = store.list(&query).await.unwrap();
        assert!(page.len() <= 5);
        let Some(last) = page.last() else { break };
        query.after = Some((last.created_at, last.id.clone()));
        paged.extend(ids(&page));
    }
    assert_eq!(paged, whole);
    assert_eq!(paged.iter().collect::<BTreeSet<_>>().len(), 23);
    assert_eq!(listed(&store, &ListQuery { limit: Some(0), ..query }).await.len(), 0);
}

/// See the name.
pub async fn observed_jobs_are_active_and_applied_oldest_first(store: Store) {
    for (number, phase) in (1..).zip(Phase::ALL.iter().rev()) {
        let name = phase.as_str().to_lowercase();
        let job = insert(&store, &name, number).await;
        if *phase != Phase::Queued {
            walk(&store, &job, *phase).await;
        }
    }
    let deleting = insert(&store, "deleting", 99).await;
    let deleting = walk(&store, &deleting, Phase::Running).await;
    step(&store, &Job { lifecycle: Lifecycle::Deleting, ..deleting }).await;

    let observed = store.observed(None, 10).await.unwrap();
    let phases: Vec<Phase> = observed.iter().map(|job| job.phase).collect();
    assert_eq!(phases, [Phase::Unknown, Phase::Suspended, Phase::Running, Phase::Submitted]);

    let mut parts = store.observed(None, 3).await.unwrap();
    let last = parts.last().map(|job| (job.created_at, job.id.clone())).unwrap();
    parts.extend(store.observed(Some(&last), 3).await.unwrap());
    assert_eq!(parts, observed);
    let last = parts.last().map(|job| (job.created_at, job.id.clone())).unwrap();
    assert_eq!(store.observed(Some(&last), 3).await.unwrap(), []);
}

/// See the name.
pub async fn observed_jobs_are_found_by_their_workloads(store: Store) {
    let place = |job: &Job| ObjectRef {
        api_version: job.workload_api_version.clone(),
        kind: job.workload_kind.clone(),
        namespace: job.namespace.to_string(),
        name: job.name.to_string(),
    };
    let mut places = Vec::new();
    for number in 0..300 {
        let job = insert(&store, &format!("job-{number}"), number).await;
        places.push(place(&job));
        if number % 3 == 0 {
            walk(&store, &job, Phase::Running).await;
        }
    }
    assert_eq!(store.observed_among(&[]).await.unwrap(), []);
    let mut few: Vec<ObjectRef> = places.iter().take(4).cloned().collect();
    if let Some(first) = few.first_mut() {
        "elsewhere".clone_into(&mut first.namespace);
    }
    few.extend(few.clone());
    let found = store.observed_among(&few).await.unwrap();
    assert_eq!(found.iter().map(|job| job.name.as_str()).collect::<Vec<_>>(), ["job-3"]);
    assert_eq!(store.observed_among(&places).await.unwrap().len(), 100);
}

/// See the name.
pub async fn jobs_at_rest_are_found_by_their_workloads(store: Store) {
    let mut places = Vec::new();
    for (number, phase) in (0..).zip([Phase::Succeeded, Phase::Running, Phase::Failed]) {
        let job = insert(&store, &format!("job-{number}"), number).await;
        places.push(crate::reconcile::workload_ref(&job).object);
        let job = walk(&store, &job, Phase::Submitted).await;
        let job = Job { workload_uid: Some(format!("uid-{number}")), ..job };
        walk(&store, &job, phase).await;
    }
    let job = insert(&store, "stopped", 9).await;
    places.push(crate::reconcile::workload_ref(&job).object);
    let wish = Job { desired: Desired::Cancel, workload_uid: Some("uid".to_owned()), ..job };
    walk(&store, &wish, Phase::Failed).await;
    let never = insert(&store, "never-applied", 10).await;
    places.push(crate::reconcile::workload_ref(&never).object);
    walk(&store, &never, Phase::Failed).await;
    assert_eq!(store.at_rest_among(&[]).await.unwrap(), []);
    let found = store.at_rest_among(&places).await.unwrap();
    let mut names: Vec<&str> = found.iter().map(|job| job.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["job-0", "job-2"]);
    let few = places.iter().skip(1).cloned().collect::<Vec<_>>();
    assert_eq!(store.at_rest_among(&few).await.unwrap().len(), 1);
}

/// See the name.
pub async fn jobs_are_counted_on_each_of_their_clusters(store: Store) {
    let mut number = 0;
    let mut place = async |phase: Phase, clusters: &[&str], why: &str| {
        number += 1;
        let name = format!("job-{number}");
        let clusters = clusters.iter().map(|name| cluster(name)).collect();
        let placement = Some(Placement { clusters, reason: format!("{why} \"quoted\"") });
        let job = insert(&store, &name, number).await;
        if phase == Phase::Queued {
            step(&store, &Job { placement, ..job }).await
        } else {
            step(&store, &Job { placement, ..moved(&job, phase) }).await
        }
    };
    assert_eq!(store.count_by_cluster().await.unwrap(), []);
    place(Phase::Queued, &["a"], "not applied yet").await;
    place(Phase::Submitted, &["a"], "one").await;
    place(Phase::Running, &["a"], "another reason").await;
    place(Phase::Unknown, &["b", "a"], "both").await;
    let over = place(Phase::Running, &["b"], "over soon").await;
    let leaving = place(Phase::Running, &["b"], "leaving").await;
    walk(&store, &over, Phase::Failed).await;
    step(&store, &Job { lifecycle: Lifecycle::Deleting, ..leaving }).await;
    let expected = vec![(cluster("a"), 3), (cluster("b"), 1)];
    assert_eq!(store.count_by_cluster().await.unwrap(), expected);
}

/// See the name.
pub async fn attempts_of_the_same_work_are_found_in_their_order(store: Store) {
    let first = insert(&store, "work", 1).await;
    let attempt = |number| Attempt { number, first: Some(first.id.clone()) };
    put(&store, Job { attempt: attempt(3), ..job("work-3", 3) }).await;
    let second = Job { attempt: attempt(2), ..job("work-2", 2) };
    put(&store, second.clone()).await;
    insert(&store, "other", 4).await;
    deleted(&store, &second).await;
    let found = store.attempts(&first.id).await.unwrap();
    assert_eq!(ids(&found), ["work-00000001", "work-2-00000002", "work-3-00000003"]);
    let numbers: Vec<u32> = found.iter().map(|job| job.attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(store.attempts(&second.id).await.unwrap().len(), 1);
}

/// See the name.
pub async fn earlier_jobs_of_a_name_are_found_newest_first(store: Store) {
    let place = |name: &str| {
        let clusters = vec![ClusterName::parse(name).unwrap()];
        Some(Placement { clusters, reason: String::new() })
    };
    let second = Job { placement: place("b"), ..job("same", 2) };
    let elsewhere = Namespace::parse("elsewhere").unwrap();
    for other in [
        Job { placement: place("a"), ..job("same", 1) },
        second.clone(),
        job("same", 3),
        Job { placement: place("a"), namespace: elsewhere, ..job("same", 4) },
        Job { placement: place("a"), ..job("other", 5) },
        Job { placement: place("a"), ..job("same", 9) },
    ] {
        put(&store, other.clone()).await;
        deleted(&store, &other).await;
    }
    let found = async |number, limit| {
        ids(&store.predecessors(&job("same", number), limit).await.unwrap()).join(" ")
    };
    assert_eq!(found(6, 9).await, "same-00000002 same-00000001");
    assert_eq!(found(6, 1).await, "same-00000002");
    assert_eq!(found(2, 9).await, "same-00000001");
    let latest = store.predecessors(&job("same", 6), 1).await.unwrap();
    let places: Vec<_> = latest.into_iter().map(|job| job.placement).collect();
    assert_eq!(places, [second.placement]);
}

/// See the name.
pub async fn finished_jobs_are_found_longest_over_first(store: Store) {
    for (name, number) in [("late", 1), ("early", 2), ("too-late", 3), ("deleting", 4)] {
        let job = insert(&store, name, number).await;
        let finished_at = match name {
            "early" => at(100),
            "too-late" => at(201),
            _ => at(200),
        };
        let over = Job { finished_at: Some(finished_at), ..samples::moved(&job, Phase::Failed) };
        let over = step(&store, &over).await;
        if name == "deleting" {
            step(&store, &Job { lifecycle: Lifecycle::Deleting, ..over }).await;
        }
    }
    insert(&store, "queued", 5).await;
    let found = async |limit| store.finished(at(200), limit).await.unwrap();
    let names: Vec<String> = found(10).await.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["early-00000002", "late-00000001"]);
    assert_eq!(found(1).await.len(), 1);
}
