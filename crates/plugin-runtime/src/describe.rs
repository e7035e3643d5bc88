//! What a plugin says about itself, checked. A description that passes is trusted to be well
//! formed by the API, the form and the docs.

use semver::Version;
use serde_json::Value;
use training::ports::{PluginInfo, PluginKind};
use training::{PluginDigest, Sha256Digest};

use crate::bindings::{Description, types};
use crate::limits::{JSON_DEPTH, TEXT_BYTES};
use crate::schema::Schema;
use crate::text;

/// Kinds, algorithms or examples of one plugin.
const MOST: usize = 32;

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
