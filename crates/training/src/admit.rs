//! What a plugin may emit. Everything a plugin returns is untrusted: this is the wall between its
//! output and the cluster. Refuses what must not be, and stamps what must.
//!
//! The host knows no algorithm and no workload kind by name: pods are found by their shape.

mod pod;
mod quantity;

use serde_json::{Map, Value};

use crate::id::{JobId, JobName, Namespace};
use crate::job::Resources;
use crate::manifest::{ANNOTATION_BUNDLE, Bundle, Manifest, Role, ownership_labels};
use crate::ports::{Conversion, FieldError, PluginKind};

/// What pods must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodSecurity {
    /// Pod Security Standard *restricted*: missing fields are filled in, contrary ones refused.
    Restricted,
    /// Only what reaches for the node is refused; nothing is filled in.
    Baseline,
}

/// The operator's rules.
#[derive(Debug, Clone)]
pub struct Policy {
    /// `apiVersion/Kind` of everything that may be created; a plugin's own list narrows it.
    pub allowed_kinds: Vec<String>,
    /// Registries and repositories that images may come from, as prefixes; empty for any.
    pub allowed_images: Vec<String>,
    /// Rules for pods.
    pub pod_security: PodSecurity,
    /// Most manifests in a bundle.
    pub max_manifests: usize,
    /// Most bytes of a bundle: etcd takes 1.5 MiB for an object, and a bundle is also one row.
    pub max_bundle_bytes: usize,
    /// Deepest nesting.
    pub max_depth: usize,
    /// Longest string in bytes.
    pub max_string_bytes: usize,
}

impl Default for Policy {
    fn default() -> Self {
        let kinds = [
            "ray.io/v1/RayJob",
            "batch/v1/Job",
            "jobset.x-k8s.io/v1alpha2/JobSet",
            "kubeflow.org/v1/PyTorchJob",
            "kubeflow.org/v1/TFJob",
            "kubeflow.org/v2beta1/MPIJob",
            "trainer.kubeflow.org/v1alpha1/TrainJob",
            "apps/v1/Deployment",
            "networking.k8s.io/v1/Ingress",
            "v1/Service",
            "v1/ConfigMap",
            "v1/PersistentVolumeClaim",
        ];
        Self {
            allowed_kinds: kinds.map(str::to_owned).to_vec(),
            allowed_images: Vec::new(),
            pod_security: PodSecurity::Restricted,
            max_manifests: 16,
            max_bundle_bytes: 1 << 20,
            max_depth: 64,
            max_string_bytes: 64 << 10,
        }
    }
}

/// Whose manifests these are.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// The job.
    pub job_id: &'a JobId,
    /// Its name.
    pub name: &'a JobName,
    /// Its namespace.
    pub namespace: &'a Namespace,
    /// Canonical algorithm.
    pub algorithm: &'a str,
    /// This installation.
    pub origin: &'a str,
    /// What the user asked for: the ceiling of every pod.
    pub resources: Resources,
}

