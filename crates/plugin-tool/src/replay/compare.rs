//! A stored bundle and the one that was made now.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use training::manifest::ANNOTATION_BUNDLE;

use crate::record::ManifestRecord;
use crate::unified;

/// How one job fared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Replayed {
    pub(crate) id: String,
    /// `namespace/name`.
    pub(crate) job: String,
    /// Nobody knows its settings, so the plugin's defaults were taken.
    pub(crate) assumed_settings: bool,
    pub(crate) kind: Kind,
}

/// What became of its manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To the byte.
    Identical,
    /// As a unified diff of YAML.
    Changed(String),
    /// The form is refused now.
    Invalid(String),
    /// The plugin breaks, or the host refuses what it made.
    Fails(String),
}

impl Kind {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::Changed(_) => "changed",
            Self::Invalid(_) => "invalid",
            Self::Fails(_) => "fails",
        }
    }

    /// Whether the job could not be submitted again.
    pub(crate) fn broken(&self) -> bool {
        matches!(self, Self::Invalid(_) | Self::Fails(_))
    }
}

impl Replayed {
    pub(crate) fn to_json(&self) -> Value {
        let mut whole = json!({
            "id": self.id,
            "job": self.job,
            "outcome": self.kind.word(),
            "assumedSettings": self.assumed_settings,
        });
        let more = match &self.kind {
            Kind::Identical => None,
            Kind::Changed(diff) => Some(("diff", diff)),
            Kind::Invalid(why) | Kind::Fails(why) => Some(("why", why)),
        };
        if let (Some(members), Some((name, text))) = (whole.as_object_mut(), more) {
            members.insert(name.to_owned(), Value::from(text.as_str()));
        }
        whole
    }

    /// One line for each job that is not as it was, and its differences.
    pub(crate) fn print(&self) {
        match &self.kind {
            Kind::Identical => {}
            Kind::Changed(diff) => {
                data_line!("changed   {} ({})\n{}", self.job, self.id, diff.trim_end());
            }
            Kind::Invalid(why) => data_line!("invalid   {} ({}): {why}", self.job, self.id),
            Kind::Fails(why) => data_line!("fails     {} ({}): {why}", self.job, self.id),
        }
    }
}

/// The mark with the hash of the whole bundle differs on every object as soon as one does, and
/// would bury the difference that matters.
fn without_mark(manifest: &ManifestRecord) -> ManifestRecord {
    let mut manifest = manifest.clone();
    if let Some(Value::Object(annotations)) = manifest.document.pointer_mut("/metadata/annotations")
    {
        annotations.remove(ANNOTATION_BUNDLE);
    }
    manifest
}

/// Compares two bundles.
pub(crate) fn bundles(old: &[ManifestRecord], new: &[ManifestRecord]) -> Kind {
    let old: Vec<ManifestRecord> = old.iter().map(without_mark).collect();
    let new: Vec<ManifestRecord> = new.iter().map(without_mark).collect();
    let text = |manifests: &[ManifestRecord]| serde_json::to_string(manifests).unwrap_or_default();
    if text(&old) == text(&new) {
        return Kind::Identical;
    }
    let (old, new) = (by_object(&old), by_object(&new));
    let mut diff = String::new();
    for name in old.keys().chain(new.keys().filter(|name| !old.contains_key(*name))) {
        let side =
            |manifests: &BTreeMap<String, String>| manifests.get(name).cloned().unwrap_or_default();
        let names = (format!("stored/{name}"), format!("replayed/{name}"));
        diff.push_str(&unified::diff(&side(&old), &side(&new), &names.0, &names.1));
    }
    if diff.is_empty() {
        "the manifests are the same in another order\n".clone_into(&mut diff);
    }
    Kind::Changed(diff)
}

fn by_object(manifests: &[ManifestRecord]) -> BTreeMap<String, String> {
    manifests
        .iter()
        .map(|manifest| {
            let text = |pointer: &str| {
                manifest.document.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
            };
            let name = format!("{}/{}", text("/kind"), text("/metadata/name"));
            (name, format!("# {}\n{}", manifest.role, unified::yaml(&manifest.document)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(kind: &str, value: i64) -> ManifestRecord {
        ManifestRecord {
            role: "workload".to_owned(),
            document: json!({
                "kind": kind,
                "metadata": {"name": "a", "annotations": {ANNOTATION_BUNDLE: value.to_string()}},
                "spec": {"value": value},
            }),
        }
    }

    #[test]
    fn mark_of_the_bundle_alone_is_no_difference() {
        let mut other = manifest("Job", 1);
        other.document["metadata"]["annotations"][ANNOTATION_BUNDLE] = json!("another");
        assert_eq!(bundles(&[manifest("Job", 1)], &[other]), Kind::Identical);
    }

    #[test]
    fn differences_are_lines_of_yaml_and_name_their_object() {
        let Kind::Changed(diff) = bundles(&[manifest("Job", 1)], &[manifest("Job", 2)]) else {
            panic!("not changed");
        };
        assert!(diff.contains("--- stored/Job/a\n+++ replayed/Job/a\n"), "{diff}");
        assert!(diff.contains("-  value: 1\n+  value: 2\n"), "{diff}");
        assert!(!diff.contains("bundle-sha256"), "{diff}");
    }

    #[test]
    fn objects_that_come_or_go_are_shown_whole() {
        let one = [manifest("Job", 1)];
        let two = [manifest("Job", 1), manifest("ConfigMap", 1)];
        for (old, new, sign) in [(&one[..], &two[..], '+'), (&two[..], &one[..], '-')] {
            let Kind::Changed(diff) = bundles(old, new) else { panic!("not changed") };
            assert!(diff.contains(&format!("{sign}kind: ConfigMap")), "{diff}");
            assert!(!diff.contains("kind: Job"), "{diff}");
        }
    }

    #[test]
    fn order_alone_is_a_change() {
        let (one, other) = (manifest("Job", 1), manifest("ConfigMap", 1));
        let kind = bundles(&[one.clone(), other.clone()], &[other, one]);
        assert!(matches!(&kind, Kind::Changed(why) if why.contains("another order")), "{kind:?}");
    }
}
