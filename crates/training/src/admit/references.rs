//! References stay at home: in the job's namespace, and inside the cluster. A Secret may be any of
//! the namespace unless the operator lists them; a Service is reachable from within the cluster
//! only; an Ingress answers for hosts that the operator has given away.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::names::is_dns_subdomain;
use super::report::{Report, below, each_object, given, quoted};
use super::{Owner, Policy};

/// Members that hold a reference, and the member of it that is the name. The bool says whether it
/// leads to a Secret.
const REFERENCES: [(&str, &str, bool); 8] = [
    ("secretKeyRef", "name", true),
    ("secretRef", "name", true),
    ("secret", "secretName", true),
    // In a projected volume.
    ("secret", "name", true),
    ("configMapKeyRef", "name", false),
    ("configMapRef", "name", false),
    ("configMap", "name", false),
    ("persistentVolumeClaim", "claimName", false),
];
/// Types of Services that are reachable from outside, and the members that ask for the same.
const OUTSIDE: [(&str, &[&str]); 3] = [
    (
        "LoadBalancer",
        &["loadBalancerIP", "loadBalancerClass", "loadBalancerSourceRanges", "healthCheckNodePort"],
    ),
    ("NodePort", &["nodePort"]),
    ("ExternalName", &["externalName"]),
];

/// Names of the Secrets, or of the ConfigMaps, that a manifest refers to.
pub(crate) fn referenced(document: &Value, secrets: bool) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    each_object(document, "", &mut |members, _| {
        for (holder, member, secret) in REFERENCES {
            let is_kind = secret == secrets && holder != "persistentVolumeClaim";
            let name = members.get(holder).filter(|_| is_kind).and_then(|held| held.get(member));
            names.extend(name.and_then(Value::as_str).map(str::to_owned));
        }
        let pulls = members.get("imagePullSecrets").filter(|_| secrets).and_then(Value::as_array);
        for pull in pulls.into_iter().flatten() {
            names.extend(pull.get("name").and_then(Value::as_str).map(str::to_owned));
        }
    });
    names.retain(|name| is_dns_subdomain(name));
    names
}

/// Names of the volume claims that a manifest mounts.
pub(crate) fn claimed(document: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    each_object(document, "", &mut |members, _| {
        let name = members.get("persistentVolumeClaim").and_then(|held| held.get("claimName"));
        names.extend(name.and_then(Value::as_str).map(str::to_owned));
    });
    names.retain(|name| is_dns_subdomain(name));
    names
}

/// Checks everything at and below a spec.
pub(super) fn check(
    spec: &Value,
    at: &str,
    owner: Owner<'_>,
    policy: &Policy,
    report: &mut Report,
) {
    each_object(spec, at, &mut |members, at| {
        check_namespace(members, at, owner, report);
        check_names(members, at, policy, report);
        check_service(members, at, policy, report);
        check_borrowed(members, at, report);
        check_ingress(members, at, policy, report);
    });
}

fn check_namespace(members: &Map<String, Value>, at: &str, owner: Owner<'_>, report: &mut Report) {
    let ours = owner.namespace.as_str();
    let mut check = |at: String, value: &Value| {
        if value.as_str().is_none_or(|namespace| namespace != ours) {
            let detail = format!("Only the job's own namespace `{ours}` may be named.");
            report.refuse(at, "foreign-namespace", detail);
        }
    };
    if let Some(namespace) = given(members, "namespace") {
        check(format!("{at}/namespace"), namespace);
    }
    // Affinities to pods of other namespaces.
    for (index, namespace) in
        given(members, "namespaces").and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        check(format!("{at}/namespaces/{index}"), namespace);
    }
    if let Some(selector) = given(members, "namespaceSelector") {
        check(format!("{at}/namespaceSelector"), selector);
    }
}

fn check_names(members: &Map<String, Value>, at: &str, policy: &Policy, report: &mut Report) {
    for (holder, member, secret) in REFERENCES {
        let Some(Value::Object(reference)) = members.get(holder) else { continue };
        let Some(name) = given(reference, member) else { continue };
        let at = format!("{at}/{holder}/{member}");
        let Some(name) = name.as_str().filter(|name| is_dns_subdomain(name)) else {
            report.refuse(at, "invalid-name", "It is not the name of an object.");
            continue;
        };
        let listed = &policy.allowed_secrets;
        if secret && !listed.is_empty() && !listed.iter().any(|known| known == name) {
            let detail = format!("The Secret {} is not one that jobs may read.", quoted(name));
            report.refuse(at, "secret-not-allowed", detail);
        }
    }
}