/// Checks a plugin's manifests and stamps them with their owner.
///
/// # Errors
/// Every violation; pointers start with the manifest's index, `/0/spec/…`.
pub fn admit(
    conversion: &Conversion,
    kinds: &[PluginKind],
    owner: Owner<'_>,
    policy: &Policy,
) -> Result<Bundle, Vec<FieldError>> {
    let mut errors = Vec::new();
    let manifests = &conversion.manifests;
    if manifests.len() > policy.max_manifests {
        return Err(vec![FieldError::new(
            "",
            "too-many-manifests",
            format!("{} manifests; at most {} are allowed.", manifests.len(), policy.max_manifests),
        )]);
    }
    let workloads = manifests.iter().filter(|manifest| manifest.role == Role::Workload).count();
    if workloads != 1 {
        errors.push(FieldError::new(
            "",
            "one-workload",
            format!("A bundle has exactly one workload; this one has {workloads}."),
        ));
    }
    let mut admitted = Vec::with_capacity(manifests.len());
    let mut seen = std::collections::BTreeSet::new();
    for (index, manifest) in manifests.iter().enumerate() {
        let at = format!("/{index}");
        check_shape(&manifest.document, &at, 1, policy, &mut errors);
        if let Some(stamped) = stamp(manifest, &at, kinds, owner, policy, &mut errors) {
            if !seen.insert(stamped.object_ref()) {
                errors.push(FieldError::new(
                    &at,
                    "duplicate",
                    "Two manifests are the same object.",
                ));
            }
            admitted.push(stamped);
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let bundle = Bundle::new(admitted);
    let bytes = bundle.to_text().len();
    if bytes > policy.max_bundle_bytes {
        return Err(vec![FieldError::new(
            "",
            "bundle-too-large",
            format!("{bytes} bytes; at most {} are allowed.", policy.max_bundle_bytes),
        )]);
    }
    Ok(mark_with_digest(bundle))
}

/// Writes the digest of the bundle, as it is without this mark, on each of its objects.
fn mark_with_digest(bundle: Bundle) -> Bundle {
    let digest = Value::from(bundle.digest().to_string());
    let manifests = bundle.manifests().to_vec();
    Bundle::new(
        manifests
            .into_iter()
            .map(|mut manifest| {
                if let Some(Value::Object(annotations)) =
                    manifest.document.pointer_mut("/metadata/annotations")
                {
                    annotations.insert(ANNOTATION_BUNDLE.to_owned(), digest.clone());
                }
                manifest
            })
            .collect(),
    )
}

/// Depth, string length, and characters that a YAML or JSON reader may treat in its own way.
fn check_shape(
    value: &Value,
    at: &str,
    depth: usize,
    policy: &Policy,
    errors: &mut Vec<FieldError>,
) {
    if depth > policy.max_depth {
        errors.push(FieldError::new(
            at,
            "too-deep",
            format!("Nested deeper than {} levels.", policy.max_depth),
        ));
        return;
    }
    match value {
        Value::String(text) => check_text(text, at, policy, errors),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                check_shape(item, &format!("{at}/{index}"), depth + 1, policy, errors);
            }
        }
        Value::Object(members) => {
            for (key, item) in members {
                check_text(key, at, policy, errors);
                let key = key.replace('~', "~0").replace('/', "~1");
                check_shape(item, &format!("{at}/{key}"), depth + 1, policy, errors);
            }
        }
        _ => {}
    }
}

fn check_text(text: &str, at: &str, policy: &Policy, errors: &mut Vec<FieldError>) {
    if text.len() > policy.max_string_bytes {
        errors.push(FieldError::new(
            at,
            "string-too-long",
            format!("{} bytes; at most {} are allowed.", text.len(), policy.max_string_bytes),
        ));
    }
    let unsafe_char =
        |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{2028}' || c == '\u{2029}';
    if text.contains(unsafe_char) {
        errors.push(FieldError::new(at, "control-character", "Holds a control character."));
    }
}

/// Checks one manifest and rewrites its metadata. `None` after an error that leaves no object.
fn stamp(
    manifest: &Manifest,
    at: &str,
    kinds: &[PluginKind],
    owner: Owner<'_>,
    policy: &Policy,
    errors: &mut Vec<FieldError>,
) -> Option<Manifest> {
    let mut refuse = |pointer: String, code: &str, detail: String| {
        errors.push(FieldError::new(pointer, code, detail));
    };
    let Value::Object(document) = &manifest.document else {
        refuse(at.to_owned(), "type", "A manifest is a JSON object.".to_owned());
        return None;
    };
    let object = manifest.object_ref();
    let declared = kinds
        .iter()
        .find(|kind| kind.api_version == object.api_version && kind.kind == object.kind);
    let full_kind = format!("{}/{}", object.api_version, object.kind);
    let Some(declared) = declared.filter(|_| policy.allowed_kinds.contains(&full_kind)) else {
        refuse(
            format!("{at}/kind"),
            "kind-not-allowed",
            format!(
                "{} {} may not be created: the plugin does not declare it or the host does not \
                 allow it.",
                object.api_version, object.kind
            ),
        );
        return None;
    };
    if declared.workload != (manifest.role == Role::Workload) {
        refuse(
            format!("{at}/kind"),
            "wrong-role",
            format!("{} was declared for another role.", object.kind),
        );
    }
    if object.name.chars().count() > declared.max_name_length as usize {
        refuse(
            format!("{at}/metadata/name"),
            "name-too-long",
            format!("The name of a {} has at most {}.", object.kind, declared.max_name_length),
        );
    }
    let job_name = owner.name.as_str();
    let named_right = if manifest.role == Role::Workload {
        object.name == job_name
    } else {
        let rest = object.name.strip_prefix(job_name).and_then(|rest| rest.strip_prefix('-'));
        rest.is_some_and(|rest| {
            !rest.is_empty()
                && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !rest.ends_with('-')
        })
    };
    if !named_right {
        refuse(
            format!("{at}/metadata/name"),
            "wrong-name",
            "The workload is named as the job; other objects start with the job's name and a \
             hyphen."
                .to_owned(),
        );
    }
    for key in document.keys() {
        if !["apiVersion", "kind", "metadata", "spec", "data"].contains(&key.as_str()) {
            refuse(format!("{at}/{key}"), "unknown-field", format!("`{key}` may not be set."));
        }
    }
    let mut document = document.clone();
    let metadata = stamped_metadata(&document, at, &object.name, owner, errors);
    document.insert("metadata".to_owned(), metadata);
    let mut document = Value::Object(document);
    if let Some(spec) = document.get_mut("spec") {
        refuse_self_removal(spec, &format!("{at}/spec"), errors);
        pod::admit_pods(spec, &format!("{at}/spec"), owner.resources, policy, errors);
    }
    Some(Manifest { role: manifest.role, document })
}

