//! The nested form that another dialect is rewritten as, in the making.

use serde_json::{Map, Value, json};

use super::places::Places;
use super::reader::Fields;
use crate::job::Exact;

/// The word of a plugin's schema for the parameter that a field of another form sets.
pub(super) const FORM_FIELD: &str = "x-form-field";

/// A form of another dialect, rewritten.
pub(super) struct Rewritten {
    /// The nested form that says the same.
    pub(super) nested: Value,
    /// What the nested form has no words for.
    pub(super) exact: Exact,
    /// Where its parts stand in the form that was sent.
    pub(super) places: Places,
}

/// A nested form in the making.
#[derive(Default)]
pub(super) struct Nested {
    pub(super) form: Map<String, Value>,
    places: Vec<(String, String)>,
}

impl Nested {
    /// Takes a field over as it is; the parser of the nested form will judge it.
    pub(super) fn moves(&mut self, form: &Fields<'_>, member: &str, to: &str) {
        if let Some(value) = form.value(member) {
            self.set(to, value.clone());
        }
    }

    /// Notes where the user wrote what stands at `nested`.
    pub(super) fn place(&mut self, nested: &str, written: String) {
        self.places.push((nested.to_owned(), written));
    }

    /// Writes a value, with the objects around it.
    pub(super) fn set(&mut self, pointer: &str, value: Value) {
        let mut parts: Vec<String> = pointer
            .split('/')
            .skip(1)
            .map(|part| part.replace("~1", "/").replace("~0", "~"))
            .collect();
        let Some(last) = parts.pop() else { return };
        let mut at = &mut self.form;
        for part in parts {
            let inner = at.entry(part).or_insert_with(|| json!({}));
            let Value::Object(members) = inner else { return };
            at = members;
        }
        at.insert(last, value);
    }

    /// The form as far as it was made.
    pub(super) fn finish(
        self,
        exact: Exact,
        places: impl FnOnce(Vec<(String, String)>) -> Places,
    ) -> Rewritten {
        Rewritten { nested: Value::Object(self.form), exact, places: places(self.places) }
    }
}
