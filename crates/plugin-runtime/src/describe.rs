//! What a plugin says about itself, checked. A description that passes is trusted to be well
//! formed by the API, the form and the docs.

use std::collections::BTreeMap;

use semver::Version;
use serde_json::Value;
use training::ports::{Interpreter, PluginInfo, PluginKind};
use training::{PluginDigest, Sha256Digest};

use crate::bindings::{Description, types};
use crate::limits::{JSON_DEPTH, TEXT_BYTES};
use crate::schema::Schema;
use crate::text;

/// Kinds, algorithms or examples of one plugin.
const MOST: usize = 32;

/// The member of `extra` that holds them, and its longest text in bytes: scripts are short.
const INTERPRETERS: &str = "karmada-interpreters";
const INTERPRETERS_BYTES: usize = 256 << 10;

/// The member of `extra` that says where workloads are held back.
const SUSPEND: &str = "suspend";

/// A description that passed, with its schemas compiled.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) info: PluginInfo,
    pub(crate) version: Version,
    pub(crate) hyperparameters: Schema,
    pub(crate) settings: Schema,
}

/// Checks everything that the contract says about a description. The error is one sentence.
pub(crate) fn check(said: Description, digest: PluginDigest) -> Result<Described, String> {
    if !is_name(&said.name, 40, "-") {
        return Err(format!(
            "the name `{}` must have 1 to 40 lower-case letters, digits and hyphens",
            text::clean(&said.name, 64)
        ));
    }
    let version = Version::parse(&said.version).map_err(|error| {
        format!(
            "the version `{}` is not a semantic version: {error}",
            text::clean(&said.version, 64)
        )
    })?;
    check_algorithms(&said.algorithms)?;
    let kinds = kinds(said.kinds)?;
    let interpreters = interpreters(&said.extra, &kinds)?;
    let suspend = suspend(&said.extra, &kinds)?;
    let hyperparameters = Schema::parse(&said.hyperparameters_schema)
        .map_err(|why| format!("in the schema of hyperparameters, {why}"))?;
    let settings = Schema::parse(&said.settings_schema)
        .map_err(|why| format!("in the schema of settings, {why}"))?;
    let info = PluginInfo {
        name: said.name,
        version: said.version,
        digest,
        algorithms: said.algorithms,
        title: text::clean(&said.title, 200),
        summary: text::clean(&said.summary, TEXT_BYTES),
        schema_digest: Sha256Digest::of(&said.hyperparameters_schema),
        schema: said.hyperparameters_schema,
        settings_schema: said.settings_schema,
        kinds,
        interpreters,
        suspend,
        examples: examples(&said.examples)?,
    };
    Ok(Described { info, version, hyperparameters, settings })
}

fn check_algorithms(algorithms: &[String]) -> Result<(), String> {
    if algorithms.is_empty() || algorithms.len() > MOST {
        return Err(format!("it must serve 1 to {MOST} algorithms"));
    }
    match algorithms.iter().find(|name| !is_name(name, 63, "-_.")) {
        None => Ok(()),
        Some(name) => Err(format!(
            "the algorithm `{}` must have 1 to 63 lower-case letters, digits, `-`, `_` or `.`",
            text::clean(name, 64)
        )),
    }
}

