//! What an API server says about itself: health, version, groups and resources, also in the
//! aggregated form.

use axum::response::Response;
use http::Method;
use serde_json::{Value, json};

use super::{
    Shared, render,
    request::{Call, Place},
};
use crate::json::Tree as _;
use crate::objects::{Api, Res, Resource, resources};

/// Answers paths that are about the server, `None` for paths that are about objects.
pub(crate) fn answer(shared: &Shared, call: &Call, place: &Place) -> Option<Response> {
    if call.method != Method::GET && call.method != Method::HEAD {
        return None;
    }
    let path = place.rest.trim_end_matches('/');
    if matches!(path, "/readyz" | "/livez" | "/healthz") {
        return Some(render::plain(200, "ok"));
    }
    let world = shared.world();
    let api = world.api(place.cluster.as_deref())?;
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let aggregated = call.header("accept").contains("as=APIGroupDiscoveryList");
    let body = match parts.as_slice() {
        [] => json!({ "paths": ["/api", "/api/v1", "/apis", "/healthz", "/readyz", "/version"] }),
        ["version"] => {
            let version = place
                .cluster
                .as_ref()
                .and_then(|name| world.members.get(name))
                .map_or("v1.36.0", |member| member.config.kubernetes_version.as_str());
            version_info(version)
        }
        ["api"] if aggregated => aggregated_list(api, true),
        ["apis"] if aggregated => aggregated_list(api, false),
        ["api"] => json!({
            "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [],
        }),
        ["apis"] => {
            let groups: Vec<Value> = groups(api).into_iter().map(|name| group(api, name)).collect();
            json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
        }
        ["api", "v1"] => resource_list(api, "", "v1")?,
        ["apis", name] if groups(api).contains(name) => {
            let mut body = group(api, name);
            crate::json::set(&mut body, &["kind"], "APIGroup");
            crate::json::set(&mut body, &["apiVersion"], "v1");
            body
        }
        ["apis", group, version] => resource_list(api, group, version)?,
        _ => return None,
    };
    let mut response = render::json(200, &body);
    if aggregated && body.at(&["kind"]) == "APIGroupDiscoveryList" {
        response.headers_mut().insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static(
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            ),
        );
    }
    Some(response)
}

fn version_info(version: &str) -> Value {
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or("1"), numbers.next().unwrap_or("0"));
    json!({
        "major": major, "minor": minor, "gitVersion": version, "gitCommit": "", "gitTreeState":
        "clean", "buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.25", "compiler": "gc",
        "platform": "linux/amd64",
    })
}

fn served(api: &Api) -> impl Iterator<Item = Res> + '_ {
    resources::ALL.iter().copied().filter(|res| api.serves(res))
}

fn groups(api: &Api) -> Vec<&'static str> {
    let mut names: Vec<_> = served(api).map(|res| res.group).filter(|g| !g.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn versions(api: &Api, group: &str) -> Vec<&'static str> {
    let mut names: Vec<_> =
        served(api).filter(|res| res.group == group).map(|res| res.version).collect();
    // The newest first; `v1alpha2` sorts after `v1alpha1`.
    names.sort_unstable();
    names.dedup();
    names.reverse();
    names
}

fn group(api: &Api, name: &str) -> Value {
    let versions: Vec<Value> = versions(api, name)
        .into_iter()
        .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect();
    let preferred = versions.first().cloned();
    json!({ "name": name, "versions": versions, "preferredVersion": preferred })
}

const VERBS: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

fn resource_list(api: &Api, group: &str, version: &str) -> Option<Value> {
    let mut entries = Vec::new();
    for res in served(api).filter(|res| res.group == group && res.version == version) {
        entries.push(json!({
            "name": res.plural, "singularName": res.singular(), "namespaced": res.namespaced,
            "kind": res.kind, "verbs": VERBS, "shortNames": res.short,
        }));
        for (name, kind, verbs) in subresources(res) {
            entries.push(json!({
                "name": format!("{}/{name}", res.plural), "singularName": "",
                "namespaced": res.namespaced, "kind": kind, "verbs": verbs,
            }));
        }
    }
    let group_version =
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    (!entries.is_empty()).then(|| {
        json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version,
            "resources": entries,
        })
    })
}

fn subresources(res: &Resource) -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    let mut found = Vec::new();
    if res.status {
        found.push(("status", res.kind, vec!["get", "patch", "update"]));
    }
    if *res == resources::POD {
        found.push(("log", "Pod", vec!["get"]));
    }
    if *res == resources::CLUSTER {
        found.push(("proxy", "Cluster", vec!["create", "delete", "get", "patch", "update"]));
    }
    found
}

fn aggregated_list(api: &Api, core: bool) -> Value {
    let names = if core { vec![""] } else { groups(api) };
    let items: Vec<Value> = names
        .into_iter()
        .map(|name| {
            let versions: Vec<Value> = versions(api, name)
                .into_iter()
                .map(|version| aggregated_version(api, name, version))
                .collect();
            let metadata = if core { json!({}) } else { json!({ "name": name }) };
            json!({ "metadata": metadata, "versions": versions })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
        "items": items,
    })
}

fn aggregated_version(api: &Api, group: &str, version: &str) -> Value {
    let resources: Vec<Value> = served(api)
        .filter(|res| res.group == group && res.version == version)
        .map(|res| {
            let kind = |kind: &str| json!({"group": group, "version": version, "kind": kind});
            let inner: Vec<Value> = subresources(res)
                .into_iter()
                .map(|(name, of, verbs)| {
                    json!({"subresource": name, "responseKind": kind(of), "verbs": verbs})
                })
                .collect();
            json!({
                "resource": res.plural, "responseKind": kind(res.kind),
                "scope": if res.namespaced { "Namespaced" } else { "Cluster" },
                "singularResource": res.singular(), "verbs": VERBS, "shortNames": res.short,
                "subresources": inner,
            })
        })
        .collect();
    json!({ "version": version, "resources": resources, "freshness": "Current" })
}
