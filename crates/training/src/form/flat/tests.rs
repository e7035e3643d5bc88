//! Flat forms: what they mean, and where their mistakes are said to be.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Mistaken, Serving, parse};
use super::*;
use crate::job::{Amount, JobSpec};

const SCHEMA: &str = r#"{
    "type": "object",
    "additionalProperties": false,
    "properties": {
        "learning_rate": {"type": "number", "exclusiveMinimum": 0},
        "batch_size": {"type": "integer", "minimum": 1},
        "shuffle": {"type": "boolean"},
        "optimizer": {"enum": ["sgd", "adam"]},
        "sizes": {"type": "array", "items": {"type": "integer"}},
        "patience": {"type": ["integer", "null"]},
        "processes": {
            "anyOf": [{"const": "auto"}, {"type": "integer"}],
            "x-form-field": "workersPerNode"
        }
    }
}"#;

fn read_with(form: Value, schema: &str) -> Result<super::super::Form, Mistaken> {
    let algorithms = ["trees".to_owned(), "forest".to_owned()];
    let serving = Serving { algorithms: &algorithms, schema };
    parse(form, &Surroundings { serving: Some(serving), clusters: &[] })
}

fn spec(form: Value) -> JobSpec {
    let read = read_with(form.clone(), SCHEMA);
    read.unwrap_or_else(|mistaken| panic!("{form}: {:?}", mistaken.errors)).spec
}

/// What is wrong with a form, as `pointer code`.
fn mistakes(form: Value) -> Vec<String> {
    let errors = read_with(form, SCHEMA).unwrap_err().errors;
    errors.into_iter().map(|error| format!("{} {}", error.pointer, error.code)).collect()
}

fn minimal() -> Value {
    json!({"name": "a", "jobType": "trees"})
}

fn with(member: &str, value: &Value) -> Value {
    let mut form = minimal();
    form[member] = value.clone();
    form
}

#[test]
fn documented_example_becomes_the_job_that_it_describes() {
    let form = json!({
        "name": "pytorch-training",
        "namespace": "default",
        "jobType": "trees",
        "framework": "forest",
        "image": "pytorch/pytorch:2.0.0-cuda11.7-cudnn8-runtime",
        "command": "python train.py --epochs 10",
        "replicas": 4,
        "cpuRequest": "2",
        "memoryRequest": "4Gi",
        "gpuRequest": 1,
        "hyperparameters": {"learning_rate": "0.001", "batch_size": "32", "dropout": "0.5"},
        "targetClusters": ["cluster-gpu-0", "cluster-gpu-1"],
    });
    let spec = spec(form.clone());
    assert_eq!((spec.name.as_str(), spec.algorithm.as_str()), ("pytorch-training", "forest"));
    assert_eq!(spec.image_uri.as_deref(), form["image"].as_str());
    assert_eq!(spec.entrypoint.as_deref(), form["command"].as_str());
    let resources = spec.resources;
    assert_eq!((resources.cpu_cores, resources.memory_gib, resources.gpu_count), (2, 4, 1));
    assert_eq!((resources.instance_count, resources.volume_size_gb), (4, 0));
    assert_eq!(spec.exact, Exact::default());
    assert_eq!(spec.hyperparameters, json!({"learning_rate": 0.001, "batch_size": 32}));
    assert_eq!(Value::Object(spec.custom_hyperparameters), json!({"dropout": "0.5"}));
    let clusters: Vec<&str> = spec.target_clusters.iter().map(crate::ClusterName::as_str).collect();
    assert_eq!(clusters, ["cluster-gpu-0", "cluster-gpu-1"]);
    assert_eq!(spec.request, form, "the echo is the form as it was sent");
}

#[test]
fn amounts_are_rounded_up_for_the_plugin_and_kept_for_the_host() {
    let mut form = minimal();
    form["cpuRequest"] = json!("500m");
    form["cpuLimit"] = json!("1500m");
    form["memoryLimit"] = json!("1.5Gi");
    form["storageSize"] = json!("10G");
    form["storageClass"] = json!("fast.ssd");
    let spec = spec(form);
    let resources = spec.resources;
    assert_eq!((resources.cpu_cores, resources.memory_gib, resources.volume_size_gb), (2, 2, 10));
    let expected = Exact {
        cpu: Some(Amount { request: 500, limit: 1500 }),
        memory: Some(Amount { request: 3 << 29, limit: 3 << 29 }),
        volume_bytes: Some(10_000_000_000),
        storage_class: Some("fast.ssd".to_owned()),
    };
    assert_eq!(spec.exact, expected);
    // A head and a worker; the limit is no reservation.
    let demand = spec.demand();
    assert_eq!((demand.cpu_millis, demand.memory_bytes), (1000, 3 << 30));
}