fn kinds(said: Vec<types::Kind>) -> Result<Vec<PluginKind>, String> {
    if said.is_empty() || said.len() > MOST || !said.iter().any(|kind| kind.workload) {
        return Err(format!("it must emit 1 to {MOST} kinds, at least one of them a workload"));
    }
    let word = |text: &str| {
        !text.is_empty() && text.len() <= 63 && text.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    said.into_iter()
        .map(|kind| {
            let (group, version) =
                kind.api_version.rsplit_once('/').unwrap_or(("", &kind.api_version));
            let group_ok =
                group.is_empty() && !kind.api_version.contains('/') || is_name(group, 253, "-.");
            let good = word(version)
                && group_ok
                && word(&kind.kind)
                && word(&kind.plural)
                && (1..=253).contains(&kind.max_name_length);
            if !good {
                return Err(format!(
                    "the kind `{} {}` (`{}`, names up to {}) is not well formed",
                    text::clean(&kind.api_version, 64),
                    text::clean(&kind.kind, 64),
                    text::clean(&kind.plural, 64),
                    kind.max_name_length
                ));
            }
            Ok(PluginKind {
                api_version: kind.api_version,
                kind: kind.kind,
                plural: kind.plural,
                workload: kind.workload,
                max_name_length: kind.max_name_length,
            })
        })
        .collect()
}

/// Reads what `extra` holds of interpreters: whole objects, for kinds that the plugin emits. Nothing
/// but target and scripts may stand in them, because they are shown to people who then install them.
fn interpreters(
    extra: &[(String, String)],
    kinds: &[PluginKind],
) -> Result<Vec<Interpreter>, String> {
    let Some((_, text)) = extra.iter().find(|(key, _)| key == INTERPRETERS) else {
        return Ok(Vec::new());
    };
    let parsed = (text.len() <= INTERPRETERS_BYTES && text::nests_within(text, JSON_DEPTH))
        .then(|| serde_json::from_str::<Vec<Value>>(text).ok())
        .flatten()
        .filter(|documents| documents.len() <= MOST);
    let documents = parsed.ok_or_else(|| {
        format!("`extra.{INTERPRETERS}` is not an array of at most {MOST} objects")
    })?;
    let mut found: Vec<Interpreter> = Vec::new();
    for document in documents {
        let of = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
        let (name, api_version, kind) = (
            of("/metadata/name").unwrap_or_default().to_owned(),
            of("/spec/target/apiVersion").unwrap_or_default().to_owned(),
            of("/spec/target/kind").unwrap_or_default().to_owned(),
        );
        let members = |pointer: &str, names: &[&str]| {
            let object = document.pointer(pointer).and_then(Value::as_object);
            object.is_some_and(|object| {
                object.len() == names.len() && names.iter().all(|name| object.contains_key(*name))
            })
        };
        let scripts = document.pointer("/spec/customizations").and_then(Value::as_object);
        let is_script = |script: &Value| {
            script.get("luaScript").is_some_and(Value::is_string)
                && script.as_object().is_some_and(|script| script.len() == 1)
        };
        let known = kinds.iter().any(|one| one.api_version == api_version && one.kind == kind);
        let good = members("", &["apiVersion", "kind", "metadata", "spec"])
            && members("/metadata", &["name"])
            && members("/spec", &["target", "customizations"])
            && members("/spec/target", &["apiVersion", "kind"])
            && of("/apiVersion") == Some("config.karmada.io/v1alpha1")
            && of("/kind") == Some("ResourceInterpreterCustomization")
            && scripts.is_some_and(|all| !all.is_empty() && all.values().all(is_script))
            && is_name(&name, 63, "-.")
            && found.iter().all(|other| other.name != name)
            && known;
        if !good {
            return Err(format!(
                "the interpreter `{}` is not a ResourceInterpreterCustomization with a name of its \
                 own and scripts in Lua for a kind that the plugin emits",
                text::clean(&name, 64)
            ));
        }
        found.push(Interpreter { name, api_version, kind, document });
    }
    Ok(found)
}

/// Reads what `extra` holds of suspension: pointers into the specification of workloads.
fn suspend(
    extra: &[(String, String)],
    kinds: &[PluginKind],
) -> Result<Option<BTreeMap<String, String>>, String> {
    let Some((_, text)) = extra.iter().find(|(key, _)| key == SUSPEND) else { return Ok(None) };
    let fields = serde_json::from_str::<BTreeMap<String, String>>(text)
        .map_err(|_| format!("`extra.{SUSPEND}` is not an object of texts"))?;
    for (name, pointer) in &fields {
        let known = kinds
            .iter()
            .any(|kind| kind.workload && format!("{}/{}", kind.api_version, kind.kind) == *name);
        let path = pointer.strip_prefix("/spec/").unwrap_or_default();
        let good = path.len() <= 253
            && path
                .split('/')
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()));
        if !known || !good {
            return Err(format!(
                "`extra.{SUSPEND}` must lead from workloads of the plugin, such as `batch/v1/Job`, \
                 to a field like `/spec/suspend`; `{}`: `{}` does not",
                text::clean(name, 128),
                text::clean(pointer, 128)
            ));
        }
    }
    Ok(Some(fields))
}

fn examples(said: &[String]) -> Result<Vec<Value>, String> {
    if said.len() > MOST {
        return Err(format!("it has more than {MOST} examples"));
    }
    said.iter()
        .enumerate()
        .map(|(index, example)| {
            let parsed = text::nests_within(example, JSON_DEPTH)
                .then(|| serde_json::from_str::<Value>(example).ok())
                .flatten()
                .filter(Value::is_object);
            parsed.ok_or_else(|| format!("example {index} is not a JSON object"))
        })
        .collect()
}

