//! Objects that jobs share, such as Secrets: the policy of one gains a cluster when a job needs it
//! there, and loses it when none does any more. Deleting the policy would take nothing away: Karmada
//! leaves what was placed where it is. So its placement is narrowed first, to no cluster at all if
//! need be, and it is deleted once Karmada has followed.

use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::request::Request as Requests;
use serde_json::{Value, json};
use training::ClusterName;
use training::manifest::{ANNOTATION_NEEDED_BY, LABEL_ORIGIN, ObjectRef};
use training::ports::{ControlError, Reach, Remaining, Shared};

use crate::KarmadaClient;
use crate::apply::Head;
use crate::bindings::ResourceBinding;
use crate::delete::{CONTROL_PLANE, remaining};
use crate::error::CallError;
use crate::works;

const AFFINITY: &str = "/spec/placement/clusterAffinity";

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The clusters that a policy of ours names and does not exclude.
pub(crate) fn named(policy: &Value) -> Vec<String> {
    let affinity = policy.pointer(AFFINITY);
    let names = |field: &str| {
        let names = affinity.and_then(|affinity| affinity.get(field)).and_then(Value::as_array);
        names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned)
    };
    let excluded: Vec<String> = names("exclude").collect();
    names("clusterNames").filter(|name| !excluded.contains(name)).collect()
}

/// Makes a policy name these clusters. One that names none would stand for all of them, so that is
/// said by excluding what it named before.
fn name_clusters(before: &[String], rest: &[&String]) -> Value {
    if rest.is_empty() {
        json!({ "clusterNames": before, "exclude": before })
    } else {
        json!({ "clusterNames": rest, "exclude": [] })
    }
}

impl KarmadaClient {
    /// Marks the policy as needed, whatever it says, and returns it as it is from then on: who
    /// narrows it at the same time either sees the mark or is seen by the mark's answer.
    pub(crate) async fn mark_needed(
        &self,
        collection: &str,
        object: &ObjectRef,
        uid: &str,
        by: &str,
    ) -> Result<Value, ControlError> {
        let mark = json!({
            "metadata": { "uid": uid, "annotations": { ANNOTATION_NEEDED_BY: by } },
        });
        let marked = self.merge(collection, object, &mark).await;
        marked.map_err(|error| self.failed("change", object, &error))
    }

    /// A merge patch.
    pub(crate) async fn merge(
        &self,
        collection: &str,
        object: &ObjectRef,
        change: &Value,
    ) -> Result<Value, CallError> {
        let params = PatchParams {
            field_manager: Some(self.field_manager.clone()),
            ..PatchParams::default()
        };
        let request = Requests::new(collection).patch(&object.name, &params, &Patch::Merge(change));
        self.caller.request(request).await
    }

    pub(crate) async fn reach_of(&self, shared: &Shared) -> Result<Option<Reach>, ControlError> {
        let policy = &shared.policy;
        let collection = self.collection(policy).await?;
        let found = self.caller.find::<Value>(&collection, &policy.name).await;
        let found = found.map_err(|error| self.failed("read", policy, &error))?;
        let Some(found) = found else { return Ok(None) };
        let origin = found.pointer("/metadata/labels").and_then(|labels| labels.get(LABEL_ORIGIN));
        let is_going = found.pointer("/metadata/deletionTimestamp").is_some();
        if is_going || origin.and_then(Value::as_str) != Some(&self.origin) {
            return Ok(None);
        }
        let preserves = found.pointer("/spec/preserveResourcesOnDeletion");
        Ok(Some(Reach {
            clusters: named(&found),
            preserves: preserves.and_then(Value::as_bool) == Some(true),
            uid: text(&found, "/metadata/uid").to_owned(),
            version: text(&found, "/metadata/resourceVersion").to_owned(),
        }))
    }

