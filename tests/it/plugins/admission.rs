//! No pod can hide from admission: every place of every kind that a bundle may hold, as the schemas
//! of real clusters have it, is tried with what no pod may have. A schema that gains a field fails
//! here until somebody has judged it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use training::admit::{Admitted, Owner, Policy, admit};
use training::job::{Exact, Resources};
use training::manifest::{Manifest, Role};
use training::ports::{Conversion, FieldError, PluginKind};
use training::{JobId, JobName, Namespace};

use super::cluster_schemas::{Node, folder, nodes};

/// The pods that are known to be there: fewer means that the schemas were not read.
const PODS: [(&str, &str); 9] = [
    ("apps/v1/Deployment", "/spec/template/spec"),
    ("batch/v1/Job", "/spec/template/spec"),
    ("jobset.x-k8s.io/v1alpha2/JobSet", "/spec/replicatedJobs/0/template/spec/template/spec"),
    ("kubeflow.org/v1/PyTorchJob", "/spec/pytorchReplicaSpecs/any/template/spec"),
    ("kubeflow.org/v1/TFJob", "/spec/tfReplicaSpecs/any/template/spec"),
    ("kubeflow.org/v2beta1/MPIJob", "/spec/mpiReplicaSpecs/any/template/spec"),
    ("ray.io/v1/RayJob", "/spec/rayClusterSpec/headGroupSpec/template/spec"),
    ("ray.io/v1/RayJob", "/spec/rayClusterSpec/workerGroupSpecs/0/template/spec"),
    ("ray.io/v1/RayJob", "/spec/submitterPodTemplate/spec"),
];

