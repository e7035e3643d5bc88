//! The job as a guest sees it: the JSON object that the contract documents on its `converter`
//! interface. A borrowed mirror of the domain's job, so that nothing is cloned to be written.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use training::job::{DataChannel, DataSource};
use training::ports::ConversionInput;

/// Writes the job for a plugin whose canonical algorithm and merged settings are given.
pub(crate) fn write_job(
    input: &ConversionInput,
    algorithm: &str,
    settings: &RawValue,
) -> Result<String, serde_json::Error> {
    let spec = &input.spec;
    serde_json::to_string(&JobInput {
        id: input.id.as_str(),
        name: spec.name.as_str(),
        namespace: spec.namespace.as_str(),
        algorithm,
        algorithm_alias: Some(spec.algorithm.as_str()).filter(|written| *written != algorithm),
        attempt: spec.attempt.number,
        priority: spec.priority,
        resources: Resources {
            cpu_cores: spec.resources.cpu_cores,
            memory_gib: spec.resources.memory_gib,
            gpu_count: spec.resources.gpu_count,
            instance_count: spec.resources.instance_count,
            volume_size_gb: spec.resources.volume_size_gb,
        },
        max_runtime_seconds: spec.max_runtime_seconds,
        channels: spec.channels.iter().map(Channel::from).collect(),
        output_uri: spec.output_uri.as_deref(),
        hyperparameters: &spec.hyperparameters,
        custom_hyperparameters: &spec.custom_hyperparameters,
        entrypoint: spec.entrypoint.as_deref(),
        head_image: spec.head_image.as_deref(),
        worker_image: spec.worker_image.as_deref(),
        image_uri: spec.image_uri.as_deref(),
        pvc_name: spec.pvc_name.as_deref(),
        settings,
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JobInput<'a> {
    id: &'a str,
    name: &'a str,
    namespace: &'a str,
    algorithm: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm_alias: Option<&'a str>,
    attempt: u32,
    priority: i32,
    resources: Resources,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_runtime_seconds: Option<u32>,
    channels: Vec<Channel<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_uri: Option<&'a str>,
    hyperparameters: &'a Value,
    custom_hyperparameters: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entrypoint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head_image: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker_image: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pvc_name: Option<&'a str>,
    settings: &'a RawValue,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Resources {
    cpu_cores: u32,
    #[serde(rename = "memoryGiB")]
    memory_gib: u32,
    gpu_count: u32,
    instance_count: u32,
    #[serde(rename = "volumeSizeGB")]
    volume_size_gb: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Channel<'a> {
    name: &'a str,
    r#type: &'static str,
    provider: &'a str,
    endpoint: &'a str,
    bucket: &'a str,
    prefix: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    feature_names: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    label_name: Option<&'a str>,
}

impl<'a> From<&'a DataChannel> for Channel<'a> {
    fn from(channel: &'a DataChannel) -> Self {
        let ([provider, endpoint, bucket, prefix], claim, path, url) = match &channel.source {
            DataSource::ObjectStorage { provider, endpoint, bucket, prefix } => {
                ([provider.as_str(), endpoint, bucket, prefix], None, None, None)
            }
            // The members of an object store are always there, so that plugins which know no other
            // source can read the job and refuse it.
            DataSource::Volume { claim, path } => {
                (["custom", "", "", ""], Some(claim.as_str()), Some(path.as_str()), None)
            }
            DataSource::Web { url } => (["custom", "", "", ""], None, None, Some(url.as_str())),
        };
        Self {
            name: &channel.name,
            r#type: channel.channel_type.as_str(),
            provider,
            endpoint,
            bucket,
            prefix,
            claim,
            path,
            url,
            content_type: channel.content_type.as_deref(),
            feature_names: &channel.feature_names,
            label_name: channel.label_name.as_deref(),
        }
    }
}