/// Metadata as the host wants it: the plugin's own labels and annotations, then ours on top.
fn stamped_metadata(
    document: &Map<String, Value>,
    at: &str,
    name: &str,
    owner: Owner<'_>,
    errors: &mut Vec<FieldError>,
) -> Value {
    let given = document.get("metadata").and_then(Value::as_object);
    for key in given.into_iter().flat_map(Map::keys) {
        if !["name", "namespace", "labels", "annotations"].contains(&key.as_str()) {
            errors.push(FieldError::new(
                format!("{at}/metadata/{key}"),
                "unknown-field",
                format!("`{key}` may not be set."),
            ));
        }
    }
    let mut texts = |member: &str| -> Map<String, Value> {
        let mut kept = Map::new();
        let given = given.and_then(|given| given.get(member)).and_then(Value::as_object);
        for (key, value) in given.into_iter().flatten() {
            // Karmada and Kubernetes steer by labels and annotations of their own.
            let foreign = key.split('/').next().is_some_and(|domain| {
                key.contains('/')
                    && (domain.ends_with("karmada.io")
                        || domain.ends_with("kubernetes.io")
                        || domain.ends_with("k8s.io"))
            });
            if foreign || !value.is_string() {
                errors.push(FieldError::new(
                    format!("{at}/metadata/{member}"),
                    "reserved-name",
                    format!("`{key}` may not be set."),
                ));
            } else {
                kept.insert(key.clone(), value.clone());
            }
        }
        kept
    };
    let mut labels = texts("labels");
    let annotations = texts("annotations");
    labels.extend(ownership_labels(
        owner.job_id,
        owner.name.as_str(),
        owner.algorithm,
        owner.origin,
    ));
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), Value::from(name));
    metadata.insert("namespace".to_owned(), Value::from(owner.namespace.as_str()));
    metadata.insert("labels".to_owned(), Value::Object(labels));
    metadata.insert("annotations".to_owned(), Value::Object(annotations));
    Value::Object(metadata)
}

/// A propagated object that a member deletes by itself is made again by Karmada: a second run. The
/// field stands at another place in each kind, so it is looked for everywhere.
fn refuse_self_removal(value: &Value, at: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                refuse_self_removal(item, &format!("{at}/{index}"), errors);
            }
        }
        Value::Object(members) => {
            for (key, item) in members {
                let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                let removes = match key.as_str() {
                    "ttlSecondsAfterFinished" => !item.is_null(),
                    "policy" => item == "DeleteSelf",
                    _ => false,
                };
                if removes {
                    errors.push(FieldError::new(
                        at,
                        "self-removal",
                        "The host removes finished jobs; a member that does makes Karmada run \
                         them again.",
                    ));
                } else {
                    refuse_self_removal(item, &at, errors);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
