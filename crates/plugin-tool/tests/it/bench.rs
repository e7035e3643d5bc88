//! The measurement runs and its figures are figures. How large they are is nobody's promise.

use serde_json::Value;

use crate::guests::{Guest, form};
use crate::tool::run;

#[test]
fn every_call_is_measured_on_one_and_two_threads() {
    let dir = tempfile::tempdir().unwrap();
    let file = Guest::good().write(dir.path(), "toy.wasm");
    let path = dir.path().join("form.json");
    std::fs::write(&path, form("bench").to_string()).unwrap();
    let args = ["bench", file.to_str().unwrap(), "--seconds", "0.05", "--json", "--form"];
    let report = run(&[&args[..], &[path.to_str().unwrap()]].concat()).ends(0).json();
    let calls = report["calls"].as_array().unwrap();
    let measured: Vec<(&str, u64)> = calls
        .iter()
        .map(|call| (call["call"].as_str().unwrap(), call["threads"].as_u64().unwrap()))
        .collect();
    assert_eq!(measured, [("validate", 1), ("convert", 1), ("validate", 2), ("convert", 2)]);
    for call in calls {
        let figure = |name: &str| call[name].as_f64().filter(|figure| *figure > 0.0);
        assert!(figure("perSecond").is_some() && figure("p50Us") <= figure("p99Us"), "{call}");
    }
    assert_eq!(report["manifests"], Value::from(1));
    assert!(report["outputBytes"].as_u64().unwrap() > 100);
}

#[test]
fn form_that_is_refused_is_the_callers_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let guest = Guest { objects_to: "\"rounds\":1".to_owned(), ..Guest::good() };
    let file = guest.write(dir.path(), "toy.wasm");
    let run = run(&["bench", file.to_str().unwrap(), "--seconds", "0.05"]).ends(1);
    assert!(run.stderr.contains("conflict"), "{}", run.stderr);
}
