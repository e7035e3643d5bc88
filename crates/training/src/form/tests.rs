//! Tables of forms, and what is said about them.

use serde_json::json;

use super::*;
use crate::job::{ChannelType, DataSource};

fn read(form: Value) -> Result<Form, Mistaken> {
    let clusters = [ClusterName::parse("member1").unwrap(), ClusterName::parse("member2").unwrap()];
    let algorithms = ["trees".to_owned(), "trees-alias".to_owned()];
    let serving = Serving { algorithms: &algorithms, schema: "{}" };
    parse(form, &Surroundings { serving: Some(serving), clusters: &clusters })
}

fn minimal() -> Value {
    json!({"jobName": "a", "algorithm": {"algorithmName": "trees"}})
}

/// The minimal form with one more member.
fn with(member: &str, value: Value) -> Value {
    let mut form = minimal();
    form[member] = value;
    form
}

fn spec(form: Value) -> JobSpec {
    read(form).unwrap().spec
}

/// What is wrong with a form, as `pointer code`.
fn mistakes(form: Value) -> Vec<String> {
    let errors = read(form).unwrap_err().errors;
    errors.into_iter().map(|error| format!("{} {}", error.pointer, error.code)).collect()
}

#[test]
fn minimal_form_gets_every_default() {
    let spec = spec(minimal());
    assert_eq!(spec.namespace.as_str(), "default");
    assert_eq!((spec.priority, spec.max_runtime_seconds), (500, None));
    let expected = Resources {
        cpu_cores: 4,
        memory_gib: 16,
        gpu_count: 0,
        instance_count: 1,
        volume_size_gb: 0,
    };
    assert_eq!((spec.resources, spec.spread), (expected, Spread::One));
    assert_eq!(spec.hyperparameters, json!({}));
    assert_eq!(spec.request, minimal());
}

#[test]
fn sample_of_the_predecessor_is_accepted() {
    let text = include_str!("../../../../tests/data/params.json");
    let form: Value = serde_json::from_str(text).unwrap();
    let spec = spec(form);
    assert_eq!(spec.resources.volume_size_gb, 50);
    assert_eq!(spec.max_runtime_seconds, Some(14400));
    let expected = DataSource::ObjectStorage {
        provider: "minio".to_owned(),
        endpoint: "https://minio.local".to_owned(),
        bucket: "input".to_owned(),
        prefix: "datasets/default/".to_owned(),
    };
    assert_eq!(spec.channels[0].source, expected);
    assert_eq!(spec.output_uri.as_deref(), Some("storage://output/artifacts/"));
}

#[test]
fn null_empty_and_zero_count_as_absent_where_older_clients_send_them() {
    let spec = spec(json!({
        "jobName": "a",
        "namespace": "",
        "priority": 0,
        "algorithm": {"algorithmName": "trees", "source": "", "imageUri": ""},
        "resources": {"instanceResources": null, "instanceCount": 0, "volumeSizeGB": 0},
        "stoppingCondition": {"maxRuntimeSeconds": 0},
        "inputDataConfig": null,
        "outputDataConfig": {"artifactUri": ""},
        "hyperparameters": null,
        "customHyperparameters": null,
        "targetClusters": null,
        "entrypoint": "",
        "headImage": "",
        "pvcName": "",
    }));
    assert_eq!((spec.priority, spec.resources.instance_count), (500, 1));
    assert!(spec.channels.is_empty() && spec.pvc_name.is_none() && spec.image_uri.is_none());
}