/// What volumes and projected volumes may be; everything else that a schema knows is refused.
const VOLUMES: [&str; 8] = [
    "configMap",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "name",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
const PROJECTED: [&str; 3] = ["configMap", "downwardAPI", "secret"];

/// Members of pods, containers and security contexts that somebody judged: what they are good for
/// takes nothing from others, or what they hold is looked into.
const JUDGED: [(&str, &[&str]); 3] = [
    (
        "pod",
        &[
            "activeDeadlineSeconds",
            "affinity",
            "containers",
            "dnsConfig",
            "dnsPolicy",
            "enableServiceLinks",
            // A user namespace of the pod's own is the safer of its two values.
            "hostUsers",
            "hostname",
            "hostnameOverride",
            // Read by the node, not by the pod.
            "imagePullSecrets",
            "initContainers",
            "os",
            "preemptionPolicy",
            // Clusters refuse a number that is not that of the class.
            "priority",
            "readinessGates",
            "resources",
            "restartPolicy",
            "schedulerName",
            "schedulingGates",
            "schedulingGroup",
            "securityContext",
            "setHostnameAsFQDN",
            "subdomain",
            "terminationGracePeriodSeconds",
            "topologySpreadConstraints",
            "volumes",
            "workloadRef",
        ],
    ),
    (
        "container",
        &[
            "args",
            "command",
            "env",
            "envFrom",
            "imagePullPolicy",
            "lifecycle",
            "livenessProbe",
            "name",
            "ports",
            "readinessProbe",
            "resizePolicy",
            "resources",
            "restartPolicy",
            "restartPolicyRules",
            "securityContext",
            "startupProbe",
            "stdin",
            "stdinOnce",
            "terminationMessagePath",
            "terminationMessagePolicy",
            "tty",
            "volumeDevices",
            "volumeMounts",
            "workingDir",
        ],
    ),
    (
        "context",
        &[
            "fsGroup",
            "fsGroupChangePolicy",
            "readOnlyRootFilesystem",
            "runAsGroup",
            "seLinuxChangePolicy",
            "supplementalGroups",
            "supplementalGroupsPolicy",
        ],
    ),
];

/// What nothing in a bundle may hold, wherever it stands.
struct Danger {
    member: &'static str,
    value: Value,
    /// Where below the member the refusal points to.
    below: &'static str,
    code: &'static str,
}

fn dangers() -> Vec<Danger> {
    let role = "node-role.kubernetes.io/control-plane";
    [
        ("allowPrivilegeEscalation", json!(true), "", "pod-security"),
        ("appArmorProfile", json!({"type": "Unconfined"}), "/type", "pod-security"),
        ("capabilities", json!({"add": ["SYS_ADMIN"]}), "/add", "pod-security"),
        ("clusterSelector", json!({"ray.io/cluster": "a"}), "", "foreign-cluster"),
        ("ephemeralContainers", json!([{"name": "a"}]), "", "host-access"),
        ("hostAliases", json!([{"ip": "10.0.0.1"}]), "", "host-access"),
        ("hostIPC", json!(true), "", "host-access"),
        ("hostNetwork", json!(true), "", "host-access"),
        ("hostPID", json!(true), "", "host-access"),
        ("hostPath", json!({"path": "/"}), "", "volume-not-allowed"),
        ("hostPort", json!(80), "", "host-access"),
        ("httpGet", json!({"host": "10.0.0.1"}), "/host", "host-access"),
        ("image", json!("elsewhere/a:1"), "", "image-not-allowed"),
        ("key", json!(role), "", "node-role"),
        ("managedBy", json!("a.example/b"), "", "foreign-controller"),
        ("namespace", json!("kube-system"), "", "foreign-namespace"),
        ("namespaceSelector", json!({}), "", "foreign-namespace"),
        ("namespaces", json!(["kube-system"]), "/0", "foreign-namespace"),
        ("nodeName", json!("node-1"), "", "host-access"),
        ("nodeSelector", json!({role: ""}), "/node-role.kubernetes.io~1control-plane", "node-role"),
        ("overhead", json!({"cpu": "1"}), "", "host-access"),
        ("priorityClass", json!("system-node-critical"), "", "priority-class"),
        ("priorityClassName", json!("system-node-critical"), "", "priority-class"),
        ("privileged", json!(true), "", "pod-security"),
        ("procMount", json!("Unmasked"), "", "pod-security"),
        ("resourceClaims", json!([{"name": "a"}]), "", "host-access"),
        ("runAsNonRoot", json!(false), "", "pod-security"),
        ("runAsUser", json!(0), "", "pod-security"),
        ("runtimeClassName", json!("other"), "", "runtime-class"),
        ("seLinuxOptions", json!({"type": "spc_t"}), "/type", "pod-security"),
        ("seccompProfile", json!({"type": "Unconfined"}), "/type", "pod-security"),
        ("secretKeyRef", json!({"name": "theirs"}), "/name", "secret-not-allowed"),
        ("secretRef", json!({"name": "theirs"}), "/name", "secret-not-allowed"),
        ("serviceAccount", json!("admin"), "", "service-account"),
        ("serviceAccountName", json!("admin"), "", "service-account"),
        ("shareProcessNamespace", json!(true), "", "host-access"),
        ("sysctls", json!([{"name": "kernel.msgmax"}]), "/0", "pod-security"),
        ("tcpSocket", json!({"host": "10.0.0.1"}), "/host", "host-access"),
        ("tolerations", json!([{"operator": "Exists"}]), "/0", "node-role"),
        ("ttlSeconds", json!(1), "", "self-removal"),
        ("ttlSecondsAfterFinished", json!(1), "", "self-removal"),
        ("windowsOptions", json!({"hostProcess": true}), "/hostProcess", "pod-security"),
    ]
    .into_iter()
    .map(|(member, value, below, code)| Danger { member, value, below, code })
    .collect()
}

/// The strictest rules, under which a refusal is a refusal of what was put in.
fn policy() -> Policy {
    Policy {
        allowed_images: vec!["trainyard".to_owned()],
        allowed_secrets: vec!["ours".to_owned()],
        ..Policy::default()
    }
}

/// Admits one object of a kind as the workload of a bundle.
fn judge(kind: &str, node: &Node, value: Value) -> Result<Admitted, Vec<FieldError>> {
    let (api_version, name) = kind.rsplit_once('/').expect("a version and a kind");
    let mut document = node.holding(value);
    document["apiVersion"] = json!(api_version);
    document["kind"] = json!(name);
    document["metadata"] = json!({"name": "iris"});
    let kinds = [PluginKind {
        api_version: api_version.to_owned(),
        kind: name.to_owned(),
        plural: format!("{}s", name.to_lowercase()),
        workload: true,
        max_name_length: 63,
    }];
    let owner = Owner {
        job_id: &JobId::parse("iris-00000001").unwrap(),
        name: &JobName::parse("iris").unwrap(),
        namespace: &Namespace::parse("team-a").unwrap(),
        algorithm: "trees",
        origin: "origin-1",
        resources: Resources {
            cpu_cores: 4,
            memory_gib: 16,
            gpu_count: 0,
            instance_count: 1,
            volume_size_gb: 1,
        },
        exact: &Exact::default(),
    };
    let manifests = vec![Manifest { role: Role::Workload, document }];
    admit(&Conversion { manifests, warnings: Vec::new() }, &kinds, owner, &policy())
}

/// A pod that everybody may have.
fn pod() -> Value {
    json!({"restartPolicy": "Never", "containers": [{
        "name": "train",
        "image": "trainyard/trees:1",
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
    }]})
}

/// Every place of every kind that a bundle may hold; `None` where there are no schemas.
fn known_nodes() -> Option<BTreeMap<String, Vec<Node>>> {
    let kinds = Policy::default().allowed_kinds;
    let nodes = nodes(&folder()?, &kinds);
    for kind in &kinds {
        assert!(nodes.contains_key(kind), "there is no schema of {kind}");
    }
    Some(nodes)
}

fn refuses(errors: &[FieldError], pointer: &str, code: &str) -> bool {
    errors.iter().any(|error| error.pointer == pointer && error.code == code)
}

#[test]
fn every_pod_of_every_kind_is_completed_or_refused() {
    let Some(kinds) = known_nodes() else { return };
    let mut seen = BTreeSet::new();
    for (kind, nodes) in &kinds {
        for node in nodes.iter().filter(|node| node.is_pod()) {
            let at = node.pointer();
            let admitted = judge(kind, node, pod())
                .unwrap_or_else(|errors| panic!("{kind} {at}: a good pod is refused: {errors:?}"));
            let document = &admitted.bundle.manifests()[0].document;
            let of = |rest: &str| document.pointer(&format!("{at}{rest}"));
            assert_eq!(of("/automountServiceAccountToken"), Some(&json!(false)), "{kind} {at}");
            assert_eq!(of("/securityContext/runAsNonRoot"), Some(&json!(true)), "{kind} {at}");
            let escalation = "/containers/0/securityContext/allowPrivilegeEscalation";
            assert_eq!(of(escalation), Some(&json!(false)), "{kind} {at}");

            let mut token = pod();
            token["automountServiceAccountToken"] = json!(true);
            let errors = judge(kind, node, token).expect_err("no pod gets a token");
            let pointer = format!("/0{at}/automountServiceAccountToken");
            assert!(refuses(&errors, &pointer, "service-account"), "{kind} {at}: {errors:?}");
            seen.insert((kind.clone(), at));
        }
    }
    for (kind, at) in PODS {
        assert!(seen.contains(&(kind.to_owned(), at.to_owned())), "{kind} has no pod at {at}");
    }
    // Here pods are patches of others, deep in a list.
    assert!(seen.iter().any(|(kind, _)| kind.ends_with("/TrainJob")), "{seen:?}");
}

#[test]
fn what_no_pod_may_have_is_refused_wherever_a_schema_has_it() {
    let Some(kinds) = known_nodes() else { return };
    let dangers = dangers();
    let mut tried: BTreeMap<&str, usize> = BTreeMap::new();
    for (kind, nodes) in &kinds {
        for node in nodes {
            let at = node.pointer();
            let must_refuse = |member: &str, value: Value, below: &str, code: &str| {
                let outcome = judge(kind, node, json!({ member: value }));
                let errors = outcome.err().unwrap_or_default();
                let pointer = format!("/0{at}/{member}{below}");
                assert!(
                    refuses(&errors, &pointer, code),
                    "{kind}: {pointer} is not refused as {code}: {errors:?}"
                );
            };
            for danger in &dangers {
                // The other things that have such a name are no dangers of this kind.
                let kind_of = node.members.get(danger.member).map(String::as_str);
                let same = match (kind_of, &danger.value) {
                    (Some("string"), value) => value.is_string(),
                    (Some("object"), value) => value.is_object(),
                    (known, _) => known.is_some(),
                };
                if same {
                    must_refuse(danger.member, danger.value.clone(), danger.below, danger.code);
                    *tried.entry(danger.member).or_default() += 1;
                }
            }
            let allowed: &[&str] = if node.is_item_of("volumes") {
                &VOLUMES
            } else if at.ends_with("/projected/sources/0") {
                &PROJECTED
            } else {
                continue;
            };
            for source in node.members.keys().filter(|source| !allowed.contains(&source.as_str())) {
                must_refuse(source, json!({}), "", "volume-not-allowed");
                *tried.entry("a volume").or_default() += 1;
            }
        }
    }
    assert!(tried.contains_key("a volume"), "no schema has a volume");
    for danger in &dangers {
        assert!(tried.contains_key(danger.member), "no schema has `{}`", danger.member);
    }
}

#[test]
fn every_member_of_a_pod_was_judged() {
    let Some(kinds) = known_nodes() else { return };
    let dangers: BTreeSet<&str> = dangers().iter().map(|danger| danger.member).collect();
    let judged = |class: &str, member: &str| {
        let (_, members) = JUDGED.iter().find(|(known, _)| *known == class).expect("a class");
        // The token is tried with whole pods.
        members.contains(&member)
            || dangers.contains(member)
            || (class, member) == ("pod", "automountServiceAccountToken")
    };
    let mut unknown = BTreeSet::new();
    let mut met = BTreeSet::new();
    for (kind, nodes) in &kinds {
        for node in nodes {
            let class = if node.is_pod() {
                "pod"
            } else if node.is_item_of("containers") || node.is_item_of("initContainers") {
                "container"
            } else if node.is_member("securityContext") {
                "context"
            } else {
                continue;
            };
            met.insert(class);
            for member in node.members.keys().filter(|member| !judged(class, member)) {
                unknown.insert(format!("{kind} {class}: {member}"));
            }
        }
    }
    assert_eq!(met.len(), JUDGED.len(), "{met:?}");
    assert!(unknown.is_empty(), "nobody judged {unknown:#?}");
}
