//! The way to the evidence: bounded in time, and partial where a source fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::*;
use crate::clock::ManualClock;
use crate::id::JobId;
use crate::manifest::ObjectRef;
use crate::ports::{
    Cluster, ControlError, ControlPlane, LogBytes, LogQuery, MemberError, Members, ObjectPage,
    ObjectQuery, Owned, Remaining, Removal, Seen, WorkloadRef, WriteOrder,
};
use crate::testing::{MemoryPlugins, MemoryStore};

/// What a source does.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Answers,
    Hangs,
    Denies,
}

/// A control plane and a member that behave as told, and count.
struct World {
    control: Mood,
    object: Mood,
    pods: Mood,
    calls: AtomicUsize,
}

impl World {
    fn new(control: Mood, object: Mood, pods: Mood) -> Self {
        Self { control, object, pods, calls: AtomicUsize::new(0) }
    }

    async fn member<T>(&self, mood: Mood, answer: T) -> Result<T, MemberError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match mood {
            Mood::Answers => Ok(answer),
            Mood::Hangs => std::future::pending().await,
            Mood::Denies => {
                Err(MemberError::Denied { cluster: member(), message: "forbidden".to_owned() })
            }
        }
    }
}

#[async_trait]
impl Members for World {
    async fn pods(
        &self,
        _: &ClusterName,
        _: &str,
        labels: &str,
    ) -> Result<Vec<PodSeen>, MemberError> {
        assert_eq!(labels, "training-job-id=a-00000001");
        self.member(self.pods, vec![waiting("ErrImagePull", "no such image")]).await
    }

    async fn events(
        &self,
        _: &ClusterName,
        _: &str,
        name: &str,
    ) -> Result<Vec<EventSeen>, MemberError> {
        self.member(Mood::Answers, vec![warning("Thing", name, "Odd", name)]).await
    }

    async fn object(
        &self,
        _: &ClusterName,
        object: &ObjectRef,
    ) -> Result<Option<Value>, MemberError> {
        assert_eq!(object.name, "a");
        let status = json!({"clusterName": "a-7x", "other": "b-1", "list": [{"x": "a-8y"}]});
        let labels = json!({"training-job-id": "a-00000001"});
        self.member(self.object, Some(json!({"metadata": {"labels": labels}, "status": status})))
            .await
    }

    async fn list(&self, _: &ClusterName, _: &ObjectQuery) -> Result<ObjectPage, MemberError> {
        panic!("nothing is listed")
    }

    async fn log(&self, _: &LogQuery) -> Result<LogBytes, MemberError> {
        panic!("no log is read")
    }
}

#[async_trait]
impl ControlPlane for World {
    async fn ping(&self) -> Result<(), ControlError> {
        panic!("not asked")
    }

    async fn clusters(&self) -> Result<Vec<Cluster>, ControlError> {
        match self.control {
            Mood::Hangs => std::future::pending().await,
            _ => Ok(vec![cluster("member1", 64)]),
        }
    }

    fn known_clusters(&self) -> Vec<ClusterName> {
        Vec::new()
    }

    async fn write(&self, _: &JobId, _: &[WriteOrder]) -> Result<Vec<String>, ControlError> {
        panic!("nothing is written")
    }

    async fn remove(&self, _: &Removal) -> Result<Vec<Remaining>, ControlError> {
        panic!("nothing is removed")
    }

    async fn owned(&self, _: &str, _: &str) -> Result<Vec<Owned>, ControlError> {
        panic!("nothing is removed")
    }

    async fn remove_exactly(&self, _: &Owned) -> Result<(), ControlError> {
        panic!("nothing is removed")
    }

    async fn interpreter(&self, _: &str) -> Result<Option<Value>, ControlError> {
        panic!("not asked")
    }

    async fn install_interpreter(&self, _: &str, _: &Value) -> Result<(), ControlError> {
        panic!("not asked")
    }

    async fn release(&self, _: &ObjectRef, _: &[ObjectRef]) -> Result<bool, ControlError> {
        panic!("nothing is released")
    }

