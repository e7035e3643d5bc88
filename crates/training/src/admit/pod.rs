//! Pods inside manifests. A pod is recognised by its shape, an object with a list of containers,
//! so that a new workload kind needs no change here. Single fields that give power over a node or
//! an identity are refused wherever they stand, in a pod or not.

use serde_json::{Map, Value};

use super::names::is_dns_label;
use super::report::{Report, below, each_object, given, quoted};
use super::{Policy, security};

/// Volume sources that stay inside the pod's namespace. `projected` is looked into.
const VOLUME_SOURCES: [&str; 7] = [
    "configMap",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
/// What a projected volume may show. The others are credentials of the pod's identity.
const PROJECTED_SOURCES: [&str; 3] = ["configMap", "downwardAPI", "secret"];
/// Fields that may only be absent or `false`.
const NEVER_TRUE: [&str; 4] = ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"];
/// Fields that may only be absent. `overhead` and `resourceClaims` take room that no ceiling sees.
const NEVER: [&str; 5] =
    ["nodeName", "ephemeralContainers", "hostAliases", "overhead", "resourceClaims"];
/// Nodes that run the cluster itself carry labels and taints of this domain.
const NODE_ROLE: &str = "node-role.kubernetes.io/";

/// Whether an object is a pod's specification.
pub(super) fn is_pod(members: &Map<String, Value>) -> bool {
    ["containers", "initContainers"]
        .iter()
        .any(|list| members.get(*list).is_some_and(Value::is_array))
}

/// Fills in what every pod below `value` needs.
pub(super) fn complete(value: &mut Value, at: &str, policy: &Policy, report: &mut Report) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                complete(item, &format!("{at}/{index}"), policy, report);
            }
        }
        Value::Object(members) => {
            if is_pod(members) {
                complete_pod(members, at, policy, report);
            }
            // Also inside a pod: what only looks like one may hold a real one.
            for (key, item) in members.iter_mut() {
                complete(item, &below(at, key), policy, report);
            }
        }
        _ => {}
    }
}

fn complete_pod(pod: &mut Map<String, Value>, at: &str, policy: &Policy, report: &mut Report) {
    let account = given(pod, "serviceAccountName").or_else(|| given(pod, "serviceAccount"));
    let trusted = account
        .and_then(Value::as_str)
        .is_some_and(|account| policy.service_accounts.iter().any(|name| name == account));
    let token = "automountServiceAccountToken";
    if !trusted && given(pod, token).is_none() {
        pod.insert(token.to_owned(), Value::Bool(false));
        let detail = "Set to false: the pod gets no credentials of the Kubernetes API.";
        report.change(below(at, token), "service-account", detail);
    } else if !trusted && pod.get(token) != Some(&Value::Bool(false)) {
        let detail = "A pod gets credentials of the Kubernetes API only under a service account \
                      that `service_accounts` lists.";
        report.refuse(below(at, token), "service-account", detail);
    }
    security::complete_pod(pod, at, policy, report);
    for list in ["initContainers", "containers"] {
        let at = below(at, list);
        let containers = match pod.get_mut(list) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(containers)) => containers,
            Some(_) => {
                report.refuse(at, "type", "It must be a list of containers.");
                continue;
            }
        };
        for (index, container) in containers.iter_mut().enumerate() {
            let at = format!("{at}/{index}");
            if let Value::Object(container) = container {
                check_name(container, &at, report);
                security::complete_container(container, &at, policy, report);
            } else {
                report.refuse(at, "type", "A container is an object.");
            }
        }
    }
}

/// Checks everything at and below a spec that concerns pods, after [`complete`].
pub(super) fn check(spec: &Value, at: &str, policy: &Policy, report: &mut Report) {
    each_object(spec, at, &mut |members, at| {
        check_reach(members, at, report);
        check_identity(members, at, policy, report);
        check_nodes(members, at, report);
        check_volumes(members, at, report);
        security::check_context(members, at, policy, report);
    });
}

fn check_name(members: &Map<String, Value>, at: &str, report: &mut Report) {
    if let Some(name) = given(members, "name")
        && !name.as_str().is_some_and(is_dns_label)
    {
        let detail = "It must be at most 63 lower-case letters, digits and hyphens.";
        report.refuse(format!("{at}/name"), "invalid-name", detail);
    }
}

