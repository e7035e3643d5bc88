//! The conformance kit finds what is wrong and nothing else.

use std::fs;

use serde_json::{Value, json};

use crate::guests::{Guest, form, schema, spec};
use crate::tool::{Run, command, finish, run, shipped};

/// Checks a guest with few random jobs and returns the report.
fn checked(guest: &Guest, more: &[&str]) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let file = guest.write(dir.path(), "toy.wasm");
    let mut args = vec!["check", file.to_str().unwrap(), "--json", "--jobs", "40"];
    args.extend(more);
    run(&args)
}

fn failures(report: &Value) -> Vec<(String, String, Value)> {
    let sections = report["sections"].as_array().unwrap();
    sections
        .iter()
        .flat_map(|section| section["checks"].as_array().unwrap())
        .filter(|check| check["outcome"] == "failed")
        .map(|check| {
            let text = |member: &str| check[member].as_str().unwrap().to_owned();
            (text("what"), text("why"), check["form"].clone())
        })
        .collect()
}

#[test]
fn good_plugin_passes_and_gets_a_badge() {
    let report = checked(&Guest::good(), &[]).ends(0).json();
    assert_eq!(failures(&report), []);
    assert_eq!(report["passed"], true);
    assert_eq!(report["plugin"]["name"], "toy");
    assert_eq!(report["badge"]["schemaVersion"], 1);
    assert_eq!(report["badge"]["color"], "brightgreen");
    let text = report.to_string();
    for expected in
        ["`interpret` reads any status of a Job", "memory: 4 MiB suffice", "equal to the byte"]
    {
        assert!(text.contains(expected), "{expected}: {report:#}");
    }
}

#[test]
fn shipped_plugin_passes() {
    let Some(file) = shipped("xgboost.wasm") else { return };
    let mut args = vec!["check".into(), file.into_os_string(), "--json".into()];
    if let Some(schemas) = std::env::var_os("TRAINYARD_SCHEMAS") {
        args.extend(["--schemas".into(), schemas]);
    }
    let report = run(&args).ends(0).json();
    assert_eq!(report["passed"], true);
}

#[test]
fn trap_is_found_and_shown_with_the_smallest_job() {
    let guest = Guest { traps_on: "\"rounds\":9".to_owned(), ..Guest::good() };
    let run = checked(&guest, &[]).ends(1);
    let found = failures(&run.json());
    let [(what, why, form)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(what, "neither `validate` nor `convert` breaks");
    assert!(why.contains("unreachable"), "{why}");
    let smallest = json!({
        "jobName": "a",
        "algorithm": {"algorithmName": "toy"},
        "hyperparameters": {"toy": {"rounds": 9}},
    });
    assert_eq!(*form, smallest);
    assert!(run.stderr.contains("fails 1 check"), "{}", run.stderr);
}

#[test]
fn manifests_beyond_what_was_asked_for_are_found() {
    let change = |pointer: &str, value: Value| {
        let mut spec = spec();
        *spec.pointer_mut(pointer).unwrap() = value;
        Guest { spec, ..Guest::good() }
    };
    let container = "/template/spec/containers/0";
    for (guest, expected) in [
        (change("/backoffLimit", json!({"replicas": 7})), "default policy"),
        (change(&format!("{container}/resources/limits/cpu"), json!("5")), "default policy"),
        (change("/template/spec/volumes", json!([])), "every mounted volume"),
        (
            change(
                container,
                json!({"name": "c", "env": [{"name": "S3_SECRET_KEY", "value": "x"}]}),
            ),
            "default policy",
        ),
        (
            change("/template/spec/restartPolicy", json!({"ttlSecondsAfterFinished": 1})),
            "default policy",
        ),
    ] {
        let found = failures(&checked(&guest, &[]).ends(1).json());
        assert!(found.iter().any(|(what, _, _)| what.contains(expected)), "{expected}: {found:?}");
    }
}

#[test]
fn status_that_breaks_a_plugin_is_found() {
    let guest = Guest { misreads: "\"conditions\":\"x\"".to_owned(), ..Guest::good() };
    let found = failures(&checked(&guest, &["--examples-only"]).ends(1).json());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].2["status"], json!({"conditions": "x"}));
}

#[test]
fn slips_in_schemas_and_texts_are_found() {
    let mut broken = schema();
    broken["properties"]["mode"]["x-visible-when"] = json!({"nothing": [1]});
    broken["properties"]["camelCase"] = json!({"type": "integer", "title": "C"});
    broken["properties"]["snake_case"] =
        json!({"type": "integer", "title": "S", "description": "S.", "default": 1});
    let guest = Guest {
        schema: broken,
        summary: "No sentence".to_owned(),
        settings: json!({"type": "object", "properties": {"image": {"type": "string"}}}),
        ..Guest::good()
    };
    let found = failures(&checked(&guest, &["--examples-only"]).ends(1).json());
    for expected in [
        "no sibling `nothing`",
        "/properties/camelCase: it has no `description`",
        "/properties/camelCase: it is optional and has no `default`",
        "camelCase are camelCase among names in snake_case",
        "not a whole sentence",
        "every setting needs a `default`",
    ] {
        assert!(found.iter().any(|(_, why, _)| why.contains(expected)), "{expected}: {found:?}");
    }
}

