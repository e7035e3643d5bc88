//! Where a kind has the field that holds its objects back, so that the host needs to know no kind. It
//! travels in the `extra` of the description, because the records of the contract are frozen.

use serde_json::{Map, Value};

use crate::Kind;

/// The member of `extra` under which the fields are, as a JSON object from `apiVersion/Kind` to an
/// RFC 6901 pointer.
const KEY: &str = "suspend";

/// A field of a workload, a boolean: while it is true, the operator runs nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuspendField {
    /// `batch/v1`.
    pub api_version: &'static str,
    /// `Job`.
    pub kind: &'static str,
    /// RFC 6901 pointer, such as `/spec/suspend`.
    pub pointer: &'static str,
}

/// The kinds for which this crate has builders.
const KNOWN: [SuspendField; 6] = [
    of("batch/v1", "Job", "/spec/suspend"),
    of("ray.io/v1", "RayJob", "/spec/suspend"),
    of("trainer.kubeflow.org/v1alpha1", "TrainJob", "/spec/suspend"),
    of("kubeflow.org/v1", "PyTorchJob", "/spec/runPolicy/suspend"),
    of("kubeflow.org/v1", "TFJob", "/spec/runPolicy/suspend"),
    of("kubeflow.org/v2beta1", "MPIJob", "/spec/runPolicy/suspend"),
];

const fn of(api_version: &'static str, kind: &'static str, pointer: &'static str) -> SuspendField {
    SuspendField { api_version, kind, pointer }
}

/// The fields of those among the kinds that this crate can build.
pub(crate) fn known(kinds: &[Kind]) -> Vec<SuspendField> {
    let is_said = |field: &&SuspendField| {
        kinds.iter().any(|kind| kind.api_version == field.api_version && kind.kind == field.kind)
    };
    KNOWN.iter().filter(is_said).copied().collect()
}

/// What stands in the description.
pub(crate) fn extra(fields: &[SuspendField]) -> Option<(String, String)> {
    let members: Map<String, Value> = fields
        .iter()
        .map(|field| (format!("{}/{}", field.api_version, field.kind), field.pointer.into()))
        .collect();
    (!members.is_empty()).then(|| (KEY.to_owned(), Value::Object(members).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::job::BatchJob;
    use crate::manifest::service::Service;
    use crate::manifest::training_job::PyTorchJob;

    #[test]
    fn every_kind_that_can_be_held_back_says_where() {
        let fields = known(&[BatchJob::kind(), Service::kind(), PyTorchJob::kind()]);
        let (key, text) = extra(&fields).unwrap();
        assert_eq!(key, "suspend");
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            serde_json::json!({
                "batch/v1/Job": "/spec/suspend",
                "kubeflow.org/v1/PyTorchJob": "/spec/runPolicy/suspend",
            })
        );
        assert_eq!(extra(&known(&[Service::kind()])), None);
    }
}
