//! How Karmada reads a kind: a `ResourceInterpreterCustomization`, which a plugin ships for kinds that
//! Karmada does not know. It travels in the `extra` of the description, because the records of the
//! contract are frozen.

mod known;

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use self::known::known;
use crate::Kind;

/// The member of `extra` under which the interpreters are, as a JSON array.
const KEY: &str = "karmada-interpreters";

/// What Karmada asks an interpreter. Each is answered by a function in Lua; what is not answered is
/// left to Karmada, which has its own answers for some kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `ReflectStatus(observedObj)`: the status to take from a member.
    StatusReflection,
    /// `AggregateStatus(desiredObj, statusItems)`: the object with the status of its members.
    StatusAggregation,
    /// `InterpretHealth(observedObj)`: whether it is well.
    Health,
    /// `Retain(desiredObj, observedObj)`: the object with what belongs to the member.
    Retention,
    /// `GetDependencies(desiredObj)`: what has to go with it.
    Dependencies,
    /// `GetComponents(desiredObj)`: the pods of each of its parts, and what they need.
    Components,
}

impl Operation {
    fn member(self) -> &'static str {
        match self {
            Self::StatusReflection => "statusReflection",
            Self::StatusAggregation => "statusAggregation",
            Self::Health => "healthInterpretation",
            Self::Retention => "retention",
            Self::Dependencies => "dependencyInterpretation",
            Self::Components => "componentResource",
        }
    }
}

/// The answers for one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Interpreter {
    name: Cow<'static, str>,
    api_version: &'static str,
    kind: &'static str,
    scripts: Map<String, Value>,
}

impl Interpreter {
    /// No answers yet. `name` is that of the object on the control plane, the same in all plugins
    /// that ship the same answers; the kind is one that the plugin emits.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        api_version: &'static str,
        kind: &'static str,
    ) -> Self {
        Self { name: name.into(), api_version, kind, scripts: Map::new() }
    }

    /// Those of the kinds that this crate has builders for and that can be held back: they leave
    /// what a queue in a member writes to the queue.
    pub fn of(kinds: &[Kind]) -> Vec<Self> {
        known(kinds)
    }

    /// Answers an operation by a script.
    #[must_use]
    pub fn with(mut self, operation: Operation, lua: &str) -> Self {
        self.scripts.insert(operation.member().to_owned(), json!({ "luaScript": lua }));
        self
    }

    /// The whole object, as it is installed.
    pub fn document(&self) -> Value {
        json!({
            "apiVersion": "config.karmada.io/v1alpha1",
            "kind": "ResourceInterpreterCustomization",
            "metadata": {"name": self.name},
            "spec": {
                "target": {"apiVersion": self.api_version, "kind": self.kind},
                "customizations": self.scripts,
            },
        })
    }
}

/// What stands in the description.
pub(crate) fn extra(interpreters: &[Interpreter]) -> Vec<(String, String)> {
    if interpreters.is_empty() {
        return Vec::new();
    }
    let documents: Value = interpreters.iter().map(Interpreter::document).collect();
    vec![(KEY.to_owned(), documents.to_string())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_one_array_of_whole_objects() {
        assert_eq!(extra(&[]), []);
        let one = Interpreter::new("sets", "jobset.x-k8s.io/v1alpha2", "JobSet")
            .with(Operation::Health, "function InterpretHealth(o) return true end");
        let made = extra(&[one]);
        let [(key, text)] = made.as_slice() else { panic!("{made:?}") };
        assert_eq!(key, "karmada-interpreters");
        let expected = json!([{
            "apiVersion": "config.karmada.io/v1alpha1",
            "kind": "ResourceInterpreterCustomization",
            "metadata": {"name": "sets"},
            "spec": {
                "target": {"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet"},
                "customizations": {"healthInterpretation": {
                    "luaScript": "function InterpretHealth(o) return true end",
                }},
            },
        }]);
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), expected);
    }
}