#[test]
fn same_seed_tries_the_same_jobs() {
    // Which mixtures trap depends on the seed; how long a call took is nobody's to repeat.
    let guest = Guest { traps_on: "\"rounds\":7".to_owned(), ..Guest::good() };
    let report = |seed: &str| {
        let mut report = checked(&guest, &["--seed", seed]).json();
        report["sections"].as_array_mut().unwrap().retain(|section| section["name"] != "limits");
        report
    };
    assert_eq!(report("7"), report("7"));
    assert_eq!(report("7")["seed"], 7);
    assert_ne!(report("7")["sections"], report("8")["sections"]);
}

#[test]
fn golden_cases_are_written_compared_and_shown_as_differences() {
    let dir = tempfile::tempdir().unwrap();
    let cases = dir.path().join("cases");
    for (name, mode) in [("plain", "fast"), ("refused", "slow")] {
        let case = cases.join(name);
        fs::create_dir_all(&case).unwrap();
        let mut form = form("golden");
        form["hyperparameters"]["toy"]["mode"] = json!(mode);
        fs::write(case.join("form.json"), form.to_string()).unwrap();
    }
    let objects_to = "\"mode\":\"slow\"".to_owned();
    let guest = Guest { objects_to, ..Guest::good() };
    let cases = cases.to_str().unwrap();
    let missing = checked(&guest, &["--cases", cases]).ends(1);
    assert!(missing.stdout.contains("`--update` writes it"), "{}", missing.stdout);
    assert!(missing.stderr.contains("hint: `--update`"), "{}", missing.stderr);

    checked(&guest, &["--cases", cases, "--update"]).ends(0);
    let read = |path: &str| -> Value {
        serde_json::from_slice(&fs::read(dir.path().join("cases").join(path)).unwrap()).unwrap()
    };
    let plan = read("plain/plan.json");
    assert_eq!(plan[0]["role"], "workload");
    assert_eq!(plan[0]["document"]["metadata"], json!({"name": "golden"}), "before admission");
    let finding = json!([{"pointer": "/hyperparameters/toy/mode", "code": "conflict"}]);
    assert_eq!(read("refused/findings.json"), finding);
    checked(&guest, &["--cases", cases]).ends(0);

    let mut spec = spec();
    spec["backoffLimit"] = json!(3);
    let changed = Guest { spec, ..Guest::good() };
    let found = failures(&checked(&changed, &["--cases", cases]).ends(1).json());
    let plain = found.iter().find(|(what, _, _)| what == "plain").unwrap();
    assert!(
        plain.1.contains("-        \"backoffLimit\": 0,\n+        \"backoffLimit\": 3,"),
        "{}",
        plain.1
    );
    let refused = found.iter().find(|(what, _, _)| what == "refused").unwrap();
    assert!(refused.1.contains("the outcome is a plan.json"), "{}", refused.1);
}

#[test]
fn cluster_schema_refuses_what_a_cluster_would_drop() {
    let dir = tempfile::tempdir().unwrap();
    let openapi = json!({"components": {"schemas": {"io.k8s.api.batch.v1.Job": {
        "type": "object",
        "x-kubernetes-group-version-kind": [{"group": "batch", "version": "v1", "kind": "Job"}],
        "properties": {
            "apiVersion": {"type": "string"}, "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {"type": "object", "properties": {"template": {"type": "object"}}},
        },
    }}}});
    fs::write(dir.path().join("batch.json"), openapi.to_string()).unwrap();
    let schemas = dir.path().to_str().unwrap();
    let found = failures(&checked(&Guest::good(), &["--schemas", schemas]).ends(1).json());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].1.contains("backoffLimit"), "{found:?}");

    let empty = tempfile::tempdir().unwrap();
    let report = checked(&Guest::good(), &["--schemas", empty.path().to_str().unwrap()]).ends(0);
    assert!(report.stdout.contains("batch/v1 Job"), "unchecked kinds are named");
}

#[test]
fn what_is_no_plugin_has_a_report_too() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.wasm");
    fs::write(&file, "not wasm").unwrap();
    let run = run(&["check", file.to_str().unwrap(), "--json"]).ends(1);
    assert_eq!(run.json()["passed"], false);
    assert_eq!(run.json()["badge"]["color"], "red");
}

#[test]
fn people_get_lines_and_the_environment_names_the_schemas() {
    let dir = tempfile::tempdir().unwrap();
    let file = Guest::good().write(dir.path(), "toy.wasm");
    let mut command = command(&["check", file.to_str().unwrap(), "--examples-only"]);
    command.env("TRAINYARD_SCHEMAS", dir.path());
    let run = finish(command).ends(0);
    for line in [
        "loads\n  ok    toy 1.0.0",
        "  skip  generated jobs: only the examples",
        "  skip  batch/v1 Job: ",
    ] {
        assert!(run.stdout.contains(line), "{line}: {}", run.stdout);
    }
    assert_eq!(run.stderr, "", "nothing to say beside the report");
}
