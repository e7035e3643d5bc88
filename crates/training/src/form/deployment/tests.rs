//! Forms of deployments: what they mean, and where their mistakes are said to be.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Mistaken, Serving, give_algorithm, name_member, parse};
use super::*;
use crate::job::{Amount, JobSpec};

const SCHEMA: &str = r#"{
    "type": "object",
    "properties": {
        "argv": {"type": "array", "x-form-field": "command"},
        "doors": {"type": "array", "x-form-field": "ports"}
    }
}"#;

fn read_with(form: Value, schema: &str) -> Result<super::super::Form, Mistaken> {
    let algorithms = ["house".to_owned()];
    let serving = Serving { algorithms: &algorithms, schema };
    parse(form, &Surroundings { serving: Some(serving), clusters: &[] })
}

fn spec_with(form: Value, schema: &str) -> JobSpec {
    let read = read_with(form.clone(), schema);
    read.unwrap_or_else(|mistaken| panic!("{form}: {:?}", mistaken.errors)).spec
}

/// What is wrong with a form, as `pointer code`.
fn mistakes_with(form: Value, schema: &str) -> Vec<String> {
    let errors = read_with(form, schema).err().map(|mistaken| mistaken.errors).unwrap_or_default();
    errors.into_iter().map(|error| format!("{} {}", error.pointer, error.code)).collect()
}

fn with(member: &str, value: Value) -> Value {
    let mut form = json!({"deploymentName": "a", "imageName": "b:1", "algorithm": "house"});
    form[member] = value;
    form
}

#[test]
fn every_field_of_the_predecessor_reaches_the_job() {
    let form = json!({
        "deploymentName": "train",
        "imageName": "registry.example/team/train:1",
        "command": ["python", "train.py", "--name", "a b"],
        "resources": {
            "requests": {"cpu": "500m", "memory": "1Gi"},
            "limits": {"cpu": "2", "memory": "2Gi", "nvidia.com/gpu": 1},
        },
        "ports": [8080, {"containerPort": 9090, "port": 90, "name": "metrics"}],
        "algorithm": "house",
    });
    let spec = spec_with(form.clone(), SCHEMA);
    assert_eq!((spec.name.as_str(), spec.algorithm.as_str()), ("train", "house"));
    assert_eq!(spec.namespace.as_str(), "default");
    assert_eq!(spec.image_uri.as_deref(), form["imageName"].as_str());
    let resources = spec.resources;
    assert_eq!((resources.cpu_cores, resources.memory_gib, resources.gpu_count), (2, 2, 1));
    assert_eq!((resources.instance_count, resources.volume_size_gb), (1, 0));
    assert_eq!(spec.exact.cpu, Some(Amount { request: 500, limit: 2000 }));
    assert_eq!(spec.exact.memory, Some(Amount { request: 1 << 30, limit: 2 << 30 }));
    let expected = json!({
        "argv": ["python", "train.py", "--name", "a b"],
        "doors": [{"containerPort": 8080}, {"containerPort": 9090, "port": 90, "name": "metrics"}],
    });
    assert_eq!((spec.hyperparameters, spec.entrypoint), (expected, None));
    assert_eq!(spec.request, form, "the echo is the form as it was sent");
}

#[test]
fn a_line_is_for_a_shell_and_so_are_words_that_no_parameter_takes() {
    for (command, schema, line, argv) in [
        (json!("a && b"), SCHEMA, Some("a && b"), Value::Null),
        (json!(["a", "&&", "b c"]), SCHEMA, None, json!(["a", "&&", "b c"])),
        (json!(["a", "&&", "b c"]), "{}", Some("a '&&' 'b c'"), Value::Null),
        (json!([]), SCHEMA, None, Value::Null),
        (json!(""), SCHEMA, None, Value::Null),
        (Value::Null, SCHEMA, None, Value::Null),
    ] {
        let spec = spec_with(with("command", command.clone()), schema);
        let found = spec.hyperparameters.get("argv").cloned().unwrap_or_default();
        assert_eq!((spec.entrypoint.as_deref(), found), (line, argv), "{command}");
    }
}

