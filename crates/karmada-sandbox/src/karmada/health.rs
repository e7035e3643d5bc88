//! Karmada's default health interpretation. A failed Job is healthy: the original has no rule
//! for it.

use serde_json::Value;

use crate::json::{int, text};

pub(super) fn of(object: &Value) -> &'static str {
    let at = |pointer: &str| int(object, pointer).unwrap_or_default();
    let healthy = match text(object, "/kind") {
        "RayJob" => match text(object, "/status/jobDeploymentStatus") {
            "Running" => true,
            "Complete" => text(object, "/status/jobStatus") == "SUCCEEDED",
            _ => false,
        },
        "RayCluster" => text(object, "/status/state") == "ready",
        "PersistentVolumeClaim" => text(object, "/status/phase") == "Bound",
        "Deployment" => {
            at("/status/availableReplicas") >= at("/spec/replicas")
                && at("/status/observedGeneration") >= at("/metadata/generation")
        }
        "Pod" => matches!(text(object, "/status/phase"), "Running" | "Succeeded"),
        _ => true,
    };
    if healthy { "Healthy" } else { "Unhealthy" }
}
