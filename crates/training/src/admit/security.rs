//! The Pod Security Standards *baseline* and *restricted*, field by field. What restricted requires
//! and a plugin leaves out is filled in; what contradicts it is refused.
//!
//! `securityContext` is checked wherever it stands, so a workload kind that carries parts of a pod
//! outside a pod template cannot use them to get around the rules.

use serde_json::{Map, Value, json};

use super::report::{Report, below, given, quoted};
use super::{PodSecurity, Policy};

/// Capabilities that baseline lets a container add; restricted leaves only the last.
const BASELINE_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
    NET_BIND_SERVICE,
];
const NET_BIND_SERVICE: &str = "NET_BIND_SERVICE";
/// Kernel parameters that a pod may set for itself alone.
const SAFE_SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];
const SELINUX_TYPES: [&str; 5] =
    ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
const CONTAINED_PROFILES: [&str; 2] = ["RuntimeDefault", "Localhost"];

/// Fills in what a restricted pod needs, and says so.
pub(super) fn complete_pod(
    pod: &mut Map<String, Value>,
    at: &str,
    policy: &Policy,
    report: &mut Report,
) {
    if policy.pod_security != PodSecurity::Restricted {
        return;
    }
    fill(pod, at, &["securityContext", "runAsNonRoot"], json!(true), report);
    fill(pod, at, &["securityContext", "seccompProfile", "type"], json!("RuntimeDefault"), report);
}

/// The same for one container.
pub(super) fn complete_container(
    container: &mut Map<String, Value>,
    at: &str,
    policy: &Policy,
    report: &mut Report,
) {
    if policy.pod_security != PodSecurity::Restricted {
        return;
    }
    let escalation = ["securityContext", "allowPrivilegeEscalation"];
    fill(container, at, &escalation, json!(false), report);
    let drop = ["securityContext", "capabilities", "drop"];
    fill(container, at, &drop, json!(["ALL"]), report);
}

/// Sets the value at a path if nothing stands there, making the objects on the way. Anything else
/// than an object on the way is left for [`check_context`] to refuse.
fn fill(
    members: &mut Map<String, Value>,
    at: &str,
    path: &[&str],
    value: Value,
    report: &mut Report,
) {
    let Some((first, rest)) = path.split_first() else { return };
    let at = below(at, first);
    let slot = members.entry(*first).or_insert(Value::Null);
    if rest.is_empty() {
        if slot.is_null() {
            let detail = format!("Set to {value}, as Pod Security `restricted` requires.");
            report.change(at, "pod-security", detail);
            *slot = value;
        }
        return;
    }
    if slot.is_null() {
        *slot = Value::Object(Map::new());
    }
    if let Value::Object(inner) = slot {
        fill(inner, &at, rest, value, report);
    }
}

/// Checks the `securityContext` of a pod, a container, or whatever else has one.
pub(super) fn check_context(
    members: &Map<String, Value>,
    at: &str,
    policy: &Policy,
    report: &mut Report,
) {
    let Some(context) = given(members, "securityContext") else { return };
    let at = format!("{at}/securityContext");
    let Value::Object(context) = context else {
        report.refuse(at, "type", "A security context is an object.");
        return;
    };
    let restricted = policy.pod_security == PodSecurity::Restricted;
    let mut refuse = |path: &str, detail: String| {
        report.refuse(format!("{at}/{path}"), "pod-security", detail);
    };
    let mut only = |key: &str, wanted: bool| {
        if given(context, key).is_some_and(|value| *value != Value::Bool(wanted)) {
            refuse(key, format!("`{key}` may only be {wanted}."));
        }
    };
    only("privileged", false);
    if restricted {
        only("allowPrivilegeEscalation", false);
        only("runAsNonRoot", true);
    }
    if given(context, "procMount").is_some_and(|mount| mount != "Default") {
        refuse("procMount", "`procMount` may only be `Default`.".to_owned());
    }
    if restricted && let Some(user) = given(context, "runAsUser") {
        // Not an integer is no user, and what an API server makes of it is not known here.
        if user.as_i64().is_none_or(|user| user <= 0) {
            refuse("runAsUser", "`runAsUser` must be a number other than 0.".to_owned());
        }
    }
    for key in ["seccompProfile", "appArmorProfile"] {
        if let Some(profile) = given(context, key) {
            let kind = profile.get("type").and_then(Value::as_str);
            if !kind.is_some_and(|kind| CONTAINED_PROFILES.contains(&kind)) {
                refuse(
                    &format!("{key}/type"),
                    format!("`{key}` may only be {}.", CONTAINED_PROFILES.join(" or ")),
                );
            }
        }
    }
    check_options(context, &mut refuse);
    check_capabilities(context, restricted, &mut refuse);
}

