//! The job form as JSON Schema, apart from what an algorithm adds. The parser in `jobs/form` is
//! the judge; the tests hold the two together.

use serde_json::{Value, json};

/// The form for an algorithm of these names, whose hyperparameters have the schema behind
/// `hyperparameters`.
pub(super) fn schema(names: &[String], title: &str, hyperparameters: &str) -> Value {
    let mut groups = serde_json::Map::new();
    for name in names {
        groups.insert(name.clone(), json!({"$ref": hyperparameters}));
    }
    let name = json!({"type": "string", "enum": names});
    let image = json!({"type": "string", "maxLength": 512});
    json!({
        "title": title,
        "type": "object",
        "required": ["jobName", "algorithm"],
        "additionalProperties": false,
        "properties": {
            "jobName": {
                "type": "string",
                "description": "Name of the job and of its workload.",
                "pattern": "^[a-z]([a-z0-9-]*[a-z0-9])?$",
                "maxLength": 63,
            },
            "namespace": {"type": "string", "default": "default", "maxLength": 63},
            "priority": {
                "type": "integer",
                "description": "1 lowest to 1000 highest; 0 is as good as absent.",
                "minimum": 0, "maximum": 1000, "default": 500,
            },
            "algorithm": {"anyOf": [
                name,
                {
                    "type": "object",
                    "required": ["algorithmName"],
                    "additionalProperties": false,
                    "properties": {
                        "algorithmName": name,
                        "source": {
                            "type": "string",
                            "enum": ["builtin", "container", "custom", "default"],
                        },
                        "imageUri": image,
                        "enableMetrics": {"type": "boolean"},
                    },
                },
            ]},
            "resources": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "instanceResources": {
                        "type": "object",
                        "additionalProperties": false,
                        "properties": {
                            "cpuCores":
                                {"type": "integer", "minimum": 1, "maximum": 1024, "default": 4},
                            "memoryGiB":
                                {"type": "integer", "minimum": 0, "maximum": 65536, "default": 16},
                            "gpuCount":
                                {"type": "integer", "minimum": 0, "maximum": 64, "default": 0},
                        },
                    },
                    "instanceCount":
                        {"type": "integer", "minimum": 0, "maximum": 1000, "default": 1},
                    "volumeSizeGB":
                        {"type": "integer", "minimum": 0, "maximum": 65536, "default": 0},
                    "distributedTraining": {"type": "boolean", "deprecated": true},
                },
            },
            "stoppingCondition": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "maxRuntimeSeconds": {"type": "integer", "minimum": 0, "maximum": 2_592_000},
                    "maxPendingSeconds": {"type": "integer", "minimum": 0, "maximum": 2_592_000},
                },
            },
            "inputDataConfig": channels(),
            "outputDataConfig": {
                "type": "object",
                "additionalProperties": false,
                "properties": {"artifactUri": {"type": "string", "maxLength": 1024}},
            },
            "hyperparameters": {
                "description": "One member per algorithm; those of other algorithms are ignored.",
                "type": "object",
                "properties": groups,
            },
            "customHyperparameters": {"type": "object"},
            "targetClusters": {"type": "array", "items": {"type": "string"}},
            "placement": {"type": "string", "enum": ["one", "all"], "default": "one"},
            "locality": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "region": {"type": "string"},
                    "zone": {"type": "string"},
                    "provider": {"type": "string"},
                },
            },
            "entrypoint": {"type": "string", "maxLength": 4096},
            "headImage": image,
            "workerImage": image,
            "pvcName": {"type": "string", "maxLength": 253},
        },
    })
}

/// Where the data of a job lies.
fn channels() -> Value {
    let text =
        |most: u32, what: &str| json!({"type": "string", "maxLength": most, "description": what});
    let columns = json!({"type": "array", "items": {"type": "string"}});
    json!({
        "description": "The data channels.",
        "type": "array",
        "maxItems": 20,
        "items": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "id": {"type": "string", "maxLength": 253},
                "channelName": text(64, "Unique in the job; `train` without one."),
                "channelType": {"type": "string", "enum": ["", "train", "validation", "test"]},
                "sourceType": {
                    "type": "string",
                    "description": "Absent: as the fields say that only one source has.",
                    "enum": ["", "object-storage", "upload", "pvc", "http"],
                },
                "storageProvider": {
                    "type": "string",
                    "enum": ["", "aws", "minio", "gcs", "azure", "custom"],
                },
                "endpoint": text(1024, "Of `object-storage`: the address of the store."),
                "bucket": text(1024, "Of `object-storage`."),
                "prefix": text(1024, "Of `object-storage`: an object, or a folder of them."),
                "pvcName": text(
                    253,
                    "Of `pvc`: an existing claim in the namespace of the job. Absent: that of the job.",
                ),
                "path": text(1024, "Of `pvc`: a file or a folder below the root of the volume."),
                "url": text(2048, "Of `http`: the address of one file, without credentials."),
                "uploadFileName": {"type": "string", "maxLength": 1024},
                "contentType": text(64, "`csv`, `text/csv`; absent: as the names end."),
                "csvColumns": columns,
                "featureNames": columns,
                "labelName": {"type": "string", "maxLength": 1024},
            },
        },
    })
}

/// The flat form for any algorithm, whose names are these.
pub(super) fn flat_schema(names: &[String]) -> Value {
    let name = json!({"type": "string", "enum": names});
    let quantity = |example: &str| {
        json!({
            "description": format!("A Kubernetes quantity, such as `{example}`."),
            "type": ["string", "integer"],
            "examples": [example],
        })
    };
    json!({
        "title": "Flat form",
        "description": "The dialect of the first predecessor. `framework`, or else `jobType`, \
                        names the algorithm.",
        "type": "object",
        "required": ["name"],
        "anyOf": [
            {"required": ["framework"], "properties": {"framework": name}},
            {"required": ["jobType"], "properties": {"jobType": name, "framework": {"maxLength": 0}}},
        ],
        "additionalProperties": false,
        "properties": {
            "name": {
                "type": "string",
                "description": "Name of the job and of its workload.",
                "pattern": "^[a-z]([a-z0-9-]*[a-z0-9])?$",
                "maxLength": 63,
            },
            "namespace": {"type": "string", "default": "default", "maxLength": 63},
            "jobType": {"type": "string", "maxLength": 63},
            "framework": {"type": "string", "maxLength": 63},
            "image": {"type": "string", "maxLength": 512},
            "command": {
                "type": "string",
                "description": "One shell line.",
                "maxLength": 4096,
            },
            "replicas": {"type": "integer", "minimum": 0, "maximum": 1000, "default": 1},
            "workersPerNode": {"type": ["integer", "null"], "minimum": 0, "maximum": 1024},
            "cpuRequest": quantity("500m"),
            "cpuLimit": quantity("2"),
            "memoryRequest": quantity("4Gi"),
            "memoryLimit": quantity("8Gi"),
            "gpuRequest": {"type": "integer", "minimum": 0, "maximum": 64, "default": 0},
            "storageClass": {"type": "string", "maxLength": 253},
            "storageSize": quantity("50Gi"),
            "hyperparameters": {
                "description": "Texts get the type that the algorithm's schema asks for. What \
                                the schema does not know goes to the training program.",
                "type": "object",
            },
            "inputDataConfig": channels(),
            "targetClusters": {"type": "array", "items": {"type": "string"}},
        },
    })
}
