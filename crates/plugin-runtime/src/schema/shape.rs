//! The part of a schema that fills defaults: which properties there are, and what stands for an
//! absent one. Compiled once, because every job needs it.

use serde_json::{Map, Value};

/// What is known of one object. The schema was found not to be recursive before.
#[derive(Debug, Default)]
pub(super) struct Shape {
    properties: Vec<(String, Property)>,
}

#[derive(Debug)]
struct Property {
    default: Option<Value>,
    integer: bool,
    shape: Shape,
}

impl Shape {
    /// Reads the shape of a document's top-level object.
    pub(super) fn of(document: &Value) -> Self {
        Self::read(document, document)
    }

    fn read(schema: &Value, root: &Value) -> Self {
        let mut shape = Self::default();
        shape.collect(schema, root);
        shape
    }

    /// Adds the properties of a schema and of all that it refers to. The first default wins, so
    /// one that stands beside a reference beats the target's.
    fn collect(&mut self, schema: &Value, root: &Value) {
        for (name, schema) in
            schema.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            if self.properties.iter().all(|(known, _)| known != name) {
                let property = Property {
                    default: find(schema, root, &|schema| schema.get("default").cloned()),
                    integer: find(schema, root, &is_integer).unwrap_or(false),
                    shape: Self::read(schema, root),
                };
                self.properties.push((name.clone(), property));
            }
        }
        for part in parts(schema, root) {
            self.collect(part, root);
        }
    }

    /// Inserts defaults for absent properties, also inside nested objects. What is present stays,
    /// whatever it is; only `3.0` becomes `3` where an integer is wanted, because they are the
    /// same number to a schema, but not to every reader of JSON.
    pub(super) fn fill(&self, value: &mut Value) {
        let Value::Object(members) = value else { return };
        for (name, property) in &self.properties {
            if let Some(value) = property.present(name, members) {
                if property.integer {
                    make_integer(value);
                }
                property.shape.fill(value);
            }
        }
    }
}

impl Property {
    fn present<'v>(
        &self,
        name: &str,
        members: &'v mut Map<String, Value>,
    ) -> Option<&'v mut Value> {
        if !members.contains_key(name) {
            members.insert(name.to_owned(), self.default.clone()?);
        }
        members.get_mut(name)
    }
}

/// The schemas that apply wherever this one does.
fn parts<'v>(schema: &'v Value, root: &'v Value) -> impl Iterator<Item = &'v Value> {
    let target = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|text| text.strip_prefix('#'))
        .and_then(|pointer| root.pointer(pointer));
    let all = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
    target.into_iter().chain(all)
}

fn find<T>(schema: &Value, root: &Value, read: &dyn Fn(&Value) -> Option<T>) -> Option<T> {
    read(schema).or_else(|| parts(schema, root).find_map(|part| find(part, root, read)))
}

fn is_integer(schema: &Value) -> Option<bool> {
    match schema.get("type")? {
        Value::String(name) => Some(name == "integer"),
        Value::Array(names) => Some(
            names.iter().any(|name| name == "integer") && names.iter().all(|name| name != "number"),
        ),
        _ => None,
    }
}

fn make_integer(value: &mut Value) {
    // Up to 2^53 every integer has exactly one double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if !value.is_f64() {
        return;
    }
    if let Some(float) = value.as_f64()
        && float.fract() == 0.0
        && float.abs() <= EXACT
    {
        #[expect(clippy::cast_possible_truncation, reason = "integral, and within 2^53")]
        let integer = float as i64;
        *value = Value::from(integer);
    }
}