#[test]
fn each_mistake_is_found_at_its_pointer() {
    let table: &[(&str, Value, &str)] = &[
        ("jobName", json!("A_b"), "/jobName invalid-value"),
        ("jobName", json!("x\"\n  pip: [evil]"), "/jobName control-character"),
        ("jobName", json!("../../x"), "/jobName invalid-value"),
        ("jobName", json!(7), "/jobName wrong-type"),
        ("jobName", json!(null), "/jobName required"),
        ("jobName", json!(""), "/jobName required"),
        ("namespace", json!("kube-system"), "/namespace invalid-value"),
        ("namespace", json!("a/../b"), "/namespace invalid-value"),
        ("priority", json!("500"), "/priority wrong-type"),
        ("priority", json!(100.0), "/priority wrong-type"),
        ("priority", json!(1001), "/priority out-of-range"),
        ("priority", json!(-1), "/priority out-of-range"),
        ("priority", json!(18_446_744_073_709_551_615_u64), "/priority out-of-range"),
        ("algorithm", json!(null), "/algorithm required"),
        ("algorithm", json!([]), "/algorithm wrong-type"),
        ("algorithm", json!({}), "/algorithm/algorithmName required"),
        (
            "algorithm",
            json!({"algorithmName": "trees", "source": "own"}),
            "/algorithm/source unknown-value",
        ),
        (
            "algorithm",
            json!({"algorithmName": "trees", "source": "container"}),
            "/algorithm/imageUri required",
        ),
        (
            "resources",
            json!({"instanceResources": {"cpuCores": 0.5}}),
            "/resources/instanceResources/cpuCores wrong-type",
        ),
        (
            "resources",
            json!({"instanceResources": {"gpuCount": 65}}),
            "/resources/instanceResources/gpuCount out-of-range",
        ),
        ("resources", json!({"instanceCount": -1}), "/resources/instanceCount out-of-range"),
        ("resources", json!({"instances": 1}), "/resources/instances unknown-field"),
        (
            "stoppingCondition",
            json!({"maxRuntimeSeconds": 2_592_001}),
            "/stoppingCondition/maxRuntimeSeconds out-of-range",
        ),
        ("inputDataConfig", json!({}), "/inputDataConfig wrong-type"),
        ("inputDataConfig", json!(["x"]), "/inputDataConfig/0 wrong-type"),
        ("inputDataConfig", json!([{}]), "/inputDataConfig/0/bucket required"),
        (
            "inputDataConfig",
            json!([{"bucket": "b", "endpoint": "https://k:s@minio"}]),
            "/inputDataConfig/0/endpoint invalid-value",
        ),
        (
            "inputDataConfig",
            json!([{"sourceType": "upload", "uploadFileName": "x.csv"}]),
            "/inputDataConfig/0/sourceType unsupported",
        ),
        (
            "inputDataConfig",
            json!([{"bucket": "b"}, {"bucket": "b"}]),
            "/inputDataConfig/1/channelName duplicate",
        ),
        (
            "inputDataConfig",
            json!([{"bucket": "b", "featureNames": ["y"], "labelName": "y"}]),
            "/inputDataConfig/0/featureNames/0 conflict",
        ),
        (
            "inputDataConfig",
            json!([{"bucket": "b", "csvColumns": ["x"], "labelName": "y"}]),
            "/inputDataConfig/0/labelName unknown-column",
        ),
        ("hyperparameters", json!([]), "/hyperparameters wrong-type"),
        (
            "hyperparameters",
            json!({"learning_rate": "0.001"}),
            "/hyperparameters/learning_rate wrong-type",
        ),
        ("hyperparameters", json!({"tress": {}}), "/hyperparameters/tress unknown-field"),
        ("customHyperparameters", json!([]), "/customHyperparameters wrong-type"),
        ("customHyperparameters", json!({"": 1}), "/customHyperparameters/ invalid-name"),
        (
            "customHyperparameters",
            json!({"a/b\n": 1}),
            "/customHyperparameters/a~1b\n control-character",
        ),
        ("targetClusters", json!("c1"), "/targetClusters wrong-type"),
        ("targetClusters", json!(["member1", "no"]), "/targetClusters/1 unknown-cluster"),
        ("targetClusters", json!([""]), "/targetClusters/0 empty"),
        ("placement", json!("both"), "/placement unknown-value"),
        ("headImage", json!("a b"), "/headImage invalid-value"),
        ("entrypoint", json!("a\nb"), "/entrypoint control-character"),
        ("pvcName", json!("A"), "/pvcName invalid-value"),
        (
            "outputDataConfig",
            json!({"artifactUri": "x"}),
            "/outputDataConfig/artifactUri invalid-value",
        ),
        ("a~b/c", json!(1), "/a~0b~1c unknown-field"),
    ];
    for (member, value, expected) in table {
        assert_eq!(mistakes(with(member, value.clone())), [*expected], "{member}: {value}");
    }
}

#[test]
fn every_mistake_is_found_at_once() {
    let found = mistakes(json!({
        "JOBNAME": "x",
        "priority": "high",
        "algorithm": {"algorithmName": "trees"},
        "resources": {"instanceResources": {"cpuCores": 0.5}, "instanceCount": -1},
        "inputDataConfig": [{"bucket": 7}],
    }));
    for expected in [
        "/JOBNAME unknown-field",
        "/jobName required",
        "/priority wrong-type",
        "/resources/instanceResources/cpuCores wrong-type",
        "/resources/instanceCount out-of-range",
        "/inputDataConfig/0/bucket wrong-type",
    ] {
        assert!(found.iter().any(|found| found == expected), "{expected}: {found:?}");
    }
}

