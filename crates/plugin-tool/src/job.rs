//! Jobs for a plugin: the JSON job of the contract, and example forms turned into one.
//!
//! Forms are parsed strictly by the host alone. What is here reads the complete and correct forms
//! that plugins bring as examples, and nothing else.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use training::job::{ChannelType, DataChannel, JobSpec, Resources, Spread};
use training::ports::ConversionInput;
use training::{JobId, JobName, Namespace};

/// The job of the contract. Unknown members are refused here, unlike in a plugin: whoever writes
/// a job by hand wants to hear about a slip.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct JobText {
    #[serde(default)]
    id: Option<String>,
    name: String,
    #[serde(default = "default_namespace")]
    namespace: String,
    algorithm: String,
    #[serde(default, rename = "attempt")]
    _attempt: u32,
    #[serde(default = "default_priority")]
    priority: i32,
    resources: ResourcesText,
    max_runtime_seconds: Option<u32>,
    #[serde(default)]
    channels: Vec<ChannelText>,
    output_uri: Option<String>,
    #[serde(default)]
    hyperparameters: Value,
    #[serde(default)]
    custom_hyperparameters: Map<String, Value>,
    entrypoint: Option<String>,
    head_image: Option<String>,
    worker_image: Option<String>,
    image_uri: Option<String>,
    pvc_name: Option<String>,
    /// Taken as the operator's settings, unless those are given separately.
    pub(crate) settings: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ResourcesText {
    #[serde(default = "one")]
    cpu_cores: u32,
    #[serde(default, rename = "memoryGiB")]
    memory_gib: u32,
    #[serde(default)]
    gpu_count: u32,
    #[serde(default = "one")]
    instance_count: u32,
    #[serde(default, rename = "volumeSizeGB")]
    volume_size_gb: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ChannelText {
    name: String,
    #[serde(default = "train")]
    r#type: String,
    #[serde(default = "custom")]
    provider: String,
    #[serde(default)]
    endpoint: String,
    #[serde(default)]
    bucket: String,
    #[serde(default)]
    prefix: String,
    content_type: Option<String>,
    #[serde(default)]
    feature_names: Vec<String>,
    label_name: Option<String>,
}

fn default_namespace() -> String {
    "default".to_owned()
}

fn default_priority() -> i32 {
    500
}

fn one() -> u32 {
    1
}

fn train() -> String {
    "train".to_owned()
}

fn custom() -> String {
    "custom".to_owned()
}

impl JobText {
    /// Reads the job, or says in a sentence why not.
    pub(crate) fn parse(job: Value) -> Result<Self, String> {
        serde_json::from_value(job).map_err(|error| format!("not a job of the contract: {error}"))
    }

    /// The job as the host would hand it over, but for the defaults of its hyperparameters.
    pub(crate) fn into_input(self) -> Result<ConversionInput, String> {
        let name = JobName::parse(self.name).map_err(|error| error.message)?;
        let id = match self.id {
            Some(id) => JobId::parse(id).map_err(|error| error.message)?,
            None => JobId::from_name(&name, 0x1a2b_3c4d),
        };
        let channels = self.channels.into_iter().map(channel).collect::<Result<_, _>>()?;
        let spec = JobSpec {
            name,
            namespace: Namespace::parse(self.namespace).map_err(|error| error.message)?,
            priority: self.priority,
            algorithm: self.algorithm,
            resources: Resources {
                cpu_cores: self.resources.cpu_cores,
                memory_gib: self.resources.memory_gib,
                gpu_count: self.resources.gpu_count,
                instance_count: self.resources.instance_count.max(1),
                volume_size_gb: self.resources.volume_size_gb,
            },
            max_runtime_seconds: self.max_runtime_seconds.filter(|seconds| *seconds > 0),
            channels,
            output_uri: self.output_uri,
            hyperparameters: self.hyperparameters,
            custom_hyperparameters: self.custom_hyperparameters,
            target_clusters: Vec::new(),
            spread: Spread::One,
            entrypoint: self.entrypoint,
            head_image: self.head_image,
            worker_image: self.worker_image,
            image_uri: self.image_uri,
            pvc_name: self.pvc_name,
            request: Value::Null,
        };
        Ok(ConversionInput { id, spec, settings: None })
    }
}

fn channel(channel: ChannelText) -> Result<DataChannel, String> {
    let channel_type = [ChannelType::Train, ChannelType::Validation, ChannelType::Test]
        .into_iter()
        .find(|known| known.as_str() == channel.r#type)
        .ok_or_else(|| format!("channel `{}` has no known type", channel.name))?;
    Ok(DataChannel {
        name: channel.name,
        channel_type,
        provider: channel.provider,
        endpoint: channel.endpoint,
        bucket: channel.bucket,
        prefix: channel.prefix,
        content_type: channel.content_type,
        feature_names: channel.feature_names,
        label_name: channel.label_name,
    })
}

/// The contract's job of a complete and correct form.
pub(crate) fn from_form(form: &Value) -> Value {
    let at = |pointer: &str| form.pointer(pointer).cloned().unwrap_or_default();
    let algorithm = match form.get("algorithm") {
        Some(Value::Object(fields)) => fields.get("algorithmName").cloned().unwrap_or_default(),
        other => other.cloned().unwrap_or_default(),
    };
    let hyperparameters = algorithm
        .as_str()
        .and_then(|name| form.get("hyperparameters")?.get(name))
        .cloned()
        .unwrap_or_default();
    let channels = form.get("inputDataConfig").and_then(Value::as_array);
    let channels: Vec<Value> = channels.into_iter().flatten().map(form_channel).collect();
    let mut job = json!({
        "name": at("/jobName"),
        "namespace": at("/namespace"),
        "algorithm": algorithm,
        "priority": at("/priority"),
        "resources": without_nulls(json!({
            "cpuCores": at("/resources/instanceResources/cpuCores"),
            "memoryGiB": at("/resources/instanceResources/memoryGiB"),
            "gpuCount": at("/resources/instanceResources/gpuCount"),
            "instanceCount": at("/resources/instanceCount"),
            "volumeSizeGB": at("/resources/volumeSizeGB"),
        })),
        "maxRuntimeSeconds": at("/stoppingCondition/maxRuntimeSeconds"),
        "channels": channels,
        "outputUri": at("/outputDataConfig/artifactUri"),
        "customHyperparameters": at("/customHyperparameters"),
        "entrypoint": at("/entrypoint"),
        "headImage": at("/headImage"),
        "workerImage": at("/workerImage"),
        "imageUri": at("/algorithm/imageUri"),
        "pvcName": at("/pvcName"),
    });
    job = without_nulls(job);
    if let Some(members) = job.as_object_mut() {
        members.insert("hyperparameters".to_owned(), hyperparameters);
    }
    job
}

fn form_channel(channel: &Value) -> Value {
    let at = |name: &str| channel.get(name).cloned().unwrap_or_default();
    let bucket = channel.get("bucket").and_then(Value::as_str).unwrap_or_default();
    let bucket = bucket.split_once("://").map_or(bucket, |(_, rest)| rest).trim_matches('/');
    let prefix = channel.get("prefix").and_then(Value::as_str).unwrap_or_default();
    without_nulls(json!({
        "name": at("channelName"),
        "type": at("channelType"),
        "provider": at("storageProvider"),
        "endpoint": at("endpoint"),
        "bucket": bucket,
        "prefix": prefix.trim_start_matches('/'),
        "contentType": at("contentType"),
        "featureNames": at("featureNames"),
        "labelName": at("labelName"),
    }))
}

/// Absent, `null` and empty mean the same in a form.
fn without_nulls(mut object: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.retain(|_, value| !value.is_null() && value != "");
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_form_becomes_a_job() {
        let form = json!({
            "jobName": "a",
            "algorithm": {"algorithmName": "x"},
            "resources": {"instanceResources": {"cpuCores": 2}, "volumeSizeGB": 5},
            "inputDataConfig": [
                {"channelName": "train", "storageProvider": "minio", "bucket": "storage://b/", "prefix": "/p/"},
            ],
            "hyperparameters": {"x": {"rounds": 0}},
        });
        let input = JobText::parse(from_form(&form)).unwrap().into_input().unwrap();
        assert_eq!(input.spec.channels[0].bucket, "b");
        assert_eq!(input.spec.channels[0].prefix, "p/");
        assert_eq!(input.spec.resources.volume_size_gb, 5);
        assert_eq!(input.spec.hyperparameters, json!({"rounds": 0}));
    }

    #[test]
    fn slip_in_a_job_is_named() {
        let error = JobText::parse(json!({"name": "a", "algoritm": "x"})).unwrap_err();
        assert!(error.contains("algoritm"), "{error}");
    }
}
