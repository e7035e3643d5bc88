//! Where programs find the data of a channel, and the volumes that hold some of it. A plugin that
//! hands this on says so in its schema: `x-channel-sources`.

use std::fmt::Write as _;

use crate::manifest::pod::{Volume, VolumeMount, VolumeSource};
use crate::{Channel, Provider};

/// Folder in the pods below which each volume of data has one, named after its claim.
pub const DATA_PATH: &str = "/data";

/// Names of such volumes within a pod: as many as a job can have channels.
const VOLUMES: [&str; 20] = [
    "data-0", "data-1", "data-2", "data-3", "data-4", "data-5", "data-6", "data-7", "data-8",
    "data-9", "data-10", "data-11", "data-12", "data-13", "data-14", "data-15", "data-16",
    "data-17", "data-18", "data-19",
];

impl Channel<'_> {
    /// Whether the data lies in an object store.
    pub fn is_stored(&self) -> bool {
        self.claim.is_none() && self.url.is_none()
    }

    /// Where in the pods the data lies, if it is in a volume.
    pub fn folder(&self) -> Option<String> {
        let claim = self.claim.as_deref()?;
        let folder = format!("{DATA_PATH}/{claim}");
        Some(if self.path.is_empty() { folder } else { format!("{folder}/{}", &*self.path) })
    }

    /// The address of the data: `s3://bucket/prefix`, `file:///data/claim/path`, or that on the web.
    pub fn uri(&self) -> String {
        if let Some(url) = self.url.as_deref() {
            return url.to_owned();
        }
        if let Some(folder) = self.folder() {
            return format!("file://{}", escape(&folder));
        }
        let scheme = match self.provider {
            Provider::Gcs => "gs",
            Provider::Azure => "az",
            Provider::Aws | Provider::Minio | Provider::Custom => "s3",
        };
        format!("{scheme}://{}/{}", &*self.bucket, &*self.prefix)
    }
}

/// A path as part of a URI.
fn escape(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            escaped.push(byte.into());
        } else {
            // Writing to a text cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// The volumes that hold data of a job: each claim once, however many channels are in it.
#[derive(Debug, Default)]
pub struct DataVolumes<'j> {
    /// Claims, and the folders in which they appear.
    claims: Vec<(&'j str, String)>,
}

impl<'j> DataVolumes<'j> {
    /// Those of these channels.
    pub fn of(channels: &'j [Channel<'j>]) -> Self {
        let mut claims: Vec<(&str, String)> = Vec::new();
        for claim in channels.iter().filter_map(|channel| channel.claim.as_deref()) {
            if claims.iter().all(|(known, _)| *known != claim) {
                claims.push((claim, format!("{DATA_PATH}/{claim}")));
            }
        }
        Self { claims }
    }

    /// Adds them to the volumes of a pod, and shows them to its container without the right to
    /// write. A claim that the pod has already is not added a second time.
    pub fn add_to<'a>(&'a self, volumes: &mut Vec<Volume<'a>>, mounts: &mut Vec<VolumeMount<'a>>) {
        for ((claim, folder), own) in self.claims.iter().zip(VOLUMES) {
            let found = volumes.iter().find(|volume| {
                matches!(volume.source, VolumeSource::PersistentVolumeClaim(other) if other == *claim)
            });
            let name = found.map(|volume| volume.name);
            if name.is_none() {
                volumes.push(Volume { name: own, source: VolumeSource::DataClaim(claim) });
            }
            let name = name.unwrap_or(own);
            mounts.push(VolumeMount { mount_path: folder, name, read_only: true });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn channels(text: &str) -> Vec<Channel<'_>> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn each_source_has_an_address() {
        for (channel, uri, stored) in [
            (json!({ "provider": "gcs", "bucket": "b", "prefix": "p/" }), "gs://b/p/", true),
            (json!({ "bucket": "b" }), "s3://b/", true),
            (json!({ "claim": "shared" }), "file:///data/shared", false),
            (
                json!({ "claim": "shared", "path": "a b/c#1.csv" }),
                "file:///data/shared/a%20b/c%231.csv",
                false,
            ),
            (
                json!({ "url": "https://data.example/a.csv?v=1" }),
                "https://data.example/a.csv?v=1",
                false,
            ),
        ] {
            let mut channel = channel;
            channel["name"] = json!("train");
            channel["type"] = json!("train");
            let text = json!([channel]).to_string();
            let channels = channels(&text);
            assert_eq!((channels[0].uri().as_str(), channels[0].is_stored()), (uri, stored));
        }
    }

    #[test]
    fn claim_is_mounted_once_and_that_of_the_results_is_shared() {
        let text = json!([
            { "name": "a", "type": "train", "claim": "shared", "path": "a" },
            { "name": "b", "type": "validation", "claim": "shared", "path": "b" },
            { "name": "c", "type": "test", "claim": "results" },
            { "name": "d", "type": "test", "bucket": "b" },
        ])
        .to_string();
        let channels = channels(&text);
        let data = DataVolumes::of(&channels);
        let source = VolumeSource::PersistentVolumeClaim("results");
        let mut volumes = vec![Volume { name: "own", source }];
        let mut mounts = Vec::new();
        data.add_to(&mut volumes, &mut mounts);
        assert_eq!(
            serde_json::to_value(&volumes).unwrap(),
            json!([
                { "name": "own", "persistentVolumeClaim": { "claimName": "results" } },
                {
                    "name": "data-0",
                    "persistentVolumeClaim": { "claimName": "shared", "readOnly": true },
                },
            ])
        );
        assert_eq!(
            serde_json::to_value(&mounts).unwrap(),
            json!([
                { "mountPath": "/data/shared", "name": "data-0", "readOnly": true },
                { "mountPath": "/data/results", "name": "own", "readOnly": true },
            ])
        );
    }
}
