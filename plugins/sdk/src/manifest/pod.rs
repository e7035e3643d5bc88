//! Pods, as far as converters describe them. The host adds the security settings.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::meta::TemplateMetadata;

/// A pod to be made by an operator.
#[derive(Debug, Default, Serialize)]
pub struct PodTemplate<'a> {
    /// Labels and annotations.
    pub metadata: TemplateMetadata<'a>,
    /// What runs in it.
    pub spec: PodSpec<'a>,
}

/// What runs in a pod.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec<'a> {
    /// At least one.
    pub containers: [Container<'a>; 1],
    /// What happens to a container that ended; absent: what the operator wants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_policy: Option<&'static str>,
    /// Every volume that a container mounts.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub volumes: &'a [Volume<'a>],
    /// Labels that a node must have.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<&'a str, &'a str>,
    /// Taints that the pod may ignore.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<&'a Toleration>,
    /// Secrets for private images.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_pull_secrets: Vec<LocalReference<'a>>,
    /// Identity of the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<&'a str>,
    /// Name of the headless Service under which the pod's own name can be looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subdomain: Option<&'a str>,
    /// Time between the request to stop and the end by force; absent: 30 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination_grace_period_seconds: Option<u32>,
}

/// One container.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Container<'a> {
    /// Name within the pod.
    pub name: &'static str,
    /// What it runs.
    pub image: &'a str,
    /// Command, with its arguments or without; empty: the image's own.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub command: &'a [&'a str],
    /// Arguments, of the command or of the image's own; empty: the image's own.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub args: &'a [&'a str],
    /// Folder it starts in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<&'a str>,
    /// Ports it listens on.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub ports: &'a [Port<'a>],
    /// Variables of its environment.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub env: &'a [Variable<'a>],
    /// What it may use.
    pub resources: ResourceRequirements<'a>,
    /// How the kubelet finds out whether it can serve; absent: it can when it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness_probe: Option<Probe<'a>>,
    /// Where its volumes appear.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub volume_mounts: &'a [VolumeMount<'a>],
}

/// A named port.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Port<'a> {
    /// Number.
    pub container_port: u16,
    /// Name.
    pub name: &'a str,
    /// `UDP` or `SCTP`; absent: `TCP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<&'a str>,
}

impl<'a> Port<'a> {
    /// A port that takes connections.
    pub const fn tcp(container_port: u16, name: &'a str) -> Self {
        Self { container_port, name, protocol: None }
    }
}

/// A question that the kubelet asks over and over.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe<'a> {
    /// An HTTP request that has to succeed.
    pub http_get: HttpGet<'a>,
    /// Seconds between two questions.
    pub period_seconds: u32,
}

/// A request to the pod itself.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct HttpGet<'a> {
    /// Path.
    pub path: &'a str,
    /// Port.
    pub port: u16,
}

/// An environment variable.
#[derive(Clone, Debug)]
pub enum Variable<'a> {
    /// With a value that anybody may read.
    Value {
        /// Name of the variable.
        name: Cow<'a, str>,
        /// Its value.
        value: Cow<'a, str>,
    },
    /// With a value that the kubelet reads from a Secret, so that no manifest holds it.
    Secret {
        /// Name of the variable.
        name: Cow<'a, str>,
        /// Name of the Secret.
        secret: &'a str,
        /// Key within it.
        key: &'a str,
    },
    /// With a value that the kubelet takes from the pod itself.
    Field {
        /// Name of the variable.
        name: &'static str,
        /// Path in the pod, such as `metadata.name`.
        path: &'static str,
    },
}

impl<'a> Variable<'a> {
    /// The variable `name` with this value.
    pub fn value(name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        Self::Value { name: name.into(), value: value.into() }
    }

    /// The variable `name` from key `key` of the Secret `secret`.
    pub fn secret(name: impl Into<Cow<'a, str>>, secret: &'a str, key: &'a str) -> Self {
        Self::Secret { name: name.into(), secret, key }
    }

    /// The variable `name` from a field of the pod.
    pub fn field(name: &'static str, path: &'static str) -> Self {
        Self::Field { name, path }
    }

    /// The variable `name` with exactly this text. Kubernetes takes `$(NAME)` in a value for
    /// another variable, and `$$` for a single `$`.
    pub fn literal(name: impl Into<Cow<'a, str>>, text: impl Into<Cow<'a, str>>) -> Self {
        let text = text.into();
        let exact = if text.contains('$') { text.replace('$', "$$").into() } else { text };
        Self::Value { name: name.into(), value: exact }
    }

    /// Name and text as the program will see them, if anybody may read it. For those that are
    /// handed over in another way than by Kubernetes.
    pub fn plain(&self) -> Option<(&str, Cow<'_, str>)> {
        let Self::Value { name, value } = self else { return None };
        let text =
            if value.contains("$$") { value.replace("$$", "$").into() } else { (&**value).into() };
        Some((name, text))
    }

