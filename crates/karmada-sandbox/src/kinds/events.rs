//! Events on objects, repeated ones counted, as `kubectl describe` shows them.

use serde_json::{Value, json};

use crate::json::Tree as _;
use crate::{
    clock,
    json::{self as js, int, meta},
    objects::{Api, Key, resources::EVENT},
};

/// Events expire after an hour in a real cluster; here the oldest give way.
const KEPT: usize = 4096;

pub(crate) fn emit(
    api: &mut Api,
    object: &Value,
    component: &str,
    kind: &str,
    reason: &str,
    message: &str,
) {
    let namespace = match meta(object, "namespace") {
        "" => "default".to_owned(),
        namespace => namespace.to_owned(),
    };
    let hash = clock::fnv64(&format!("{}{reason}{message}", meta(object, "uid")));
    let name = format!("{}.{hash:016x}", meta(object, "name"));
    let key = Key::new(&EVENT, &namespace, &name);
    let now = clock::stamp(api.now);
    if api.get(&key).is_some() {
        api.edit(&key, |event| {
            let count = int(event, "/count").unwrap_or(1) + 1;
            js::set(event, &["count"], count);
            js::set(event, &["lastTimestamp"], now.as_str());
        });
        return;
    }
    let event = json!({
        "metadata": { "name": name },
        "involvedObject": {
            "apiVersion": object.at(&["apiVersion"]), "kind": object.at(&["kind"]), "namespace": namespace,
            "name": meta(object, "name"), "uid": meta(object, "uid"),
            "resourceVersion": meta(object, "resourceVersion"),
        },
        "type": kind, "reason": reason, "message": message, "count": 1,
        "firstTimestamp": now, "lastTimestamp": now, "eventTime": clock::micro_stamp(api.now),
        "source": { "component": component }, "reportingComponent": component,
        "reportingInstance": "",
    });
    if api.ensure(&EVENT, &namespace, event) {
        api.kept_events.push_back(key);
        while api.kept_events.len() > KEPT {
            let Some(oldest) = api.kept_events.pop_front() else { break };
            api.discard(&oldest);
        }
    }
}
