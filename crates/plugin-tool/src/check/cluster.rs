//! The schemas of real clusters: CustomResourceDefinitions (`*.yaml`) and the OpenAPI documents of
//! Kubernetes (`*.json`), from a folder that the caller names. They are data of others and never
//! part of this repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::Wrong;

/// A validator for each kind that the folder has.
pub(crate) struct ClusterSchemas {
    kinds: BTreeMap<(String, String), Validator>,
    /// Kinds that were met and could not be checked.
    missing: Mutex<BTreeSet<String>>,
    checked: Mutex<BTreeSet<String>>,
}

impl ClusterSchemas {
    /// Reads the folder, and its folders `crd` and `openapi` if it has them. Only the wanted
    /// kinds are compiled: all of Kubernetes would take seconds.
    pub(crate) fn read(dir: &Path, wanted: &[(String, String)]) -> Result<Self, Wrong> {
        let wrong = |path: &Path, why: String| Wrong(vec![format!("{}: {why}", path.display())]);
        let mut files: Vec<PathBuf> = Vec::new();
        for folder in [dir.to_owned(), dir.join("crd"), dir.join("openapi")] {
            if folder != dir && !folder.is_dir() {
                continue;
            }
            let entries =
                std::fs::read_dir(&folder).map_err(|error| wrong(&folder, error.to_string()))?;
            files.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
        }
        files.sort();
        let mut kinds = BTreeMap::new();
        for file in files {
            let extension = file.extension().and_then(|extension| extension.to_str());
            if !matches!(extension, Some("yaml" | "yml" | "json")) {
                continue;
            }
            let text =
                std::fs::read_to_string(&file).map_err(|error| wrong(&file, error.to_string()))?;
            let parsed = if extension == Some("json") {
                serde_json::from_str(&text).map_err(|error| error.to_string())
            } else {
                serde_saphyr::from_str(&text).map_err(|error| error.to_string())
            };
            let document: Value = parsed.map_err(|why| wrong(&file, why))?;
            for (kind, schema) in crds(&document).into_iter().chain(openapi(&document, wanted)) {
                if wanted.contains(&kind) {
                    let validator = jsonschema::options()
                        .with_draft(jsonschema::Draft::Draft202012)
                        .should_validate_formats(false)
                        .build(&schema)
                        .map_err(|error| wrong(&file, format!("{} {}: {error}", kind.0, kind.1)))?;
                    kinds.insert(kind, validator);
                }
            }
        }
        Ok(Self { kinds, missing: Mutex::default(), checked: Mutex::default() })
    }

    /// What a cluster would refuse or silently drop of this object.
    pub(crate) fn refusals(&self, document: &Value) -> Vec<String> {
        let text = |member: &str| document.get(member).and_then(Value::as_str).unwrap_or_default();
        let kind = (text("apiVersion").to_owned(), text("kind").to_owned());
        let name = format!("{} {}", kind.0, kind.1);
        let Some(validator) = self.kinds.get(&kind) else {
            insert(&self.missing, name);
            return Vec::new();
        };
        insert(&self.checked, name);
        let line =
            |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
        validator.iter_errors(document).map(line).take(10).collect()
    }

    /// Kinds that were checked, and kinds that have no schema here.
    pub(crate) fn coverage(&self) -> (Vec<String>, Vec<String>) {
        let list = |set: &Mutex<BTreeSet<String>>| {
            let set = set.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            set.iter().cloned().collect()
        };
        (list(&self.checked), list(&self.missing))
    }
}

fn insert(set: &Mutex<BTreeSet<String>>, name: String) {
    set.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(name);
}

