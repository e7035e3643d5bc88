//! Small valid values for the unit tests of this crate.

use serde_json::json;

use crate::clock::Timestamp;
use crate::id::{ClusterName, JobId, JobName, Namespace, Sha256Digest};
use crate::job::{
    Attempt, Demand, Exact, FailureClass, Job, JobSpec, Provenance, Resources, Spread,
};
use crate::manifest::{Bundle, Manifest, Role};
use crate::phase::{Desired, Lifecycle, Phase};
use crate::ports::Cluster;

/// A queued job with one 2-core worker and a head.
pub(crate) fn job(name: &str) -> Job {
    let digest = Sha256Digest::of(name);
    Job {
        id: JobId::parse(format!("{name}-00000001")).unwrap(),
        name: JobName::parse(name).unwrap(),
        namespace: Namespace::parse("default").unwrap(),
        algorithm: "xgboost".to_owned(),
        priority: 500,
        request: json!({"jobName": name}),
        target_clusters: Vec::new(),
        spread: Spread::One,
        max_runtime_seconds: None,
        max_pending_seconds: None,
        attempt: Attempt::FIRST,
        demand: Demand { cpu_millis: 4000, memory_bytes: 1 << 30, gpus: 0 },
        workload_api_version: "ray.io/v1".to_owned(),
        workload_kind: "RayJob".to_owned(),
        provenance: Provenance {
            plugin_name: "xgboost".to_owned(),
            plugin_version: "1.0.0".to_owned(),
            plugin_digest: digest,
            schema_digest: digest,
            bundle_digest: digest,
            host_version: "0.1.0".to_owned(),
            settings: None,
            input_digest: None,
            plan_digest: None,
        },
        created_at: Timestamp::UNIX_EPOCH,
        version: 1,
        phase: Phase::Queued,
        lifecycle: Lifecycle::Active,
        desired: Desired::Run,
        suspend: false,
        reason: String::new(),
        message: String::new(),
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
        updated_at: Timestamp::UNIX_EPOCH,
        submitted_at: None,
        started_at: None,
        finished_at: None,
        deleted_at: None,
    }
}

/// A ready cluster with RayJobs and so many free cores.
pub(crate) fn cluster(name: &str, cores: u64) -> Cluster {
    Cluster {
        name: ClusterName::parse(name).unwrap(),
        ready: true,
        ready_reason: "ClusterReady".to_owned(),
        ready_since: None,
        region: None,
        zone: None,
        provider: None,
        version: None,
        nodes: None,
        apis: vec!["ray.io/v1/RayJob".to_owned()],
        taints: Vec::new(),
        free: Some(Demand { cpu_millis: cores * 1000, memory_bytes: 1 << 40, gpus: 8 }),
        resources: json!({}),
    }
}

/// A RayJob with its claim.
pub(crate) fn sample_bundle(name: &str) -> Bundle {
    let document = |api: &str, kind: &str, name: &str| {
        json!({
            "apiVersion": api,
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

/// A form for one 4-core worker, with nothing else in it.
pub(crate) fn spec(name: &str) -> JobSpec {
    JobSpec {
        name: JobName::parse(name).unwrap(),
        namespace: Namespace::parse("default").unwrap(),
        priority: 500,
        algorithm: "xgboost".to_owned(),
        resources: Resources {
            cpu_cores: 4,
            memory_gib: 16,
            gpu_count: 0,
            instance_count: 1,
            volume_size_gb: 0,
        },
        exact: Exact::default(),
        max_runtime_seconds: None,
        max_pending_seconds: None,
        attempt: Attempt::FIRST,
        channels: Vec::new(),
        output_uri: None,
        hyperparameters: json!({}),
        custom_hyperparameters: serde_json::Map::new(),
        target_clusters: Vec::new(),
        spread: Spread::One,
        entrypoint: None,
        head_image: None,
        worker_image: None,
        image_uri: None,
        pvc_name: None,
        request: json!({"jobName": name}),
    }
}