#[test]
fn typo_is_answered_with_the_field_that_was_meant() {
    for (typo, meant) in
        [("JOBNAME", "jobName"), ("job_name", "jobName"), ("prioritty", "priority")]
    {
        let errors = read(with(typo, json!("x"))).unwrap_err().errors;
        let detail = &errors[0].detail;
        assert!(detail.contains(&format!("Did you mean `{meant}`")), "{typo}: {detail}");
    }
    let errors = read(with("name", json!("x"))).unwrap_err().errors;
    assert!(!errors[0].detail.contains("Did you mean"), "{}", errors[0].detail);
}

#[test]
fn forms_that_are_no_objects_are_one_mistake() {
    for form in [json!(null), json!([]), json!("x"), json!(1)] {
        assert_eq!(mistakes(form), [" wrong-type"]);
    }
}

#[test]
fn hyperparameters_are_found_under_any_name_of_the_algorithm_and_others_ignored() {
    for (member, algorithm) in
        [("trees", "trees"), ("trees", "trees-alias"), ("trees-alias", "trees")]
    {
        let form = json!({
            "jobName": "a",
            "algorithm": algorithm,
            "hyperparameters": {"forest": {"x": 1}, member: {"eta": 0}},
        });
        let form = read(form).unwrap();
        assert_eq!(
            (form.places.of("/hyperparameters/x").as_str(), form.spec.algorithm.as_str()),
            (format!("/hyperparameters/{member}").as_str(), algorithm)
        );
        assert_eq!(form.spec.hyperparameters, json!({"eta": 0}));
        assert_eq!(form.spec.request["algorithm"], json!({"algorithmName": algorithm}));
    }
}

#[test]
fn mistaken_form_still_gives_its_hyperparameters() {
    let mut form = with("hyperparameters", json!({"trees": {"eta": 7}}));
    form["jobName"] = json!("");
    let mistaken = read(form).unwrap_err();
    assert_eq!(mistaken.hyperparameters.unwrap().values, json!({"eta": 7}));
}

#[test]
fn channel_type_comes_from_the_name_if_it_is_not_written() {
    let channels = json!([
        {"bucket": "b"},
        {"bucket": "b", "channelName": "validation"},
        {"bucket": "b", "channelName": "Test_1"},
        {"bucket": "b", "channelName": "x", "channelType": "test"},
    ]);
    let types: Vec<ChannelType> = spec(with("inputDataConfig", channels))
        .channels
        .iter()
        .map(|channel| channel.channel_type)
        .collect();
    use ChannelType::{Test, Train, Validation};
    assert_eq!(types, [Train, Validation, Test, Test]);
}

#[test]
fn clusters_are_listed_once_and_unchecked_while_none_is_known() {
    let form = with("targetClusters", json!(["member2", "member1", "member2"]));
    let names: Vec<String> = spec(form).target_clusters.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["member2", "member1"]);
    let form = with("targetClusters", json!(["anywhere"]));
    assert!(parse(form, &Surroundings { serving: None, clusters: &[] }).is_ok());
}

#[test]
fn custom_values_may_have_lines_and_nothing_else_that_is_odd() {
    let custom = json!({"note": "a\n\tb", "list": [1, {"deep": "x\ny"}], "none": null});
    assert_eq!(spec(with("customHyperparameters", custom.clone())).custom_hyperparameters.len(), 3);
    for odd in ["\u{0}", "\u{1b}[2J", "a\rb", "\u{2028}", "\u{85}", "\u{feff}x"] {
        let form = with("customHyperparameters", json!({"note": odd}));
        assert_eq!(mistakes(form), ["/customHyperparameters/note control-character"], "{odd:?}");
    }
}

#[test]
fn enormous_forms_are_answered_briefly() {
    let names: Vec<String> = (0..1000).map(|number| format!("NOPE{number}")).collect();
    let form = with("targetClusters", json!(names));
    assert_eq!(read(form).unwrap_err().errors.len(), 100);
    let form = with("entrypoint", json!("x".repeat(20_000)));
    assert_eq!(mistakes(form), ["/entrypoint too-long"]);
}