/// Lower-case letters and digits, inside also the extra characters.
fn is_name(text: &str, longest: usize, extra: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= longest
        && text.starts_with(plain)
        && text.ends_with(plain)
        && text.chars().all(|c| plain(c) || extra.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Description {
        Description {
            name: "a".to_owned(),
            version: "1.0.0".to_owned(),
            algorithms: vec!["a-b_c".to_owned()],
            title: "A".to_owned(),
            summary: "S.".to_owned(),
            hyperparameters_schema: r#"{"type":"object"}"#.to_owned(),
            settings_schema: r#"{"type":"object"}"#.to_owned(),
            kinds: vec![types::Kind {
                api_version: "ray.io/v1".to_owned(),
                kind: "RayJob".to_owned(),
                plural: "rayjobs".to_owned(),
                workload: true,
                max_name_length: 47,
            }],
            examples: vec!["{}".to_owned()],
            extra: Vec::new(),
        }
    }

    #[test]
    fn well_formed_description_passes() {
        assert!(check(good(), Sha256Digest::of("")).is_ok());
    }

    #[test]
    fn interpreters_are_whole_objects_for_kinds_of_the_plugin() {
        let document = serde_json::json!({
            "apiVersion": "config.karmada.io/v1alpha1",
            "kind": "ResourceInterpreterCustomization",
            "metadata": {"name": "a"},
            "spec": {
                "target": {"apiVersion": "ray.io/v1", "kind": "RayJob"},
                "customizations": {"retention": {"luaScript": "function Retain(d, o) return d end"}},
            },
        });
        let said = |text: String| {
            let mut description = good();
            description.extra = vec![(INTERPRETERS.to_owned(), text)];
            check(description, Sha256Digest::of(""))
        };
        let passed = said(serde_json::json!([document]).to_string()).unwrap();
        let [one] = passed.info.interpreters.as_slice() else { panic!("{:?}", passed.info) };
        assert_eq!((one.name.as_str(), one.kind.as_str()), ("a", "RayJob"));
        assert_eq!(one.document, document);
        assert!(said("{}".to_owned()).is_err());
        assert!(said(serde_json::json!([document, document]).to_string()).is_err(), "one name");
        for (pointer, value) in [
            ("/metadata/name", serde_json::json!("../a")),
            ("/metadata", serde_json::json!({"name": "a", "labels": {}})),
            ("/kind", serde_json::json!("Secret")),
            ("/spec/target/kind", serde_json::json!("Secret")),
            ("/spec/customizations", serde_json::json!({})),
            ("/spec/customizations/retention", serde_json::json!({"luaScript": 1})),
        ] {
            let mut wrong = document.clone();
            *wrong.pointer_mut(pointer).unwrap() = value;
            assert!(said(serde_json::json!([wrong]).to_string()).is_err(), "{pointer}");
        }
    }

    #[test]
    fn fields_of_suspension_are_those_of_workloads_of_the_plugin() {
        let said = |text: &str| {
            let mut description = good();
            description.extra = vec![(SUSPEND.to_owned(), text.to_owned())];
            check(description, Sha256Digest::of("")).map(|passed| passed.info.suspend)
        };
        assert_eq!(check(good(), Sha256Digest::of("")).unwrap().info.suspend, None);
        assert_eq!(said("{}").unwrap(), Some(BTreeMap::new()));
        let field = ("ray.io/v1/RayJob".to_owned(), "/spec/suspend".to_owned());
        let passed = said(r#"{"ray.io/v1/RayJob": "/spec/suspend"}"#).unwrap();
        assert_eq!(passed, Some(BTreeMap::from([field])));
        for wrong in [
            "[]",
            r#"{"ray.io/v1/RayJob": true}"#,
            r#"{"batch/v1/Job": "/spec/suspend"}"#,
            r#"{"ray.io/v1/RayJob": "/metadata/name"}"#,
            r#"{"ray.io/v1/RayJob": "/spec/"}"#,
            r#"{"ray.io/v1/RayJob": "/spec/a~1b"}"#,
        ] {
            assert!(said(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_breach_is_refused() {
        let breaches: [fn(&mut Description); 12] = [
            |d| d.name = "A".to_owned(),
            |d| d.name = "a".repeat(41),
            |d| d.version = "1".to_owned(),
            |d| d.algorithms.clear(),
            |d| d.algorithms.push("../x".to_owned()),
            |d| d.kinds.clear(),
            |d| d.kinds.iter_mut().for_each(|kind| kind.workload = false),
            |d| d.kinds.iter_mut().for_each(|kind| kind.api_version = "/v1".to_owned()),
            |d| d.kinds.iter_mut().for_each(|kind| kind.plural = "a/b".to_owned()),
            |d| d.hyperparameters_schema = r#"{"type":"string"}"#.to_owned(),
            |d| d.settings_schema = "null".to_owned(),
            |d| d.examples.push("[]".to_owned()),
        ];
        for (index, breach) in breaches.into_iter().enumerate() {
            let mut description = good();
            breach(&mut description);
            assert!(check(description, Sha256Digest::of("")).is_err(), "breach {index}");
        }
    }
}