/// What runs a job in the cluster of another one, with its rights and its room, or hands it over to a
/// controller that this host does not follow.
fn check_borrowed(members: &Map<String, Value>, at: &str, report: &mut Report) {
    if let Some(Value::Object(selector)) = members.get("clusterSelector")
        && !selector.is_empty()
    {
        let detail = "A job runs in a cluster of its own.";
        report.refuse(format!("{at}/clusterSelector"), "foreign-cluster", detail);
    }
    if given(members, "managedBy").is_some() {
        let detail = "Only the operator of the kind may run a job.";
        report.refuse(format!("{at}/managedBy"), "foreign-controller", detail);
    }
}

/// A Service must not catch what is meant for pods of others: labels such as `app: train` are on
/// theirs, too. The name of a job is its own in its namespace.
pub(super) fn check_selector(spec: &Value, at: &str, owner: Owner<'_>, report: &mut Report) {
    let Some(Value::Object(selector)) = spec.get("selector") else { return };
    let (name, id) = (owner.name.as_str(), owner.job_id.as_str());
    let tells = |value: &Value| {
        value.as_str().is_some_and(|value| {
            let rest = value.strip_prefix(name);
            value == id || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    };
    if !selector.is_empty() && !selector.values().any(tells) {
        let detail = format!(
            "It could select pods of other jobs: one of its values has to be `{name}`, or begin with \
             `{name}-`."
        );
        report.refuse(format!("{at}/selector"), "foreign-pods", detail);
    }
}

/// A Service, or the part of another object that makes one.
fn check_service(members: &Map<String, Value>, at: &str, policy: &Policy, report: &mut Report) {
    for (kind, fields) in OUTSIDE {
        if policy.service_types.iter().any(|allowed| allowed == kind) {
            continue;
        }
        let detail = || format!("Services of type `{kind}` are not allowed.");
        for key in ["type", "serviceType"] {
            if members.get(key).is_some_and(|value| value == kind) {
                report.refuse(below(at, key), "service-not-allowed", detail());
            }
        }
        for key in fields.iter().filter(|key| given(members, key).is_some()) {
            report.refuse(below(at, key), "service-not-allowed", detail());
        }
    }
    // Takes traffic of others: no type makes it harmless.
    if given(members, "externalIPs").is_some() {
        let detail = "A Service may not claim addresses outside the cluster.";
        report.refuse(below(at, "externalIPs"), "service-not-allowed", detail);
    }
}

/// An Ingress, or the part of another object that makes one.
fn check_ingress(members: &Map<String, Value>, at: &str, policy: &Policy, report: &mut Report) {
    let mut refuse = |at: String, detail: String| report.refuse(at, "ingress-not-allowed", detail);
    let mut check = |at: String, host: Option<&Value>| {
        let host = host.and_then(Value::as_str).unwrap_or_default();
        if !is_below_a_suffix(host, &policy.ingress_hosts) {
            let detail = if policy.ingress_hosts.is_empty() {
                "No host is given away to jobs.".to_owned()
            } else {
                format!(
                    "The host {} is not below one of: {}.",
                    quoted(host),
                    policy.ingress_hosts.join(", ")
                )
            };
            refuse(at, detail);
        }
    };
    let items = |key: &str| given(members, key).and_then(Value::as_array).into_iter().flatten();
    for (index, rule) in items("rules").enumerate() {
        if rule.get("http").is_some() || rule.get("host").is_some() {
            check(format!("{at}/rules/{index}/host"), rule.get("host"));
        }
    }
    for (index, tls) in items("tls").enumerate() {
        let hosts = tls.get("hosts").and_then(Value::as_array);
        for (inner, host) in hosts.into_iter().flatten().enumerate() {
            check(format!("{at}/tls/{index}/hosts/{inner}"), Some(host));
        }
    }
    if given(members, "defaultBackend").is_some() {
        let detail = "A default backend answers for every host.".to_owned();
        refuse(format!("{at}/defaultBackend"), detail);
    }
    if given(members, "enableIngress").is_some_and(|value| *value != Value::Bool(false)) {
        let detail = "It makes an Ingress whose host nobody can check.".to_owned();
        refuse(format!("{at}/enableIngress"), detail);
    }
}

/// `a.jobs.example` lies below `jobs.example`; `jobs.example` itself and `*.jobs.example` do not.
fn is_below_a_suffix(host: &str, suffixes: &[String]) -> bool {
    is_dns_subdomain(host)
        && suffixes.iter().any(|suffix| {
            let suffix = suffix.trim_start_matches('.');
            host.strip_suffix(suffix).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        })
}
