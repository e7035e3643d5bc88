//! The private API under `/sandbox/v1/`: time, audit and faults over HTTP. The table of requests
//! is in the crate's documentation.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use http::{Method, Request};
use serde_json::{Value, json};

use super::{BODY_LIMIT, Shared, render};
use crate::json::Tree as _;
use crate::{
    TimeMode,
    faults::Matcher,
    json::{flag, int, text},
    sandbox,
    status::ApiError,
};

pub(crate) async fn answer(shared: &Arc<Shared>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, BODY_LIMIT).await.unwrap_or_default();
    let body: Value = if bytes.is_empty() {
        Value::Null
    } else {
        match serde_json::from_slice(&bytes) {
            Ok(body) => body,
            Err(error) => return render::error(&ApiError::bad_request(error.to_string())),
        }
    };
    let path = parts.uri.path().strip_prefix("/sandbox/v1/").unwrap_or_default();
    match run(shared, &parts.method, path, &body).await {
        Some(answer) => render::json(200, &answer),
        None => render::error(&ApiError::bad_request(
            "no such request; see `karmada-sandbox --help` for the list",
        )),
    }
}

async fn run(shared: &Arc<Shared>, method: &Method, path: &str, body: &Value) -> Option<Value> {
    let post = *method == Method::POST;
    match path {
        "time" => {}
        "step" if post => {
            let seconds = body.at(&["seconds"]).as_f64()?;
            sandbox::step(shared, Duration::try_from_secs_f64(seconds).ok()?).await;
        }
        "settle" if post => sandbox::step(shared, Duration::ZERO).await,
        "audit" if *method == Method::DELETE => shared.audit().clear(),
        "audit" => return serde_json::to_value(shared.audit().entries()).ok(),
        "counts" => return serde_json::to_value(shared.audit().counts()).ok(),
        "delete-member-object" if post => {
            let at = |field: &str| text(body, field);
            let deleted = sandbox::delete_member_object(
                shared,
                at("/cluster"),
                at("/apiVersion"),
                at("/kind"),
                at("/namespace"),
                at("/name"),
            );
            shared.wake.notify_one();
            return Some(json!({ "deleted": deleted }));
        }
        _ if post => fault(shared, path.strip_prefix("faults/")?, body)?,
        _ => return None,
    }
    let mode = if matches!(shared.mode, TimeMode::Auto { .. }) { "auto" } else { "stepped" };
    Some(json!({ "now": shared.world().now.to_string(), "mode": mode }))
}

fn fault(shared: &Shared, name: &str, body: &Value) -> Option<()> {
    let faults = &shared.faults;
    let matcher = || body.at(&["match"]).as_str().map_or_else(Matcher::any, Matcher::from);
    let small = |field: &str| int(body, field).and_then(|number| u32::try_from(number).ok());
    let cluster = body.at(&["cluster"]).as_str();
    match name {
        "fail" => {
            let status =
                u16::try_from(small("/status")?).ok().filter(|s| (400..600).contains(s))?;
            let times = small("/times").unwrap_or(1);
            match small("/percent") {
                Some(share) => {
                    faults.fail_share(matcher(), status, u8::try_from(share.min(100)).ok()?);
                }
                None if flag(body, "/after") => faults.fail_after_next(matcher(), status, times),
                None => faults.fail_next(matcher(), status, times),
            }
        }
        "latency" => {
            faults.latency(matcher(), Duration::from_millis(small("/milliseconds")?.into()));
        }
        "hang" => faults.hang(matcher()),
        "clear" => faults.clear(),
        "drop-watches" => faults.drop_watches(),
        "expire-watches" => faults.expire_watches(),
        "member-down" => faults.member_down(cluster?),
        "member-up" => faults.member_up(cluster?),
        "operators-down" => faults.operators_down(cluster?),
        "operators-up" => faults.operators_up(cluster?),
        "remove-crds" => faults.remove_crds(cluster, body.at(&["group"]).as_str()?),
        "install-crds" => faults.install_crds(cluster, body.at(&["group"]).as_str()?),
        "annotate" => faults.annotate(
            cluster,
            body.at(&["kind"]).as_str()?,
            body.at(&["name"]).as_str()?,
            body.at(&["key"]).as_str()?,
            body.at(&["value"]).as_str()?,
        ),
        "refuse" => {
            faults.refuse(cluster, body.at(&["resource"]).as_str()?, body.at(&["why"]).as_str()?);
        }
        "webhook" => faults.webhook_down(body.at(&["down"]).as_bool()?),
        "aggregated" => faults.aggregated_apiserver_down(body.at(&["down"]).as_bool()?),
        _ => return None,
    }
    Some(())
}