    /// Name of the variable.
    pub fn name(&self) -> &str {
        match self {
            Self::Value { name, .. } | Self::Secret { name, .. } => name,
            Self::Field { name, .. } => name,
        }
    }
}

impl Serialize for Variable<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        enum Source<'a> {
            SecretKeyRef {
                name: &'a str,
                key: &'a str,
            },
            #[serde(rename_all = "camelCase")]
            FieldRef {
                field_path: &'a str,
            },
        }

        let mut map = serializer.serialize_map(Some(2))?;
        match self {
            Self::Value { name, value } => {
                map.serialize_entry("name", name)?;
                map.serialize_entry("value", value)?;
            }
            Self::Secret { name, secret, key } => {
                map.serialize_entry("name", name)?;
                map.serialize_entry("valueFrom", &Source::SecretKeyRef { name: secret, key })?;
            }
            Self::Field { name, path } => {
                map.serialize_entry("name", name)?;
                map.serialize_entry("valueFrom", &Source::FieldRef { field_path: path })?;
            }
        }
        map.end()
    }
}

/// Requests equal limits: what a job asked for is what it gets and what it can use.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ResourceRequirements<'a> {
    /// Upper bound.
    pub limits: Quantities<'a>,
    /// What the scheduler reserves.
    pub requests: Quantities<'a>,
}

impl<'a> From<Quantities<'a>> for ResourceRequirements<'a> {
    fn from(quantities: Quantities<'a>) -> Self {
        Self { limits: quantities, requests: quantities }
    }
}

/// Amounts of resources, written as Kubernetes quantities.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantities<'a> {
    /// Whole cores.
    pub cpu_cores: u32,
    /// 0: not mentioned.
    pub memory_gib: u32,
    /// Resource name of a device and how many; 0: not mentioned.
    pub devices: (&'a str, u32),
}

impl Serialize for Quantities<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("cpu", &Display(self.cpu_cores))?;
        if self.memory_gib > 0 {
            map.serialize_entry("memory", &Display(format_args!("{}Gi", self.memory_gib)))?;
        }
        let (name, count) = self.devices;
        if count > 0 {
            map.serialize_entry(name, &Display(count))?;
        }
        map.end()
    }
}

/// Writes a value's text without an intermediate string.
struct Display<T>(T);

impl<T: std::fmt::Display> Serialize for Display<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Where a volume appears in a container.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeMount<'a> {
    /// Path in the container.
    pub mount_path: &'a str,
    /// Name of the volume.
    pub name: &'a str,
    /// Whether the container may only read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
}

/// A volume of a pod.
#[derive(Clone, Copy, Debug)]
pub struct Volume<'a> {
    /// Name within the pod.
    pub name: &'a str,
    /// What is behind it.
    pub source: VolumeSource<'a>,
}

/// What is behind a volume.
#[derive(Clone, Copy, Debug)]
pub enum VolumeSource<'a> {
    /// A claim in the same namespace, by name.
    PersistentVolumeClaim(&'a str),
    /// The same with data that nobody changes here.
    DataClaim(&'a str),
    /// Space that goes with the pod.
    EmptyDir(EmptyDir<'a>),
    /// The data of a ConfigMap, one file for each key.
    ConfigMap(&'a str),
}

/// By hand, because serde's `flatten` copies everything into a buffer first.
impl Serialize for Volume<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Claim<'a> {
            claim_name: &'a str,
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            read_only: bool,
        }

        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("name", self.name)?;
        match &self.source {
            VolumeSource::PersistentVolumeClaim(claim_name) => {
                let claim = Claim { claim_name, read_only: false };
                map.serialize_entry("persistentVolumeClaim", &claim)?;
            }
            VolumeSource::DataClaim(claim_name) => {
                let claim = Claim { claim_name, read_only: true };
                map.serialize_entry("persistentVolumeClaim", &claim)?;
            }
            VolumeSource::EmptyDir(empty) => map.serialize_entry("emptyDir", empty)?,
            VolumeSource::ConfigMap(name) => {
                map.serialize_entry("configMap", &LocalReference { name })?;
            }
        }
        map.end()
    }
}

/// Space that goes with the pod.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EmptyDir<'a> {
    /// `Memory` for a RAM disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub medium: Option<&'static str>,
    /// Upper bound as a quantity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_limit: Option<&'a str>,
}

/// A taint that a pod may ignore. Operators write these in a plugin's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Toleration {
    /// Key of the taint; empty with `Exists`: every taint.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// `Exists` or `Equal`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub operator: String,
    /// Value of the taint, for `Equal`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`; empty: all of them.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub effect: String,
}

/// The name of an object in the same namespace.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LocalReference<'a> {
    /// Name.
    pub name: &'a str,
}
