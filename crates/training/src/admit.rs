//! What a plugin may emit. Everything a plugin returns is untrusted: this is the wall between its
//! output and the cluster. Refuses what must not be, stamps what must, and reports both.
//!
//! The host knows no algorithm and no workload kind by name: pods, groups of pods, claims, Services
//! and Ingresses are found by their shape, wherever they stand.
//!
//! | file below `admit` | what it decides |
//! |---|---|
//! | `policy` | what an operator can set |
//! | `shape`, `names` | size, depth, characters, spelling |
//! | `metadata` | namespace, labels, annotations |
//! | `lifetime` | that no member removes a workload by itself |
//! | `pod`, `security` | access to nodes, identities, Pod Security Standards |
//! | `exact` | amounts that plugins cannot count |
//! | `ceiling`, `quantity`, `storage` | that nobody gets more than was asked for |
//! | `images`, `secrets`, `references` | where images come from, what is refered to |

mod ceiling;
mod exact;
mod images;
mod lifetime;
mod metadata;
mod names;
mod pod;
mod policy;
pub(crate) mod quantity;
mod references;
mod report;
pub(crate) mod secrets;
mod security;
mod shape;
mod storage;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::id::{JobId, JobName, Namespace};
use crate::job::{Exact, JobSpec, Resources};
use crate::manifest::{ANNOTATION_BUNDLE, Bundle, Manifest, ObjectRef, Role};
use crate::ports::{Conversion, FieldError, PluginKind};

pub use policy::{MemberTtl, PodSecurity, Policy, PolicyError};
pub(crate) use references::{claimed, referenced};
pub use report::Change;

use report::{Report, below, quoted};

/// Codes of refusals that only the form can have caused: what is too large is so because of what
/// the form holds, and only its user can shorten it.
pub const TOO_LARGE: [&str; 4] =
    ["string-too-long", "manifest-too-large", "bundle-too-large", "too-many-nodes"];

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
    /// What the user asked for: the ceiling of every pod, and of all pods together.
    pub resources: Resources,
    /// The same more exactly, as far as the form says it.
    pub exact: &'a Exact,
}

/// A bundle that may be applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// The manifests, checked and stamped.
    pub bundle: Bundle,
    /// What the host set or changed in them, in their order.
    pub changes: Vec<Change>,
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
) -> Result<Admitted, Vec<FieldError>> {
    let manifests = &conversion.manifests;
    let mut report = Report::default();
    if manifests.len() > policy.max_manifests {
        let (found, most) = (manifests.len(), policy.max_manifests);
        let detail = format!("There are {found} manifests; at most {most} are allowed.");
        report.refuse("", "too-many-manifests", detail);
        return Err(report.finish().err().unwrap_or_default());
    }
    let workloads = manifests.iter().filter(|manifest| manifest.role == Role::Workload).count();
    if workloads != 1 {
        let detail = format!("A bundle has exactly one workload; this one has {workloads}.");
        report.refuse("", "one-workload", detail);
    }
    let admission = Admission { kinds, owner, policy };
    let mut shape = shape::Shape::new(policy);
    let mut ceiling = ceiling::Ceiling::new(owner, policy);
    let (mut admitted, mut seen) = (Vec::with_capacity(manifests.len()), BTreeSet::new());
    for (index, manifest) in manifests.iter().enumerate() {
        let at = format!("/{index}");
        if !shape.check(&manifest.document, &at, &mut report) {
            continue;
        }
        let Some(stamped) = admission.manifest(manifest, &at, &mut report) else { continue };
        if !seen.insert(stamped.object_ref()) {
            report.refuse(&at, "duplicate", "Two manifests are the same object.");
        }
        ceiling.add_manifest(&stamped.document, &at, &mut report);
        admitted.push(stamped);
    }
    ceiling.finish(&mut report);
    let bundle = mark_with_digest(Bundle::new(admitted), &mut report);
    let (bytes, most) = (bundle.to_text().len(), policy.max_bundle_bytes);
    if bytes > most {
        let detail = format!("The bundle has {bytes} bytes; at most {most} are allowed.");
        report.refuse("", "bundle-too-large", detail);
    }
    report.finish().map(|changes| Admitted { bundle, changes })
}

/// What a form alone says that no bundle may hold: images that the policy refuses, and secrets as
/// literals. Found before the plugin runs, so that the user is told and not the plugin blamed.
pub fn check_form(spec: &JobSpec, policy: &Policy) -> Vec<FieldError> {
    let mut errors = secrets::in_form(spec);
    for (pointer, image) in [
        ("/headImage", &spec.head_image),
        ("/workerImage", &spec.worker_image),
        ("/algorithm/imageUri", &spec.image_uri),
    ] {
        let refusal = image.as_deref().and_then(|image| images::refusal(image, policy));
        errors.extend(refusal.map(|(code, detail)| FieldError::new(pointer, code, detail)));
    }
    errors
}

/// Whether a bundle makes a volume, wherever its claim stands.
pub(crate) fn makes_claims(bundle: &Bundle) -> bool {
    let mut found = false;
    for manifest in bundle.manifests() {
        report::each_object(&manifest.document, "", &mut |members, _| {
            found = found || storage::is_claim(members);
        });
    }
    found
}