/// The kinds of a CustomResourceDefinition.
fn crds(document: &Value) -> Vec<((String, String), Value)> {
    if document.get("kind").and_then(Value::as_str) != Some("CustomResourceDefinition") {
        return Vec::new();
    }
    let text =
        |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (group, kind) = (text("/spec/group"), text("/spec/names/kind"));
    let versions = document.pointer("/spec/versions").and_then(Value::as_array);
    let read = |version: &Value| {
        let name = version.get("name")?.as_str()?;
        let mut schema = version.pointer("/schema/openAPIV3Schema")?.clone();
        as_json_schema(&mut schema);
        Some(((format!("{group}/{name}"), kind.to_owned()), schema))
    };
    versions.into_iter().flatten().filter_map(read).collect()
}

/// The wanted kinds of an OpenAPI 3 document of Kubernetes.
fn openapi(document: &Value, wanted: &[(String, String)]) -> Vec<((String, String), Value)> {
    let schemas = document.pointer("/components/schemas").and_then(Value::as_object);
    let mut found = Vec::new();
    for (name, schema) in schemas.into_iter().flatten() {
        let kinds = schema.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
        for each in kinds.into_iter().flatten() {
            let text = |member: &str| each.get(member).and_then(Value::as_str).unwrap_or_default();
            let group = text("group");
            let version = text("version");
            let api =
                if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
            let kind = (api, text("kind").to_owned());
            if wanted.contains(&kind) {
                let mut components = document.get("components").cloned().unwrap_or_default();
                as_json_schema(&mut components);
                let schema = json!({
                    "$ref": format!("#/components/schemas/{name}"),
                    "components": components,
                });
                found.push((kind, schema));
            }
        }
    }
    found
}

/// From OpenAPI's dialect to JSON Schema. A cluster drops fields that its schema does not know, so
/// a misspelt one would vanish there without a word: here it is refused.
fn as_json_schema(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let closed = members.get("properties").is_some_and(Value::is_object)
                && !members.contains_key("additionalProperties")
                && members.get("x-kubernetes-preserve-unknown-fields") != Some(&json!(true));
            members.values_mut().for_each(as_json_schema);
            if closed {
                members.insert("additionalProperties".to_owned(), json!(false));
            }
            if members.get("x-kubernetes-embedded-resource") == Some(&json!(true)) {
                members.remove("additionalProperties");
            }
            if members.remove("nullable") == Some(json!(true))
                && let Some(kind) = members.get("type").filter(|kind| kind.is_string()).cloned()
            {
                members.insert("type".to_owned(), json!([kind, "null"]));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(as_json_schema),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("crd")).unwrap();
        let crd = "
kind: CustomResourceDefinition
spec:
  group: example.org
  names: {kind: Run}
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        type: object
        properties:
          apiVersion: {type: string}
          kind: {type: string}
          spec:
            type: object
            properties:
              count: {type: integer, nullable: true}
              free: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {a: {type: string}}}
";
        std::fs::write(dir.path().join("crd/run.yaml"), crd).unwrap();
        dir
    }

    #[test]
    fn misspelt_fields_are_refused_and_unknown_kinds_are_named() {
        let dir = dir();
        let wanted = [("example.org/v1".to_owned(), "Run".to_owned())];
        let schemas = ClusterSchemas::read(dir.path(), &wanted).unwrap();
        let object =
            |spec: Value| json!({"apiVersion": "example.org/v1", "kind": "Run", "spec": spec});
        for good in [json!({}), json!({"count": null}), json!({"free": {"a": "x", "b": 1}})] {
            assert_eq!(schemas.refusals(&object(good)), Vec::<String>::new());
        }
        for bad in [json!({"cuont": 1}), json!({"count": "1"}), json!({"free": {"a": 1}})] {
            assert_eq!(schemas.refusals(&object(bad.clone())).len(), 1, "{bad}");
        }
        schemas.refusals(&json!({"apiVersion": "v1", "kind": "Other"}));
        let (checked, missing) = schemas.coverage();
        assert_eq!(
            (checked, missing),
            (vec!["example.org/v1 Run".to_owned()], vec!["v1 Other".to_owned()])
        );
    }
}
