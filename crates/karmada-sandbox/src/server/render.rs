//! Writes answers: JSON, the table form kubectl asks for, the metadata-only form, and errors.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::json::Tree as _;
use crate::{
    clock,
    json::{self as js, list as items_at, meta, text},
    objects::Resource,
    status::ApiError,
};

/// How the client wants objects written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Full,
    /// With the time ages are counted from.
    Table(Timestamp),
    Metadata,
}

impl Shape {
    pub(crate) fn of(accept: &str, now: Timestamp) -> Self {
        for part in accept.split(',').map(str::trim) {
            if part.contains("as=Table") && part.contains("v=v1;") {
                return Self::Table(now);
            }
            if part.contains("as=PartialObjectMetadata") {
                return Self::Metadata;
            }
            if part.starts_with("application/json") {
                return Self::Full;
            }
        }
        Self::Full
    }

    /// The other form of one object; `None` keeps it as it is.
    pub(crate) fn reshape(self, res: &Resource, object: &Value) -> Option<Value> {
        match self {
            Self::Full => None,
            Self::Metadata => Some(partial(object)),
            Self::Table(now) => Some(table(res, json!({}), &[object], now)),
        }
    }
}

fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": object.at(&["metadata"]),
    })
}

pub(crate) fn json(code: u16, body: &Value) -> Response {
    respond(code, "application/json", serde_json::to_vec(body).unwrap_or_default())
}

pub(crate) fn object(code: u16, res: &Resource, object: &Value, shape: Shape) -> Response {
    match shape.reshape(res, object) {
        None => json(code, object),
        Some(reshaped) => json(code, &reshaped),
    }
}

pub(crate) fn list(
    res: &Resource,
    metadata: &Value,
    items: &[Arc<Value>],
    shape: Shape,
) -> Response {
    match shape {
        Shape::Table(now) => {
            let objects: Vec<&Value> = items.iter().map(AsRef::as_ref).collect();
            json(200, &table(res, metadata.clone(), &objects, now))
        }
        Shape::Metadata => json(
            200,
            &json!({
                "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "items": items.iter().map(|item| partial(item)).collect::<Vec<_>>(),
            }),
        ),
        Shape::Full => {
            // Written piece by piece: a list of ten thousand objects is not copied first.
            let mut out = format!(
                "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[",
                res.kind,
                res.api_version()
            )
            .into_bytes();
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                let _ = serde_json::to_writer(&mut out, item.as_ref());
            }
            out.extend_from_slice(b"]}");
            respond(200, "application/json", out)
        }
    }
}

pub(crate) fn error(error: &ApiError) -> Response {
    let mut response = match &error.body {
        Some(body) => json(error.code, body),
        None => plain(error.code, "404 page not found\n"),
    };
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

pub(crate) fn plain(code: u16, text: &str) -> Response {
    respond(code, "text/plain; charset=utf-8", text.as_bytes().to_vec())
}

pub(crate) fn stream(content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn respond(code: u16, content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = stream(content_type, Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

/// Columns of `kubectl get`, by kind: heading and JSON pointer.
fn columns(res: &Resource) -> &'static [(&'static str, &'static str)] {
    match res.plural {
        "namespaces" => &[("Status", "/status/phase")],
        "persistentvolumeclaims" => &[("Status", "/status/phase"), ("Volume", "/spec/volumeName")],
        "pods" => &[("Status", "/status/phase"), ("Node", "/spec/nodeName")],
        "rayjobs" => &[
            ("Job Status", "/status/jobStatus"),
            ("Deployment Status", "/status/jobDeploymentStatus"),
            ("Ray Cluster Name", "/status/rayClusterName"),
            ("Start Time", "/status/startTime"),
            ("End Time", "/status/endTime"),
        ],
        "rayclusters" => &[
            ("Desired Workers", "/status/desiredWorkerReplicas"),
            ("Available Workers", "/status/availableWorkerReplicas"),
            ("Status", "/status/state"),
        ],
        "jobs" => &[("Active", "/status/active"), ("Succeeded", "/status/succeeded")],
        "deployments" | "replicasets" => {
            &[("Ready", "/status/readyReplicas"), ("Desired", "/spec/replicas")]
        }
        "propagationpolicies" | "clusterpropagationpolicies" => {
            &[("Conflict-Resolution", "/spec/conflictResolution"), ("Priority", "/spec/priority")]
        }
        "resourcebindings" => &[("Scheduled", "Scheduled"), ("FullyApplied", "FullyApplied")],
        "works" => &[("Applied", "Applied")],
        "clusters" => &[
            ("Version", "/status/kubernetesVersion"),
            ("Mode", "/spec/syncMode"),
            ("Ready", "Ready"),
        ],
        "events" => &[("Type", "/type"), ("Reason", "/reason"), ("Message", "/message")],
        _ => &[],
    }
}

fn cell(object: &Value, source: &str) -> Value {
    if source.starts_with('/') {
        return match object.pointer(source) {
            Some(Value::Number(number)) => json!(number.to_string()),
            Some(value) if value.is_string() => value.clone(),
            _ => json!(""),
        };
    }
    let condition =
        items_at(object, "/status/conditions").iter().find(|one| one.at(&["type"]) == source);
    json!(condition.map_or("", |one| text(one, "/status")))
}

/// The way kubectl writes ages: two units while they are small, one later.
fn age(created: &str, now: Timestamp) -> String {
    let Ok(created) = created.parse::<Timestamp>() else { return "<unknown>".to_owned() };
    let seconds = clock::between(created, now).as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => format!("{}m{}s", seconds / 60, seconds % 60),
        600..10_800 => format!("{}m", seconds / 60),
        10_800..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn table(res: &Resource, metadata: Value, objects: &[&Value], now: Timestamp) -> Value {
    let column = |name: &str, format: &str| json!({"name": name, "type": "string", "format": format, "description": "", "priority": 0});
    let mut definitions = vec![column("Name", "name")];
    definitions.extend(columns(res).iter().map(|(name, _)| column(name, "")));
    definitions.push(column("Age", ""));
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let mut cells = vec![json!(meta(object, "name"))];
            cells.extend(columns(res).iter().map(|(_, source)| cell(object, source)));
            cells.push(json!(age(meta(object, "creationTimestamp"), now)));
            json!({ "cells": cells, "object": partial(object) })
        })
        .collect();
    let mut table = json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions, "rows": rows,
    });
    if let [object] = objects {
        let version = meta(object, "resourceVersion");
        js::object(&mut table, &["metadata"])
            .entry("resourceVersion")
            .or_insert_with(|| json!(version));
    }
    table
}