    async fn set_flag(&self, _: &WorkloadRef, _: &[&str], _: bool) -> Result<bool, ControlError> {
        panic!("nothing is changed")
    }

    async fn observe(&self, _: &[WorkloadRef]) -> Result<Vec<Seen>, ControlError> {
        panic!("not observed")
    }

    async fn trace(&self, workload: &WorkloadRef, policy: &ObjectRef) -> Trace {
        assert_eq!(workload.uid.as_deref(), Some("u1"));
        assert_eq!(policy.name, "a-propagation");
        match self.control {
            Mood::Hangs => std::future::pending().await,
            _ => propagated(),
        }
    }

    fn hint(&self) -> Arc<Notify> {
        Arc::default()
    }
}

async fn told(world: &World, job: Job) -> Explanation {
    let store = MemoryStore::new("test");
    let plugins = MemoryPlugins::default();
    let clock = ManualClock::new(now());
    let sources = Sources {
        store: &store,
        control: world,
        plugins: &plugins,
        members: world,
        allowed: None,
        clock: &clock,
    };
    explain_job(&sources, job, Duration::from_secs(5)).await
}

fn state_of(explanation: &Explanation, step: Step) -> LinkState {
    explanation.links.iter().find(|link| link.step == step).expect("the link").state
}

#[tokio::test(start_paused = true)]
async fn everything_is_collected() {
    let world = World::new(Mood::Answers, Mood::Answers, Mood::Answers);
    let told = told(&world, submitted()).await;
    assert!(told.sentence.contains("no such image"), "{}", told.sentence);
    assert_eq!(told.links.len(), Step::ALL.len(), "{told:#?}");
    let events = &told.links.last().unwrap().text;
    for name in ["a-8y", "a-7x", "a-x-head"] {
        assert!(events.contains(name), "{events}");
    }
    assert!(!events.contains("b-1"), "{events}");
    assert_eq!(told.at, now());
}

#[tokio::test(start_paused = true)]
async fn sources_that_hang_are_unknown_and_hold_nothing_up() {
    let begun = tokio::time::Instant::now();
    let world = World::new(Mood::Hangs, Mood::Answers, Mood::Hangs);
    let told = told(&world, submitted()).await;
    assert!(begun.elapsed() < Duration::from_secs(6));
    for step in [Step::Template, Step::Binding, Step::Cluster, Step::Pods] {
        assert_eq!(state_of(&told, step), LinkState::Unknown, "{told:#?}");
    }
    assert_eq!(state_of(&told, Step::Queue), LinkState::Ok);
}

#[tokio::test(start_paused = true)]
async fn member_that_hangs_is_asked_once() {
    let world = World::new(Mood::Answers, Mood::Hangs, Mood::Answers);
    let told = told(&world, submitted()).await;
    assert_eq!(world.calls.load(Ordering::Relaxed), 1);
    assert_eq!(state_of(&told, Step::Object), LinkState::Unknown);
    assert_eq!(state_of(&told, Step::Binding), LinkState::Ok);
}

#[tokio::test(start_paused = true)]
async fn one_missing_right_does_not_hide_what_others_show() {
    let world = World::new(Mood::Answers, Mood::Denies, Mood::Answers);
    let told = told(&world, submitted()).await;
    assert_eq!(state_of(&told, Step::Object), LinkState::Unknown);
    assert_eq!(state_of(&told, Step::Pods), LinkState::Wrong);
    let object = told.links.iter().find(|link| link.step == Step::Object).unwrap();
    assert_eq!(object.text, "No access to cluster member1: forbidden.");
}

#[tokio::test(start_paused = true)]
async fn clusters_are_not_asked_about_jobs_they_never_had_or_that_are_done() {
    let world = World::new(Mood::Answers, Mood::Answers, Mood::Answers);
    let waiting = told(&world, job("a")).await;
    assert_eq!(waiting.links.len(), 2, "{waiting:#?}");
    let mut done = running();
    done.phase = Phase::Succeeded;
    done.finished_at = Some(now());
    let done = told(&world, done).await;
    assert!(done.sentence.contains("succeeded"), "{}", done.sentence);
    assert_eq!(world.calls.load(Ordering::Relaxed), 0);
}
