//! Bringing a Secret that jobs share to a member, and taking it off again.

use serde_json::{Value, json};
use training::ClusterName;
use training::manifest::ObjectRef;
use training::ports::{ControlPlane, Remaining, Shared, Write};

use crate::harness::{Harness, ORIGIN, id, order};

const STEP: std::time::Duration = std::time::Duration::from_secs(5);

fn at(api_version: &str, kind: &str, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: "team".to_owned(),
        name: name.to_owned(),
    }
}

fn shared() -> Shared {
    Shared {
        object: at("v1", "Secret", "s3"),
        policy: at("policy.karmada.io/v1alpha1", "PropagationPolicy", "trainyard-secret-s3"),
    }
}

fn members(names: &[&str]) -> Vec<ClusterName> {
    names.iter().map(|name| ClusterName::parse(*name).unwrap()).collect()
}

/// The policy as a job on these clusters asks for it.
fn policy(clusters: &[&str], preserve: bool) -> Value {
    let Shared { object, policy } = shared();
    json!({
        "apiVersion": policy.api_version, "kind": policy.kind,
        "metadata": {"name": policy.name, "namespace": "team",
            "labels": {"trainyard.dev/origin": ORIGIN}},
        "spec": {
            "resourceSelectors": [{"apiVersion": "v1", "kind": object.kind, "namespace": "team",
                "name": object.name}],
            "conflictResolution": "Abort",
            "preserveResourcesOnDeletion": preserve,
            "placement": {
                "clusterAffinity": {"clusterNames": clusters, "exclude": []},
                "replicaScheduling": {"replicaSchedulingType": "Duplicated"},
            },
        },
    })
}

async fn grow(harness: &Harness, job: &str, clusters: &[&str]) {
    let orders = [order(policy(clusters, false), Write::Grow)];
    harness.client.write(&id(job), &orders).await.unwrap();
    harness.sandbox.step(STEP).await;
}

fn secret(member: Option<&str>) -> Value {
    let whose = if member.is_some() { "bWVtYmVy" } else { "dGVhbQ==" };
    json!({"apiVersion": "v1", "kind": "Secret", "data": {"of": whose},
        "metadata": {"name": "s3", "namespace": "team"}})
}

fn there(harness: &Harness) -> Vec<&'static str> {
    let has = |member: &&str| harness.get(Some(member), &shared().object).is_some();
    ["member1", "member2"].into_iter().filter(has).collect()
}

async fn withdraw(harness: &Harness, from: &[&str]) -> Vec<Remaining> {
    let Some(reach) = harness.client.reach(&shared()).await.unwrap() else { return Vec::new() };
    harness.client.withdraw(&shared(), &members(from), &reach).await.unwrap()
}

async fn withdraw_wholly(harness: &Harness, from: &[&str]) {
    for _ in 0..20 {
        if withdraw(harness, from).await.is_empty() {
            harness.sandbox.step(STEP).await;
            return;
        }
        harness.sandbox.step(STEP).await;
    }
    panic!("never withdrawn: {:?}", withdraw(harness, from).await);
}

#[tokio::test]
async fn secret_leaves_the_members_one_by_one_and_the_team_keeps_its_own() {
    let harness = Harness::start().await;
    harness.sandbox.create(None, secret(None)).unwrap();
    grow(&harness, "a", &["member1"]).await;
    grow(&harness, "b", &["member2"]).await;
    assert_eq!(there(&harness), ["member1", "member2"]);
    withdraw_wholly(&harness, &["member1"]).await;
    assert_eq!(there(&harness), ["member2"]);
    withdraw_wholly(&harness, &["member2"]).await;
    assert_eq!(there(&harness), Vec::<&str>::new(), "and on no other cluster either");
    assert_eq!(harness.get(None, &shared().policy), None);
    assert_eq!(harness.get(None, &shared().object).unwrap()["data"], secret(None)["data"]);
    grow(&harness, "c", &["member1"]).await;
    assert_eq!(there(&harness), ["member1"], "it may come back");
    harness.stop().await;
}

#[tokio::test]
async fn narrowed_policy_that_a_job_needs_again_reaches_its_cluster_only() {
    let harness = Harness::start().await;
    harness.sandbox.create(None, secret(None)).unwrap();
    grow(&harness, "a", &["member1"]).await;
    assert!(!withdraw(&harness, &["member1"]).await.is_empty());
    assert!(harness.get(None, &shared().policy).is_some(), "it waits for Karmada");
    grow(&harness, "b", &["member1"]).await;
    assert_eq!(there(&harness), ["member1"]);
    harness.stop().await;
}

