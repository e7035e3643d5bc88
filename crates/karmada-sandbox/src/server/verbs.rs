//! The verbs that answer at once: get, list, create, update, patch, delete, deletecollection.

use std::sync::Arc;

use axum::response::Response;
use http::Method;
use serde_json::{Value, json};

use super::{
    Shared,
    render::{self, Shape},
    request::{Call, Target},
};
use crate::{
    json::{self as js, meta},
    objects::{
        Api, Key,
        delete::{Delete, Deleted},
        list::ListRequest,
        resources::NAMESPACE,
        write::{PatchKind, Write},
    },
    status::{ApiError, ApiResult},
};

/// What a verb answers with.
enum Answer {
    Object(u16, Arc<Value>),
    List(Value, Vec<Arc<Value>>),
    Plain(u16, Value),
}

/// Answers, with the status code and the uid of the object for the audit log.
pub(crate) fn answer(shared: &Shared, call: &Call, target: &Target) -> (Response, u16, String) {
    let mut world = shared.world();
    let result = match world.api_mut(target.cluster.as_deref()) {
        Some(api) => run(api, call, target),
        None => Err(ApiError::no_such_path()),
    };
    let shape = Shape::of(call.header("accept"), world.now);
    drop(world);
    match result {
        Ok(Answer::Object(code, object)) => {
            let uid = meta(&object, "uid").to_owned();
            (render::object(code, target.res(), &object, shape), code, uid)
        }
        Ok(Answer::List(metadata, items)) => {
            (render::list(target.res(), &metadata, &items, shape), 200, String::new())
        }
        Ok(Answer::Plain(code, body)) => {
            let uid = js::text(&body, "/details/uid").to_owned();
            (render::json(code, &body), code, uid)
        }
        Err(error) => (render::error(&error), error.code, String::new()),
    }
}

fn run(api: &mut Api, call: &Call, target: &Target) -> ApiResult<Answer> {
    let key = &target.key;
    if key.res.namespaced && key.namespace.is_empty() && call.method != Method::GET {
        return Err(ApiError::method_not_allowed());
    }
    let manager = call.manager();
    let write = Write {
        manager: &manager,
        force: call.flag("force"),
        dry_run: call.query("dryRun") == "All",
        status: target.subresource == "status",
    };
    match (&call.method, target.is_collection()) {
        (&Method::GET, true) => list(api, call, target),
        (&Method::GET | &Method::HEAD, false) => api
            .get(key)
            .cloned()
            .map(|object| Answer::Object(200, object))
            .ok_or_else(|| ApiError::not_found(key.res, &key.name)),
        (&Method::POST, true) if call.header("content-type").contains("protobuf") => {
            Err(ApiError::unsupported_media("application/json"))
        }
        (&Method::POST, true) => {
            let body = call.json()?;
            api.create(key.res, &key.namespace, body, &write)
                .map(|object| Answer::Object(201, object))
        }
        (&Method::POST, false) if target.subresource == "binding" => Ok(Answer::Plain(
            201,
            json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}),
        )),
        (&Method::PUT, false) if target.subresource == "finalize" => {
            let body = call.json()?;
            if js::list(&body, "/spec/finalizers").is_empty() {
                api.edit(key, |namespace| js::set(namespace, &["spec", "finalizers"], json!([])));
            }
            Ok(Answer::Object(200, Arc::new(body)))
        }
        (&Method::PUT, false) => {
            api.replace(key, call.json()?, &write).map(|object| Answer::Object(200, object))
        }
        (&Method::PATCH, false) => {
            let (kind, write) = patch_kind(call, write)?;
            let (object, created) = api.patch(key, kind, call.json()?, &write)?;
            Ok(Answer::Object(if created { 201 } else { 200 }, object))
        }
        (&Method::DELETE, false) => {
            let options = delete_options(call)?;
            Ok(deleted(key, api.delete(key, &options)?))
        }
        (&Method::DELETE, true) if *key.res != NAMESPACE => {
            let options = delete_options(call)?;
            let request = list_request(call, target)?;
            let page = api.list(key.res, &request)?;
            for object in &page.items {
                let _ = api.delete(&Key::of(key.res, object), &options);
            }
            Ok(Answer::List(page.metadata(), page.items))
        }
        _ => Err(ApiError::method_not_allowed()),
    }
}

