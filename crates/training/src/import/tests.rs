//! Documents of SageMaker, and what they become.

use serde_json::json;

use super::*;
use crate::form::{Serving, Surroundings, parse};
use crate::id::{PluginDigest, Sha256Digest};

fn plugin(algorithms: &[&str]) -> Arc<PluginInfo> {
    let schema = r#"{"properties": {
        "eta": {"type": "number"}, "rounds": {"type": "integer"}, "booster": {"type": "string"},
        "flag": {"type": "boolean"}
    }}"#;
    Arc::new(PluginInfo {
        name: algorithms[0].to_owned(),
        version: "1.0.0".to_owned(),
        digest: PluginDigest::of(algorithms[0]),
        algorithms: algorithms.iter().map(|name| (*name).to_owned()).collect(),
        title: String::new(),
        summary: String::new(),
        schema: schema.to_owned(),
        schema_digest: Sha256Digest::of(schema),
        settings_schema: "{}".to_owned(),
        kinds: Vec::new(),
        interpreters: Vec::new(),
        suspend: None,
        examples: Vec::new(),
    })
}

fn run(document: &Value, algorithm: Option<&str>) -> Result<Imported, Vec<FieldError>> {
    let plugins = [plugin(&["trees"]), plugin(&["torch", "torch-mpi"]), plugin(&["ray"])];
    sagemaker(document, algorithm, &plugins)
}

fn full() -> Value {
    json!({
        "TrainingJobName": "Churn-2024",
        "AlgorithmSpecification": {
            "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-trees:1.7-1",
            "TrainingInputMode": "FastFile",
            "ContainerEntrypoint": ["python", "train.py"],
            "ContainerArguments": ["--note", "a b"],
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}],
        },
        "RoleArn": "arn:aws:iam::1:role/train",
        "HyperParameters": {
            "eta": "0.2", "rounds": "50", "booster": "\"gbtree\"", "flag": "True",
            "mine": "\"text\"", "other": "7", "sagemaker_program": "\"train.py\"",
        },
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "ContentType": "text/csv; label_size=0",
                "InputMode": "Pipe",
                "CompressionType": "None",
                "DataSource": {"S3DataSource": {
                    "S3DataType": "S3Prefix", "S3Uri": "s3://data/churn/train/",
                    "S3DataDistributionType": "ShardedByS3Key",
                }},
            },
            {
                "ChannelName": "files",
                "DataSource": {"FileSystemDataSource": {"FileSystemId": "fs-1"}},
            },
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://out/models", "KmsKeyId": "key"},
        "ResourceConfig": {
            "InstanceType": "ml.g5.2xlarge", "InstanceCount": 3, "VolumeSizeInGB": 30,
            "KeepAlivePeriodInSeconds": 60,
        },
        "StoppingCondition": {
            "MaxRuntimeInSeconds": 7200, "MaxPendingTimeInSeconds": 3600,
            "MaxWaitTimeInSeconds": 9000,
        },
        "CheckpointConfig": {"S3Uri": "s3://out/checkpoints"},
        "Environment": {"A": "1"},
        "EnableNetworkIsolation": false,
        "Tags": [{"Key": "team", "Value": "x"}],
        "RetryStrategy": {"MaximumRetryAttempts": 3},
        "Novelty": {"a": 1},
    })
}

#[test]
fn whole_document_becomes_a_form_and_the_rest_is_listed_in_its_order() {
    let found = run(&full(), None).unwrap();
    assert_eq!(
        found.form,
        json!({
            "jobName": "churn-2024",
            "algorithm": {
                "imageUri":
                    "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-trees:1.7-1",
                "algorithmName": "trees",
            },
            "entrypoint": "python train.py --note 'a b'",
            "resources": {
                "instanceCount": 3,
                "instanceResources": {"cpuCores": 8, "memoryGiB": 32, "gpuCount": 1},
                "volumeSizeGB": 30,
            },
            "stoppingCondition": {"maxRuntimeSeconds": 7200, "maxPendingSeconds": 3600},
            "inputDataConfig": [{
                "channelName": "train", "contentType": "text/csv",
                "sourceType": "object-storage", "storageProvider": "aws",
                "bucket": "data", "prefix": "churn/train/",
            }],
            "outputDataConfig": {"artifactUri": "s3://out/models"},
            "hyperparameters": {
                "trees": {"eta": 0.2, "rounds": 50, "booster": "gbtree", "flag": true},
            },
            "customHyperparameters": {"mine": "text", "other": "7"},
        })
    );
    let pointers: Vec<&str> = found.unmapped.iter().map(|it| it.pointer.as_str()).collect();
    assert_eq!(
        pointers,
        [
            "/TrainingJobName",
            "/AlgorithmSpecification/TrainingImage",
            "/AlgorithmSpecification/TrainingInputMode",
            "/AlgorithmSpecification/MetricDefinitions",
            "/RoleArn",
            "/HyperParameters/sagemaker_program",
            "/InputDataConfig/0/ContentType",
            "/InputDataConfig/0/InputMode",
            "/InputDataConfig/0/DataSource/S3DataSource/S3DataDistributionType",
            "/InputDataConfig/1/DataSource/FileSystemDataSource",
            "/OutputDataConfig/KmsKeyId",
            "/ResourceConfig/KeepAlivePeriodInSeconds",
            "/StoppingCondition/MaxWaitTimeInSeconds",
            "/CheckpointConfig",
            "/Environment",
            "/Tags",
            "/RetryStrategy",
            "/Novelty",
        ]
    );
    for Unmapped { pointer, reason } in &found.unmapped {
        assert!(full().pointer(pointer).is_some() && reason.ends_with('.'), "{pointer}: {reason}");
    }
    let algorithms = ["trees".to_owned()];
    let serving = Serving { algorithms: &algorithms, schema: "{}" };
    let parsed = parse(found.form, &Surroundings { serving: Some(serving), clusters: &[] });
    assert!(parsed.is_ok(), "{:?}", parsed.err().map(|mistaken| mistaken.errors));
}

