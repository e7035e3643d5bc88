//! Sources of data, and what is wrong with them.

use serde_json::{Value, json};

use super::super::{Mistaken, Serving, Surroundings, parse};
use crate::job::DataSource;

/// What a plugin says that reads data from everywhere.
const READS_ALL: &str = r#"{"x-channel-sources": ["pvc", "http"]}"#;

fn read(form: Value, schema: &str) -> Result<Vec<DataSource>, Vec<String>> {
    let algorithms = ["trees".to_owned()];
    let serving = Serving { algorithms: &algorithms, schema };
    let around = Surroundings { serving: Some(serving), clusters: &[] };
    match parse(form, &around) {
        Ok(form) => Ok(form.spec.channels.into_iter().map(|channel| channel.source).collect()),
        Err(Mistaken { errors, .. }) => {
            Err(errors.iter().map(|error| format!("{} {}", error.pointer, error.code)).collect())
        }
    }
}

fn nested(channel: &Value) -> Value {
    json!({"jobName": "a", "algorithm": "trees", "inputDataConfig": [channel]})
}

fn volume(claim: &str, path: &str) -> DataSource {
    DataSource::Volume { claim: claim.to_owned(), path: path.to_owned() }
}

fn web(url: &str) -> DataSource {
    DataSource::Web { url: url.to_owned() }
}

#[test]
fn source_is_what_the_form_says_or_what_its_fields_are_of() {
    let url = "https://data.example/iris.csv";
    for (channel, expected) in [
        (json!({"sourceType": "pvc", "pvcName": "shared"}), volume("shared", "")),
        (json!({"pvcName": "shared", "path": "/iris/train/"}), volume("shared", "iris/train")),
        (json!({"sourceType": "http", "url": url}), web(url)),
        (json!({"url": url}), web(url)),
        // Older clients send every field that they know.
        (json!({"url": url, "bucket": "", "prefix": "", "endpoint": null, "path": ""}), web(url)),
    ] {
        assert_eq!(read(nested(&channel), READS_ALL), Ok(vec![expected]), "{channel}");
    }
    let stored = json!({"bucket": "b", "url": "", "pvcName": null, "path": ""});
    let found = read(nested(&stored), READS_ALL).unwrap();
    assert!(matches!(&found[..], [DataSource::ObjectStorage { bucket, .. }] if bucket == "b"));
}

#[test]
fn claim_of_the_job_is_meant_where_a_channel_names_none() {
    let mut form = nested(&json!({"sourceType": "pvc", "path": "iris"}));
    assert_eq!(
        read(form.clone(), READS_ALL),
        Err(vec!["/inputDataConfig/0/pvcName required".to_owned()])
    );
    form["pvcName"] = json!("own");
    assert_eq!(read(form.clone(), READS_ALL), Ok(vec![volume("own", "iris")]));
    form["inputDataConfig"][0]["pvcName"] = json!("shared");
    assert_eq!(read(form, READS_ALL), Ok(vec![volume("shared", "iris")]));
}

#[test]
fn each_mistake_is_pointed_at() {
    for (channel, expected) in [
        (json!({"sourceType": "pvc", "pvcName": "A"}), "/pvcName invalid-value"),
        (json!({"pvcName": "a", "path": "../b"}), "/path invalid-value"),
        (json!({"sourceType": "http"}), "/url required"),
        (json!({"url": "ftp://data.example/a"}), "/url invalid-value"),
        (json!({"url": "https://a:b@data.example/a"}), "/url invalid-value"),
        (json!({"url": "https://data.example/a?sig=1"}), "/url invalid-value"),
        (json!({"url": "https://data.example/a", "bucket": "b"}), "/bucket conflict"),
        (json!({"pvcName": "a", "url": "https://data.example/a"}), "/url conflict"),
        (json!({"sourceType": "object-storage", "bucket": "b", "path": "a"}), "/path conflict"),
        (
            json!({"sourceType": "ftp", "url": "https://data.example/a"}),
            "/sourceType unknown-value",
        ),
    ] {
        let expected = format!("/inputDataConfig/0{expected}");
        assert_eq!(read(nested(&channel), READS_ALL), Err(vec![expected]), "{channel}");
    }
}

#[test]
fn algorithm_reads_only_what_its_plugin_says_it_does() {
    let named = json!({"sourceType": "pvc", "pvcName": "shared"});
    let meant = json!({"url": "https://data.example/a.csv"});
    for schema in ["{}", r#"{"x-channel-sources": []}"#, r#"{"x-channel-sources": "pvc"}"#] {
        let refused = |place: &str| Err(vec![format!("/inputDataConfig/0{place} unsupported")]);
        assert_eq!(read(nested(&named), schema), refused("/sourceType"), "{schema}");
        assert_eq!(read(nested(&meant), schema), refused(""), "{schema}");
        assert!(read(nested(&json!({"bucket": "b"})), schema).is_ok(), "{schema}");
    }
    let one = r#"{"x-channel-sources": ["pvc"]}"#;
    assert!(read(nested(&named), one).is_ok() && read(nested(&meant), one).is_err());
}

#[test]
fn flat_forms_have_channels_too() {
    let mut form = json!({
        "name": "a", "jobType": "trees",
        "inputDataConfig": [{"pvcName": "shared", "path": "iris"}],
    });
    assert_eq!(read(form.clone(), READS_ALL), Ok(vec![volume("shared", "iris")]));
    form["inputDataConfig"][0]["path"] = json!("..");
    assert_eq!(
        read(form, READS_ALL),
        Err(vec!["/inputDataConfig/0/path invalid-value".to_owned()])
    );
}
