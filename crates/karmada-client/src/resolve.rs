//! From an object to its URL. Which plural a kind has is asked once per API version; a path is
//! made only of names that were checked, so that no name can lead to another path.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroupList;
use serde::Deserialize;
use training::manifest::ObjectRef;
use training::ports::ControlError;

use crate::KarmadaClient;
use crate::call::Caller;
use crate::error::{CallError, kind_of};

/// Group whose objects are never propagated themselves.
pub(crate) const POLICY_GROUP: &str = "policy.karmada.io/";

/// Plurals by kind, of every API version that was asked for.
pub(crate) type Plurals = Mutex<HashMap<String, HashMap<String, String>>>;

#[derive(Deserialize)]
struct ResourceList {
    #[serde(default)]
    resources: Vec<ResourceKind>,
}

#[derive(Deserialize)]
struct ResourceKind {
    name: String,
    kind: String,
}

impl KarmadaClient {
    /// The path of the collection that `object` is in: `/apis/ray.io/v1/namespaces/team/rayjobs`.
    pub(crate) async fn collection(&self, object: &ObjectRef) -> Result<String, ControlError> {
        for name in [&object.namespace, &object.name] {
            check(object, name)?;
        }
        let root = root(object)?;
        let plural = self.plural(object, &root).await?;
        Ok(format!("{root}/namespaces/{}/{plural}", object.namespace))
    }

    /// The path of all objects of the kind of `object`, in every namespace.
    pub(crate) async fn everywhere(&self, object: &ObjectRef) -> Result<String, ControlError> {
        let root = root(object)?;
        let plural = self.plural(object, &root).await?;
        Ok(format!("{root}/{plural}"))
    }

    async fn plural(&self, object: &ObjectRef, root: &str) -> Result<String, ControlError> {
        match self.known_plural(object) {
            Some(plural) => Ok(plural),
            None => ask(&self.caller, &self.plurals, object, root).await,
        }
    }

    fn known_plural(&self, object: &ObjectRef) -> Option<String> {
        let plurals = self.plurals.lock().unwrap_or_else(PoisonError::into_inner);
        plurals.get(&object.api_version)?.get(&object.kind).cloned()
    }

    /// Forgets an API version whose paths turned out not to exist: its definition was removed.
    pub(crate) fn forget_plurals(&self, api_version: &str) {
        self.plurals.lock().unwrap_or_else(PoisonError::into_inner).remove(api_version);
    }
}

async fn ask(
    caller: &Caller,
    plurals: &Plurals,
    object: &ObjectRef,
    root: &str,
) -> Result<String, ControlError> {
    let request = http::Request::get(root).body(Vec::new());
    let request = request.map_err(kube::core::request::Error::BuildRequest);
    let missing = || ControlError::Missing { what: kind_of(object) };
    let list: ResourceList = match caller.request(request).await {
        Ok(list) => list,
        Err(error) if error.answer().is_some_and(|answer| answer.code() == 404) => {
            // The API server, or something in front of it that knows no path at all. That a kind
            // is missing proves that its objects are gone, so it has to be the former.
            return Err(match is_served(caller, object).await {
                Ok(false) => missing(),
                Ok(true) => error.unavailable(&format!("find the kind of {object}")),
                Err(error) => error.unavailable(&format!("find the kind of {object}")),
            });
        }
        Err(error) => return Err(error.control("find the kind of", object)),
    };
    // Subresources have the kind of what they belong to, and a slash in their name.
    let by_kind: HashMap<String, String> = list
        .resources
        .into_iter()
        .filter(|resource| is_segment(&resource.name))
        .map(|resource| (resource.kind, resource.name))
        .collect();
    let plural = by_kind.get(&object.kind).cloned();
    plurals
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(object.api_version.clone(), by_kind);
    plural.ok_or_else(missing)
}

/// Whether the list of all groups has the API version of an object. The core group is not in it,
/// and is always served.
async fn is_served(caller: &Caller, object: &ObjectRef) -> Result<bool, CallError> {
    if !object.api_version.contains('/') {
        return Ok(true);
    }
    let request = http::Request::get("/apis").body(Vec::new());
    let request = request.map_err(kube::core::request::Error::BuildRequest);
    let list: APIGroupList = caller.request(request).await?;
    let mut versions = list.groups.iter().flat_map(|group| &group.versions);
    Ok(versions.any(|version| version.group_version == object.api_version))
}

/// `/api/v1`, `/apis/ray.io/v1`.
fn root(object: &ObjectRef) -> Result<String, ControlError> {
    match object.api_version.split_once('/') {
        None => {
            check(object, &object.api_version)?;
            Ok(format!("/api/{}", object.api_version))
        }
        Some((group, version)) => {
            check(object, group)?;
            check(object, version)?;
            Ok(format!("/apis/{group}/{version}"))
        }
    }
}

fn check(object: &ObjectRef, name: &str) -> Result<(), ControlError> {
    if is_segment(name) {
        return Ok(());
    }
    Err(ControlError::Refused {
        object: object.clone(),
        message: format!("`{}` cannot be part of an address", name.escape_debug()),
    })
}

/// Whether the text is a DNS subdomain: it starts with a letter or digit, so it is never `..`.
pub(crate) fn is_segment(text: &str) -> bool {
    text.len() <= 253
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::is_segment;

    #[test]
    fn only_names_become_segments() {
        for good in ["a", "ray.io", "v1", "0-a"] {
            assert!(is_segment(good), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "A", "a b", "a%2f", "a?b", "a#", "é", "-a"] {
            assert!(!is_segment(bad), "{bad}");
        }
    }
}
