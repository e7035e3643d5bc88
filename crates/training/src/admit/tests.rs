//! What gets through the wall and what does not: a table per rule, each with both sides.

mod ceiling;
mod exact;
mod fields;
mod invariants;
mod objects;

use serde_json::json;

use super::*;

/// A plugin that announces everything below; only the policy narrows it.
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
        kind("v1", "ConfigMap", false, 253),
        kind("v1", "Service", false, 63),
        kind("networking.k8s.io/v1", "Ingress", false, 253),
    ]
}

/// A workload with the given specification. Its kind is one word for all shapes: no rule looks at
/// it.
fn with_spec(spec: Value) -> Manifest {
    Manifest {
        role: Role::Workload,
        document: json!({
            "apiVersion": "ray.io/v1",
            "kind": "RayJob",
            "metadata": {"name": "iris"},
            "spec": spec,
        }),
    }
}

/// A workload of one pod.
fn workload(pod: Value) -> Manifest {
    with_spec(json!({"rayClusterSpec": {"headGroupSpec": {"template": {"spec": pod}}}}))
}

/// A pod that takes one whole instance.
fn good_pod() -> Value {
    json!({"containers": [{
        "name": "c",
        "image": "trainyard/x:1",
        "resources": {"requests": {"cpu": "4", "memory": "16Gi"}},
    }]})
}

/// [`good_pod`] with further members.
fn pod_with(extra: Value) -> Value {
    merged(good_pod(), extra)
}

/// [`good_pod`] whose container has further members.
fn container_with(extra: Value) -> Value {
    let mut pod = good_pod();
    pod["containers"][0] = merged(pod["containers"][0].take(), extra);
    pod
}

fn merged(mut value: Value, extra: Value) -> Value {
    let members = value.as_object_mut().unwrap();
    members.extend(extra.as_object().unwrap().clone());
    value
}

/// An object beside the workload.
fn beside(role: Role, api_version: &str, kind: &str, rest: Value) -> Manifest {
    let metadata = json!({"name": "iris-x"});
    let head = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
    Manifest { role, document: merged(head, rest) }
}

/// What the job asks for: four cores, 16 GiB and a GPU for each of the instances.
fn asked(instance_count: u32, volume_size_gb: u32) -> Resources {
    Resources { cpu_cores: 4, memory_gib: 16, gpu_count: 1, instance_count, volume_size_gb }
}

fn run_with(
    manifests: Vec<Manifest>,
    resources: Resources,
    policy: &Policy,
) -> Result<Admitted, Vec<FieldError>> {
    run_exactly(manifests, resources, &Exact::default(), policy)
}

fn run_exactly(
    manifests: Vec<Manifest>,
    resources: Resources,
    exact: &Exact,
    policy: &Policy,
) -> Result<Admitted, Vec<FieldError>> {
    let job_id = JobId::parse("iris-00000001").unwrap();
    let name = JobName::parse("iris").unwrap();
    let namespace = Namespace::parse("team-a").unwrap();
    let owner = Owner {
        job_id: &job_id,
        name: &name,
        namespace: &namespace,
        algorithm: "xgboost",
        origin: "origin-1",
        resources,
        exact,
    };
    admit(&Conversion { manifests, warnings: Vec::new() }, &kinds(), owner, policy)
}

fn run(manifests: Vec<Manifest>, policy: &Policy) -> Result<Admitted, Vec<FieldError>> {
    run_with(manifests, asked(1, 0), policy)
}

/// The codes of all refusals.
fn codes(result: Result<Admitted, Vec<FieldError>>) -> Vec<String> {
    result.err().unwrap_or_default().into_iter().map(|error| error.code).collect()
}

/// All refusals as `pointer code`.
fn refusals(result: Result<Admitted, Vec<FieldError>>) -> Vec<String> {
    let errors = result.err().unwrap_or_default();
    errors.into_iter().map(|error| format!("{} {}", error.pointer, error.code)).collect()
}

/// The pod of [`workload`] after admission.
fn admitted_pod(admitted: &Admitted) -> Value {
    let document = &admitted.bundle.workload().unwrap().document;
    document.pointer("/spec/rayClusterSpec/headGroupSpec/template/spec").unwrap().clone()
}

/// The default rules but for limits, which the small pods of these tests do not have.
fn lenient() -> Policy {
    Policy { require_limits: false, ..Policy::default() }
}

