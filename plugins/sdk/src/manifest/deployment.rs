//! `Deployment`: pods that run until somebody stops them.

use serde::Serialize;

use super::meta::{Metadata, Pairs};
use super::pod::PodTemplate;
use crate::Kind;

/// Equal pods that are kept running.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    spec: DeploymentSpec<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeploymentSpec<'a> {
    replicas: u32,
    revision_history_limit: u32,
    progress_deadline_seconds: u32,
    min_ready_seconds: u32,
    strategy: Strategy,
    selector: Selector<'a>,
    template: PodTemplate<'a>,
}

#[derive(Debug, Serialize)]
struct Strategy {
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Selector<'a> {
    match_labels: Pairs<'a>,
}

/// How long pods may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Seconds after which a start without progress is reported.
    pub progress_deadline: u32,
    /// Seconds that a pod has to be ready before it counts.
    pub min_ready: u32,
}

impl<'a> Deployment<'a> {
    /// A Deployment of so many pods. `labels` are those of its template, and of no other pod. Pods
    /// are replaced by taking the old ones away first: never more of them, nor of their GPUs, than
    /// were asked for.
    pub fn new(
        metadata: Metadata<'a>,
        replicas: u32,
        labels: Pairs<'a>,
        patience: Patience,
        template: PodTemplate<'a>,
    ) -> Self {
        Self {
            api_version: "apps/v1",
            kind: "Deployment",
            metadata,
            spec: DeploymentSpec {
                replicas: replicas.max(1),
                revision_history_limit: 0,
                progress_deadline_seconds: patience.progress_deadline,
                min_ready_seconds: patience.min_ready,
                strategy: Strategy { kind: "Recreate" },
                selector: Selector { match_labels: labels },
                template,
            },
        }
    }

    /// Longest name in characters: room is left for what is named after it, and for the names of
    /// its pods.
    pub const MAX_NAME_LENGTH: u32 = 45;

    /// What a plugin that emits one says about it.
    pub fn kind() -> Kind {
        Kind::workload("apps/v1", "Deployment", "deployments", Self::MAX_NAME_LENGTH)
    }
}
