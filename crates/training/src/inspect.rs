//! What a client may read of member clusters: kinds on an allow-list, never a Secret, and of each
//! object nothing that is likely to be one.

use serde_json::{Map, Value};

/// Written in place of a value that is not shown.
pub const HIDDEN: &str = "(hidden)";

/// A kind that may be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadableKind {
    /// Such as `batch/v1`.
    pub api_version: String,
    /// Such as `Job`; the plural for a kind that is known by that alone.
    pub kind: String,
    /// Its name in addresses, such as `jobs`.
    pub plural: String,
    /// Whether its objects have a namespace.
    pub namespaced: bool,
}

/// Kinds that can be allowed by name: version, kind, plural, whether they have a namespace.
const KNOWN: &[(&str, &str, &str, bool)] = &[
    ("v1", "ConfigMap", "configmaps", true),
    ("v1", "Event", "events", true),
    ("v1", "LimitRange", "limitranges", true),
    ("v1", "Namespace", "namespaces", false),
    ("v1", "Node", "nodes", false),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
    ("v1", "Pod", "pods", true),
    ("v1", "ResourceQuota", "resourcequotas", true),
    ("v1", "Service", "services", true),
    ("apps/v1", "Deployment", "deployments", true),
    ("apps/v1", "ReplicaSet", "replicasets", true),
    ("apps/v1", "StatefulSet", "statefulsets", true),
    ("batch/v1", "Job", "jobs", true),
    ("networking.k8s.io/v1", "Ingress", "ingresses", true),
    ("ray.io/v1", "RayCluster", "rayclusters", true),
    ("ray.io/v1", "RayJob", "rayjobs", true),
    ("jobset.x-k8s.io/v1alpha2", "JobSet", "jobsets", true),
    ("kueue.x-k8s.io/v1beta1", "Workload", "workloads", true),
];

/// Allowed unless an operator says otherwise: what tells why a job does not run.
const USUAL: [&str; 13] = [
    "Pod",
    "Job",
    "RayJob",
    "RayCluster",
    "JobSet",
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "Service",
    "Event",
    "PersistentVolumeClaim",
    "ResourceQuota",
    "Node",
];

/// The kinds that may be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readable(Vec<ReadableKind>);

impl Readable {
    /// The names that are allowed unless an operator says otherwise.
    pub fn usual() -> Vec<String> {
        USUAL.iter().map(ToString::to_string).collect()
    }

    /// Reads an allow-list. An entry is the name of a known kind, or `plural.version.group` as
    /// `kubectl` writes it, for kinds with a namespace.
    ///
    /// # Errors
    /// One sentence for each entry that cannot be allowed.
    pub fn parse(entries: &[String]) -> Result<Self, Vec<String>> {
        let (mut kinds, mut wrong) = (Vec::new(), Vec::new());
        for entry in entries {
            match parse(entry) {
                Ok(kind) => kinds.push(kind),
                Err(why) => wrong.push(format!("`{entry}` {why}")),
            }
        }
        if wrong.is_empty() { Ok(Self(kinds)) } else { Err(wrong) }
    }

    /// The kind that a client means, by kind or plural, in any case.
    pub fn find(&self, asked: &str) -> Option<&ReadableKind> {
        let names = |kind: &&ReadableKind| {
            kind.kind.eq_ignore_ascii_case(asked) || kind.plural.eq_ignore_ascii_case(asked)
        };
        // Twice refused: whatever an operator wrote, no list of secrets leaves this host.
        self.0.iter().find(names).filter(|kind| !is_secret(&kind.kind) && !is_secret(&kind.plural))
    }

    /// The kinds, in the operator's order.
    pub fn kinds(&self) -> &[ReadableKind] {
        &self.0
    }
}

/// Whether a kind or plural of any group is made to hold secrets.
fn is_secret(name: &str) -> bool {
    name.to_ascii_lowercase().contains("secret")
}

fn parse(entry: &str) -> Result<ReadableKind, &'static str> {
    if is_secret(entry) {
        return Err("can never be allowed: it holds secrets");
    }
    let known = KNOWN.iter().find(|(_, kind, ..)| *kind == entry);
    if let Some((api_version, kind, plural, namespaced)) = known {
        return Ok(ReadableKind {
            api_version: (*api_version).to_owned(),
            kind: (*kind).to_owned(),
            plural: (*plural).to_owned(),
            namespaced: *namespaced,
        });
    }
    let unknown = "is neither a kind that is known by name nor `plural.version.group`";
    let mut parts = entry.splitn(3, '.');
    let (Some(plural), Some(version), Some(group)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(unknown);
    };
    let plain = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b))
    };
    if !plain(plural) || !plain(group) || !plain(version) || !version.starts_with('v') {
        return Err(unknown);
    }
    Ok(ReadableKind {
        api_version: format!("{group}/{version}"),
        kind: plural.to_owned(),
        plural: plural.to_owned(),
        namespaced: true,
    })
}