/// Writes the digest of the bundle, as it is without this mark, on each of its objects.
fn mark_with_digest(bundle: Bundle, report: &mut Report) -> Bundle {
    let digest = Value::from(bundle.digest().to_string());
    let mut manifests = bundle.manifests().to_vec();
    for (index, manifest) in manifests.iter_mut().enumerate() {
        if let Some(Value::Object(annotations)) =
            manifest.document.pointer_mut("/metadata/annotations")
        {
            annotations.insert(ANNOTATION_BUNDLE.to_owned(), digest.clone());
            let at = below(&format!("/{index}/metadata/annotations"), ANNOTATION_BUNDLE);
            let detail = "Added: the digest of the bundle that the object belongs to.";
            report.change(at, "bundle-digest", detail);
        }
    }
    Bundle::new(manifests)
}

/// The rules for single manifests.
struct Admission<'a> {
    kinds: &'a [PluginKind],
    owner: Owner<'a>,
    policy: &'a Policy,
}

impl Admission<'_> {
    /// Checks one manifest and writes the host's part of it. `None` after a refusal that leaves no
    /// object.
    fn manifest(&self, manifest: &Manifest, at: &str, report: &mut Report) -> Option<Manifest> {
        let Value::Object(document) = &manifest.document else {
            report.refuse(at, "type", "A manifest is a JSON object.");
            return None;
        };
        let object = manifest.object_ref();
        self.check_kind(manifest.role, &object, at, report)?;
        self.check_name(manifest.role, &object, at, report);
        check_members(document, at, report);
        secrets::check_data(document, &object, at, report);
        let mut document = document.clone();
        let metadata = metadata::stamped(&document, at, &object, self.owner, report);
        document.insert("metadata".to_owned(), metadata);
        if let Some(spec) = document.get_mut("spec") {
            let at = format!("{at}/spec");
            self.check_spec(spec, &at, report);
            if (object.api_version.as_str(), object.kind.as_str()) == ("v1", "Service") {
                references::check_selector(spec, &at, self.owner, report);
            }
        }
        Some(Manifest { role: manifest.role, document: Value::Object(document) })
    }

    fn check_spec(&self, spec: &mut Value, at: &str, report: &mut Report) {
        exact::write(spec, at, self.owner, report);
        lifetime::check(spec, at, self.policy, report);
        pod::complete(spec, at, self.policy, report);
        pod::check(spec, at, self.policy, report);
        metadata::check_templates(spec, at, self.owner, report);
        images::check(spec, at, self.policy, report);
        secrets::check(spec, at, report);
        references::check(spec, at, self.owner, self.policy, report);
    }

    fn check_kind(
        &self,
        role: Role,
        object: &ObjectRef,
        at: &str,
        report: &mut Report,
    ) -> Option<()> {
        let (api_version, kind) = (&object.api_version, &object.kind);
        let declared = self
            .kinds
            .iter()
            .find(|known| known.api_version == *api_version && known.kind == *kind);
        let shown = quoted(&format!("{api_version}/{kind}"));
        let refused = if declared.is_none() {
            Some(format!("The plugin does not announce the kind {shown}."))
        } else if !self.policy.allowed_kinds.contains(&format!("{api_version}/{kind}")) {
            Some(format!("The kind {shown} is not in the host's setting `allowed_kinds`."))
        } else {
            None
        };
        if let Some(detail) = refused {
            report.refuse(format!("{at}/kind"), "kind-not-allowed", detail);
            return None;
        }
        let declared = declared?;
        if declared.workload != (role == Role::Workload) {
            let word = if declared.workload { "the workload" } else { "something else" };
            let detail = format!("The plugin announces {shown} as {word}.");
            report.refuse(format!("{at}/kind"), "wrong-role", detail);
        }
        if object.name.chars().count() > declared.max_name_length as usize {
            let detail = format!("The name of a {kind} has at most {}.", declared.max_name_length);
            report.refuse(format!("{at}/metadata/name"), "name-too-long", detail);
        }
        Some(())
    }

    fn check_name(&self, role: Role, object: &ObjectRef, at: &str, report: &mut Report) {
        let job_name = self.owner.name.as_str();
        let named_right = if role == Role::Workload {
            object.name == job_name
        } else {
            let rest = object.name.strip_prefix(job_name).and_then(|rest| rest.strip_prefix('-'));
            rest.is_some_and(|rest| {
                let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
                !rest.is_empty() && rest.bytes().all(inner) && !rest.ends_with('-')
            })
        };
        if !named_right {
            let detail = format!(
                "The workload is named `{job_name}` as the job; the names of other objects are \
                 `{job_name}-` and lower-case letters, digits and hyphens."
            );
            report.refuse(format!("{at}/metadata/name"), "wrong-name", detail);
        }
    }
}

/// Everything that a manifest may hold at its top.
fn check_members(document: &Map<String, Value>, at: &str, report: &mut Report) {
    for key in document.keys() {
        if !["apiVersion", "kind", "metadata", "spec", "data"].contains(&key.as_str()) {
            let detail = format!("{} may not be set by a plugin.", quoted(key));
            report.refuse(below(at, key), "unknown-field", detail);
        }
    }
}
