//! What gets through the wall and what does not.

use super::*;
use serde_json::json;

fn kinds() -> Vec<PluginKind> {
    let kind = |api_version: &str, kind: &str, workload, max_name_length| PluginKind {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        plural: format!("{}s", kind.to_lowercase()),
        workload,
        max_name_length,
    };
    vec![
        kind("ray.io/v1", "RayJob", true, 47),
        kind("v1", "PersistentVolumeClaim", false, 253),
        kind("v1", "Secret", false, 253),
    ]
}

fn workload(pod: Value) -> Manifest {
    Manifest {
        role: Role::Workload,
        document: json!({
            "apiVersion": "ray.io/v1",
            "kind": "RayJob",
            "metadata": {"name": "iris", "namespace": "kube-system", "labels": {"app": "x"}},
            "spec": {"rayClusterSpec": {"headGroupSpec": {"template": {"spec": pod}}}},
        }),
    }
}

fn good_pod() -> Value {
    json!({"containers": [{
        "name": "c",
        "image": "trainyard/x:1",
        "resources": {"requests": {"cpu": "4", "memory": "16Gi"}},
    }]})
}

fn run(manifests: Vec<Manifest>, policy: &Policy) -> Result<Bundle, Vec<FieldError>> {
    let job_id = JobId::parse("iris-00000001").unwrap();
    let name = JobName::parse("iris").unwrap();
    let namespace = Namespace::parse("team-a").unwrap();
    let resources = Resources {
        cpu_cores: 4,
        memory_gib: 16,
        gpu_count: 1,
        instance_count: 1,
        volume_size_gb: 0,
    };
    let owner = Owner {
        job_id: &job_id,
        name: &name,
        namespace: &namespace,
        algorithm: "xgboost",
        origin: "origin-1",
        resources,
    };
    admit(&Conversion { manifests, warnings: Vec::new() }, &kinds(), owner, policy)
}

fn codes(result: Result<Bundle, Vec<FieldError>>) -> Vec<String> {
    result.err().unwrap_or_default().into_iter().map(|error| error.code).collect()
}

#[test]
fn namespace_and_ownership_are_forced_and_pods_completed() {
    let bundle = run(vec![workload(good_pod())], &Policy::default()).unwrap();
    let document = &bundle.workload().unwrap().document;
    assert_eq!(document["metadata"]["namespace"], "team-a");
    assert_eq!(document["metadata"]["labels"]["app"], "iris");
    assert_eq!(document["metadata"]["labels"]["training-job-id"], "iris-00000001");
    assert_eq!(document["metadata"]["labels"]["trainyard.dev/origin"], "origin-1");
    let pod = document.pointer("/spec/rayClusterSpec/headGroupSpec/template/spec").unwrap();
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["containers"][0]["securityContext"]["capabilities"]["drop"][0], "ALL");
}