#[test]
fn mistakes_are_pointed_to_where_the_user_wrote_them() {
    for (member, value, expected) in [
        ("deploymentName", json!("Not A Name"), "/deploymentName invalid-value"),
        ("deploymentName", json!(""), "/deploymentName required"),
        ("imageName", json!("a b"), "/imageName invalid-value"),
        ("algorithm", json!(7), "/algorithm wrong-type"),
        ("algorithm", json!(""), "/algorithm required"),
        ("command", json!(7), "/command wrong-type"),
        ("command", json!(["a", 7]), "/command/1 wrong-type"),
        ("command", json!("a\u{7}"), "/command control-character"),
        ("ports", json!(8080), "/ports wrong-type"),
        ("resources", json!("2"), "/resources wrong-type"),
        ("resources", json!({"cpu": 2}), "/resources/cpu unknown-field"),
        ("resources", json!({"limits": {"cpu": "two"}}), "/resources/limits/cpu invalid-value"),
        (
            "resources",
            json!({"requests": {"memory": 4}}),
            "/resources/requests/memory out-of-range",
        ),
        (
            "resources",
            json!({"requests": {"cpu": 2}, "limits": {"cpu": 1}}),
            "/resources/limits/cpu conflict",
        ),
        ("resources", json!({"limits": {"disk": 1}}), "/resources/limits/disk unknown-field"),
        (
            "resources",
            json!({"limits": {"nvidia.com/gpu": "500m"}}),
            "/resources/limits/nvidia.com~1gpu invalid-value",
        ),
        (
            "resources",
            json!({"limits": {"nvidia.com/gpu": 65}}),
            "/resources/limits/nvidia.com~1gpu out-of-range",
        ),
        (
            "resources",
            json!({"requests": {"nvidia.com/gpu": 1}, "limits": {"nvidia.com/gpu": 2}}),
            "/resources/limits/nvidia.com~1gpu conflict",
        ),
        ("namespace", json!("A"), "/namespace invalid-value"),
        ("replicas", json!(2), "/replicas unknown-field"),
        ("image", json!("a"), "/image unknown-field"),
    ] {
        let form = with(member, value);
        assert_eq!(mistakes_with(form.clone(), SCHEMA), [expected], "{form}");
    }
    let no_doors = mistakes_with(with("ports", json!([80])), r#"{"properties": {}}"#);
    assert_eq!(no_doors, ["/ports unsupported"]);
}

#[test]
fn what_a_plugin_says_of_a_parameter_is_pointed_into_the_form() {
    let form = with("ports", json!([80, {"containerPort": 0}]));
    let places = read_with(form, SCHEMA).unwrap().places;
    for (pointer, expected) in [
        ("/hyperparameters/house/doors", "/ports"),
        ("/hyperparameters/house/doors/0/containerPort", "/ports/0"),
        ("/hyperparameters/house/doors/1/containerPort", "/ports/1/containerPort"),
        ("/algorithm/imageUri", "/imageName"),
        ("/algorithm/algorithmName", "/algorithm"),
        ("/resources/instanceResources/gpuCount", "/resources"),
        ("/outputDataConfig/artifactUri", ""),
    ] {
        assert_eq!(places.of(pointer), expected, "{pointer}");
    }
    let places = read_with(with("command", json!(["a"])), SCHEMA).unwrap().places;
    assert_eq!(places.of("/hyperparameters/house/argv/0"), "/command/0");
}

#[test]
fn dialects_are_told_apart_by_their_fields() {
    for (form, member) in [
        (json!({"deploymentName": "a"}), "deploymentName"),
        (json!({"imageName": "a"}), "deploymentName"),
        (json!({"deploymentName": "a", "jobName": "b"}), "jobName"),
        (json!({"deploymentName": "a", "name": "b", "image": "c"}), "name"),
        (json!({"jobName": "b"}), "jobName"),
        (json!(7), "jobName"),
    ] {
        assert_eq!(name_member(&form), member, "{form}");
    }
    let mixed = json!({"jobName": "a", "algorithm": "house", "imageName": "b"});
    assert_eq!(mistakes_with(mixed, SCHEMA), ["/imageName mixed-forms"]);
}

#[test]
fn algorithm_is_given_only_to_a_deployment_that_names_none() {
    for (mut form, expected) in [
        (json!({"deploymentName": "a"}), json!("house")),
        (json!({"deploymentName": "a", "algorithm": ""}), json!("house")),
        (json!({"deploymentName": "a", "algorithm": null}), json!("house")),
        (json!({"deploymentName": "a", "algorithm": "barn"}), json!("barn")),
        (json!({"deploymentName": "a", "algorithm": 7}), json!(7)),
        (json!({"jobName": "a"}), Value::Null),
        (json!({"name": "a", "image": "b"}), Value::Null),
    ] {
        give_algorithm(&mut form, "house");
        assert_eq!(form["algorithm"], expected, "{form}");
    }
}

proptest! {
    #[test]
    fn nothing_that_is_sent_makes_it_panic(
        command in any_json(), resources in any_json(), ports in any_json(),
    ) {
        let mut form = with("command", command);
        form["resources"] = resources;
        form["ports"] = ports;
        if let Err(mistaken) = read_with(form.clone(), SCHEMA) {
            prop_assert!(!mistaken.errors.is_empty());
            for error in mistaken.errors {
                prop_assert!(form.pointer(&error.pointer).is_some(), "{}: {error:?}", form);
            }
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z0-9]{0,4}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        Just("limits".to_owned()),
        Just("requests".to_owned()),
        Just("cpu".to_owned()),
        Just("memory".to_owned()),
        Just("nvidia.com/gpu".to_owned()),
        "[a-z/]{1,4}",
    ];
    leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..4)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}
