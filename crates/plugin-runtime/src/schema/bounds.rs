//! Bounds on a schema that a plugin brought. The cost of a validation is the number of schemas
//! that apply to one value, so a schema must not be recursive and must unfold to a bounded size.

use serde_json::Value;

/// Schemas after every reference was replaced by its target. Forty parameters need about 100.
const MOST_SCHEMAS: usize = 20_000;
/// References and subschemas inside one another.
const DEEPEST: usize = 64;

/// Walks the unfolded schema, or says in one sentence why it is refused.
pub(super) fn check(root: &Value) -> Result<(), String> {
    let dialect = root.get("$schema").map(Value::as_str);
    if !matches!(dialect, None | Some(Some("https://json-schema.org/draft/2020-12/schema"))) {
        return Err("its `$schema` must be JSON Schema 2020-12".to_owned());
    }
    Walk { root, seen: 0 }.schema(root, 0)
}

struct Walk<'a> {
    root: &'a Value,
    seen: usize,
}

impl Walk<'_> {
    fn schema(&mut self, schema: &Value, depth: usize) -> Result<(), String> {
        self.seen += 1;
        if self.seen > MOST_SCHEMAS {
            return Err(format!("it unfolds to more than {MOST_SCHEMAS} schemas"));
        }
        if depth > DEEPEST {
            return Err(format!("it is recursive, or nests deeper than {DEEPEST} schemas"));
        }
        let Value::Object(members) = schema else { return Ok(()) };
        for (keyword, value) in members {
            match keyword.as_str() {
                "$ref" => self.reference(value, depth)?,
                "$id" | "$anchor" | "$dynamicRef" | "$dynamicAnchor" | "$recursiveRef"
                | "$recursiveAnchor" => {
                    return Err(format!("`{keyword}` is not allowed in it"));
                }
                "properties" | "patternProperties" | "dependentSchemas" | "$defs"
                | "definitions" => {
                    for schema in value.as_object().into_iter().flat_map(|map| map.values()) {
                        self.schema(schema, depth + 1)?;
                    }
                }
                "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                    for schema in value.as_array().into_iter().flatten() {
                        self.schema(schema, depth + 1)?;
                    }
                }
                "items"
                | "contains"
                | "additionalProperties"
                | "propertyNames"
                | "not"
                | "if"
                | "then"
                | "else"
                | "unevaluatedItems"
                | "unevaluatedProperties" => {
                    self.schema(value, depth + 1)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn reference(&mut self, value: &Value, depth: usize) -> Result<(), String> {
        let target = value
            .as_str()
            .and_then(|text| text.strip_prefix('#'))
            .filter(|pointer| !pointer.contains('%'))
            .and_then(|pointer| self.root.pointer(pointer))
            .ok_or_else(|| format!("the reference {value} does not lead inside the document"))?;
        self.schema(target, depth + 1)
    }
}
