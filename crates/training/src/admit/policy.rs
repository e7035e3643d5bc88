//! The operator's rules, and how they are written and read: as the section `[admission]` of the
//! host's settings, and as the JSON that `trainyard-host config policy` prints for offline tools.
//! Both have the same keys.

use serde_json::{Map, Value, json};

use super::images;
use super::names::is_dns_subdomain;

/// What pods must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodSecurity {
    /// Pod Security Standard *restricted*: missing fields are filled in, contrary ones refused.
    Restricted,
    /// Pod Security Standard *baseline*: what reaches for the node is refused, and no security
    /// field is filled in.
    Baseline,
}

/// What happens to a field that lets a member cluster remove a finished workload by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberTtl {
    /// The bundle is refused.
    Refuse,
    /// The field is taken out, and the change reported.
    Remove,
}

/// The operator's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `apiVersion/Kind` of everything that may be created; a plugin's own list narrows it.
    pub allowed_kinds: Vec<String>,
    /// Registries, namespaces and repositories that images may come from; empty for any.
    pub allowed_images: Vec<String>,
    /// Whether every image must name its digest.
    pub require_image_digest: bool,
    /// Tags that no image may have; `latest` is also what an image without a tag has.
    pub denied_image_tags: Vec<String>,
    /// Rules for pods.
    pub pod_security: PodSecurity,
    /// Service accounts that pods may have, token included. None by default: a pod gets the
    /// namespace's default account, without its token.
    pub service_accounts: Vec<String>,
    /// Priority classes that pods may have.
    pub priority_classes: Vec<String>,
    /// Runtime classes that pods may have.
    pub runtime_classes: Vec<String>,
    /// Secrets that pods may read; empty for any of the job's namespace.
    pub allowed_secrets: Vec<String>,
    /// Types that a Service may have besides `ClusterIP`.
    pub service_types: Vec<String>,
    /// Domains below which the hosts of an Ingress must lie; empty for no Ingress at all.
    pub ingress_hosts: Vec<String>,
    /// Pods that a job may have beyond its instances. One: the head of a Ray cluster or the
    /// launcher of an MPI job, which needs a place but trains nothing. [`JobSpec::demand`] reserves
    /// one as well when a cluster is chosen.
    ///
    /// [`JobSpec::demand`]: crate::job::JobSpec::demand
    pub helpers: u32,
    /// Whether every container must bound the processor time and the memory that it takes. Without
    /// it, one without a limit may take what its node has, and the ceiling counts what it reserves.
    pub require_limits: bool,
    /// What happens to a field that lets a member remove a finished workload.
    pub member_ttl: MemberTtl,
    /// Most manifests in a bundle.
    pub max_manifests: usize,
    /// Most bytes of one manifest. Karmada keeps a copy of it in a Work object, and etcd takes
    /// 1.5 MiB for an object with everything that controllers add.
    pub max_manifest_bytes: usize,
    /// Most bytes of a bundle, which is also one row.
    pub max_bundle_bytes: usize,
    /// Most values in a bundle: objects, lists, texts, numbers. The sample job has 155.
    pub max_nodes: usize,
    /// Deepest nesting. Custom resources are at most 30 deep.
    pub max_depth: usize,
    /// Longest text in bytes.
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
            require_image_digest: false,
            denied_image_tags: Vec::new(),
            pod_security: PodSecurity::Restricted,
            service_accounts: Vec::new(),
            priority_classes: Vec::new(),
            runtime_classes: Vec::new(),
            allowed_secrets: Vec::new(),
            service_types: Vec::new(),
            ingress_hosts: Vec::new(),
            helpers: 1,
            require_limits: true,
            member_ttl: MemberTtl::Refuse,
            max_manifests: 16,
            max_manifest_bytes: 256 << 10,
            max_bundle_bytes: 1 << 20,
            max_nodes: 10_000,
            max_depth: 64,
            max_string_bytes: 64 << 10,
        }
    }
}

/// Why a policy cannot be read: every mistake, as `key: sentence`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{}", .0.join("; "))]
pub struct PolicyError(pub Vec<String>);

