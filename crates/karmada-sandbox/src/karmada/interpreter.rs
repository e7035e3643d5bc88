//! Installed `ResourceInterpreterCustomization`s, which go before what Karmada knows of a kind: one
//! operation of one kind at a time. Called where the controllers would ask, and by admission.

use serde_json::Value;

use crate::json::Tree as _;
use crate::{
    json::{list, meta, text},
    lua,
    objects::{Api, Res, resources::INTERPRETER},
    status::{ApiError, ApiResult},
};

const WEBHOOK: &str = "resourceinterpretercustomization.karmada.io";

/// A question that a script may answer: where the script stands, and the name of its function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    member: &'static str,
    function: &'static str,
}

const fn of(member: &'static str, function: &'static str) -> Operation {
    Operation { member, function }
}

pub(super) const RETENTION: Operation = of("retention", "Retain");
pub(super) const REFLECTION: Operation = of("statusReflection", "ReflectStatus");
pub(super) const AGGREGATION: Operation = of("statusAggregation", "AggregateStatus");
pub(super) const HEALTH: Operation = of("healthInterpretation", "InterpretHealth");

/// The operations in the words of Karmada's webhook.
const SCRIPTS: [(&str, &str); 8] = [
    ("retention", "Retain"),
    ("replicaResource", "InterpretReplica"),
    ("replicaRevision", "ReviseReplica"),
    ("statusReflection", "InterpretStatus"),
    ("statusAggregation", "AggregateStatus"),
    ("healthInterpretation", "InterpretHealth"),
    ("dependencyInterpretation", "InterpretDependency"),
    ("componentResource", "InterpretComponent"),
];

fn script_of<'a>(customization: &'a Value, member: &str) -> Option<&'a str> {
    let script = customization.at(&["spec", "customizations", member, "luaScript"]).as_str();
    script.filter(|script| !script.is_empty())
}

/// The script that answers for a kind; admission sees to it that there is one at most.
pub(super) fn script(control: &Api, res: Res, operation: Operation) -> Option<String> {
    let mut all = control.all(&INTERPRETER, "");
    all.find_map(|(_, one)| {
        let is_target = text(one, "/spec/target/apiVersion") == res.api_version()
            && text(one, "/spec/target/kind") == res.kind;
        is_target.then(|| script_of(one, operation.member).map(str::to_owned)).flatten()
    })
}

fn ask(script: &str, operation: Operation, arguments: &[&Value]) -> Result<Value, String> {
    lua::call(script, operation.function, arguments)
}

fn table(answer: Value) -> Result<Value, String> {
    let kind = match &answer {
        Value::Object(_) => return Ok(answer),
        // What a script leaves empty.
        Value::Array(items) if items.is_empty() => {
            return Ok(Value::Object(serde_json::Map::new()));
        }
        Value::Null => "nil",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "a list",
    };
    Err(format!("expect the returned requires type is table but got {kind}"))
}

/// What is to be written to a member: `desired` with what belongs to the member.
pub(super) fn retain(script: &str, desired: &Value, observed: &Value) -> Result<Value, String> {
    table(ask(script, RETENTION, &[desired, observed])?)
}

/// The status to take from a member's object.
pub(super) fn reflect(script: &str, observed: &Value) -> Result<Value, String> {
    table(ask(script, REFLECTION, &[observed])?)
}

/// The template with the status of its members.
pub(super) fn aggregate(script: &str, template: &Value, items: &Value) -> Result<Value, String> {
    table(ask(script, AGGREGATION, &[template, items])?)
}

/// `Unknown` if the script fails.
pub(super) fn health(script: &str, observed: &Value) -> &'static str {
    match ask(script, HEALTH, &[observed]) {
        Ok(Value::Bool(true)) => "Healthy",
        Ok(Value::Bool(false)) => "Unhealthy",
        _ => "Unknown",
    }
}

/// Karmada's webhook: no second answer to one question, and scripts that are Lua.
pub(crate) fn admit(control: &Api, res: Res, object: &Value) -> ApiResult<()> {
    if *res != INTERPRETER || !control.is_control_plane() {
        return Ok(());
    }
    let deny = |why: String| Err(ApiError::denied(WEBHOOK, &why));
    for (_, other) in control.all(&INTERPRETER, "") {
        let same_kind = other.at(&["spec", "target"]) == object.at(&["spec", "target"]);
        if !same_kind || meta(other, "name") == meta(object, "name") {
            continue;
        }
        for (member, name) in SCRIPTS {
            if script_of(other, member).is_some() && script_of(object, member).is_some() {
                return deny(format!(
                    "conflicting with InterpreterOperation({name}) of existing \
                     ResourceInterpreterCustomization({})",
                    meta(other, "name")
                ));
            }
        }
    }
    for (member, name) in SCRIPTS {
        if let Some(Err(error)) = script_of(object, member).map(lua::compile) {
            return deny(format!("InterpreterOperation({name}) Lua script error: {error}"));
        }
    }
    Ok(())
}

/// The clusters of a binding, as a script for aggregation sees them.
pub(super) fn items(binding: &Value) -> Value {
    Value::Array(list(binding, "/status/aggregatedStatus").to_vec())
}
