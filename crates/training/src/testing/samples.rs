//! Small valid values. Everything that tells two of them apart follows from the name and the
//! number given.

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::id::{ClusterName, JobId, JobName, Namespace, Sha256Digest};
use crate::job::{Attempt, Demand, FailureClass, Job, NewEvent, Placement, Provenance, Spread};
use crate::manifest::{Bundle, Manifest, Role};
use crate::phase::{Desired, Lifecycle, Phase};
use crate::ports::{Idempotency, NewJob};

/// So many seconds after noon of 2026-01-01, and some microseconds that must not get lost.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_microsecond((1_767_268_800 + seconds) * 1_000_000 + 123_456).unwrap()
}

/// A queued job called `name`, made at [`at`]`(number)`, with the id `<name>-<number in hex>`.
pub fn job(name: &str, number: u32) -> Job {
    let bundle = bundle(name);
    Job {
        id: JobId::parse(format!("{name}-{number:08x}")).unwrap(),
        name: JobName::parse(name).unwrap(),
        namespace: Namespace::parse("default").unwrap(),
        algorithm: "xgboost".to_owned(),
        priority: 500,
        request: json!({"jobName": name, "z": 0, "a": {"eta": 0.1, "text": "é\u{0}\n"}}),
        target_clusters: Vec::new(),
        spread: Spread::One,
        max_runtime_seconds: None,
        max_pending_seconds: None,
        attempt: Attempt::FIRST,
        demand: Demand { cpu_millis: 4000, memory_bytes: 1 << 33, gpus: 0 },
        workload_api_version: "ray.io/v1".to_owned(),
        workload_kind: "RayJob".to_owned(),
        provenance: Provenance {
            plugin_name: "xgboost".to_owned(),
            plugin_version: "1.0.0".to_owned(),
            plugin_digest: Sha256Digest::of("plugin"),
            schema_digest: Sha256Digest::of("schema"),
            bundle_digest: bundle.digest(),
            host_version: "0.1.0".to_owned(),
            settings: None,
            input_digest: None,
            plan_digest: None,
        },
        created_at: at(i64::from(number)),
        version: 1,
        phase: Phase::Queued,
        lifecycle: Lifecycle::Active,
        desired: Desired::Run,
        suspend: false,
        reason: "Accepted".to_owned(),
        message: "The job waits to be placed.".to_owned(),
        failure: FailureClass::None,
        progress: None,
        last_known: None,
        stale_since: None,
        placement: None,
        workload_uid: None,
        missing_since: None,
        pending_since: None,
        run_began: None,
        restarts: 0,
        delete_volumes: false,
        abandoned: Vec::new(),
        updated_at: at(i64::from(number)),
        submitted_at: None,
        started_at: None,
        finished_at: None,
        deleted_at: None,
    }
}

/// [`job`] with a value other than the usual in every field that a new job may have.
pub fn full_job(name: &str, number: u32) -> Job {
    let small = job(name, number);
    Job {
        provenance: Provenance {
            settings: Some(r#"{"image":"é:1","ratio":0.30000000000000004}"#.to_owned()),
            input_digest: Some(Sha256Digest::of("input")),
            plan_digest: Some(Sha256Digest::of("plan")),
            ..small.provenance.clone()
        },
        namespace: Namespace::parse("team-a").unwrap(),
        algorithm: "lightgbm".to_owned(),
        priority: 1000,
        target_clusters: vec![cluster("member1"), cluster("member2")],
        spread: Spread::All,
        max_runtime_seconds: Some(u32::MAX),
        max_pending_seconds: Some(60),
        attempt: Attempt { number: 3, first: Some(JobId::parse("first-00000001").unwrap()) },
        demand: Demand { cpu_millis: 1, memory_bytes: u64::from(u32::MAX) << 20, gpus: 64 },
        failure: FailureClass::Capacity,
        progress: Some(0.25),
        last_known: Some(Phase::Running),
        stale_since: Some(at(1)),
        placement: Some(Placement {
            clusters: vec![cluster("member2")],
            reason: "It has the most room: 12 of 16 cores.".to_owned(),
        }),
        workload_uid: Some("4c0e-11".to_owned()),
        missing_since: Some(at(2)),
        pending_since: Some(at(6)),
        run_began: Some(at(7)),
        restarts: 2,
        delete_volumes: true,
        suspend: true,
        abandoned: vec![cluster("member1")],
        updated_at: at(3),
        submitted_at: Some(at(4)),
        started_at: Some(at(5)),
        ..small
    }
}

/// A cluster's name.
pub fn cluster(name: &str) -> ClusterName {
    ClusterName::parse(name).unwrap()
}

/// A RayJob with its volume claim.
pub fn bundle(name: &str) -> Bundle {
    let document = |api_version: &str, kind: &str, name: &str| {
        json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
            "spec": {},
        })
    };
    Bundle::new(vec![
        Manifest { role: Role::Workload, document: document("ray.io/v1", "RayJob", name) },
        Manifest {
            role: Role::Storage,
            document: document("v1", "PersistentVolumeClaim", &format!("{name}-pvc")),
        },
    ])
}

/// The first line of a history.
pub fn accepted() -> NewEvent {
    NewEvent { kind: "Accepted", actor: "user", evidence: json!({"subject": "ada"}) }
}

/// A later line of a history.
pub fn changed(evidence: Value) -> NewEvent {
    NewEvent { kind: "PhaseChanged", actor: "observe", evidence }
}

/// Everything that the submission of `job` writes, without a key.
pub fn new_job(job: Job) -> NewJob {
    let bundle = bundle(job.name.as_str());
    NewJob { job, bundle, event: accepted(), idempotency: None }
}

/// The same under a key with a body.
pub fn keyed(job: Job, key: &str, body: &str) -> NewJob {
    let idempotency = Idempotency { key: key.to_owned(), fingerprint: Sha256Digest::of(body) };
    NewJob { idempotency: Some(idempotency), ..new_job(job) }
}

/// `job` one minute later in another phase; terminal phases get their time of end.
pub fn moved(job: &Job, phase: Phase) -> Job {
    let updated_at = job.updated_at + Duration::from_mins(1);
    Job {
        phase,
        reason: format!("Now{phase}"),
        message: format!("The job is {phase}."),
        updated_at,
        finished_at: phase.is_terminal().then_some(job.finished_at.unwrap_or(updated_at)),
        ..job.clone()
    }
}
