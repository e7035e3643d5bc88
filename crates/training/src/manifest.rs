//! Manifests and the frozen bundle of a job. A manifest is a JSON tree from beginning to end; no
//! text is ever pasted into one. What a plugin may emit is decided in [`crate::admit`].

use serde_json::{Map, Value, json};

use crate::id::{JobId, Sha256Digest};

/// Label with the job's id, on every object of a job (predecessor's name).
pub const LABEL_JOB_ID: &str = "training-job-id";
/// Label with the job's name (predecessor's name).
pub const LABEL_APP: &str = "app";
/// Label with the algorithm (predecessor's name).
pub const LABEL_ALGORITHM: &str = "algorithm";
/// Label with the installation that made the object.
pub const LABEL_ORIGIN: &str = "trainyard.dev/origin";
/// Annotation with the sha-256 of the bundle that the object belongs to.
pub const ANNOTATION_BUNDLE: &str = "trainyard.dev/bundle-sha256";
/// On the policy of an object that jobs share: the job that last asked for it.
pub const ANNOTATION_NEEDED_BY: &str = "trainyard.dev/needed-by";

/// What an object is for its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one that trains.
    Workload,
    /// Holds results and outlives the job.
    Storage,
    /// Leaves together with the workload.
    Config,
}

impl Role {
    /// The word of the plugin contract and of the stored bundle.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workload => "workload",
            Self::Storage => "storage",
            Self::Config => "config",
        }
    }

    /// Reads [`Role::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Workload, Self::Storage, Self::Config].into_iter().find(|role| role.as_str() == text)
    }
}

/// One Kubernetes object.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// What it is for.
    pub role: Role,
    /// The whole object.
    pub document: Value,
}

/// Where an object is found: everything that a URL of the Kubernetes API needs but the plural.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    /// `v1`, `ray.io/v1`.
    pub api_version: String,
    /// `RayJob`.
    pub kind: String,
    /// Namespace; every object of a job has one.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl std::fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl Manifest {
    /// A string at the given path of member names, empty if there is none.
    fn text(&self, path: &[&str]) -> &str {
        path.iter()
            .try_fold(&self.document, |value, key| value.get(key))
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Where the object is found.
    pub fn object_ref(&self) -> ObjectRef {
        ObjectRef {
            api_version: self.text(&["apiVersion"]).to_owned(),
            kind: self.text(&["kind"]).to_owned(),
            namespace: self.text(&["metadata", "namespace"]).to_owned(),
            name: self.text(&["metadata", "name"]).to_owned(),
        }
    }

    /// The value of a label, empty if there is none.
    pub fn label(&self, name: &str) -> &str {
        self.text(&["metadata", "labels", name])
    }
}

/// The admitted manifests of one job, frozen: every replica applies exactly these, for ever.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    manifests: Vec<Manifest>,
}

/// Why a stored bundle cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("a stored bundle cannot be read: {0}")]
pub struct UnreadableBundle(String);

impl Bundle {
    /// Collects admitted manifests. Only [`crate::admit::admit`] and the store call this.
    pub(crate) fn new(manifests: Vec<Manifest>) -> Self {
        Self { manifests }
    }

    /// All of them, in the order of the plugin.
    pub fn manifests(&self) -> &[Manifest] {
        &self.manifests
    }

    /// The one that trains.
    pub fn workload(&self) -> Option<&Manifest> {
        self.manifests.iter().find(|manifest| manifest.role == Role::Workload)
    }

    /// Those of one role.
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = &Manifest> {
        self.manifests.iter().filter(move |manifest| manifest.role == role)
    }

    /// The text that is stored and hashed.
    pub fn to_text(&self) -> String {
        text_of(&self.manifests)
    }

    /// Reads [`Bundle::to_text`] back.
    pub fn parse(text: &str) -> Result<Self, UnreadableBundle> {
        let unreadable = |message: &str| UnreadableBundle(message.to_owned());
        let mut value: Value =
            serde_json::from_str(text).map_err(|error| UnreadableBundle(error.to_string()))?;
        let Some(Value::Array(items)) = value.get_mut("manifests").map(Value::take) else {
            return Err(unreadable("`manifests` is not an array"));
        };
        let manifests = items
            .into_iter()
            .map(|mut item| {
                let role = item.get("role").and_then(Value::as_str).and_then(Role::parse);
                let document = item.get_mut("document").map(Value::take);
                match (role, document) {
                    (Some(role), Some(document)) => Ok(Manifest { role, document }),
                    _ => Err(unreadable("a manifest lacks `role` or `document`")),
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { manifests })
    }

    /// sha-256 of [`Bundle::to_text`].
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(self.to_text())
    }
}

/// Manifests as one text: roles and documents in their order.
pub(crate) fn text_of(manifests: &[Manifest]) -> String {
    let manifests: Vec<Value> = manifests
        .iter()
        .map(|manifest| json!({"role": manifest.role.as_str(), "document": manifest.document}))
        .collect();
    json!({ "manifests": manifests }).to_string()
}

/// The labels that mark an object as one of this job, whatever its plugin wrote.
pub fn ownership_labels(
    job_id: &JobId,
    name: &str,
    algorithm: &str,
    origin: &str,
) -> Map<String, Value> {
    let mut labels = Map::new();
    for (key, value) in [
        (LABEL_APP, name),
        (LABEL_JOB_ID, job_id.as_str()),
        (LABEL_ALGORITHM, algorithm),
        (LABEL_ORIGIN, origin),
    ] {
        labels.insert(key.to_owned(), Value::from(value));
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundle_survives_storage_with_the_same_digest() {
        let document =
            json!({"apiVersion": "v1", "kind": "B", "metadata": {"name": "a", "namespace": "n"}});
        let bundle = Bundle::new(vec![Manifest { role: Role::Workload, document }]);
        let again = Bundle::parse(&bundle.to_text()).unwrap();
        assert_eq!(again, bundle);
        assert_eq!(again.digest(), bundle.digest());
        assert_eq!(again.workload().unwrap().object_ref().name, "a");
    }

    #[test]
    fn damaged_bundle_is_an_error() {
        for text in ["", "{}", r#"{"manifests":[{}]}"#, r#"{"manifests":[{"role":"x"}]}"#] {
            assert!(Bundle::parse(text).is_err(), "{text}");
        }
    }
}
