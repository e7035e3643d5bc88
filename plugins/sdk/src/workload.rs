//! The workload as a member cluster reports it.

use serde_json::Value;

/// An object of any version of its operator. Every question has an answer: what is absent or of
/// another type is `None`.
#[derive(Clone, Debug, Default)]
pub struct Workload(Value);

/// A condition that holds. What is absent, empty or not text is `None`.
#[derive(Clone, Copy, Debug)]
pub struct Condition<'w> {
    /// A CamelCase word.
    pub reason: Option<&'w str>,
    /// For people.
    pub message: Option<&'w str>,
    /// RFC 3339.
    pub last_transition_time: Option<&'w str>,
}

impl Workload {
    /// Reads any text; what is not JSON becomes an empty object.
    pub fn parse(json: &str) -> Self {
        Self(serde_json::from_str(json).unwrap_or_default())
    }

    /// `metadata.name`, or "".
    pub fn name(&self) -> &str {
        self.text("/metadata/name").unwrap_or_default()
    }

    /// `kind`, or "".
    pub fn kind(&self) -> &str {
        self.text("/kind").unwrap_or_default()
    }

    /// The text at an RFC 6901 pointer, if it is text and not empty.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.0.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
    }

    /// The whole number at an RFC 6901 pointer.
    pub fn count(&self, pointer: &str) -> Option<u64> {
        self.0.pointer(pointer)?.as_u64()
    }

    /// Whether anything but null stands at an RFC 6901 pointer.
    pub fn holds(&self, pointer: &str) -> bool {
        self.0.pointer(pointer).is_some_and(|found| !found.is_null())
    }

    /// The condition of this type in `status.conditions`, if it holds.
    pub fn condition(&self, kind: &str) -> Option<Condition<'_>> {
        self.find_condition(|found| {
            text(found, "type") == Some(kind) && text(found, "status") == Some("True")
        })
    }

    /// The same, whether it holds or not.
    pub fn any_condition(&self, kind: &str) -> Option<Condition<'_>> {
        self.find_condition(|found| text(found, "type") == Some(kind))
    }

    fn find_condition(&self, wanted: impl Fn(&Value) -> bool) -> Option<Condition<'_>> {
        let conditions = self.0.pointer("/status/conditions")?.as_array()?;
        let found = conditions.iter().find(|condition| wanted(condition))?;
        Some(Condition {
            reason: text(found, "reason"),
            message: text(found, "message"),
            last_transition_time: text(found, "lastTransitionTime"),
        })
    }

    /// Whether the cluster has reported any status.
    pub fn has_status(&self) -> bool {
        self.0.get("status").is_some_and(Value::is_object)
    }
}

fn text<'v>(object: &'v Value, name: &str) -> Option<&'v str> {
    object.get(name)?.as_str().filter(|text| !text.is_empty())
}