impl Policy {
    /// As JSON, complete.
    pub fn to_value(&self) -> Value {
        json!({
            "allowed_kinds": self.allowed_kinds,
            "allowed_images": self.allowed_images,
            "require_image_digest": self.require_image_digest,
            "denied_image_tags": self.denied_image_tags,
            "pod_security": match self.pod_security {
                PodSecurity::Restricted => "restricted",
                PodSecurity::Baseline => "baseline",
            },
            "service_accounts": self.service_accounts,
            "priority_classes": self.priority_classes,
            "runtime_classes": self.runtime_classes,
            "allowed_secrets": self.allowed_secrets,
            "service_types": self.service_types,
            "ingress_hosts": self.ingress_hosts,
            "helpers": self.helpers,
            "require_limits": self.require_limits,
            "member_ttl": match self.member_ttl {
                MemberTtl::Refuse => "refuse",
                MemberTtl::Remove => "remove",
            },
            "max_manifests": self.max_manifests,
            "max_manifest_bytes": self.max_manifest_bytes,
            "max_bundle_bytes": self.max_bundle_bytes,
            "max_nodes": self.max_nodes,
            "max_depth": self.max_depth,
            "max_string_bytes": self.max_string_bytes,
        })
    }

    /// Reads [`Policy::to_value`] back. A key that is absent has its default; one that is not known
    /// is a mistake, as is a value that cannot work.
    ///
    /// # Errors
    /// Every mistake.
    pub fn from_value(value: &Value) -> Result<Self, PolicyError> {
        let Value::Object(members) = value else {
            return Err(PolicyError(vec!["a policy is an object".to_owned()]));
        };
        let mut reader = Reader { members, known: Vec::new(), wrong: Vec::new() };
        let default = Self::default();
        let policy = Self {
            allowed_kinds: reader.texts("allowed_kinds", default.allowed_kinds),
            allowed_images: reader.texts("allowed_images", default.allowed_images),
            require_image_digest: reader.flag("require_image_digest", default.require_image_digest),
            denied_image_tags: reader.texts("denied_image_tags", default.denied_image_tags),
            pod_security: reader.word(
                "pod_security",
                &[("restricted", PodSecurity::Restricted), ("baseline", PodSecurity::Baseline)],
                default.pod_security,
            ),
            service_accounts: reader.texts("service_accounts", default.service_accounts),
            priority_classes: reader.texts("priority_classes", default.priority_classes),
            runtime_classes: reader.texts("runtime_classes", default.runtime_classes),
            allowed_secrets: reader.texts("allowed_secrets", default.allowed_secrets),
            service_types: reader.texts("service_types", default.service_types),
            ingress_hosts: reader.texts("ingress_hosts", default.ingress_hosts),
            helpers: reader.number("helpers", 0, default.helpers),
            require_limits: reader.flag("require_limits", default.require_limits),
            member_ttl: reader.word(
                "member_ttl",
                &[("refuse", MemberTtl::Refuse), ("remove", MemberTtl::Remove)],
                default.member_ttl,
            ),
            max_manifests: reader.number("max_manifests", 1, default.max_manifests),
            max_manifest_bytes: reader.number("max_manifest_bytes", 1, default.max_manifest_bytes),
            max_bundle_bytes: reader.number("max_bundle_bytes", 1, default.max_bundle_bytes),
            max_nodes: reader.number("max_nodes", 1, default.max_nodes),
            max_depth: reader.number("max_depth", 1, default.max_depth),
            max_string_bytes: reader.number("max_string_bytes", 1, default.max_string_bytes),
        };
        let mut wrong = reader.finish();
        wrong.extend(policy.check());
        if wrong.is_empty() { Ok(policy) } else { Err(PolicyError(wrong)) }
    }

    /// Every value that cannot work, as `key: sentence`.
    fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut each = |key: &str, values: &[String], fits: &dyn Fn(&str) -> bool, what: &str| {
            for value in values.iter().filter(|value| !fits(value)) {
                wrong.push(format!("{key}: `{value}` is not {what}"));
            }
        };
        let is_kind = |text: &str| {
            let parts: Vec<&str> = text.split('/').collect();
            (2..=3).contains(&parts.len()) && parts.iter().all(|part| !part.is_empty())
        };
        each("allowed_kinds", &self.allowed_kinds, &is_kind, "like `batch/v1/Job` or `v1/Service`");
        let what =
            "a registry, namespace or repository without a tag, like `registry.example/team`";
        each("allowed_images", &self.allowed_images, &images::is_pattern, what);
        for (key, names) in [
            ("service_accounts", &self.service_accounts),
            ("priority_classes", &self.priority_classes),
            ("runtime_classes", &self.runtime_classes),
            ("allowed_secrets", &self.allowed_secrets),
        ] {
            each(key, names, &is_dns_subdomain, "the name of an object");
        }
        let is_type = |text: &str| ["LoadBalancer", "NodePort", "ExternalName"].contains(&text);
        let what = "one of LoadBalancer, NodePort, ExternalName";
        each("service_types", &self.service_types, &is_type, what);
        let is_domain = |text: &str| is_dns_subdomain(text.strip_prefix('.').unwrap_or(text));
        each("ingress_hosts", &self.ingress_hosts, &is_domain, "a domain like `jobs.example`");
        let is_tag = |text: &str| !text.is_empty() && !text.contains([':', '/', '@', ' ']);
        each("denied_image_tags", &self.denied_image_tags, &is_tag, "a tag");
        if self.allowed_kinds.is_empty() {
            wrong.push("allowed_kinds: without any, no job can run".to_owned());
        }
        // The defaults are what an answer of a plugin may have at most: a higher bound would promise
        // what never comes through.
        let most = Self::default();
        for (key, value, most) in [
            ("max_manifests", self.max_manifests, most.max_manifests),
            ("max_manifest_bytes", self.max_manifest_bytes, most.max_manifest_bytes),
            ("max_bundle_bytes", self.max_bundle_bytes, most.max_bundle_bytes),
            ("max_depth", self.max_depth, most.max_depth),
        ] {
            if value > most {
                wrong.push(format!("{key}: it must be at most {most}, what a plugin can answer"));
            }
        }
        wrong
    }
}

