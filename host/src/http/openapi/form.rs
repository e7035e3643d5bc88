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
            "inputDataConfig": {
                "description": "The data channels.",
                "type": "array",
                "items": {"type": "object"},
            },
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