fn check_options(context: &Map<String, Value>, refuse: &mut dyn FnMut(&str, String)) {
    if let Some(options) = given(context, "seLinuxOptions") {
        let text = |key: &str| match options.get(key) {
            None | Some(Value::Null) => Some(""),
            Some(value) => value.as_str(),
        };
        if !text("type").is_some_and(|kind| SELINUX_TYPES.contains(&kind)) {
            let detail = format!("The SELinux type may only be{}.", SELINUX_TYPES.join(" "));
            refuse("seLinuxOptions/type", detail);
        }
        for key in ["user", "role"] {
            if text(key) != Some("") {
                refuse(&format!("seLinuxOptions/{key}"), format!("`{key}` may not be set."));
            }
        }
    }
    if let Some(options) = given(context, "windowsOptions") {
        let host = options.get("hostProcess");
        if host.is_some_and(|host| !host.is_null() && *host != Value::Bool(false)) {
            let detail = "A pod may not be a process of its node.".to_owned();
            refuse("windowsOptions/hostProcess", detail);
        }
    }
    let Some(sysctls) = given(context, "sysctls") else { return };
    let Some(sysctls) = sysctls.as_array() else {
        refuse("sysctls", "`sysctls` is a list.".to_owned());
        return;
    };
    for (index, sysctl) in sysctls.iter().enumerate() {
        let name = sysctl.get("name").and_then(Value::as_str).unwrap_or_default();
        if !SAFE_SYSCTLS.contains(&name) {
            let detail = format!("The kernel parameter {} is not a safe one.", quoted(name));
            refuse(&format!("sysctls/{index}"), detail);
        }
    }
}

fn check_capabilities(
    context: &Map<String, Value>,
    restricted: bool,
    refuse: &mut dyn FnMut(&str, String),
) {
    let Some(capabilities) = given(context, "capabilities") else { return };
    let Value::Object(capabilities) = capabilities else {
        refuse("capabilities", "`capabilities` is an object.".to_owned());
        return;
    };
    if let Some(added) = given(capabilities, "add") {
        let allowed: &[&str] =
            if restricted { &[NET_BIND_SERVICE] } else { &BASELINE_CAPABILITIES };
        let fits = |name: &Value| name.as_str().is_some_and(|name| allowed.contains(&name));
        if !added.as_array().is_some_and(|added| added.iter().all(fits)) {
            let detail = format!("Only {} may be added.", allowed.join(", "));
            refuse("capabilities/add", detail);
        }
    }
    if restricted {
        let dropped = given(capabilities, "drop").and_then(Value::as_array);
        if !dropped.is_some_and(|dropped| dropped.iter().any(|name| name == "ALL")) {
            refuse("capabilities/drop", "It must hold `ALL`.".to_owned());
        }
    }
}

/// The annotations by which older clusters switched confinement off.
pub(super) fn check_annotation(key: &str, value: &str, at: &str, report: &mut Report) {
    let confined = match key.split_once('/').map(|(domain, _)| domain) {
        Some("container.apparmor.security.beta.kubernetes.io") => {
            value.is_empty() || value == "runtime/default" || value.starts_with("localhost/")
        }
        Some(
            "seccomp.security.alpha.kubernetes.io"
            | "container.seccomp.security.alpha.kubernetes.io",
        ) => {
            matches!(value, "runtime/default" | "docker/default") || value.starts_with("localhost/")
        }
        _ => true,
    };
    if !confined {
        report.refuse(at, "pod-security", "The annotation switches confinement off.");
    }
}
