//! `PersistentVolumeClaim`.

use serde::Serialize;

use super::meta::Metadata;

/// A claim for storage that outlives the job.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PersistentVolumeClaim<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: ClaimSpec<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ClaimSpec<'a> {
    access_modes: [&'static str; 1],
    resources: ClaimResources<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_class_name: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct ClaimResources<'a> {
    requests: ClaimRequests<'a>,
}

#[derive(Debug, Serialize)]
struct ClaimRequests<'a> {
    storage: &'a str,
}

impl<'a> PersistentVolumeClaim<'a> {
    /// A claim that pods on several nodes can write to. `storage` is a quantity such as `50Gi`;
    /// without a class the cluster's default is taken.
    pub fn shared(metadata: Metadata<'a>, storage: &'a str, class: Option<&'a str>) -> Self {
        Self {
            api_version: "v1",
            kind: "PersistentVolumeClaim",
            metadata,
            spec: ClaimSpec {
                access_modes: ["ReadWriteMany"],
                resources: ClaimResources { requests: ClaimRequests { storage } },
                storage_class_name: class,
            },
        }
    }
}