#[test]
fn container_without_a_limit_is_refused_unless_the_operator_lets_it() {
    let pod = |resources: Value| {
        let mut pod = good_pod();
        pod["containers"][0]["resources"] = resources;
        pod
    };
    let found = |pod: Value, policy: &Policy| refusals(run(vec![workload(pod)], policy));
    let strict = Policy::default();
    let requests = json!({"requests": {"cpu": "1", "memory": "1Gi"}});
    for (resources, refused) in [
        (json!({}), true),
        (Value::Null, true),
        (requests, true),
        (json!({"limits": {"cpu": "1"}}), true),
        (json!({"limits": {"memory": "1Gi"}}), true),
        (json!({"limits": {"cpu": "1", "memory": "1Gi"}}), false),
    ] {
        let found = |policy| found(pod(resources.clone()), policy);
        let no_limit = found(&strict).iter().any(|found| found.ends_with(" no-limit"));
        assert_eq!(no_limit, refused, "{resources}: {:?}", found(&strict));
        assert!(!found(&lenient()).iter().any(|found| found.ends_with(" no-limit")));
    }
    // A part of a container that stands elsewhere bounds nothing there.
    let mut part = pod(json!({}));
    let container = part["containers"][0].as_object_mut().unwrap();
    container.remove("image");
    assert_eq!(found(part, &strict), Vec::<String>::new());
    // The pod as a whole bounds its containers.
    let mut bounded = pod(json!({}));
    bounded["resources"] = json!({"limits": {"cpu": "1", "memory": "1Gi"}});
    assert_eq!(found(bounded, &strict), Vec::<String>::new());
}

#[test]
fn job_runs_in_a_cluster_of_its_own_under_its_own_operator_and_serves_its_own_pods() {
    let found = |field: &str, value: Value| {
        let mut manifest = workload(good_pod());
        manifest.document["spec"][field] = value;
        refusals(run(vec![manifest], &lenient()))
    };
    let selector = json!({"ray.io/cluster": "victim"});
    assert_eq!(found("clusterSelector", selector), ["/0/spec/clusterSelector foreign-cluster"]);
    assert_eq!(found("clusterSelector", json!({})), Vec::<String>::new());
    let elsewhere = json!("kueue.x-k8s.io/multikueue");
    assert_eq!(found("managedBy", elsewhere), ["/0/spec/managedBy foreign-controller"]);
}

#[test]
fn namespace_and_ownership_are_forced_and_pods_completed_and_every_place_is_reported() {
    let mut manifest = workload(good_pod());
    manifest.document["metadata"] = json!({
        "name": "iris",
        "namespace": "kube-system",
        "labels": {"app": "x", "mine": "kept"},
        "annotations": {"a.example/b": "any text\n"},
    });
    let admitted = run(vec![manifest], &lenient()).unwrap();
    let metadata = &admitted.bundle.workload().unwrap().document["metadata"];
    assert_eq!(metadata["namespace"], "team-a");
    let labels = json!({
        "app": "iris",
        "mine": "kept",
        "training-job-id": "iris-00000001",
        "algorithm": "xgboost",
        "trainyard.dev/origin": "origin-1",
    });
    assert_eq!(metadata["labels"], labels);
    let pod = admitted_pod(&admitted);
    assert_eq!(
        pod["securityContext"],
        json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}})
    );
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(
        pod["containers"][0]["securityContext"],
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}})
    );
    let changes: Vec<String> = admitted
        .changes
        .iter()
        .map(|change| format!("{} {}", change.pointer, change.rule))
        .collect();
    let pod = "/0/spec/rayClusterSpec/headGroupSpec/template/spec";
    assert_eq!(
        changes,
        [
            "/0/metadata/labels ownership".to_owned(),
            "/0/metadata/namespace namespace".to_owned(),
            format!("{pod}/automountServiceAccountToken service-account"),
            format!("{pod}/securityContext/runAsNonRoot pod-security"),
            format!("{pod}/securityContext/seccompProfile/type pod-security"),
            format!("{pod}/containers/0/securityContext/allowPrivilegeEscalation pod-security"),
            format!("{pod}/containers/0/securityContext/capabilities/drop pod-security"),
            "/0/metadata/annotations/trainyard.dev~1bundle-sha256 bundle-digest".to_owned(),
        ]
    );
    assert!(admitted.changes[0].detail.contains("`app` (it was `x`)"), "{:?}", admitted.changes);
    assert!(admitted.changes[1].detail.contains("`kube-system`"), "{:?}", admitted.changes);
}

#[test]
fn what_the_plugin_wrote_right_is_not_reported() {
    let context = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    let mut pod = container_with(json!({"securityContext": context}));
    pod["securityContext"] = json!({"runAsNonRoot": true, "seccompProfile": {"type": "Localhost", "localhostProfile": "p"}});
    pod["automountServiceAccountToken"] = json!(false);
    let mut manifest = workload(pod);
    manifest.document["metadata"]["namespace"] = json!("team-a");
    let changes = run(vec![manifest], &lenient()).unwrap().changes;
    let rules: Vec<&str> = changes.iter().map(|change| change.rule.as_str()).collect();
    assert_eq!(rules, ["ownership", "bundle-digest"]);
}

#[test]
fn admission_of_the_same_twice_gives_the_same_bytes() {
    let once = || run(vec![workload(good_pod())], &lenient()).unwrap();
    assert_eq!(once(), once());
    assert_eq!(once().bundle.to_text(), once().bundle.to_text());
}

#[test]
fn a_hostile_bundle_is_answered_briefly() {
    let many: Vec<Value> = (0..900).map(|_| json!({"name": "A", "image": "!"})).collect();
    let errors = run(vec![workload(json!({"containers": many}))], &lenient()).unwrap_err();
    assert_eq!(errors.len(), 201);
    assert_eq!(errors.last().unwrap().code, "more");
}
