//! Two versions of a plugin, and what the number of the newer one must promise.

use serde_json::{Value, json};

use crate::guests::{Guest, schema, spec};
use crate::tool::{Run, run};

fn compared(old: &Guest, new: &Guest) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let old = old.write(dir.path(), "old.wasm");
    let new = new.write(dir.path(), "new.wasm");
    run(&["diff", old.to_str().unwrap(), new.to_str().unwrap(), "--json"])
}

fn version(version: &str) -> Guest {
    Guest { version: version.to_owned(), ..Guest::good() }
}

fn with_schema(version: &str, change: fn(&mut Value)) -> Guest {
    let mut schema = schema();
    change(&mut schema);
    Guest { version: version.to_owned(), schema, ..Guest::good() }
}

#[test]
fn same_file_needs_no_new_number() {
    let report = compared(&Guest::good(), &Guest::good()).ends(0).json();
    assert_eq!((&report["needed"], &report["changes"]), (&json!("none"), &json!([])));
}

#[test]
fn narrowed_range_is_major_and_the_number_must_say_so() {
    let narrow =
        |version| with_schema(version, |s| s["properties"]["rounds"]["maximum"] = json!(8));
    for (number, code) in [("1.0.1", 1), ("1.1.0", 1), ("2.0.0", 0)] {
        let run = compared(&Guest::good(), &narrow(number)).ends(code);
        let report = run.json();
        assert_eq!(report["needed"], "major", "{report:#}");
        assert_eq!(report["sufficient"], code == 0);
        let expected = json!({
            "level": "major",
            "pointer": "/hyperparameters-schema/properties/rounds/maximum",
            "reason": "`maximum` narrowed from 9 to 8.",
        });
        assert!(report["changes"].as_array().unwrap().contains(&expected), "{report:#}");
        assert_eq!(run.stderr.contains("hint: give the new version the number 2.0.0"), code == 1);
    }
}

#[test]
fn optional_parameter_is_minor_and_a_text_is_a_patch() {
    let more = |number| {
        with_schema(number, |s| {
            s["properties"]["more"] =
                json!({"title": "M", "description": "M.", "type": "integer", "default": 1});
        })
    };
    assert_eq!(compared(&Guest::good(), &more("1.1.0")).ends(0).json()["needed"], "minor");
    compared(&Guest::good(), &more("1.0.1")).ends(1);
    let text = with_schema("1.0.1", |s| s["properties"]["rounds"]["title"] = json!("Turns"));
    assert_eq!(compared(&Guest::good(), &text).ends(0).json()["needed"], "patch");
}

#[test]
fn changed_manifests_are_shown_and_need_a_new_number() {
    let mut other = spec();
    other["backoffLimit"] = json!(3);
    let new = Guest { spec: other, ..Guest::good() };
    let report = compared(&Guest::good(), &new).ends(1).json();
    assert_eq!((&report["needed"], &report["declared"]), (&json!("patch"), &json!("none")));
    let output = &report["outputs"][0];
    assert_eq!((&output["object"], &output["change"]), (&json!("Job toy"), &json!("changed")));
    let diff = output["diff"].as_str().unwrap();
    assert!(diff.contains("-  backoffLimit: 0\n+  backoffLimit: 3"), "{diff}");
}

#[test]
fn example_that_no_longer_converts_is_major() {
    let new = Guest { objects_to: "\"rounds\":1".to_owned(), ..version("1.1.0") };
    let report = compared(&Guest::good(), &new).ends(1).json();
    assert_eq!(report["needed"], "major", "{report:#}");
    assert_eq!(report["changes"][0]["pointer"], "/examples/old/0");
}

#[test]
fn lost_algorithm_is_major() {
    let both = Guest { algorithms: vec!["toy".to_owned(), "alias".to_owned()], ..Guest::good() };
    assert_eq!(compared(&both, &version("1.1.0")).ends(1).json()["needed"], "major");
    let both = Guest { version: "1.1.0".to_owned(), ..both };
    assert_eq!(compared(&Guest::good(), &both).ends(0).json()["needed"], "minor");
}

#[test]
fn file_that_is_missing_is_the_users_mistake() {
    let run = run(&["diff", "/nonexistent/a.wasm", "/nonexistent/b.wasm"]).ends(1);
    assert!(run.stderr.starts_with("error: /nonexistent/a.wasm"), "{}", run.stderr);
}
