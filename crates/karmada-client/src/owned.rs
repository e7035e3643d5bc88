//! What this installation made on the control plane, found by its labels.

use std::collections::BTreeMap;

use kube::core::request::Request as Requests;
use serde::Deserialize;
use training::Timestamp;
use training::manifest::{LABEL_JOB_ID, LABEL_ORIGIN, ObjectRef};
use training::ports::{ControlError, Owned};

use crate::KarmadaClient;
use crate::delete::exactly;
use crate::error::CallError;

#[derive(Deserialize)]
struct Labelled {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    creation_timestamp: Option<Timestamp>,
    deletion_timestamp: Option<String>,
}

impl KarmadaClient {
    #[tracing::instrument(name = "karmada.owned", skip(self))]
    pub(crate) async fn owned_of(
        &self,
        api_version: &str,
        kind: &str,
    ) -> Result<Vec<Owned>, ControlError> {
        // Names no object: what is asked for is the kind.
        let every = ObjectRef {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: "default".to_owned(),
            name: "all".to_owned(),
        };
        let collection = self.everywhere(&every).await?;
        let labels = Some(format!("{LABEL_ORIGIN}={},{LABEL_JOB_ID}", self.origin));
        let mut owned = Vec::new();
        let listed = self.caller.list(&collection, labels, |object: Labelled| {
            let Metadata { name, namespace, uid, mut labels, .. } = object.metadata;
            // A server that does not filter must not make us delete what is not ours.
            if labels.get(LABEL_ORIGIN) == Some(&self.origin)
                && let Some(job_id) = labels.remove(LABEL_JOB_ID)
            {
                let object_ref = ObjectRef { namespace, name, ..every.clone() };
                owned.push(Owned {
                    object: object_ref,
                    uid,
                    job_id,
                    created_at: object.metadata.creation_timestamp,
                    terminating: object.metadata.deletion_timestamp.is_some(),
                });
            }
        });
        listed.await.map_err(|error| self.failed("list", &every, &error))?;
        Ok(owned)
    }

    #[tracing::instrument(name = "karmada.remove_exactly", skip_all, fields(object = %owned.object))]
    pub(crate) async fn remove_owned(&self, owned: &Owned) -> Result<(), ControlError> {
        let object = &owned.object;
        let collection = self.collection(object).await?;
        let request = Requests::new(collection).delete(&object.name, &exactly(&owned.uid));
        match self.caller.request::<serde::de::IgnoredAny>(request).await {
            Ok(_) => Ok(()),
            // Gone, or another object of this name.
            Err(CallError::Answered(answer)) if answer.is_not_found() || answer.code() == 409 => {
                Ok(())
            }
            Err(error) => Err(self.failed("delete", object, &error)),
        }
    }
}