#[tokio::test]
async fn secret_that_a_job_asks_for_meanwhile_is_not_withdrawn() {
    let harness = Harness::start().await;
    harness.sandbox.create(None, secret(None)).unwrap();
    grow(&harness, "a", &["member1"]).await;
    let read = harness.client.reach(&shared()).await.unwrap().unwrap();
    // The policy has its cluster already, so it lacks nothing.
    grow(&harness, "b", &["member1"]).await;
    let left = harness.client.withdraw(&shared(), &members(&["member1"]), &read).await.unwrap();
    assert_eq!(left[0].why, "it was changed meanwhile", "{left:?}");
    harness.sandbox.step(STEP).await;
    assert_eq!(there(&harness), ["member1"]);
    // The same when the policy is about to go.
    assert!(!withdraw(&harness, &["member1"]).await.is_empty());
    harness.sandbox.step(STEP).await;
    let read = harness.client.reach(&shared()).await.unwrap().unwrap();
    assert_eq!(read.clusters, Vec::<String>::new());
    grow(&harness, "c", &["member2"]).await;
    harness.client.withdraw(&shared(), &members(&["member1"]), &read).await.unwrap();
    harness.sandbox.step(STEP).await;
    assert!(harness.get(None, &shared().policy).is_some());
    assert_eq!(there(&harness), ["member2"]);
    harness.stop().await;
}

#[tokio::test]
async fn secret_of_the_member_and_a_policy_of_the_team_are_left_alone() {
    let harness = Harness::start().await;
    harness.sandbox.create(None, secret(None)).unwrap();
    harness.sandbox.create(Some("member1"), secret(Some("member1"))).unwrap();
    grow(&harness, "a", &["member1"]).await;
    withdraw_wholly(&harness, &["member1"]).await;
    let kept = harness.get(Some("member1"), &shared().object).unwrap();
    assert_eq!(kept["data"], secret(Some("member1"))["data"]);

    let mut theirs = policy(&["member2"], false);
    theirs["metadata"] = json!({"name": "team-secrets", "namespace": "team"});
    harness.sandbox.create(None, theirs).unwrap();
    harness.sandbox.step(STEP).await;
    assert_eq!(there(&harness), ["member1", "member2"]);
    grow(&harness, "b", &["member2"]).await;
    withdraw_wholly(&harness, &["member2"]).await;
    assert_eq!(there(&harness), ["member1", "member2"], "theirs brought it there");
    assert_eq!(harness.get(None, &shared().policy), None);
    harness.stop().await;
}

#[tokio::test]
async fn secret_that_an_older_policy_keeps_on_the_member_leaves_it_all_the_same() {
    let harness = Harness::start().await;
    harness.sandbox.create(None, secret(None)).unwrap();
    let orders = [order(policy(&["member1"], true), Write::Grow)];
    harness.client.write(&id("a"), &orders).await.unwrap();
    harness.sandbox.step(STEP).await;
    assert_eq!(there(&harness), ["member1"]);
    withdraw_wholly(&harness, &["member1"]).await;
    assert_eq!(there(&harness), Vec::<&str>::new());
    harness.stop().await;
}

#[tokio::test]
async fn member_that_is_away_keeps_the_withdrawal_open() {
    let harness = Harness::start().await;
    harness.sandbox.create(None, secret(None)).unwrap();
    grow(&harness, "a", &["member1"]).await;
    harness.sandbox.faults().member_down("member1");
    harness.sandbox.step(std::time::Duration::from_mins(1)).await;
    for _ in 0..3 {
        withdraw(&harness, &["member1"]).await;
        harness.sandbox.step(STEP).await;
    }
    let left = withdraw(&harness, &["member1"]).await;
    assert_eq!((left.len(), &*left[0].place), (1, "member1"), "{left:?}");
    harness.sandbox.faults().member_up("member1");
    harness.sandbox.step(std::time::Duration::from_mins(1)).await;
    withdraw_wholly(&harness, &["member1"]).await;
    assert_eq!(there(&harness), Vec::<&str>::new());
    harness.stop().await;
}