    #[tracing::instrument(name = "karmada.withdraw", skip_all, fields(object = %shared.object))]
    pub(crate) async fn withdraw_from(
        &self,
        shared: &Shared,
        from: &[ClusterName],
        reach: &Reach,
    ) -> Result<Vec<Remaining>, ControlError> {
        let Shared { object, policy } = shared;
        let collection = self.collection(policy).await?;
        let binding = self.binding_of(object).await?;
        // What somebody else's policy has placed is none of our business.
        let binding = binding.filter(|binding| binding.is_claimed_by(policy));
        let works = match binding.as_ref().and_then(ResourceBinding::permanent_id) {
            Some(id) => works::of_binding(&self.caller, id)
                .await
                .map_err(|error| error.control("list the works of", object))?,
            None => Vec::new(),
        };
        let on_the_way = |why: &str| Ok(vec![remaining(policy, CONTROL_PLANE, why)]);
        let is_leaving = |name: &str| from.iter().any(|cluster| cluster.as_str() == name);
        if reach.clusters.iter().any(|name| is_leaving(name)) {
            if reach.preserves {
                self.let_go(&collection, policy, &reach.uid).await?;
                return on_the_way("it still protects its object");
            }
            let preserves = binding.as_ref().is_some_and(ResourceBinding::preserves_resources)
                || works.iter().any(|work| work.preserves_resources);
            if preserves {
                return on_the_way("it still protects its object");
            }
            let rest: Vec<&String> =
                reach.clusters.iter().filter(|name| !is_leaving(name)).collect();
            let affinity = name_clusters(&reach.clusters, &rest);
            // With the version the call fails if a job has asked for the object since it was read.
            let change = json!({
                "metadata": { "uid": reach.uid, "resourceVersion": reach.version },
                "spec": { "placement": { "clusterAffinity": affinity } },
            });
            return match self.merge(&collection, policy, &change).await {
                Ok(_) => on_the_way("its object is being withdrawn"),
                Err(CallError::Answered(answer)) if answer.code() == 409 => {
                    on_the_way("it was changed meanwhile")
                }
                Err(CallError::Answered(answer)) if answer.is_not_found() => Ok(Vec::new()),
                Err(error) => Err(self.failed("change", policy, &error)),
            };
        }
        let bound = binding.as_ref().map(ResourceBinding::reach).unwrap_or_default();
        let left: Vec<Remaining> = from
            .iter()
            .map(ClusterName::as_str)
            .filter(|name| {
                bound.iter().any(|bound| bound == name)
                    || works.iter().any(|work| work.cluster == *name)
            })
            .map(|name| remaining(object, name, "is being withdrawn"))
            .collect();
        if left.is_empty() && reach.clusters.is_empty() {
            self.delete_untouched(&collection, policy, reach).await?;
        }
        Ok(left)
    }

    /// Deletes a policy that brings its object nowhere, unless a job has asked for it since.
    async fn delete_untouched(
        &self,
        collection: &str,
        policy: &ObjectRef,
        reach: &Reach,
    ) -> Result<(), ControlError> {
        let preconditions = Preconditions {
            uid: Some(reach.uid.clone()),
            resource_version: Some(reach.version.clone()),
        };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let request = Requests::new(collection).delete(&policy.name, &params);
        match self.caller.request::<Head>(request).await {
            Ok(_) => Ok(()),
            Err(CallError::Answered(answer)) if answer.is_not_found() || answer.code() == 409 => {
                Ok(())
            }
            Err(error) => Err(self.failed("delete", policy, &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_without_clusters_stands_for_none_and_never_for_all() {
        let before = ["a".to_owned(), "b".to_owned()];
        let policy =
            |affinity: Value| json!({"spec": {"placement": {"clusterAffinity": affinity}}});
        assert_eq!(named(&policy(name_clusters(&before, &[&before[1]]))), ["b"]);
        let none = name_clusters(&before, &[]);
        assert_eq!(none["clusterNames"], json!(before), "an empty list would be every cluster");
        assert_eq!(named(&policy(none)), Vec::<String>::new());
    }
}