fn patch_kind<'a>(call: &Call, write: Write<'a>) -> ApiResult<(PatchKind, Write<'a>)> {
    let format = call.header("content-type").split(';').next().unwrap_or_default().trim();
    match format {
        "application/json-patch+json" => Ok((PatchKind::Json, write)),
        "application/merge-patch+json" => Ok((PatchKind::Merge, write)),
        "application/strategic-merge-patch+json" => Ok((PatchKind::Strategic, write)),
        "application/apply-patch+yaml" | "application/apply-patch+json" => {
            let manager = if call.query("fieldManager").is_empty() { "" } else { write.manager };
            Ok((PatchKind::Apply, Write { manager, ..write }))
        }
        _ => Err(ApiError::unsupported_media(
            "application/json-patch+json, application/merge-patch+json, \
             application/apply-patch+yaml",
        )),
    }
}

fn list_request<'a>(call: &'a Call, target: &'a Target) -> ApiResult<ListRequest<'a>> {
    Ok(ListRequest {
        namespace: &target.key.namespace,
        selector: call.selector(target.res())?,
        limit: call.query("limit").parse().unwrap_or_default(),
        continue_token: call.query("continue"),
    })
}

fn list(api: &Api, call: &Call, target: &Target) -> ApiResult<Answer> {
    let wanted = call.query("resourceVersion");
    if !wanted.is_empty() {
        let wanted: u64 = wanted.parse().map_err(|_| {
            ApiError::bad_request(format!("Invalid value: \"{wanted}\": must be a number"))
        })?;
        if wanted > api.revision() {
            let mut error = ApiError::new(
                504,
                "Timeout",
                format!("Too large resource version: {wanted}, current: {}", api.revision()),
            );
            if let Some(body) = &mut error.body {
                let causes = json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]);
                js::set(body, &["details"], json!({"causes": causes, "retryAfterSeconds": 1}));
            }
            error.retry_after = Some(1);
            return Err(error);
        }
        let exact = call.query("resourceVersionMatch") == "Exact" && wanted != 0;
        if exact && api.events_after(wanted).is_none() {
            return Err(ApiError::expired(format!(
                "The resourceVersion for the provided list is too old: {wanted}"
            )));
        }
    }
    let page = api.list(target.res(), &list_request(call, target)?)?;
    Ok(Answer::List(page.metadata(), page.items))
}

fn delete_options(call: &Call) -> ApiResult<Delete> {
    let body = call.options()?;
    let string = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let policy = string("/propagationPolicy")
        .or_else(|| Some(call.query("propagationPolicy").to_owned()).filter(|one| !one.is_empty()));
    let grace_seconds = js::int(&body, "/gracePeriodSeconds")
        .or_else(|| call.query("gracePeriodSeconds").parse().ok());
    Ok(Delete {
        uid: string("/preconditions/uid"),
        resource_version: string("/preconditions/resourceVersion"),
        policy,
        grace_seconds,
        dry_run: call.query("dryRun") == "All" || !js::list(&body, "/dryRun").is_empty(),
    })
}

fn deleted(key: &Key, outcome: Deleted) -> Answer {
    match outcome {
        Deleted::Terminating(object) => Answer::Object(200, object),
        // The real server answers a pod's deletion with the pod.
        Deleted::Gone(last) if key.res.plural == "pods" => Answer::Object(200, last),
        Deleted::Gone(last) => {
            let mut details = json!({ "name": key.name });
            if !key.res.group.is_empty() {
                js::set(&mut details, &["group"], key.res.group);
            }
            js::set(&mut details, &["kind"], key.res.plural);
            js::set(&mut details, &["uid"], meta(&last, "uid"));
            Answer::Plain(
                200,
                json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {},
                    "status": "Success", "details": details,
                }),
            )
        }
    }
}
