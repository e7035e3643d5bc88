//! Pods inside manifests. A pod is recognised by its shape, an object with a `containers` array,
//! so that a new workload kind needs no change here.

use serde_json::{Map, Value, json};

use super::quantity::millis;
use super::{PodSecurity, Policy};
use crate::job::Resources;
use crate::ports::FieldError;

/// Volume sources that stay inside the pod's namespace.
const VOLUME_SOURCES: [&str; 6] =
    ["configMap", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "secret"];

/// Checks and completes every pod below `value`.
pub(super) fn admit_pods(
    value: &mut Value,
    at: &str,
    ceiling: Resources,
    policy: &Policy,
    errors: &mut Vec<FieldError>,
) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                admit_pods(item, &format!("{at}/{index}"), ceiling, policy, errors);
            }
        }
        Value::Object(members) => {
            if members.get("containers").is_some_and(Value::is_array) {
                admit_pod(members, at, ceiling, policy, errors);
                return;
            }
            for (key, item) in members.iter_mut() {
                let key = key.replace('~', "~0").replace('/', "~1");
                admit_pods(item, &format!("{at}/{key}"), ceiling, policy, errors);
            }
        }
        _ => {}
    }
}

fn admit_pod(
    pod: &mut Map<String, Value>,
    at: &str,
    ceiling: Resources,
    policy: &Policy,
    errors: &mut Vec<FieldError>,
) {
    for key in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] {
        if pod.get(key).is_some_and(|value| *value != Value::Bool(false)) {
            refuse(
                errors,
                format!("{at}/{key}"),
                "host-access",
                format!("`{key}` is not allowed."),
            );
        }
    }
    for key in ["nodeName", "ephemeralContainers", "hostAliases"] {
        if pod.contains_key(key) {
            refuse(
                errors,
                format!("{at}/{key}"),
                "host-access",
                format!("`{key}` is not allowed."),
            );
        }
    }
    for (index, volume) in
        pod.get("volumes").and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        let sources = volume.as_object().into_iter().flat_map(Map::keys);
        for source in sources.filter(|key| *key != "name") {
            if !VOLUME_SOURCES.contains(&source.as_str()) {
                refuse(
                    errors,
                    format!("{at}/volumes/{index}/{source}"),
                    "volume-not-allowed",
                    format!("Volumes of type `{source}` are not allowed."),
                );
            }
        }
    }
    check_ceiling(pod, at, ceiling, errors);
    let restricted = policy.pod_security == PodSecurity::Restricted;
    if restricted {
        default_in(pod, "automountServiceAccountToken", json!(false));
        default_below(pod, "securityContext", "runAsNonRoot", json!(true));
        let profile = json!({"type": "RuntimeDefault"});
        default_below(pod, "securityContext", "seccompProfile", profile);
    }
    check_context(pod.get("securityContext"), at, policy, errors);
    for list in ["initContainers", "containers"] {
        let containers = pod.get_mut(list).and_then(Value::as_array_mut);
        for (index, container) in containers.into_iter().flatten().enumerate() {
            let at = format!("{at}/{list}/{index}");
            if let Value::Object(container) = container {
                admit_container(container, &at, policy, errors);
            } else {
                refuse(errors, at, "type", "A container is an object.".to_owned());
            }
        }
    }
}

fn admit_container(
    container: &mut Map<String, Value>,
    at: &str,
    policy: &Policy,
    errors: &mut Vec<FieldError>,
) {
    if policy.pod_security == PodSecurity::Restricted {
        default_below(container, "securityContext", "allowPrivilegeEscalation", json!(false));
        default_below(container, "securityContext", "capabilities", json!({"drop": ["ALL"]}));
    }
    check_context(container.get("securityContext"), at, policy, errors);
    for (index, port) in
        container.get("ports").and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        if port.get("hostPort").is_some() {
            refuse(
                errors,
                format!("{at}/ports/{index}/hostPort"),
                "host-access",
                "`hostPort` is not allowed.".to_owned(),
            );
        }
    }
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let allowed = policy.allowed_images.is_empty()
        || policy.allowed_images.iter().any(|prefix| is_from(image, prefix));
    if !allowed {
        refuse(
            errors,
            format!("{at}/image"),
            "image-not-allowed",
            format!("The image `{image}` does not come from an allowed repository."),
        );
    }
    for (index, variable) in
        container.get("env").and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        let name = variable.get("name").and_then(Value::as_str).unwrap_or_default();
        let literal = variable.get("value").and_then(Value::as_str).unwrap_or_default();
        if !literal.is_empty() && names_a_secret(name) {
            refuse(
                errors,
                format!("{at}/env/{index}/value"),
                "secret-literal",
                format!("`{name}` must come from a Secret by reference."),
            );
        }
    }
}

