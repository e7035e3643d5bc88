//! `WorkloadRebalancer`: the way to have Karmada schedule something again that nobody changed.

use kube::api::PostParams;
use kube::core::request::Request as Requests;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use training::manifest::{LABEL_ORIGIN, ObjectRef};
use training::ports::ControlError;

use crate::KarmadaClient;

const COLLECTION: &str = "/apis/apps.karmada.io/v1alpha1/workloadrebalancers";
/// Karmada deletes it so long after it was carried out. It is a message, nobody reads it again.
const TTL_SECONDS: u32 = 60;

impl KarmadaClient {
    #[tracing::instrument(name = "karmada.reschedule", skip_all, fields(count = workloads.len()))]
    pub(crate) async fn reschedule_all(&self, workloads: &[ObjectRef]) -> Result<(), ControlError> {
        let Some(first) = workloads.first() else { return Ok(()) };
        let listed: Vec<Value> = workloads
            .iter()
            .map(|workload| {
                json!({
                    "apiVersion": workload.api_version,
                    "kind": workload.kind,
                    "namespace": workload.namespace,
                    "name": workload.name,
                })
            })
            .collect();
        let document = json!({
            "apiVersion": "apps.karmada.io/v1alpha1",
            "kind": "WorkloadRebalancer",
            "metadata": {"generateName": "trainyard-", "labels": {LABEL_ORIGIN: self.origin}},
            "spec": {"workloads": listed, "ttlSecondsAfterFinished": TTL_SECONDS},
        });
        let params =
            PostParams { field_manager: Some(self.field_manager.clone()), ..PostParams::default() };
        let request = Requests::new(COLLECTION).create(&params, document.to_string().into_bytes());
        let written: Result<IgnoredAny, _> = self.caller.request(request).await;
        written.map(drop).map_err(|error| error.control("ask Karmada to schedule", first))
    }
}