/// What reaches for the node or for its network.
fn check_reach(members: &Map<String, Value>, at: &str, report: &mut Report) {
    for key in NEVER_TRUE {
        if given(members, key).is_some_and(|value| *value != Value::Bool(false)) {
            report.refuse(below(at, key), "host-access", format!("`{key}` is not allowed."));
        }
    }
    for key in NEVER {
        // An empty list or object asks for nothing.
        let asks = given(members, key).is_some_and(|value| match value {
            Value::Array(items) => !items.is_empty(),
            Value::Object(inner) => !inner.is_empty(),
            _ => true,
        });
        if asks {
            report.refuse(below(at, key), "host-access", format!("`{key}` is not allowed."));
        }
    }
    if given(members, "hostPath").is_some() {
        let detail = "A pod may not see the files of its node.";
        report.refuse(below(at, "hostPath"), "volume-not-allowed", detail);
    }
    if given(members, "hostPort").is_some_and(|port| port.as_i64() != Some(0)) {
        report.refuse(below(at, "hostPort"), "host-access", "`hostPort` is not allowed.");
    }
    for probe in ["httpGet", "tcpSocket"] {
        let host = given(members, probe).and_then(|probe| probe.get("host"));
        if host.is_some_and(|host| !host.is_null() && host != "") {
            let detail = "A probe may only ask its own pod; leave `host` out.";
            report.refuse(format!("{at}/{probe}/host"), "host-access", detail);
        }
    }
}

/// Names that give a pod an identity, a rank or another runtime.
fn check_identity(members: &Map<String, Value>, at: &str, policy: &Policy, report: &mut Report) {
    let rules: [(&str, &str, &[String], &str); 5] = [
        ("serviceAccountName", "service-account", &policy.service_accounts, "service_accounts"),
        ("serviceAccount", "service-account", &policy.service_accounts, "service_accounts"),
        ("priorityClassName", "priority-class", &policy.priority_classes, "priority_classes"),
        // Of pods that are scheduled together.
        ("priorityClass", "priority-class", &policy.priority_classes, "priority_classes"),
        ("runtimeClassName", "runtime-class", &policy.runtime_classes, "runtime_classes"),
    ];
    for (key, code, allowed, setting) in rules {
        let Some(value) = given(members, key) else { continue };
        let listed = value
            .as_str()
            .is_some_and(|name| name.is_empty() || allowed.iter().any(|known| known == name));
        if !listed {
            let name = quoted(value.as_str().unwrap_or("something that is not a text"));
            let detail = format!("{name} is not listed in the host's setting `{setting}`.");
            report.refuse(below(at, key), code, detail);
        }
    }
}

/// Selectors, affinities and tolerations may say on which nodes a pod runs, but never on those that
/// run the cluster.
fn check_nodes(members: &Map<String, Value>, at: &str, report: &mut Report) {
    const WHY: &str = "A job may not choose the nodes that run the cluster itself.";
    if let Some(Value::Object(selector)) = members.get("nodeSelector") {
        for key in selector.keys().filter(|key| key.starts_with(NODE_ROLE)) {
            report.refuse(below(&format!("{at}/nodeSelector"), key), "node-role", WHY);
        }
    }
    // The terms of an affinity, and tolerations.
    if members.get("key").and_then(Value::as_str).is_some_and(|key| key.starts_with(NODE_ROLE)) {
        report.refuse(format!("{at}/key"), "node-role", WHY);
    }
    if let Some(Value::Array(tolerations)) = members.get("tolerations") {
        for (index, toleration) in tolerations.iter().enumerate() {
            let key = toleration.get("key").and_then(Value::as_str).unwrap_or_default();
            if key.is_empty() {
                let detail = format!("Without a key it tolerates every taint. {WHY}");
                report.refuse(format!("{at}/tolerations/{index}"), "node-role", detail);
            }
        }
    }
}

fn check_volumes(members: &Map<String, Value>, at: &str, report: &mut Report) {
    let Some(volumes) = given(members, "volumes") else { return };
    let at = format!("{at}/volumes");
    let Some(volumes) = volumes.as_array() else {
        report.refuse(at, "type", "It must be a list of volumes.");
        return;
    };
    for (index, volume) in volumes.iter().enumerate() {
        let at = format!("{at}/{index}");
        let Value::Object(volume) = volume else {
            report.refuse(at, "type", "A volume is an object.");
            continue;
        };
        check_name(volume, &at, report);
        let refuse = |at: &str, source: &str, report: &mut Report| {
            let detail = format!("Volumes of type {} are not allowed.", quoted(source));
            report.refuse(below(at, source), "volume-not-allowed", detail);
        };
        for source in volume.keys().filter(|key| *key != "name") {
            // `hostPath` is refused wherever it stands.
            if !VOLUME_SOURCES.contains(&source.as_str()) && source != "hostPath" {
                refuse(&at, source, report);
            }
        }
        let projected = volume.get("projected").and_then(|projected| projected.get("sources"));
        let sources = projected.and_then(Value::as_array).into_iter().flatten().enumerate();
        for (index, source) in sources {
            let at = format!("{at}/projected/sources/{index}");
            for kind in source.as_object().into_iter().flat_map(Map::keys) {
                if !PROJECTED_SOURCES.contains(&kind.as_str()) {
                    refuse(&at, kind, report);
                }
            }
        }
    }
}