#[test]
fn workers_per_node_are_the_parameter_that_the_schema_marks() {
    let workers = |count: Value| with("workersPerNode", &count);
    assert_eq!(spec(workers(json!(2))).hyperparameters, json!({"processes": 2}));
    assert_eq!(spec(workers(json!(1))).hyperparameters, json!({"processes": 1}));
    assert_eq!(spec(workers(json!(0))).hyperparameters, json!({}));
    assert_eq!(spec(workers(Value::Null)).hyperparameters, json!({}));
    let mut both = workers(json!(2));
    both["hyperparameters"] = json!({"processes": "2"});
    assert_eq!(spec(both.clone()).hyperparameters, json!({"processes": 2}));
    both["hyperparameters"] = json!({"processes": "auto"});
    assert_eq!(mistakes(both), ["/workersPerNode conflict"]);
    let codes = |form| {
        let errors = read_with(form, r#"{"properties": {}}"#).err();
        let errors = errors.map(|mistaken| mistaken.errors).unwrap_or_default().into_iter();
        errors.map(|error| format!("{} {}", error.pointer, error.code)).collect::<Vec<_>>()
    };
    assert_eq!(codes(workers(json!(1))), Vec::<String>::new());
    assert_eq!(codes(workers(json!(2))), ["/workersPerNode unsupported"]);
}

#[test]
fn mistakes_are_pointed_to_where_the_user_wrote_them() {
    for (member, value, expected) in [
        ("name", json!("Not A Name"), "/name invalid-value"),
        ("name", json!(""), "/name required"),
        ("name", json!(7), "/name wrong-type"),
        ("jobType", json!(""), "/jobType required"),
        ("jobType", json!(7), "/jobType wrong-type"),
        ("framework", json!([]), "/framework wrong-type"),
        ("image", json!("a b"), "/image invalid-value"),
        ("command", json!(["python"]), "/command wrong-type"),
        ("command", json!("a\u{7}"), "/command control-character"),
        ("replicas", json!("4"), "/replicas wrong-type"),
        ("replicas", json!(-1), "/replicas out-of-range"),
        ("workersPerNode", json!("2"), "/workersPerNode wrong-type"),
        ("cpuRequest", json!("two"), "/cpuRequest invalid-value"),
        ("cpuLimit", json!("0"), "/cpuLimit out-of-range"),
        ("memoryRequest", json!("4"), "/memoryRequest out-of-range"),
        ("memoryLimit", json!("4 GB"), "/memoryLimit invalid-value"),
        ("gpuRequest", json!("1"), "/gpuRequest wrong-type"),
        ("gpuRequest", json!(65), "/gpuRequest out-of-range"),
        ("storageSize", json!("70000Gi"), "/storageSize out-of-range"),
        ("storageClass", json!("fast"), "/storageClass conflict"),
        ("storageClass", json!("Fast!"), "/storageClass invalid-value"),
        ("namespace", json!("kube-system"), "/namespace invalid-value"),
        ("targetClusters", json!("c1"), "/targetClusters wrong-type"),
        ("targetClusters", json!(["a", "B!"]), "/targetClusters/1 invalid-value"),
        ("hyperparameters", json!([]), "/hyperparameters wrong-type"),
        ("hyperparameters", json!({" ": "1"}), "/hyperparameters/  invalid-name"),
        (
            "hyperparameters",
            json!({"optimizer": "a\nb"}),
            "/hyperparameters/optimizer control-character",
        ),
        ("hyperparameters", json!({"forest": {"eta": 1}}), "/hyperparameters/forest mixed-forms"),
        ("resources", json!({}), "/resources mixed-forms"),
        ("entrypoint", json!("x"), "/entrypoint mixed-forms"),
        ("replica", json!(2), "/replica unknown-field"),
    ] {
        assert_eq!(mistakes(with(member, &value)), [expected], "{member}: {value}");
    }
    let both = json!({"jobName": "a", "algorithm": "trees", "image": "x", "replicas": 2});
    assert_eq!(mistakes(both), ["/image mixed-forms", "/replicas mixed-forms"]);
    let typo = json!({"name": "a", "algorithm": "trees"});
    assert_eq!(mistakes(typo), ["/jobName required", "/name mixed-forms"]);
}

#[test]
fn every_mistake_is_reported_at_once() {
    let form = json!({
        "name": "A", "image": "-", "replicas": 1001, "cpuRequest": "2", "cpuLimit": "1", "epochs": 3,
    });
    assert_eq!(
        mistakes(form),
        [
            "/epochs unknown-field",
            "/jobType required",
            "/cpuLimit conflict",
            "/name invalid-value",
            "/image invalid-value",
            "/replicas out-of-range",
        ]
    );
}

#[test]
fn programs_own_parameters_may_have_several_lines() {
    let form = with("hyperparameters", &json!({"prompt": "a\nb"}));
    assert_eq!(spec(form).custom_hyperparameters["prompt"], "a\nb");
}

/// One thing that both dialects can say: as the flat form writes it, and as the nested one does.
type Said = (&'static str, Value, &'static str, Value);

fn said() -> impl Strategy<Value = Vec<Said>> {
    let number = |member, pointer, range: std::ops::Range<u32>| {
        proptest::option::of(range)
            .prop_map(move |value| value.map(|value| (member, json!(value), pointer, json!(value))))
    };
    let text = |member, pointer, pattern: &'static str| {
        proptest::option::of(pattern)
            .prop_map(move |value| value.map(|value| (member, json!(value), pointer, json!(value))))
    };
    let each = |name: &str| format!("/resources/instanceResources/{name}").leak() as &'static str;
    let cpu = (1_u32..=1024, 0_u8..3).prop_map(move |(cores, way)| {
        let text = match way {
            0 => json!(cores.to_string()),
            1 => json!(format!("{}m", cores * 1000)),
            _ => json!(cores),
        };
        Some(("cpuRequest", text, each("cpuCores"), json!(cores)))
    });
    let memory = (1_u64..=65_536, 0_u8..4).prop_map(move |(gib, way)| {
        let text = match way {
            0 => json!(format!("{gib}Gi")),
            1 => json!(format!("{}Mi", gib << 10)),
            2 => json!((gib << 30).to_string()),
            _ => json!(format!("{gib}.0Gi")),
        };
        Some(("memoryLimit", text, each("memoryGiB"), json!(gib)))
    });
    let volume = (0_u64..=65_536).prop_map(|gib| {
        Some(("storageSize", json!(format!("{gib}Gi")), "/resources/volumeSizeGB", json!(gib)))
    });
    let values = (any::<f64>(), any::<i64>(), any::<bool>(), any::<bool>()).prop_map(
        |(rate, size, shuffle, patient)| {
            let finite = if rate.is_finite() { rate } else { 0.5 };
            let patience = patient.then_some(size);
            let flat = json!({
                "learning_rate": json!(finite).to_string(), "batch_size": size.to_string(),
                "shuffle": shuffle.to_string(), "optimizer": "adam", "sizes": "[1, 2]",
                "patience": json!(patience).to_string(),
            });
            let nested = json!({"trees": {
                "learning_rate": finite, "batch_size": size, "shuffle": shuffle,
                "optimizer": "adam", "sizes": [1, 2], "patience": patience,
            }});
            Some(("hyperparameters", flat, "/hyperparameters", nested))
        },
    );
    (
        text("image", "/algorithm/imageUri", "[a-z0-9][a-z0-9./:-]{0,40}"),
        text("command", "/entrypoint", "[ -~]{0,60}"),
        text("namespace", "/namespace", "team-[a-z0-9]{1,10}"),
        number("replicas", "/resources/instanceCount", 0..1001),
        number("gpuRequest", each("gpuCount"), 0..65),
        prop_oneof![Just(None), cpu],
        prop_oneof![Just(None), memory],
        prop_oneof![Just(None), volume],
        prop_oneof![Just(None), values],
        proptest::bool::ANY,
    )
        .prop_map(|(a, b, c, d, e, f, g, h, i, clusters)| {
            let clusters = clusters.then(|| {
                ("targetClusters", json!(["c-1", "c-2"]), "/targetClusters", json!(["c-1", "c-2"]))
            });
            [a, b, c, d, e, f, g, h, i, clusters].into_iter().flatten().collect()
        })
}

