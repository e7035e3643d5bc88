//! `GET /api/v1/proxy/clusters/{cluster}/resources`: what is on a member cluster, as far as the
//! operator lets it be seen. Reads only kinds on the allow-list, never a Secret, and hides what may
//! hold one.

use api_types::{ErrorCode, Problem, ResourcePage};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use training::ClusterName;
use training::inspect::{ReadableKind, hide};
use training::ports::ObjectQuery;

use crate::http::App;
use crate::http::extract::{PathText, Query, invalid_parameter};
use crate::http::problem::Failure;

/// Objects in one page unless the client says otherwise, and at most.
const USUAL_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 500;
/// Longest selector in bytes; it becomes part of an address.
const LONGEST_SELECTOR: usize = 2048;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Parameters {
    kind: Option<String>,
    /// The word of older clients.
    #[serde(rename = "type")]
    plural: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    label_selector: Option<String>,
    limit: Option<u32>,
    #[serde(rename = "continue")]
    after: Option<String>,
}

/// List objects of a member cluster
///
/// Only kinds that the operator allows; a Secret is never shown, whatever is allowed. Managed
/// fields are left out; values of environment variables and whatever else may hold a secret are
/// replaced by `(hidden)`.
#[utoipa::path(get, path = "/api/v1/proxy/clusters/{cluster}/resources", tag = "clusters",
    params(
        ("cluster" = String, Path, description = "The cluster's name"),
        ("kind" = Option<String>, Query, description = "A kind such as `Pod`, or its plural; `pods` if absent"),
        ("type" = Option<String>, Query, description = "The same, for older clients"),
        ("namespace" = Option<String>, Query, description = "`default` if absent"),
        ("name" = Option<String>, Query, description = "Only the object of this name"),
        ("labelSelector" = Option<String>, Query, description = "In Kubernetes' syntax"),
        ("limit" = Option<u32>, Query, description = "At most so many, 1 to 500; 100 if absent"),
        ("continue" = Option<String>, Query, description = "Opaque; where the last page ended"),
    ),
    responses(
        (status = 200, description = "A page of objects", body = ResourcePage),
        (status = 400, description = "A parameter cannot be used", body = Problem,
         content_type = "application/problem+json"),
        (status = 403, description = "The kind may not be read", body = Problem,
         content_type = "application/problem+json"),
        (status = 404, description = "Karmada has no such cluster, or the cluster not this kind",
         body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The cluster or Karmada does not answer", body = Problem,
         content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list_cluster_resources(
    State(app): State<App>,
    PathText(name): PathText,
    Query(parameters): Query<Parameters>,
) -> Result<Json<ResourcePage>, Failure> {
    let kind = readable(&app, &parameters)?;
    let query = query(kind, &parameters)?;
    let cluster = registered(&app, &name).await?;
    let page = app.members.list(&cluster, &query).await.map_err(Failure::member)?;
    let mut resources = page.items;
    for object in &mut resources {
        name_kind(object, kind);
        hide(object);
    }
    Ok(Json(ResourcePage {
        cluster: cluster.to_string(),
        namespace: query.namespace.unwrap_or_default(),
        plural: kind.plural.clone(),
        kind: kind.kind.clone(),
        count: resources.len(),
        resources,
        next: page.next,
        remaining: page.more,
    }))
}

/// Only clusters that Karmada knows are asked: no name a client makes up leads anywhere.
async fn registered(app: &App, name: &str) -> Result<ClusterName, Failure> {
    let clusters = app.control.clusters().await.map_err(Failure::control_plane)?;
    let found = clusters.into_iter().map(|cluster| cluster.name).find(|own| own.as_str() == name);
    found.ok_or_else(|| Failure::no_cluster(name))
}

fn readable<'a>(app: &'a App, parameters: &Parameters) -> Result<&'a ReadableKind, Failure> {
    let asked = [&parameters.kind, &parameters.plural];
    let mut asked = asked.into_iter().filter_map(|text| text.as_deref());
    let asked = asked.find(|text| !text.is_empty()).unwrap_or("pods");
    let readable = &app.inspection.readable;
    readable.find(asked).ok_or_else(|| {
        let kinds: Vec<&str> = readable.kinds().iter().map(|kind| kind.kind.as_str()).collect();
        let kinds = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
        Failure::refusal(
            ErrorCode::KindNotReadable,
            format!("This kind may not be read. What may be read: {kinds}."),
        )
    })
}

fn query(kind: &ReadableKind, parameters: &Parameters) -> Result<ObjectQuery, Failure> {
    let limit = parameters.limit.unwrap_or(USUAL_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(invalid_parameter(format!("`limit` must be 1 to {MAX_LIMIT}.")));
    }
    let namespace = parameters.namespace.clone().filter(|namespace| !namespace.is_empty());
    let namespace = namespace.unwrap_or_else(|| "default".to_owned());
    let name = parameters.name.clone().unwrap_or_default();
    for (parameter, text) in [("namespace", &namespace), ("name", &name)] {
        if !text.is_empty() && !is_name(text) {
            return Err(invalid_parameter(format!("`{parameter}` is not a name in Kubernetes.")));
        }
    }
    let labels = parameters.label_selector.clone().unwrap_or_default();
    let after = parameters.after.clone().filter(|after| !after.is_empty());
    for (parameter, text) in [("labelSelector", Some(&labels)), ("continue", after.as_ref())] {
        if text.is_some_and(|text| text.len() > LONGEST_SELECTOR) {
            return Err(invalid_parameter(format!("`{parameter}` is too long.")));
        }
    }
    Ok(ObjectQuery {
        api_version: kind.api_version.clone(),
        plural: kind.plural.clone(),
        namespace: kind.namespaced.then_some(namespace),
        labels,
        fields: if name.is_empty() { name } else { format!("metadata.name={name}") },
        limit,
        after,
    })
}

/// A DNS subdomain: nothing in it has a meaning in a selector or an address.
fn is_name(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    text.len() <= 253
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.bytes().all(inner)
}

/// Items of a list do not say what they are; older clients were told all the same.
fn name_kind(object: &mut serde_json::Value, kind: &ReadableKind) {
    let Some(members) = object.as_object_mut() else { return };
    let known = kind.kind != kind.plural;
    if !members.contains_key("kind") && known {
        members.shift_insert(0, "kind".to_owned(), kind.kind.clone().into());
    }
    if !members.contains_key("apiVersion") {
        members.shift_insert(0, "apiVersion".to_owned(), kind.api_version.clone().into());
    }
}