/// Takes out of an object what may hold a secret, and what only fills the screen: managed fields,
/// copies of the whole object in annotations, the values of environment variables, and every text
/// under a name that says so.
pub fn hide(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
    }
    hide_below(object);
}

fn hide_below(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(hide_below),
        Value::Object(members) => {
            hide_members(members);
            members.values_mut().for_each(hide_below);
        }
        _ => {}
    }
}

fn hide_members(members: &mut Map<String, Value>) {
    for (name, value) in members.iter_mut() {
        match (name.as_str(), &mut *value) {
            ("env", Value::Array(variables)) => variables.iter_mut().for_each(hide_variable),
            ("annotations", Value::Object(annotations)) => hide_annotations(annotations),
            (name, Value::String(text)) if may_hold_secrets(name) => HIDDEN.clone_into(text),
            _ => {}
        }
    }
}

fn hide_variable(variable: &mut Value) {
    if let Some(value) = variable.get_mut("value") {
        *value = Value::from(HIDDEN);
    }
}

/// An annotation with a whole object in it repeats every value that was hidden elsewhere.
fn hide_annotations(annotations: &mut Map<String, Value>) {
    for (name, value) in annotations {
        let whole = name.ends_with("last-applied-configuration")
            || value.as_str().is_some_and(|text| text.trim_start().starts_with('{'));
        if whole || may_hold_secrets(name) {
            *value = Value::from(HIDDEN);
        }
    }
}

/// Whether a text under this name may be a secret. Names of objects are not: `secretName` says
/// where a secret is.
fn may_hold_secrets(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.replace(['-', '_'], "");
    name.contains("password")
        || name.contains("passwd")
        || name.ends_with("token")
        || name.ends_with("secretkey")
        || name.ends_with("accesskey")
        || name.ends_with("apikey")
        // A text in which operators of Ray find the environment of the program.
        || name == "runtimeenvyaml"
        || name == "runtimeenv"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entries(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn usual_kinds_can_be_read_by_kind_and_plural_and_secrets_and_config_maps_cannot() {
        let readable = Readable::parse(&Readable::usual()).unwrap();
        for asked in ["Pod", "pods", "PODS", "RayJob", "nodes"] {
            assert!(readable.find(asked).is_some(), "{asked}");
        }
        for asked in ["Secret", "secrets", "ConfigMap", "serviceaccounts", "", "pods/log", "*"] {
            assert_eq!(readable.find(asked), None, "{asked}");
        }
        assert!(!readable.find("Node").unwrap().namespaced);
        assert_eq!(readable.find("job").unwrap().api_version, "batch/v1");
    }

    #[test]
    fn operators_allow_further_kinds_but_no_kind_of_secret() {
        let list = entries(&["ConfigMap", "trainjobs.v1alpha1.trainer.kubeflow.org"]);
        let readable = Readable::parse(&list).unwrap();
        assert_eq!(readable.kinds().len(), 2);
        let own = readable.find("TrainJobs").unwrap();
        assert_eq!(own.api_version, "trainer.kubeflow.org/v1alpha1");
        assert_eq!(readable.find("Pod"), None);
        for wrong in [
            "Secret",
            "secrets",
            "secrets.v1.",
            "externalsecrets.v1.external-secrets.io",
            "Nonsense",
            "pods.1.x",
            "pods.v1.",
            "a/b.v1.c",
        ] {
            let refused = Readable::parse(&entries(&["Pod", wrong])).unwrap_err();
            assert!(refused.len() == 1 && refused[0].contains(wrong), "{refused:?}");
        }
    }

    #[test]
    fn nothing_that_may_be_secret_is_left() {
        let mut pod = json!({
            "metadata": {
                "name": "p",
                "managedFields": [{"manager": "x"}],
                "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": "S3CRET",
                    "copy": " {\"env\": \"S3CRET\"}",
                    "db-password": "S3CRET",
                    "plain": "shown",
                },
            },
            "spec": {
                "runtimeEnvYAML": "env_vars: S3CRET",
                "containers": [{
                    "name": "c", "image": "shown-image",
                    "env": [
                        {"name": "A", "value": "S3CRET"},
                        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "shown-ref", "key": "k"}}},
                    ],
                }],
                "rayStartParams": {"redis-password": "S3CRET", "num-cpus": "4"},
                "template": {"spec": {"initContainers": [{"env": [{"name": "C", "value": "S3CRET"}]}]}},
                "volumes": [{"secret": {"secretName": "shown-name"}}],
                "automountServiceAccountToken": true,
                "awsSecretKey": "S3CRET", "aws_access_key": "S3CRET", "auth-token": "S3CRET",
            },
        });
        hide(&mut pod);
        let text = pod.to_string();
        assert!(!text.contains("S3CRET") && !text.contains("managedFields"), "{text}");
        for kept in ["shown-image", "shown-ref", "shown-name", "\"shown\"", "num-cpus", "\"A\""] {
            assert!(text.contains(kept), "{kept} is not in: {text}");
        }
        assert_eq!(pod["spec"]["automountServiceAccountToken"], true);
    }
}
