//! What stands between a write and the store: names and labels every API server checks, defaults
//! of built-in kinds, and Karmada's webhook for propagation policies. Called by `objects::write`.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::json::Tree as _;
use crate::{
    clock::{self, Ids},
    json::{self as js, label, list, meta, text},
    objects::{
        Key, Res,
        resources::{CLUSTER_POLICY, POLICY},
        selectors::label_selector_matches,
    },
    status::{ApiError, ApiResult},
};

/// Label key Karmada puts on a policy and on everything the policy claims.
pub(crate) const POLICY_ID: &str = "propagationpolicy.karmada.io/permanent-id";
/// The same for cluster-wide policies.
pub(crate) const CLUSTER_POLICY_ID: &str = "clusterpropagationpolicy.karmada.io/permanent-id";
pub(crate) const POLICY_FINALIZER: &str = "karmada.io/propagation-policy-controller";
pub(crate) const CLUSTER_POLICY_FINALIZER: &str =
    "karmada.io/cluster-propagation-policy-controller";

/// The label that carries a policy's permanent identity, by its kind.
pub(crate) fn policy_label(res: Res) -> &'static str {
    if res.namespaced { POLICY_ID } else { CLUSTER_POLICY_ID }
}

/// Names, label keys and label values.
pub(crate) fn check_metadata(res: Res, object: &Value) -> ApiResult<()> {
    let name = meta(object, "name");
    let limit = match res.plural {
        "namespaces" | "services" => 63,
        _ => 253,
    };
    let dots = limit == 253;
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let valid = name.starts_with(inner)
        && name.ends_with(inner)
        && name.chars().all(|c| inner(c) || c == '-' || (dots && c == '.'));
    if !valid && res.plural != "events" {
        let why = format!(
            "Invalid value: \"{name}\": a lowercase RFC 1123 subdomain must consist of lower case \
             alphanumeric characters, '-' or '.', and must start and end with an alphanumeric \
             character (e.g. 'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        );
        return Err(ApiError::invalid(res, name, "metadata.name", &why));
    }
    if name.len() > limit {
        let why = format!("Invalid value: \"{name}\": must be no more than {limit} characters");
        return Err(ApiError::invalid(res, name, "metadata.name", &why));
    }
    for (key, value) in object.at(&["metadata", "labels"]).as_object().into_iter().flatten() {
        let Some(value) = value.as_str() else {
            return Err(ApiError::bad_request(format!(
                "{} in version \"{}\" cannot be handled as a {}: json: cannot unmarshal into Go \
                 struct field ObjectMeta.metadata.labels of type string",
                res.kind, res.version, res.kind
            )));
        };
        let short = key.rsplit_once('/').map_or(key.as_str(), |(_, short)| short);
        if !is_label_value(short) || short.is_empty() {
            let why = format!(
                "Invalid value: \"{key}\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
            );
            return Err(ApiError::invalid(res, name, "metadata.labels", &why));
        }
        if value.len() > 63 {
            let why = format!("Invalid value: \"{value}\": must be no more than 63 characters");
            return Err(ApiError::invalid(res, name, "metadata.labels", &why));
        }
        if !is_label_value(value) {
            let why = format!(
                "Invalid value: \"{value}\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
            );
            return Err(ApiError::invalid(res, name, "metadata.labels", &why));
        }
    }
    Ok(())
}

/// A controller of pods must choose those that it makes.
pub(crate) fn check_selector(res: Res, object: &Value) -> ApiResult<()> {
    if !matches!(res.plural, "deployments" | "replicasets") {
        return Ok(());
    }
    let selector = object.at(&["spec", "selector"]);
    let labels = object.at(&["spec", "template", "metadata", "labels"]);
    let is_empty = ["matchLabels", "matchExpressions"]
        .iter()
        .all(|part| selector.get(part).is_none_or(|part| part == &json!({}) || part == &json!([])));
    let (field, why) = if is_empty {
        ("spec.selector", "Required value".to_owned())
    } else if label_selector_matches(selector, labels) {
        return Ok(());
    } else {
        let why = format!("Invalid value: {labels}: `selector` does not match template `labels`");
        ("spec.template.metadata.labels", why)
    };
    Err(ApiError::invalid(res, meta(object, "name"), field, &why))
}

fn is_label_value(value: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    value.is_empty()
        || (value.len() <= 63
            && value.starts_with(edge)
            && value.ends_with(edge)
            && value.chars().all(|c| edge(c) || matches!(c, '-' | '_' | '.')))
}

/// Defaults of built-in kinds that clients look at.
pub(crate) fn default_fields(res: Res, object: &mut Value, uid: &str, now: Timestamp) {
    normalise(res, object);
    match res.plural {
        "namespaces" => {
            let name = meta(object, "name").to_owned();
            js::set(object, &["metadata", "labels", "kubernetes.io/metadata.name"], name);
            js::set(object, &["spec"], json!({ "finalizers": ["kubernetes"] }));
            js::set(object, &["status"], json!({ "phase": "Active" }));
        }
        "secrets" if text(object, "/type").is_empty() => js::set(object, &["type"], "Opaque"),
        "persistentvolumeclaims" => {
            js::add_finalizer(object, "kubernetes.io/pvc-protection");
            set_default(object, &["spec", "volumeMode"], json!("Filesystem"));
            js::set(object, &["status"], json!({ "phase": "Pending" }));
        }
        "pods" => {
            set_default(object, &["spec", "restartPolicy"], json!("Always"));
            set_default(object, &["spec", "terminationGracePeriodSeconds"], json!(30));
            set_default(object, &["spec", "schedulerName"], json!("default-scheduler"));
            js::set(object, &["status"], json!({ "phase": "Pending", "qosClass": "Burstable" }));
        }
        "jobs" => {
            set_default(object, &["spec", "parallelism"], json!(1));
            set_default(object, &["spec", "backoffLimit"], json!(6));
            set_default(object, &["spec", "completionMode"], json!("NonIndexed"));
            set_default(object, &["spec", "suspend"], json!(false));
            if object.at(&["spec"]).get("selector").is_none() {
                let label = "batch.kubernetes.io/controller-uid";
                js::set(object, &["spec", "selector"], json!({ "matchLabels": { label: uid } }));
                js::set(object, &["spec", "template", "metadata", "labels", label], uid);
            }
        }
        "deployments" => {
            set_default(object, &["spec", "replicas"], json!(1));
            set_default(object, &["spec", "revisionHistoryLimit"], json!(10));
            set_default(object, &["spec", "progressDeadlineSeconds"], json!(600));
            set_default(object, &["spec", "strategy", "type"], json!("RollingUpdate"));
            if text(object, "/spec/strategy/type") == "RollingUpdate" {
                for bound in ["maxSurge", "maxUnavailable"] {
                    let path = ["spec", "strategy", "rollingUpdate", bound];
                    set_default(object, &path, json!("25%"));
                }
            }
        }
        "replicasets" => set_default(object, &["spec", "replicas"], json!(1)),
        "services" => {
            set_default(object, &["spec", "type"], json!("ClusterIP"));
            set_default(object, &["spec", "clusterIP"], json!("10.96.0.10"));
            js::set(object, &["status"], json!({ "loadBalancer": {} }));
        }
        "events" => set_default(object, &["firstTimestamp"], json!(clock::stamp(now))),
        _ => {}
    }
}

/// Rewrites that happen on every write: a Secret's `stringData` becomes `data`.
pub(crate) fn normalise(res: Res, object: &mut Value) {
    if res.plural == "secrets"
        && let Some(Value::Object(plain)) = js::remove(object, &["stringData"])
    {
        for (key, value) in plain {
            let encoded = js::base64(value.as_str().unwrap_or_default().as_bytes());
            js::set(object, &["data", &key], encoded);
        }
    }
}

fn set_default(object: &mut Value, path: &[&str], value: Value) {
    let pointer = format!("/{}", path.join("/"));
    if object.pointer(&pointer).is_none_or(Value::is_null) {
        js::set(object, path, value);
    }
}

pub(crate) fn has_webhook(res: Res) -> bool {
    *res == POLICY || *res == CLUSTER_POLICY
}

fn webhook_name(res: Res) -> String {
    format!("{}.karmada.io", res.singular())
}

pub(crate) fn webhook_unreachable(res: Res) -> ApiError {
    let message = format!(
        "Internal error occurred: failed calling webhook \"{}\": failed to call webhook: Post \
         \"https://karmada-webhook.karmada-system.svc:443/mutate?timeout=10s\": dial tcp: connect: \
         connection refused",
        webhook_name(res)
    );
    ApiError::new(500, "InternalError", message)
}

/// The mutating webhook on creation.
pub(crate) fn mutate(res: Res, object: &mut Value, ids: &mut Ids) {
    if !has_webhook(res) {
        return;
    }
    js::set(object, &["metadata", "labels", policy_label(res)], ids.uid());
    let finalizer = if res.namespaced { POLICY_FINALIZER } else { CLUSTER_POLICY_FINALIZER };
    js::add_finalizer(object, finalizer);
    mutate_update(res, object);
}

/// The mutating webhook on every write, and the defaults in the CRD.
pub(crate) fn mutate_update(res: Res, object: &mut Value) {
    if !has_webhook(res) || !object.at(&["spec"]).is_object() {
        return;
    }
    let namespace = meta(object, "namespace").to_owned();
    set_default(object, &["spec", "conflictResolution"], json!("Abort"));
    set_default(object, &["spec", "preemption"], json!("Never"));
    set_default(object, &["spec", "priority"], json!(0));
    set_default(object, &["spec", "schedulerName"], json!("default-scheduler"));
    if let Some(selectors) = object.at(&["spec", "resourceSelectors"]).as_array().cloned()
        && res.namespaced
    {
        let filled: Vec<Value> = selectors
            .into_iter()
            .map(|mut selector| {
                set_default(&mut selector, &["namespace"], json!(namespace));
                selector
            })
            .collect();
        js::set(object, &["spec", "resourceSelectors"], filled);
    }
    let placement = object.at(&["spec", "placement"]);
    if let Some(constraints) = placement.at(&["spreadConstraints"]).as_array().cloned() {
        let filled: Vec<Value> = constraints
            .into_iter()
            .map(|mut constraint| {
                if constraint.get("spreadByLabel").is_none() {
                    set_default(&mut constraint, &["spreadByField"], json!("cluster"));
                }
                if js::int(&constraint, "/minGroups").unwrap_or_default() == 0 {
                    js::set(&mut constraint, &["minGroups"], 1);
                }
                constraint
            })
            .collect();
        js::set(object, &["spec", "placement", "spreadConstraints"], filled);
    }
    if object.at(&["spec", "placement", "replicaScheduling"]).is_object() {
        let at = ["spec", "placement", "replicaScheduling"];
        set_default(object, &[&at[..], &["replicaSchedulingType"]].concat(), json!("Divided"));
        let divided = text(object, "/spec/placement/replicaScheduling/replicaSchedulingType");
        if divided == "Divided" {
            let preference = [&at[..], &["replicaDivisionPreference"]].concat();
            set_default(object, &preference, json!("Weighted"));
        }
    }
}

/// The validating webhook (403) and the CRD's own schema (422).
pub(crate) fn validate(res: Res, old: Option<&Value>, new: &Value) -> ApiResult<()> {
    if !has_webhook(res) {
        return Ok(());
    }
    let name = meta(new, "name");
    let deny = |why: &str| Err(ApiError::denied(&webhook_name(res), why));
    let selectors = list(new, "/spec/resourceSelectors");
    if selectors.is_empty() {
        let why = "Invalid value: 0: spec.resourceSelectors in body should have at least 1 items";
        return Err(ApiError::invalid(res, name, "spec.resourceSelectors", why));
    }
    for (at, selector) in selectors.iter().enumerate() {
        for field in ["apiVersion", "kind"] {
            if selector.at(&[field]).as_str().is_none_or(str::is_empty) {
                let path = format!("spec.resourceSelectors[{at}].{field}");
                return Err(ApiError::invalid(res, name, &path, "Required value"));
            }
        }
    }
    if name.len() > 63 {
        return deny(&format!("{}'s name should be no more than 63 characters", res.kind));
    }
    if let Some(old) = old {
        let id = policy_label(res);
        if label(old, id) != label(new, id) {
            return deny(&format!(
                "metadata.labels[{id}]: Invalid value: the label is immutable, it should be {}",
                label(old, id).unwrap_or_default()
            ));
        }
        if old.at(&["spec", "schedulerName"]) != new.at(&["spec", "schedulerName"]) {
            return deny("the schedulerName should not be updated");
        }
    }
    let namespace = meta(new, "namespace");
    for (at, selector) in selectors.iter().enumerate() {
        let other = text(selector, "/namespace");
        if res.namespaced && other != namespace {
            return deny(&format!(
                "spec.resourceSelectors[{at}].namespace: Invalid value: \"{other}\": the \
                 resourceSelector's namespace should be the same as the policy's"
            ));
        }
        if text(new, "/spec/preemption") == "Always" && text(selector, "/name").is_empty() {
            return deny(&format!(
                "spec.resourceSelectors[{at}].name: Invalid value: \"\": name cannot be empty if \
                 preemption is Always, the empty name may cause unexpected resources preemption"
            ));
        }
    }
    validate_placement(new.at(&["spec", "placement"])).or_else(|why| deny(&why))?;
    if new.at(&["spec", "failover", "application"]).is_object()
        && !js::flag(new, "/spec/propagateDeps")
    {
        return deny(
            "spec.propagateDeps: Invalid value: false: application failover is set, propagateDeps must be true",
        );
    }
    Ok(())
}

fn validate_placement(placement: &Value) -> Result<(), String> {
    let at = "spec.placement";
    if placement.at(&["clusterAffinity"]).is_object()
        && placement.at(&["clusterAffinities"]).is_array()
    {
        return Err(format!(
            "{at}: Invalid value: clusterAffinities cannot co-exist with clusterAffinity"
        ));
    }
    for (index, one) in list(placement, "/clusterTolerations").iter().enumerate() {
        if matches!(text(one, "/operator"), "Lt" | "Gt") {
            return Err(format!(
                "{at}.clusterTolerations[{index}].operator: Invalid value: \"{}\": a valid value \
                 must be one of: [\"Exists\", \"Equal\"]",
                text(one, "/operator")
            ));
        }
    }
    let constraints = list(placement, "/spreadConstraints");
    for (index, one) in constraints.iter().enumerate() {
        let at = format!("{at}.spreadConstraints[{index}]");
        if one.get("spreadByField").is_some() && one.get("spreadByLabel").is_some() {
            return Err(format!(
                "{at}: Invalid value: spreadByLabel should not co-exist with spreadByField"
            ));
        }
        let (min, max) = (js::int(one, "/minGroups"), js::int(one, "/maxGroups"));
        if min.unwrap_or_default() < 0 || max.unwrap_or_default() < 0 {
            return Err(format!("{at}: Invalid value: minGroups and maxGroups cannot be negative"));
        }
        if let (Some(min), Some(max)) = (min, max)
            && max > 0
            && max < min
        {
            return Err(format!(
                "{at}.maxGroups: Invalid value: {max}: maxGroups lower than minGroups is not allowed"
            ));
        }
    }
    let by_field = constraints.iter().any(|one| one.get("spreadByField").is_some());
    let by_cluster = constraints.iter().any(|one| one.at(&["spreadByField"]) == "cluster");
    if by_field && !by_cluster {
        return Err(format!(
            "{at}.spreadConstraints: Invalid value: the cluster spread constraint must be enabled \
             in one of the constraints in case of SpreadByField is enabled"
        ));
    }
    Ok(())
}

/// Karmada's deletion protection.
pub(crate) fn validate_delete(_res: Res, object: &Value) -> ApiResult<()> {
    if label(object, "resourcetemplate.karmada.io/deletion-protected") == Some("Always") {
        return Err(ApiError::denied(
            "resourcedeletionprotection.karmada.io",
            "This resource is protected, please make sure to remove the label: \
             resourcetemplate.karmada.io/deletion-protected",
        ));
    }
    Ok(())
}

/// Field names and JSON types of a policy's spec, as far as users write them. Server-side apply
/// answers 500 without a reason when a body does not fit.
const POLICY_FIELDS: &[(&str, char)] = &[
    ("activationPreference", 's'),
    ("association", 'b'),
    ("conflictResolution", 's'),
    ("dependentOverrides", 'a'),
    ("failover", 'o'),
    ("placement", 'o'),
    ("placement.clusterAffinities", 'a'),
    ("placement.clusterAffinity", 'o'),
    ("placement.clusterAffinity.clusterNames", 'a'),
    ("placement.clusterAffinity.exclude", 'a'),
    ("placement.clusterAffinity.fieldSelector", 'o'),
    ("placement.clusterAffinity.labelSelector", 'o'),
    ("placement.clusterTolerations", 'a'),
    ("placement.replicaScheduling", 'o'),
    ("placement.replicaScheduling.replicaDivisionPreference", 's'),
    ("placement.replicaScheduling.replicaSchedulingType", 's'),
    ("placement.replicaScheduling.weightPreference", 'o'),
    ("placement.spreadConstraints", 'a'),
    ("placement.workloadAffinity", 'o'),
    ("preemption", 's'),
    ("preserveResourcesOnDeletion", 'b'),
    ("priority", 'n'),
    ("propagateDeps", 'b'),
    ("resourceSelectors", 'a'),
    ("schedulePriority", 'o'),
    ("schedulerName", 's'),
    ("suspension", 'o'),
    ("suspension.dispatching", 'b'),
    ("suspension.dispatchingOnClusters", 'o'),
];
const SELECTOR_FIELDS: [&str; 5] = ["apiVersion", "kind", "labelSelector", "name", "namespace"];

/// Refuses a server-side apply whose body does not fit the schema of the kind.
pub(crate) fn check_schema(key: &Key, body: &Value) -> ApiResult<()> {
    if !has_webhook(key.res) {
        return Ok(());
    }
    let fault = check_fields(body.at(&["spec"]), "").or_else(|| {
        list(body, "/spec/resourceSelectors").iter().find_map(|selector| {
            let unknown = selector
                .as_object()
                .into_iter()
                .flatten()
                .find(|(field, _)| !SELECTOR_FIELDS.contains(&field.as_str()))?;
            Some(format!(".spec.resourceSelectors[0].{}: field not declared in schema", unknown.0))
        })
    });
    fault.map_or(Ok(()), |fault| {
        Err(ApiError::new(
            500,
            "",
            format!(
                "failed to create typed patch object ({}/{}; {}, Kind={}): {fault}",
                key.namespace,
                key.name,
                key.res.api_version(),
                key.res.kind
            ),
        ))
    })
}

fn check_fields(value: &Value, prefix: &str) -> Option<String> {
    value.as_object()?.iter().find_map(|(field, value)| {
        let path = if prefix.is_empty() { field.clone() } else { format!("{prefix}.{field}") };
        let Some((_, kind)) = POLICY_FIELDS.iter().find(|(known, _)| *known == path) else {
            return Some(format!(".spec.{path}: field not declared in schema"));
        };
        let (fits, expected) = match kind {
            's' => (value.is_string(), "string"),
            'b' => (value.is_boolean(), "boolean"),
            'n' => (value.is_i64() || value.is_u64(), "numeric"),
            'a' => (value.is_array(), "list"),
            _ => (value.is_object(), "map"),
        };
        if !fits && !value.is_null() {
            return Some(format!(".spec.{path}: expected {expected}, got {value}"));
        }
        let open = matches!(kind, 'o')
            && POLICY_FIELDS.iter().any(|(known, _)| known.starts_with(&format!("{path}.")));
        if open { check_fields(value, &path) } else { None }
    })
}