#[test]
fn what_reaches_for_the_node_is_refused() {
    let cases = [
        (json!({"hostNetwork": true}), "host-access"),
        (json!({"hostPID": true}), "host-access"),
        (json!({"nodeName": "n"}), "host-access"),
        (json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}), "volume-not-allowed"),
        (json!({"securityContext": {"runAsUser": 0}}), "pod-security"),
    ];
    for (extra, code) in cases {
        let mut pod = good_pod();
        pod.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        assert_eq!(codes(run(vec![workload(pod)], &Policy::default())), [code], "{extra}");
    }
    let containers = [
        (json!({"securityContext": {"privileged": true}}), "pod-security"),
        (json!({"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}), "pod-security"),
        (json!({"securityContext": {"allowPrivilegeEscalation": true}}), "pod-security"),
        (json!({"ports": [{"containerPort": 1, "hostPort": 1}]}), "host-access"),
        (json!({"env": [{"name": "S3_SECRET_KEY", "value": "x"}]}), "secret-literal"),
    ];
    for (extra, code) in containers {
        let mut pod = good_pod();
        let container = pod["containers"][0].as_object_mut().unwrap();
        container.extend(extra.as_object().unwrap().clone());
        assert_eq!(codes(run(vec![workload(pod)], &Policy::default())), [code], "{extra}");
    }
}

#[test]
fn secret_by_reference_passes() {
    let mut pod = good_pod();
    pod["containers"][0]["env"] = json!([{
        "name": "S3_SECRET_KEY",
        "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}},
    }]);
    assert!(run(vec![workload(pod)], &Policy::default()).is_ok());
}

#[test]
fn more_than_the_user_asked_for_is_refused() {
    for (resource, quantity) in
        [("cpu", "4001m"), ("memory", "17Gi"), ("nvidia.com/gpu", "2"), ("amd.com/gpu", "2")]
    {
        let mut pod = good_pod();
        pod["containers"][0]["resources"] = json!({"limits": {resource: quantity}});
        assert_eq!(codes(run(vec![workload(pod)], &Policy::default())), ["over-ceiling"]);
    }
    let mut pod = good_pod();
    let second = pod["containers"][0].clone();
    pod["containers"].as_array_mut().unwrap().push(second);
    let codes = codes(run(vec![workload(pod)], &Policy::default()));
    assert_eq!(codes, ["over-ceiling", "over-ceiling"]);
}

#[test]
fn kinds_names_and_self_removal_are_checked() {
    let secret = Manifest {
        role: Role::Config,
        document: json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "iris-s"}}),
    };
    let found = codes(run(vec![workload(good_pod()), secret], &Policy::default()));
    assert_eq!(found, ["kind-not-allowed"]);

    for name in ["other", "iris", "iris-", "irisx", "iris-../x"] {
        let claim = Manifest {
            role: Role::Storage,
            document: json!({
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": name},
            }),
        };
        let found = codes(run(vec![workload(good_pod()), claim], &Policy::default()));
        assert_eq!(found, ["wrong-name"], "{name}");
    }

    let mut job = workload(good_pod());
    job.document["spec"]["ttlSecondsAfterFinished"] = json!(0);
    assert_eq!(codes(run(vec![job], &Policy::default())), ["self-removal"]);
    let mut job = workload(good_pod());
    job.document["spec"]["runPolicy"] = json!({"ttlSecondsAfterFinished": 60});
    assert_eq!(codes(run(vec![job], &Policy::default())), ["self-removal"]);
    let mut job = workload(good_pod());
    job.document["spec"]["deletionStrategy"] = json!({"deletionRules": [{"policy": "DeleteSelf"}]});
    assert_eq!(codes(run(vec![job], &Policy::default())), ["self-removal"]);
    assert_eq!(codes(run(vec![], &Policy::default())), ["one-workload"]);
}

#[test]
fn odd_shapes_are_refused() {
    let mut job = workload(good_pod());
    job.document["status"] = json!({});
    job.document["metadata"]["ownerReferences"] = json!([]);
    job.document["metadata"]["labels"]["work.karmada.io/x"] = json!("y");
    let found = codes(run(vec![job], &Policy::default()));
    assert_eq!(found, ["unknown-field", "unknown-field", "reserved-name"]);

    let mut deep = json!("x");
    for _ in 0..70 {
        deep = json!([deep]);
    }
    let mut job = workload(good_pod());
    job.document["spec"]["x"] = deep;
    assert_eq!(codes(run(vec![job], &Policy::default())), ["too-deep"]);

    let mut job = workload(good_pod());
    job.document["spec"]["entrypoint"] = json!("a\u{0}b");
    assert_eq!(codes(run(vec![job], &Policy::default())), ["control-character"]);

    let policy = Policy { max_bundle_bytes: 100, ..Policy::default() };
    assert_eq!(codes(run(vec![workload(good_pod())], &policy)), ["bundle-too-large"]);
}

#[test]
fn images_come_from_allowed_repositories_only() {
    let policy = Policy { allowed_images: vec!["trainyard".to_owned()], ..Policy::default() };
    assert!(run(vec![workload(good_pod())], &policy).is_ok());
    let policy = Policy { allowed_images: vec!["train".to_owned()], ..Policy::default() };
    assert_eq!(codes(run(vec![workload(good_pod())], &policy)), ["image-not-allowed"]);
}
