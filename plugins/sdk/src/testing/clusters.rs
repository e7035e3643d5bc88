//! The schemas of real clusters. They are not part of this repository: `TRAINYARD_SCHEMAS` names a
//! folder that has them.
#![expect(clippy::indexing_slicing, reason = "what a JSON value does not have is null")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::{Expected, cases, job_of, run};
use crate::{Converter, guest};

/// Checks every manifest of every case that becomes a plan against the schema of its kind. Without
/// schemas it says so and checks nothing.
///
/// # Panics
///
/// If a manifest does not pass, or its kind has no schema: it is a test's assertion.
pub fn accept<C: Converter>(directory: &Path) {
    let Some(folder) = std::env::var_os("TRAINYARD_SCHEMAS").map(PathBuf::from) else {
        eprintln!("SKIPPED: set TRAINYARD_SCHEMAS to check manifests against real schemas");
        return;
    };
    let cases = cases(directory).unwrap_or_else(|why| fail(&why));
    let algorithm = guest::describe::<C>().algorithms.first().cloned().unwrap_or_default();
    let mut validators: BTreeMap<String, Validator> = BTreeMap::new();
    let mut seen = 0;
    for case in cases.iter().filter(|case| matches!(case.expected, Some(Expected::Plan(_)))) {
        let job = job_of(&case.form, &algorithm, &case.settings).to_string();
        let plan = run::<C>(&job).unwrap_or_else(|failure| fail(&format!("{failure:?}")));
        for manifest in plan.manifests {
            let document: Value = serde_json::from_str(&manifest.document).unwrap_or_default();
            let kind = format!("{} {}", document["apiVersion"], document["kind"]);
            let validator = validators.entry(kind.clone()).or_insert_with(|| {
                let word = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
                schema_of(&folder, &word("apiVersion"), &word("kind"))
                    .unwrap_or_else(|| fail(&format!("there is no schema of {kind}")))
            });
            let errors = validator.iter_errors(&document);
            let errors: Vec<String> =
                errors.map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert!(errors.is_empty(), "{}: {kind}: {errors:#?}", case.folder.display());
            seen += 1;
        }
    }
    assert!(seen > 0, "no case becomes a plan");
}

#[expect(clippy::panic, reason = "this is a test's assertion")]
fn fail(why: &str) -> ! {
    panic!("{why}")
}

fn schema_of(folder: &Path, api_version: &str, kind: &str) -> Option<Validator> {
    let built_in = folder.join("openapi").join(match api_version {
        "v1" => "api__v1_openapi.json".to_owned(),
        _ => format!("apis__{}_openapi.json", api_version.replace('/', "__")),
    });
    if built_in.exists() {
        let mut document: Value =
            serde_json::from_str(&std::fs::read_to_string(built_in).ok()?).ok()?;
        let name = component(&document, api_version, kind)?;
        refuse_unknown_fields(&mut document);
        document["$ref"] = json!(format!("#/components/schemas/{name}"));
        return jsonschema::draft202012::new(&document).ok();
    }
    let (group, version) = api_version.split_once('/')?;
    for entry in std::fs::read_dir(folder.join("crd")).ok()?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(&format!("{group}_")) {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).ok()?;
        let crd: Value = serde_saphyr::from_str(&text).ok()?;
        let versions = crd["spec"]["versions"].as_array()?;
        let found = versions.iter().find(|found| found["name"] == version);
        if let (Some(found), true) = (found, crd["spec"]["names"]["kind"] == kind) {
            let mut schema = found["schema"]["openAPIV3Schema"].clone();
            refuse_unknown_fields(&mut schema);
            return jsonschema::draft4::new(&schema).ok();
        }
    }
    None
}

/// The component of an OpenAPI document that describes the kind.
fn component(document: &Value, api_version: &str, kind: &str) -> Option<String> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let wanted = json!([{ "group": group, "kind": kind, "version": version }]);
    let schemas = document["components"]["schemas"].as_object()?;
    let word = "x-kubernetes-group-version-kind";
    schemas.iter().find(|(_, schema)| schema[word] == wanted).map(|(name, _)| name.clone())
}

/// A cluster prunes fields that its schema does not know, so a misspelt one would vanish there.
fn refuse_unknown_fields(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let closed = members.get("properties").is_some_and(Value::is_object)
                && !members.contains_key("additionalProperties")
                && !members.contains_key("x-kubernetes-preserve-unknown-fields");
            members.values_mut().for_each(refuse_unknown_fields);
            if closed {
                members.insert("additionalProperties".into(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(refuse_unknown_fields),
        _ => {}
    }
}
