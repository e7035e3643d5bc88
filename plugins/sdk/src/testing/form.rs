//! From a form to the job that the host would hand over: its defaults, its names for members.

use serde_json::{Map, Value, json};

/// The job of a form without mistakes. `algorithm` is canonical; the id is the one that
/// `trainyard-plugin` gives, so that every tool makes the same manifests of a case.
pub fn job_of(form: &Value, algorithm: &str, settings: &Value) -> Value {
    let at = |pointer: &str| form.pointer(pointer).filter(|value| !is_empty(value));
    let or = |pointer: &str, default: Value| at(pointer).cloned().unwrap_or(default);
    let name = or("/jobName", "unnamed".into());
    let each = "/resources/instanceResources";
    let channels = at("/inputDataConfig").and_then(Value::as_array);
    let mut job = json!({
        "id": format!("{}-1a2b3c4d", name.as_str().unwrap_or_default()),
        "name": name,
        "namespace": or("/namespace", "default".into()),
        "algorithm": algorithm,
        "attempt": 1,
        "priority": or("/priority", 500.into()),
        "resources": {
            "cpuCores": or(&format!("{each}/cpuCores"), 4.into()),
            "memoryGiB": or(&format!("{each}/memoryGiB"), 16.into()),
            "gpuCount": or(&format!("{each}/gpuCount"), 0.into()),
            "instanceCount": or("/resources/instanceCount", 1.into()),
            "volumeSizeGB": or("/resources/volumeSizeGB", 0.into()),
        },
        "channels": channels.into_iter().flatten().map(channel_of).collect::<Vec<_>>(),
        "hyperparameters": hyperparameters_of(form, algorithm),
        "customHyperparameters": or("/customHyperparameters", json!({})),
        "settings": settings,
    });
    let named = at("/algorithm/algorithmName").filter(|name| *name != algorithm);
    set(&mut job, "algorithmAlias", named);
    for (member, pointer) in [
        ("maxRuntimeSeconds", "/stoppingCondition/maxRuntimeSeconds"),
        ("outputUri", "/outputDataConfig/artifactUri"),
        ("entrypoint", "/entrypoint"),
        ("headImage", "/headImage"),
        ("workerImage", "/workerImage"),
        ("imageUri", "/algorithm/imageUri"),
        ("pvcName", "/pvcName"),
    ] {
        set(&mut job, member, at(pointer));
    }
    job
}

/// What stands under the algorithm's name, as the user wrote it: an alias is as good.
pub(super) fn hyperparameters_of(form: &Value, algorithm: &str) -> Value {
    let given = form.get("hyperparameters").and_then(Value::as_object);
    let found = given.and_then(|all| all.get(algorithm).or_else(|| all.values().next()));
    found.cloned().unwrap_or_else(|| json!({}))
}

fn channel_of(channel: &Value) -> Value {
    let text = |name: &str| channel.get(name).and_then(Value::as_str).unwrap_or_default();
    let or = |name: &str, default: &'static str| match text(name) {
        "" => default.to_owned(),
        given => given.to_owned(),
    };
    let bucket = text("bucket");
    let bucket = bucket.split_once("://").map_or(bucket, |(_, path)| path).trim_matches('/');
    let (bucket, inner) = bucket.split_once('/').unwrap_or((bucket, ""));
    let prefix = if text("prefix").is_empty() { inner } else { text("prefix") };
    let mut job = json!({
        "name": or("channelName", "train"),
        "type": or("channelType", "train"),
        "provider": or("storageProvider", "minio"),
        "endpoint": text("endpoint"),
        "bucket": bucket,
        "prefix": prefix.trim_start_matches('/'),
        "featureNames": channel.get("featureNames").cloned().unwrap_or_else(|| json!([])),
    });
    for (member, name) in [
        ("contentType", "contentType"),
        ("labelName", "labelName"),
        ("claim", "pvcName"),
        ("path", "path"),
        ("url", "url"),
    ] {
        set(&mut job, member, channel.get(name).filter(|value| !is_empty(value)));
    }
    job
}

fn set(object: &mut Value, member: &str, value: Option<&Value>) {
    if let (Some(members), Some(value)) = (object.as_object_mut(), value) {
        members.insert(member.to_owned(), value.clone());
    }
}

/// Absent, `null` and empty mean the same in a form.
fn is_empty(value: &Value) -> bool {
    value.is_null() || value == "" || value.as_object().is_some_and(Map::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_becomes_the_job_of_the_contract() {
        let form = json!({
            "jobName": "iris",
            "algorithm": { "algorithmName": "a", "imageUri": "" },
            "resources": { "instanceResources": { "cpuCores": 2 }, "volumeSizeGB": 5 },
            "inputDataConfig": [{ "channelName": "t", "bucket": "s3://in/some/", "labelName": "y" }],
            "stoppingCondition": { "maxRuntimeSeconds": 60 },
            "hyperparameters": { "a": { "rounds": 0 } },
        });
        let job = job_of(&form, "a", &json!({ "image": "x" }));
        assert_eq!(job["id"], "iris-1a2b3c4d");
        assert_eq!(job["resources"]["memoryGiB"], 16);
        assert_eq!(job["resources"]["volumeSizeGB"], 5);
        assert_eq!(job["channels"][0]["bucket"], "in");
        assert_eq!(job["channels"][0]["prefix"], "some");
        assert_eq!(job["channels"][0]["type"], "train");
        assert_eq!(job["channels"][0]["labelName"], "y");
        assert_eq!(job["maxRuntimeSeconds"], 60);
        assert_eq!(job["hyperparameters"], json!({ "rounds": 0 }));
        assert_eq!(job["settings"]["image"], "x");
        assert!(job.get("imageUri").is_none());
    }
}