proptest! {
    #[test]
    fn flat_form_and_its_nested_equivalent_are_the_same_job(said in said()) {
        let mut flat = minimal();
        let mut nested = Nested::default();
        nested.set("/jobName", json!("a"));
        nested.set("/algorithm/algorithmName", json!("trees"));
        for (member, value, pointer, equivalent) in said {
            flat[member] = value;
            nested.set(pointer, equivalent);
        }
        let of_flat = spec(flat);
        let of_nested = spec(Value::Object(nested.form));
        prop_assert_eq!(JobSpec { request: Value::Null, ..of_flat }, JobSpec { request: Value::Null, ..of_nested });
    }

    #[test]
    fn no_form_of_flat_fields_panics_and_every_pointer_leads_into_it(
        values in proptest::collection::vec(
            (0..OWN.len() + SHARED.len(), prop_oneof![
                Just(json!(null)), Just(json!(7)), Just(json!(-1.5)), Just(json!([1, "x"])),
                Just(json!({"a": {"b": "c"}, "batch_size": "x", "": "\u{0}"})),
                "[ -~]{0,12}".prop_map(Value::from), "[0-9.]{1,4}(m|Gi|k|)".prop_map(Value::from),
            ]),
            0..10,
        )
    ) {
        let mut form = minimal();
        for (at, value) in values {
            let names = OWN.iter().map(|(name, _)| *name).chain(SHARED);
            form[names.collect::<Vec<_>>()[at]] = value;
        }
        if let Err(mistaken) = read_with(form.clone(), SCHEMA) {
            for error in mistaken.errors {
                let known = form.pointer(&error.pointer).is_some() || error.code == "required";
                prop_assert!(known, "{}: {:?}", form, error);
            }
        }
    }
}