/// Whether `image` lies at or below `prefix`; `a/b` does not cover `a/bc`.
fn is_from(image: &str, prefix: &str) -> bool {
    image.strip_prefix(prefix).is_some_and(|rest| {
        prefix.ends_with('/') || rest.is_empty() || rest.starts_with(['/', ':', '@'])
    })
}

fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["SECRET", "PASSWORD", "TOKEN", "ACCESS_KEY", "API_KEY", "PRIVATE_KEY"]
        .iter()
        .any(|word| name.contains(word))
}

fn check_context(context: Option<&Value>, at: &str, policy: &Policy, errors: &mut Vec<FieldError>) {
    let Some(context) = context else { return };
    let at = format!("{at}/securityContext");
    let is = |key: &str, value: bool| context.get(key).and_then(Value::as_bool) == Some(value);
    let mut wrong = Vec::new();
    if is("privileged", true) {
        wrong.push("privileged");
    }
    if context.get("procMount").is_some_and(|mount| mount != "Default") {
        wrong.push("procMount");
    }
    if context.pointer("/seccompProfile/type").is_some_and(|profile| profile == "Unconfined") {
        wrong.push("seccompProfile");
    }
    let added = context.pointer("/capabilities/add").and_then(Value::as_array);
    if added.is_some_and(|added| !added.is_empty()) {
        wrong.push("capabilities");
    }
    if policy.pod_security == PodSecurity::Restricted {
        if is("allowPrivilegeEscalation", true) {
            wrong.push("allowPrivilegeEscalation");
        }
        if is("runAsNonRoot", false) {
            wrong.push("runAsNonRoot");
        }
        if context.get("runAsUser").and_then(Value::as_i64) == Some(0) {
            wrong.push("runAsUser");
        }
    }
    for key in wrong {
        refuse(
            errors,
            format!("{at}/{key}"),
            "pod-security",
            format!("`{key}` breaks the pod security rules."),
        );
    }
}

/// The containers of one pod together never ask for more than one instance of the job.
fn check_ceiling(
    pod: &Map<String, Value>,
    at: &str,
    ceiling: Resources,
    errors: &mut Vec<FieldError>,
) {
    for block in ["requests", "limits"] {
        let mut sums: std::collections::BTreeMap<&str, u128> = std::collections::BTreeMap::new();
        let containers = pod.get("containers").and_then(Value::as_array);
        for container in containers.into_iter().flatten() {
            let wanted = container.pointer(&format!("/resources/{block}"));
            for (resource, quantity) in wanted.and_then(Value::as_object).into_iter().flatten() {
                let text = match quantity {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                if let Some(amount) = millis(&text) {
                    *sums.entry(resource).or_default() += amount;
                } else {
                    refuse(
                        errors,
                        format!("{at}/containers"),
                        "quantity",
                        format!("`{text}` is not a quantity."),
                    );
                }
            }
        }
        for (resource, asked) in sums {
            let (limit, words) = match resource {
                "cpu" => (u128::from(ceiling.cpu_cores) * 1000, "CPU cores"),
                // 0 GiB means that the user set no bound.
                "memory" if ceiling.memory_gib == 0 => continue,
                "memory" => ((u128::from(ceiling.memory_gib) << 30) * 1000, "bytes of memory"),
                // Scratch space is bounded by the node.
                "ephemeral-storage" => continue,
                _ => (u128::from(ceiling.gpu_count) * 1000, "devices"),
            };
            if asked > limit {
                refuse(
                    errors,
                    format!("{at}/containers"),
                    "over-ceiling",
                    format!(
                        "The pod's {block} of `{resource}` exceed the {} {words} the job asked \
                         for.",
                        limit / 1000
                    ),
                );
            }
        }
    }
}

fn refuse(errors: &mut Vec<FieldError>, pointer: String, code: &str, detail: String) {
    errors.push(FieldError::new(pointer, code, detail));
}

fn default_in(members: &mut Map<String, Value>, key: &str, value: Value) {
    members.entry(key).or_insert(value);
}

/// Fills `key` of the object under `holder`, making that object if it is absent.
fn default_below(members: &mut Map<String, Value>, holder: &str, key: &str, value: Value) {
    if let Value::Object(object) = members.entry(holder).or_insert_with(|| json!({})) {
        default_in(object, key, value);
    }
}