/// Reads members and remembers which were asked for.
struct Reader<'a> {
    members: &'a Map<String, Value>,
    known: Vec<&'static str>,
    wrong: Vec<String>,
}

impl Reader<'_> {
    fn read<T>(
        &mut self,
        key: &'static str,
        default: T,
        what: &str,
        parse: impl FnOnce(&Value) -> Option<T>,
    ) -> T {
        self.known.push(key);
        let Some(value) = self.members.get(key) else { return default };
        parse(value).unwrap_or_else(|| {
            self.wrong.push(format!("{key}: it must be {what}"));
            default
        })
    }

    fn texts(&mut self, key: &'static str, default: Vec<String>) -> Vec<String> {
        self.read(key, default, "a list of texts", |value| {
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        })
    }

    fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.read(key, default, "true or false", Value::as_bool)
    }

    fn number<T: TryFrom<u64>>(&mut self, key: &'static str, least: u64, default: T) -> T {
        let what = format!("a whole number of at least {least}");
        self.read(key, default, &what, |value| {
            value.as_u64().filter(|number| *number >= least)?.try_into().ok()
        })
    }

    fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)], default: T) -> T {
        let names: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        self.read(key, default, &names.join(" or "), |value| {
            let text = value.as_str()?;
            words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning)
        })
    }

    fn finish(mut self) -> Vec<String> {
        for key in self.members.keys().filter(|key| !self.known.contains(&key.as_str())) {
            self.wrong.push(format!("{key}: there is no such setting"));
        }
        self.wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_survives_being_written_and_read() {
        let policy = Policy {
            allowed_images: vec!["registry.example/team".to_owned()],
            require_image_digest: true,
            pod_security: PodSecurity::Baseline,
            ingress_hosts: vec!["jobs.example".to_owned()],
            service_types: vec!["NodePort".to_owned()],
            helpers: 3,
            member_ttl: MemberTtl::Remove,
            ..Policy::default()
        };
        assert_eq!(Policy::from_value(&policy.to_value()), Ok(policy));
        assert_eq!(Policy::from_value(&json!({})), Ok(Policy::default()));
    }

    #[test]
    fn every_mistake_is_named_with_its_key() {
        let wrong = Policy::from_value(&json!({
            "allowed_image": [],
            "allowed_images": ["a/b:1"],
            "allowed_kinds": ["Job"],
            "pod_security": "loose",
            "helpers": -1,
            "max_nodes": 0,
            "max_depth": 65,
            "max_manifests": 17,
            "max_manifest_bytes": (256 << 10) + 1,
            "max_bundle_bytes": (1 << 20) + 1,
            "service_types": ["ClusterIp"],
            "ingress_hosts": ["*.example"],
            "service_accounts": ["A"],
            "denied_image_tags": "latest",
        }));
        let mut keys: Vec<String> = wrong
            .unwrap_err()
            .0
            .iter()
            .map(|line| line.split(':').next().unwrap().to_owned())
            .collect();
        keys.sort();
        assert_eq!(
            keys,
            [
                "allowed_image",
                "allowed_images",
                "allowed_kinds",
                "denied_image_tags",
                "helpers",
                "ingress_hosts",
                "max_bundle_bytes",
                "max_depth",
                "max_manifest_bytes",
                "max_manifests",
                "max_nodes",
                "pod_security",
                "service_accounts",
                "service_types",
            ]
        );
        assert!(Policy::from_value(&json!([])).is_err());
    }
}
