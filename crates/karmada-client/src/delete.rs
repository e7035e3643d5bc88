//! Removing one object, step by step: the template here, then the proof that Karmada and the
//! members have nothing of it left. Every step may be repeated and survives a restart.

use futures_util::StreamExt;
use kube::api::{DeleteParams, GetParams, Preconditions, PropagationPolicy};
use kube::core::request::Request as Requests;
use serde::Deserialize;
use training::ClusterName;
use training::manifest::{LABEL_JOB_ID, LABEL_ORIGIN, ObjectRef};
use training::ports::{ControlError, Remaining, Removal};

use crate::KarmadaClient;
use crate::apply::Head;
use crate::bindings::ResourceBinding;
use crate::error::CallError;
use crate::members::proxy;
use crate::resolve::POLICY_GROUP;
use crate::works::WorkSeen;

/// The place of what is on no member.
pub(crate) const CONTROL_PLANE: &str = "control-plane";

/// Members asked at the same time.
const MEMBERS_AT_ONCE: usize = 8;

/// What a template with the wanted name is to a removal.
enum Template {
    /// There is none.
    Gone,
    /// It belongs to somebody else, has this uid, and is not touched.
    Foreign(String),
    /// It is the one to remove, and still there for this reason.
    There(&'static str),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
}

/// Deletes the object of this uid: whoever made another under its name since keeps it.
pub(crate) fn exactly(uid: &str) -> DeleteParams {
    DeleteParams {
        propagation_policy: Some(PropagationPolicy::Background),
        preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
        ..DeleteParams::default()
    }
}

pub(crate) fn remaining(object: &ObjectRef, place: &str, why: impl Into<String>) -> Remaining {
    Remaining { object: object.clone(), place: place.to_owned(), why: why.into() }
}

impl KarmadaClient {
    #[tracing::instrument(
        name = "karmada.remove",
        skip_all,
        fields(job.id = %removal.job_id, object = %removal.object)
    )]
    pub(crate) async fn remove_one(
        &self,
        removal: &Removal,
    ) -> Result<Vec<Remaining>, ControlError> {
        let object = &removal.object;
        let collection = match self.collection(object).await {
            Ok(collection) => collection,
            // A kind that the control plane does not know has no objects there. What Karmada made
            // of one before may still be on its way off the members.
            Err(ControlError::Missing { what }) => {
                tracing::info!("{object} cannot exist: {what} does not");
                return self.left_without_kind(removal).await;
            }
            Err(error) => return Err(error),
        };
        let is_propagated = !object.api_version.starts_with(POLICY_GROUP);
        let template = self.caller.find::<Head>(&collection, &object.name).await;
        let template = template.map_err(|error| self.failed("read", object, &error))?;
        let binding = if is_propagated { self.binding_of(object).await? } else { None };
        let template = match template {
            None => Template::Gone,
            Some(head) if self.is_ours(&head, removal) => {
                // Before anything is deleted: afterwards nobody knows the permanent id.
                if let Some(id) = binding.as_ref().and_then(ResourceBinding::permanent_id) {
                    self.works.remember(object, &removal.job_id, id);
                }
                self.delete(&collection, object, &head).await?
            }
            Some(head) => {
                tracing::info!("{object} belongs to somebody else and is left alone");
                Template::Foreign(head.uid().to_owned())
            }
        };
        let mut left = Vec::new();
        if let Template::There(why) = template {
            left.push(remaining(object, CONTROL_PLANE, why));
        }
        let foreign_uid = match &template {
            Template::Foreign(uid) => Some(uid.as_str()),
            _ => None,
        };
        if let Some(binding) = &binding
            && foreign_uid != Some(binding.target_uid())
        {
            if let Some(id) = binding.permanent_id() {
                self.works.remember(object, &removal.job_id, id);
            }
            left.push(remaining(object, CONTROL_PLANE, "its ResourceBinding is still there"));
        }
        if left.is_empty() && is_propagated {
            left = self.left_on_members(&collection, removal).await?;
        }
        if left.is_empty() {
            self.works.forget(object, &removal.job_id);
        }
        Ok(left)
    }

    /// What is left of an object whose kind the control plane no longer knows. The members cannot be
    /// asked, because nobody knows what they call it; a Work goes only after the member's object.
    async fn left_without_kind(&self, removal: &Removal) -> Result<Vec<Remaining>, ControlError> {
        let object = &removal.object;
        if self.binding_of(object).await?.is_some() {
            return Ok(vec![remaining(
                object,
                CONTROL_PLANE,
                "its ResourceBinding is still there",
            )]);
        }
        let works = self.works_left(removal).await?;
        if works.is_empty() {
            self.works.forget(object, &removal.job_id);
        }
        let left = |work: WorkSeen| remaining(object, &work.cluster, "its Work is still there");
        Ok(works.into_iter().map(left).collect())
    }

    async fn works_left(&self, removal: &Removal) -> Result<Vec<WorkSeen>, ControlError> {
        let (object, age) = (&removal.object, self.poll_interval);
        let works =
            self.works.left_of(&self.caller, object, &removal.job_id, removal.shared, age).await;
        works.map_err(|error| error.control("list the works of", object))
    }

    fn is_ours(&self, head: &Head, removal: &Removal) -> bool {
        (removal.shared || head.label(LABEL_JOB_ID) == removal.job_id.as_str())
            && head.label(LABEL_ORIGIN) == self.origin
    }

    /// The binding of an object, read from the API server: a watch may be behind.
    pub(crate) async fn binding_of(
        &self,
        object: &ObjectRef,
    ) -> Result<Option<ResourceBinding>, ControlError> {
        let (collection, name) = ResourceBinding::place_of(object);
        let found = self.caller.find::<ResourceBinding>(&collection, &name).await;
        let found = found.map_err(|error| error.control("read the binding of", object))?;
        // Kinds of the same name in different groups share the name of their binding.
        Ok(found.filter(|binding| binding.is_of(object)))
    }

    async fn delete(
        &self,
        collection: &str,
        object: &ObjectRef,
        head: &Head,
    ) -> Result<Template, ControlError> {
        if head.is_being_deleted() {
            return Ok(Template::There("terminating"));
        }
        let params = exactly(head.uid());
        let request = Requests::new(collection).delete(&object.name, &params);
        match self.caller.request::<serde::de::IgnoredAny>(request).await {
            Ok(_) => Ok(Template::There("its deletion has begun")),
            Err(CallError::Answered(answer)) if answer.is_not_found() => Ok(Template::Gone),
            Err(CallError::Answered(answer)) if answer.code() == 409 => {
                Ok(Template::There("it was replaced meanwhile"))
            }
            Err(error) => Err(self.failed("delete", object, &error)),
        }
    }

    /// What is left once template and binding are gone: first Works, because a Work could still
    /// make the object again, then the object on the named members.
    async fn left_on_members(
        &self,
        collection: &str,
        removal: &Removal,
    ) -> Result<Vec<Remaining>, ControlError> {
        let object = &removal.object;
        let works = self.works_left(removal).await?;
        let asked: Vec<_> = removal
            .clusters
            .iter()
            .map(|cluster| self.left_on_member(collection, removal, cluster))
            .collect();
        let mut asked = futures_util::stream::iter(asked).buffered(MEMBERS_AT_ONCE);
        let mut left = Vec::new();
        while let Some(answer) = asked.next().await {
            left.extend(answer?);
        }
        for work in works {
            if !left.iter().any(|known| known.place == work.cluster) {
                left.push(remaining(object, &work.cluster, "its Work is still there"));
            }
        }
        Ok(left)
    }

    async fn left_on_member(
        &self,
        collection: &str,
        removal: &Removal,
        cluster: &ClusterName,
    ) -> Result<Option<Remaining>, ControlError> {
        let object = &removal.object;
        let left = |why: String| Ok(Some(remaining(object, cluster.as_str(), why)));
        let path = format!("{}{collection}", proxy(cluster));
        let plural = collection.rsplit('/').next().unwrap_or_default();
        let request = Requests::new(path).get(&object.name, &GetParams::default());
        match self.caller.request::<Head>(request).await {
            Ok(head) if !self.is_ours(&head, removal) => {
                tracing::info!("{object} on {cluster} belongs to somebody else");
                Ok(None)
            }
            Ok(head) if head.is_being_deleted() => left("terminating".to_owned()),
            Ok(_) => left("still there".to_owned()),
            Err(CallError::Answered(answer)) if answer.is_absence_of(plural, &object.name) => {
                Ok(None)
            }
            Err(CallError::Answered(answer)) if answer.is_unknown_cluster() => {
                left("the cluster is no longer registered with Karmada".to_owned())
            }
            Err(CallError::Answered(answer)) if answer.is_unknown_path() => {
                // The member does not know the kind, or something in between does not know the
                // path. Only the former proves that the object is gone.
                match self.member_answers(cluster).await {
                    Ok(()) => Ok(None),
                    Err(error) => left(format!("cluster not ready: {error}")),
                }
            }
            Err(CallError::Answered(answer)) if answer.code() == 403 => {
                left(format!("not allowed to look: {}", answer.text()))
            }
            Err(error @ CallError::Transport(_)) => {
                Err(error.unavailable(&format!("read {object} on {cluster}")))
            }
            Err(error) => left(format!("cluster not ready: {error}")),
        }
    }

    async fn member_answers(&self, cluster: &ClusterName) -> Result<(), CallError> {
        let request = http::Request::get(format!("{}/version", proxy(cluster))).body(Vec::new());
        let version: Version =
            self.caller.request(request.map_err(kube::core::request::Error::BuildRequest)).await?;
        tracing::debug!("Cluster {cluster} answers as {}", version.git_version);
        Ok(())
    }
}