#[test]
fn algorithm_is_the_one_that_was_asked_for_or_that_the_image_names() {
    let document = |image: &str| json!({"TrainingJobName": "a", "AlgorithmSpecification": {"TrainingImage": image}});
    let chosen = |image: &str, wanted| {
        let found = run(&document(image), wanted).unwrap();
        let name = found.form["algorithm"]["algorithmName"].as_str().map(str::to_owned);
        name.ok_or_else(|| found.unknown_algorithm.unwrap())
    };
    assert_eq!(chosen("a.b/torch-training:2", None).unwrap(), "torch");
    assert_eq!(chosen("a.b/torch-mpi:2", None).unwrap(), "torch", "an alias is the same plugin");
    assert_eq!(chosen("a.b/array:2", Some("ray")).unwrap(), "ray");
    assert_eq!(chosen("a.b/trees:1", Some("unheard")).unwrap(), "unheard");
    for image in ["a.b/array:2", "a.b/ray-torch:2", ""] {
        let why = chosen(image, None).unwrap_err();
        assert_eq!(why.pointer, "/algorithm/algorithmName");
        assert!(why.detail.contains("Name one of: trees, torch, ray."), "{}", why.detail);
    }
}

#[test]
fn names_start_with_a_letter_and_runs_end_after_a_day() {
    let found = run(&json!({"TrainingJobName": "2024-run"}), Some("trees")).unwrap();
    assert_eq!(found.form["jobName"], "job-2024-run");
    assert_eq!(found.form["stoppingCondition"], json!({"maxRuntimeSeconds": 86400}));
}

#[test]
fn groups_of_unlike_machines_and_unknown_types_are_reported() {
    let config = |config: Value| {
        let found = run(&json!({"ResourceConfig": config}), Some("trees")).unwrap();
        let pointers = found.unmapped.into_iter().map(|it| it.pointer).collect::<Vec<_>>();
        (found.form["resources"].clone(), pointers)
    };
    let group =
        |kind: &str| json!({"InstanceType": kind, "InstanceCount": 2, "InstanceGroupName": kind});
    let (resources, unmapped) = config(json!({"InstanceGroups": [group("ml.m5.large")]}));
    assert_eq!(resources["instanceResources"]["cpuCores"], 2);
    assert_eq!((&resources["instanceCount"], unmapped.len()), (&json!(2), 0));
    let both = json!({"InstanceGroups": [group("ml.m5.large"), group("ml.p3.2xlarge")]});
    assert_eq!(config(both).1, ["/ResourceConfig/InstanceGroups"]);
    let unknown = json!({"InstanceType": "ml.trn1.2xlarge", "InstanceCount": 1});
    let (resources, unmapped) = config(unknown);
    assert_eq!(resources, json!({"instanceCount": 1}));
    assert_eq!(unmapped, ["/ResourceConfig/InstanceType"]);
}

#[test]
fn mistakes_of_the_document_have_pointers_into_it() {
    for (document, expected) in [
        (json!([]), ""),
        (json!({"ResourceConfig": "big"}), "/ResourceConfig"),
        (json!({"ResourceConfig": {"InstanceCount": "2"}}), "/ResourceConfig/InstanceCount"),
        (json!({"HyperParameters": []}), "/HyperParameters"),
        (
            json!({"InputDataConfig": [{"DataSource": {"S3DataSource": {"S3Uri": "x"}}}]}),
            "/InputDataConfig/0/DataSource/S3DataSource/S3Uri",
        ),
        (
            json!({"StoppingCondition": {"MaxRuntimeInSeconds": -1}}),
            "/StoppingCondition/MaxRuntimeInSeconds",
        ),
    ] {
        let errors = run(&document, None).unwrap_err();
        let pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, [expected], "{document}");
    }
}
