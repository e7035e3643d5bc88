//! Changes of policies. Letting go of volumes: a policy that keeps objects on the members is changed so
//! that they are deleted there, too, and Karmada's own copies of that wish are waited for. Sealing: a
//! policy whose program is over brings nothing to the members any more.

use serde::Deserialize;
use serde_json::json;
use training::manifest::{LABEL_ORIGIN, ObjectRef};
use training::ports::ControlError;

use crate::KarmadaClient;
use crate::apply::Head;
use crate::error::CallError;
use crate::works;

#[derive(Deserialize)]
struct Policy {
    #[serde(flatten)]
    head: Head,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Spec {
    preserve_resources_on_deletion: Option<bool>,
}

impl KarmadaClient {
    #[tracing::instrument(name = "karmada.release", skip_all, fields(policy = %policy))]
    pub(crate) async fn release_all(
        &self,
        policy: &ObjectRef,
        objects: &[ObjectRef],
    ) -> Result<bool, ControlError> {
        let collection = self.collection(policy).await?;
        let found = self.caller.find::<Policy>(&collection, &policy.name).await;
        let found = found.map_err(|error| self.failed("read", policy, &error))?;
        let Some(found) = found else { return Ok(true) };
        if found.head.label(LABEL_ORIGIN) != self.origin {
            // Not ours to change; nor did it ever protect anything of ours.
            tracing::info!("{policy} belongs to somebody else and is left alone");
            return Ok(true);
        }
        if found.spec.preserve_resources_on_deletion == Some(true) {
            self.let_go(&collection, policy, found.head.uid()).await?;
        }
        for object in objects {
            if !self.is_released(object).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(crate) async fn let_go(
        &self,
        collection: &str,
        policy: &ObjectRef,
        uid: &str,
    ) -> Result<(), ControlError> {
        // With the uid the call fails on another policy of the same name.
        let change = json!({
            "metadata": { "uid": uid },
            "spec": { "preserveResourcesOnDeletion": false },
        });
        match self.merge(collection, policy, &change).await {
            Err(CallError::Answered(answer)) if answer.is_not_found() => Ok(()),
            changed => changed.map(drop).map_err(|error| self.failed("change", policy, &error)),
        }
    }

    #[tracing::instrument(name = "karmada.seal", skip_all, fields(policy = %policy))]
    pub(crate) async fn seal_policy(&self, policy: &ObjectRef) -> Result<(), ControlError> {
        let collection = self.collection(policy).await?;
        let found = self.caller.find::<Head>(&collection, &policy.name).await;
        let found = found.map_err(|error| self.failed("read", policy, &error))?;
        let ours = found.filter(|head| head.label(LABEL_ORIGIN) == self.origin);
        let Some(ours) = ours else { return Ok(()) };
        let change = json!({
            "metadata": { "uid": ours.uid() },
            "spec": { "suspension": { "dispatching": true } },
        });
        match self.merge(&collection, policy, &change).await {
            Ok(_) => Ok(()),
            // Gone, or replaced by a policy with another uid.
            Err(CallError::Answered(answer)) if answer.is_not_found() || answer.is_other_uid() => {
                Ok(())
            }
            Err(error) => Err(self.failed("change", policy, &error)),
        }
    }

    /// Whether deleting the object would delete it on the members, as far as Karmada has decided
    /// that. An object without a binding is on no member; one whose binding is being deleted has
    /// been decided upon.
    async fn is_released(&self, object: &ObjectRef) -> Result<bool, ControlError> {
        let Some(binding) = self.binding_of(object).await? else { return Ok(true) };
        if binding.is_being_deleted() {
            return Ok(true);
        }
        if binding.preserves_resources() {
            return Ok(false);
        }
        let Some(id) = binding.permanent_id() else { return Ok(false) };
        let works = works::of_binding(&self.caller, id)
            .await
            .map_err(|error| error.control("list the works of", object))?;
        Ok(!works.iter().any(|work| work.preserves_resources))
    }
}
