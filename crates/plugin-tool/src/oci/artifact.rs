//! A plugin as an OCI artifact, in the layout that the Wasm working group of the CNCF describes:
//! one manifest, one small config that names imports and exports, and the component as the only
//! layer, so that `wkg`, containerd and others read it too.
//!
//! The signature travels as an annotation of the manifest. A second layer would break readers that
//! take every layer for a component, and a referrer needs an API that many registries lack; an
//! annotation is covered by the manifest's digest and goes wherever the manifest goes.

use std::collections::BTreeMap;

use plugin_runtime::Inspection;
use plugin_runtime::signature::SIGNATURE_BYTES;
use serde::{Deserialize, Serialize};
use serde_json::json;
use training::Sha256Digest;

/// Media type of a manifest.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of the config; it makes the artifact one of Wasm.
pub(crate) const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// Media type of the component.
pub(crate) const LAYER: &str = "application/wasm";
/// Largest manifest, as registries and the distribution specification have it.
pub(crate) const MANIFEST_BYTES: u64 = 4 << 20;
/// Largest component: what a host loads.
pub(crate) const COMPONENT_BYTES: u64 = 32 << 20;

/// Annotation with the whole text of the signature file.
const SIGNATURE: &str = "dev.trainyard.plugin.signature";

/// What a manifest says about one blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Descriptor {
    pub(crate) fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: digest(bytes),
            size: bytes.len() as u64,
            annotations: BTreeMap::new(),
        }
    }

    /// Whether these are the bytes it speaks of.
    pub(crate) fn check(&self, bytes: &[u8]) -> Result<(), String> {
        if bytes.len() as u64 != self.size || digest(bytes) != self.digest {
            return Err(format!("the bytes of {} are not what the manifest names", self.digest));
        }
        Ok(())
    }
}

/// The digest of bytes as OCI writes it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", Sha256Digest::of(bytes))
}

/// Whether a text is such a digest.
pub(crate) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| Sha256Digest::parse(hex).is_ok())
}

/// An image manifest, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    schema_version: u32,
    media_type: String,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Everything that is pushed.
#[derive(Debug)]
pub(crate) struct Artifact {
    pub(crate) manifest: Vec<u8>,
    pub(crate) config: Vec<u8>,
    pub(crate) component: Vec<u8>,
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Artifact {
    /// Packs a plugin. The same plugin and signature always give the same bytes.
    pub(crate) fn pack(
        found: &Inspection,
        component: Vec<u8>,
        signature: Option<String>,
    ) -> anyhow::Result<Self> {
        let info = &found.info;
        let layer = Descriptor::of(LAYER, &component);
        let config = serde_json::to_vec(&json!({
            // Readers want a time; any other one would make each push a different artifact.
            "created": "1970-01-01T00:00:00Z",
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [layer.digest],
            "component": {"exports": found.exports, "imports": found.imports},
        }))?;
        let mut annotations: BTreeMap<String, String> = [
            ("org.opencontainers.image.title", info.title.clone()),
            ("org.opencontainers.image.description", info.summary.clone()),
            ("org.opencontainers.image.version", info.version.clone()),
            ("dev.trainyard.plugin.name", info.name.clone()),
            ("dev.trainyard.plugin.sha256", info.digest.to_string()),
            ("dev.trainyard.plugin.schema-sha256", info.schema_digest.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        annotations.extend(signature.map(|text| (SIGNATURE.to_owned(), text)));
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            config: Descriptor::of(CONFIG, &config),
            layers: vec![layer],
            annotations: annotations.clone(),
        };
        Ok(Self { manifest: serde_json::to_vec(&manifest)?, config, component, annotations })
    }
}

impl Manifest {
    /// Reads what came from elsewhere. Nothing of it is believed but that it is a manifest.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > MANIFEST_BYTES {
            return Err("the manifest is longer than 4 MiB".to_owned());
        }
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|error| format!("it is not the manifest of an artifact: {error}"))?;
        if manifest.config.media_type != CONFIG {
            return Err(format!(
                "it is not a Wasm artifact: its config is of type {}",
                manifest.config.media_type
            ));
        }
        let [layer] = manifest.layers.as_slice() else {
            return Err(format!("it has {} layers, not one component", manifest.layers.len()));
        };
        if layer.media_type != LAYER {
            return Err(format!("its layer is of type {}, not {LAYER}", layer.media_type));
        }
        if layer.size > COMPONENT_BYTES {
            return Err(format!("its component has {} bytes; no host loads it", layer.size));
        }
        if !is_digest(&layer.digest) {
            return Err("its component has no sha-256 digest".to_owned());
        }
        Ok(manifest)
    }

    /// The component; [`Manifest::parse`] has seen that there is one.
    pub(crate) fn layer(&self) -> Option<&Descriptor> {
        self.layers.first()
    }

    /// The signature that came with it, of a length that a signature has.
    pub(crate) fn signature(&self) -> Option<&str> {
        let text = self.annotations.get(SIGNATURE)?;
        (text.len() as u64 <= SIGNATURE_BYTES).then_some(text.as_str())
    }

    /// An annotation.
    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(change: fn(&mut Manifest)) -> Result<Manifest, String> {
        let mut manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            config: Descriptor::of(CONFIG, b"{}"),
            layers: vec![Descriptor::of(LAYER, b"x")],
            annotations: BTreeMap::new(),
        };
        change(&mut manifest);
        Manifest::parse(&serde_json::to_vec(&manifest).unwrap())
    }

    #[test]
    fn only_one_component_of_a_size_that_loads_is_taken() {
        assert!(manifest(|_| {}).is_ok());
        let breaches: [fn(&mut Manifest); 6] = [
            |m| m.config.media_type = "application/vnd.oci.image.config.v1+json".to_owned(),
            |m| m.layers.clear(),
            |m| m.layers.push(Descriptor::of(LAYER, b"y")),
            |m| m.layers[0].media_type = "application/zip".to_owned(),
            |m| m.layers[0].size = COMPONENT_BYTES + 1,
            |m| m.layers[0].digest = "sha256:../../etc".to_owned(),
        ];
        for (index, breach) in breaches.into_iter().enumerate() {
            assert!(manifest(breach).is_err(), "{index}");
        }
    }

    #[test]
    fn bytes_are_held_against_their_descriptor() {
        let descriptor = Descriptor::of(LAYER, b"abc");
        assert!(descriptor.check(b"abc").is_ok());
        assert!(descriptor.check(b"abd").is_err());
        assert!(descriptor.check(b"abcd").is_err());
    }

    #[test]
    fn endless_signature_is_left_out() {
        let long = manifest(|m| {
            m.annotations.insert(SIGNATURE.to_owned(), "x".repeat(1 << 20));
        });
        assert_eq!(long.unwrap().signature(), None);
    }
}
